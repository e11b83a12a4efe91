"""Where a dataset comes from, as facts for a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from ... import page
from ...datasets.dropped import read_dropped
from ...datasets.errors import DamagedDatasetError
from ...datasets.reading import Dataset
from ..derive import DEAD_LETTER_FILE
from ..digests import digest_or_empty
from .survey import Day

_MOST_LISTED = 10


def origin_facts(dataset: Dataset, days: Mapping[str, Day]) -> list[tuple[str, str]]:
    """(name, text) of all that is known: card, digest, parents, transform, environment, versions.

    Args:
      dataset: the dataset.
      days: as in `Survey.days`.
    """
    card, provenance = dataset.files.card, dataset.provenance
    facts = [("directory", str(dataset.directory)), ("digest", digest_or_empty(dataset))]
    if days:
        first = min(first for _, _, first, _ in days.values())
        last = max(last for _, _, _, last in days.values())
        number = page.counted(len(days), "day")
        facts.append(("recorded", f"{first[:19]} to {last[:19]} UTC, on {number}"))
    if provenance is None:
        facts.append(("origin", "not written by serlds: there is no serlds.json"))
    else:
        facts += [
            ("environment", f"{provenance.env_id} {_json(provenance.env_args)}".strip()),
            ("parents", "\n".join(
                f"{parent.name} {parent.version} at {parent.path}, digest {parent.digest[:12]}"
                for parent in provenance.parents
            )),
            ("transform", _json(provenance.transform)),
            ("created", f"{provenance.created_utc[:19]} UTC by serlds {provenance.serlds_version}"),
        ]  # fmt: skip
    facts += [
        ("left out when it was made", _dead_letters(dataset)),
        ("dropped", _dropped(dataset)),
        ("licence", card.license),
        ("homepage", card.homepage),
        ("citation", card.citation),
    ]
    return [(name, text) for name, text in facts if text]


def _json(values: object) -> str:
    return json.dumps(values) if values else ""


def _dropped(dataset: Dataset) -> str:
    """The episodes that a person took out, with their reasons."""
    try:
        episodes = read_dropped(dataset.directory).episodes
    except DamagedDatasetError as error:
        return str(error)
    listed = [f"{one.episode_id or one.file}: {one.reason}" for one in episodes[:_MOST_LISTED]]
    listed += [f"and {len(episodes) - len(listed)} more"] if len(episodes) > len(listed) else []
    return "\n".join(listed)


def _dead_letters(dataset: Dataset) -> str:
    """The episodes that a conversion could not take, by check."""
    path = dataset.directory / DEAD_LETTER_FILE
    if not path.is_file():
        return ""
    checks: Counter[str] = Counter()
    for line in path.read_text(errors="replace").splitlines():
        try:
            checks[str(json.loads(line)["check"])] += 1
        except (ValueError, KeyError, TypeError):
            checks["unreadable line"] += 1
    listed = ", ".join(f"{check} ({page.count(number)})" for check, number in checks.most_common())
    return f"{page.counted(checks.total(), 'bad episode')}, see {DEAD_LETTER_FILE}: {listed}"
