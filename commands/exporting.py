"""The verbs that give datasets away: `export`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..pipelines.lerobot.options import LeRobotOptions
from ..pipelines.rtx.options import RtxOptions
from ..progress import progress_bar
from .arguments import BeamArgs, DestinationDir, MaybePath, RunDir, SourceDir, Workers

_RTX_DEFAULTS = RtxOptions()
_LEROBOT_DEFAULTS = LeRobotOptions()


def export_rtx(
    source: Positional[SourceDir],
    destination: Positional[DestinationDir],
    options: Annotated[RtxOptions, arg(name="")] = _RTX_DEFAULTS,
    workers: Workers = None,
    scratch: MaybePath = None,
    beam_args: BeamArgs = (),
) -> int:
    """Writes a dataset in the form of the published Open X-Embodiment (RT-X) datasets.

    The destination appears complete or not at all. Beam's own options go after `--`.

    Args:
      source: Dataset directory.
      destination: Dataset directory that does not exist yet.
      options: What to export and how.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      scratch: Directory for intermediate results, which all workers must see; by default beside
        the dataset where Beam's options name a runner.
      beam_args: Options for Beam.
    """
    from ..pipelines.rtx.export import export_rtx as run

    with progress_bar("exporting", "passes over episodes") as progress:
        done = run(
            source,
            destination,
            options,
            workers=workers,
            beam_args=beam_args,
            progress=progress,
            scratch=scratch,
        )
    print(done.to_text())
    return done.exit_code


def export_lerobot(
    source: Positional[SourceDir],
    destination: Positional[DestinationDir],
    options: Annotated[LeRobotOptions, arg(name="")] = _LEROBOT_DEFAULTS,
    workers: Workers = None,
    beam_args: BeamArgs = (),
) -> int:
    """Writes a dataset in LeRobot's format v3.0: parquet and one video per camera.

    The destination appears complete or not at all. Beam's own options go after `--`.

    Args:
      source: Dataset directory.
      destination: Directory that does not exist yet.
      options: What to export and how.
      workers: Processes of the local runner; they share the encoding of the videos. By
        default as many as there are cores, or fewer for little data.
      beam_args: Options for Beam.
    """
    from ..pipelines.lerobot.export import export_lerobot as run

    with progress_bar("exporting") as progress:
        done = run(
            source, destination, options, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def export_policy(
    run: Positional[RunDir],
    destination: Positional[Annotated[Path, arg(metavar="DESTINATION")]],
    checkpoint: Annotated[str | None, arg(metavar="UPDATES")] = None,
) -> int:
    """Writes a run's policy as a directory that acts with Python and NumPy alone.

    It holds policy.npz (the weights), policy.json (fields, units, action, datasets, versions,
    evaluation), act.py (loads them and maps an observation to an action) and a README.md.

    Args:
      run: Directory of the run.
      destination: Directory that does not exist yet.
      checkpoint: Checkpoint to export, by its number of updates; by default the last.
    """
    from ..training.policy_export import export_policy as run_export

    print(run_export(run, destination, checkpoint))
    return 0
