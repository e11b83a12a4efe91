"""What the validator said of a dataset: `validation.json` beside the data, bound to its content."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from .. import __version__
from .durable_files import write_durably
from .errors import DamagedDatasetError
from .provenance import utc_now_text

VERDICT_FILE = "validation.json"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome of `serlds validate`.

    Attributes:
      digest: of the dataset as it was then; another digest makes the verdict stale.
      errors: number of findings that say not to train on it.
      warnings: number of the others.
      checks: by name of each check that was made, its number of errors and warnings.
      not_made: by name of each other check, why not.
      thresholds: by check, the thresholds that held.
      images: how much of the images was decoded: `headers`, `sampled` or `all`.
      created_utc: ISO 8601.
      serlds_version: the version that validated.
    """

    digest: str
    errors: int
    warnings: int
    checks: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    not_made: Mapping[str, str] = dataclasses.field(default_factory=dict)
    thresholds: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    images: str = ""
    created_utc: str = dataclasses.field(default_factory=utc_now_text)
    serlds_version: str = __version__


def write_verdict(directory: Path, verdict: Verdict) -> None:
    """Writes `validation.json` durably; raises OSError as the operating system reports it."""
    text = json.dumps(dataclasses.asdict(verdict), indent=2) + "\n"
    write_durably(directory / VERDICT_FILE, text.encode())


def read_verdict(directory: Path) -> Verdict | None:
    """Reads `validation.json`; None where the dataset was never validated.

    Raises:
      DamagedDatasetError: the file is there but is not what `write_verdict` writes.
    """
    path = directory / VERDICT_FILE
    if not path.is_file():
        return None
    try:
        verdict = Verdict(**json.loads(path.read_bytes()))
        if not all(isinstance(count, int) for count in (verdict.errors, verdict.warnings)):
            raise ValueError("errors and warnings are no numbers")
        return verdict
    except (ValueError, TypeError) as error:
        raise DamagedDatasetError(
            f"{path}: not a readable verdict: {error}; run `serlds validate {directory}` again"
        ) from error


def verdict_text(directory: Path, digest: str) -> str:
    """The verdict on the dataset in a directory that has this digest now, in a few words."""
    try:
        verdict = read_verdict(directory)
    except DamagedDatasetError as error:
        return str(error)
    if reason := objection(verdict, digest):
        return reason
    return f"valid, {verdict.warnings} warning(s)" if verdict else ""


def objection(verdict: Verdict | None, digest: str) -> str:
    """Why a dataset with this digest should not be learned from; nothing where it may be."""
    if verdict is None:
        return "has not been validated"
    if verdict.digest != digest:
        return "has changed since it was validated"
    if verdict.errors:
        wrong = [name for name, counts in verdict.checks.items() if counts.get("error")]
        return f"has {verdict.errors} error(s) by the checks {', '.join(wrong)}"
    return ""
