"""The verbs that change and measure datasets: `convert`, `stats`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..datasets.errors import UsageError
from ..progress import progress_bar
from .arguments import BeamArgs, DatasetDir, DestinationDir, MaybePath, SourceDir, Workers


def convert(
    source: Positional[SourceDir],
    destination: Positional[DestinationDir],
    apply: Annotated[tuple[str, ...], arg(metavar="TRANSFORM ...")] = (),
    chain: Annotated[Path | None, arg(metavar="FILE")] = None,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a new dataset by applying transforms, in order, to the episodes of another.

    The destination appears complete or not at all. Episodes that a transform cannot take are listed
    in its dead_letters.jsonl, and the exit code is 1. Beam's own options go after `--`.

    The transforms are (`serlds transforms NAME` explains one):

    TRANSFORMS

    Args:
      source: Dataset directory.
      destination: Dataset directory that does not exist yet.
      apply: Transforms, each NAME or NAME:KEY=VALUE,KEY=VALUE; a value with a comma in quotation
        marks.
      chain: TOML file with transforms, applied before those of --apply.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      beam_args: Options for Beam.
    """
    from ..pipelines.transforms.chain_file import read_chain

    transforms = [*(read_chain(chain) if chain else ()), *apply]
    if not transforms:
        raise UsageError(
            "nothing to do: give --apply TRANSFORM ... or --chain FILE; `serlds transforms` lists "
            "the transforms"
        )
    from ..pipelines.convert import convert as run

    with progress_bar("converting") as progress:
        done = run(
            source, destination, transforms, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def transforms(
    name: Positional[Annotated[str | None, arg(metavar="[NAME]")]] = None,
) -> int:
    """Lists the transforms that `serlds convert` can apply, or explains one of them.

    Args:
      name: Transform to explain, with its parameters, their units and an example.
    """
    from ..pipelines.transforms.explaining import explain, summarize
    from ..pipelines.transforms.registry import TRANSFORMS
    from ..pipelines.transforms.text import transform_named

    print(summarize(TRANSFORMS.values()) if name is None else explain(transform_named(name)))
    return 0


def stats(
    dataset: Positional[DatasetDir],
    json_path: Annotated[Path | None, arg(name="json", metavar="PATH")] = None,
    workers: Workers = None,
    scratch: MaybePath = None,
    beam_args: BeamArgs = (),
) -> int:
    """Prints mean, deviation, range and quantiles of each dimension of actions and states.

    Beam's own options go after `--`.

    Args:
      dataset: Dataset directory.
      json_path: File to write; by default statistics.json in the dataset's directory.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      scratch: Directory for intermediate results, which all workers must see; by default beside
        the dataset where Beam's options name a runner.
      beam_args: Options for Beam.
    """
    from ..pipelines.stats import statistics

    with progress_bar("measuring") as progress:
        done = statistics(
            dataset,
            json_path=json_path,
            workers=workers,
            beam_args=beam_args,
            progress=progress,
            scratch=scratch,
        )
    print(done.to_text())
    return done.exit_code
