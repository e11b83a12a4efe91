"""The rules that a dataset's files must keep to be read rightly at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...datasets import keys
from ..engine.parts import Unreadable
from ..findings import ERROR, WARNING, Finding
from .check import Check, Evidence, Limits

RECORDS = "records"


def check_records(unreadable: Iterable[Unreadable]) -> Iterator[Finding]:
    """Records that `dataset_info.json` counts but that cannot be reached."""
    for damage in unreadable:
        yield Finding(RECORDS, ERROR, damage.message, file=damage.file, record=damage.record)


def judge_required_fields(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Fields that RLDS asks for and the schema lacks."""
    paths = {field.path for field in evidence.schema.steps}
    for path in (keys.IS_FIRST, keys.IS_LAST, keys.IS_TERMINAL):
        if path not in paths:
            yield Finding("required_fields", ERROR, "the schema has no such field", None, path)
    for path in (keys.ACTION, keys.REWARD, keys.DISCOUNT):
        if path not in paths and not any(other.startswith(f"{path}/") for other in paths):
            yield Finding("required_fields", WARNING, "the schema has no such field", None, path)


# What they find comes from reading the files, before any check of an episode.
RECORDS_CHECK = Check(
    name=RECORDS,
    rule="Each record that dataset_info.json counts is there and has the right checksum. A damaged "
    "length hides all records after it.",
    severity="error",
    source="TFRecord framing (masked CRC-32C)",
    remedy="Restore the file from a copy; `serlds recover` keeps what can still be read.",
)
REQUIRED_FIELDS = Check(
    name="required_fields",
    rule="The flags are there (error); action, reward and discount should be (warning).",
    severity="error, warning",
    source='RLDS (github.com/google-research/rlds), "Dataset format"',
    remedy="Import again with a mapping that gives these fields.",
    judge=judge_required_fields,
)
