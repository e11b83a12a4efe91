"""The verbs that make one dataset of several, and several splits of one: `merge`, `split`."""

from typing import Annotated, Literal

from tyro.conf import Positional, arg

from ..progress import progress_bar
from .arguments import BeamArgs, DestinationDir, SourceDir, Workers


def merge(
    destination: Positional[DestinationDir],
    sources: Positional[Annotated[tuple[str, ...], arg(metavar="SOURCE ...")]],
    duplicates: Literal["error", "first"] = "error",
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes one dataset of several that have the same schema.

    The destination appears complete or not at all and names all its parents. Where schemas differ,
    the error names the fields and the transform that helps. Beam's own options go after `--`.

    Args:
      destination: Dataset directory that does not exist yet.
      sources: Dataset directories.
      duplicates: Where an episode id occurs twice, refuse, or keep the first episode.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    from ..pipelines.merge import merge as run

    with progress_bar("merging") as progress:
        done = run(
            destination,
            sources,
            duplicates=duplicates,
            workers=workers,
            beam_args=beam_args,
            progress=progress,
        )
    print(done.to_text())
    return done.exit_code


def split(
    source: Positional[SourceDir],
    destination: Positional[DestinationDir],
    parts: Annotated[tuple[str, ...], arg(metavar="NAME=SHARE ...")] = ("train=0.9", "val=0.1"),
    by: Literal["episode", "task"] = "episode",
    seed: int = 0,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a dataset with named splits from another one.

    Where an episode goes follows from its id (or task) and the seed alone: it stays there when the
    source grows and is split again. Beam's own options go after `--`.

    Args:
      source: Dataset directory.
      destination: Dataset directory that does not exist yet.
      parts: Share of each split; together 1.
      by: Deal out single episodes, or whole tasks.
      seed: Another number deals differently.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    from ..pipelines.split import parse_parts
    from ..pipelines.split import split as run

    with progress_bar("splitting") as progress:
        done = run(
            source,
            destination,
            parse_parts(parts),
            by=by,
            seed=seed,
            workers=workers,
            beam_args=beam_args,
            progress=progress,
        )
    print(done.to_text())
    return done.exit_code
