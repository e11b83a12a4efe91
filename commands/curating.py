"""The verbs that look after datasets: inspect, drop, restore, compact, recover, diff."""

import dataclasses
import json
from typing import Annotated

from tyro.conf import Positional, arg

from ..datasets.errors import UsageError
from ..progress import progress_bar
from .arguments import DatasetDir

Episodes = Annotated[tuple[str, ...], arg(metavar="EPISODE ...")]
Json = Annotated[bool, arg(name="json")]


def inspect(dataset: Positional[DatasetDir], as_json: Json = False) -> int:
    """Prints what a dataset holds: episodes, success, lengths, fields with units, origin.

    Args:
      dataset: Dataset directory.
      as_json: Print JSON instead of tables.
    """
    from rich.console import Console

    from ..datasets.reading import open_dataset
    from ..datasets.summary import summarize
    from ..datasets.summary_view import render

    summary = summarize(open_dataset(dataset))
    if as_json:
        print(json.dumps(dataclasses.asdict(summary), indent=2))
    else:
        Console().print(render(summary))
    return 0


def drop(
    dataset: Positional[DatasetDir],
    episodes: Positional[Episodes] = (),
    where: Annotated[tuple[str, ...], arg(metavar="FIELD=VALUE ...")] = (),
    reason: Annotated[str, arg(metavar="TEXT")] = "",
) -> int:
    """Takes bad episodes out of a dataset; `serlds restore` puts them back.

    No reader sees a dropped episode. It is kept in dropped/ beside the data. The ordinals of the
    episodes behind it become smaller; episode ids stay. With both EPISODE and --where, an episode
    must be in both selections.

    Args:
      dataset: Dataset directory.
      episodes: Ordinals counted from 0, ranges such as 3-7, or episode ids.
      where: Metadata that an episode must have, e.g. success=false.
      reason: Why, for the people who see the list of dropped episodes.
    """
    from ..datasets.curation import drop_episodes

    print(drop_episodes(dataset, episodes, where=_pairs(where), reason=reason).to_text())
    return 0


def restore(
    dataset: Positional[DatasetDir],
    episodes: Positional[Episodes] = (),
    everything: Annotated[bool, arg(name="all")] = False,
) -> int:
    """Puts dropped episodes back to where they were; without EPISODE, lists what is dropped.

    Args:
      dataset: Dataset directory.
      episodes: Numbers of that list, ranges such as 3-7, or episode ids.
      everything: Restore all of them.
    """
    from ..datasets.curation import restore_episodes
    from ..datasets.dropped import read_dropped
    from ..datasets.reading import open_dataset

    if episodes or everything:
        print(restore_episodes(dataset, episodes, everything=everything).to_text())
        return 0
    dropped = read_dropped(open_dataset(dataset).directory).episodes
    for one in dropped:
        print(f"{one.number}  {one.episode_id}  dropped {one.dropped_utc[:19]}  {one.reason}")
    print(f"{len(dropped)} dropped episode(s)")
    return 0


def compact(dataset: Positional[DatasetDir], shard_mb: float = 128.0) -> int:
    """Joins many small shards into few large ones, in place; nothing else changes.

    Recording goes on afterwards. The disk must hold what is joined twice for a while.

    Args:
      dataset: Dataset directory.
      shard_mb: Largest size of a joined shard, in MB.
    """
    from ..datasets.compaction import compact as run

    with progress_bar("compacting") as progress:
        report = run(dataset, shard_mb, progress)
    print(report.to_text())
    return 0


def recover(dataset: Positional[DatasetDir], salvage: bool = False) -> int:
    """Puts a dataset right after a crash and checks every record; exit code 1 if any is damaged.

    Finishes an interrupted change, adopts whole episodes that a killed recorder could not note,
    sets torn ones aside, rebuilds a lost dataset_info.json. Nothing is deleted.

    Args:
      dataset: Dataset directory.
      salvage: Where a file is damaged, keep its whole episodes, set the file aside and go on
        without the others.
    """
    from ..datasets.salvage import recover as run

    with progress_bar("checking") as progress:
        report = run(dataset, salvage=salvage, progress=progress)
    print(report.to_text())
    return report.exit_code


def diff(
    a: Positional[Annotated[str, arg(metavar="A")]],
    b: Positional[Annotated[str, arg(metavar="B")]],
    as_json: Json = False,
) -> int:
    """Compares two datasets: schema, episodes only in one, episodes of other content.

    Exit code 0 when they hold the same, 1 when they differ. How episodes are spread over shards
    does not matter.

    Args:
      a: Dataset directory.
      b: Dataset directory.
      as_json: Print JSON instead of text.
    """
    from ..datasets.comparing import compare
    from ..datasets.comparing_view import comparison_text
    from ..datasets.reading import open_dataset

    found = compare(open_dataset(a), open_dataset(b))
    print(json.dumps(dataclasses.asdict(found), indent=2) if as_json else comparison_text(found))
    return 0 if found.is_same else 1


def _pairs(items: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for item in items:
        field, equals, value = item.partition("=")
        if not equals or not field:
            raise UsageError(f"--where {item!r}: expected FIELD=VALUE, e.g. success=false")
        pairs[field] = value
    return pairs
