"""The verb that makes a page: `report`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from ..datasets.errors import DatasetNotFoundError, UsageError
from ..progress import progress_bar
from .arguments import BeamArgs, DatasetDirs, MaybePath, RunDirs, Workers


def report(
    path: Positional[Annotated[Path, arg(metavar="RUN|DATASET")]],
    out: MaybePath = None,
    baseline: RunDirs = (),
    seeds: RunDirs = (),
    datasets: DatasetDirs = (),
    timing: MaybePath = None,
    workers: Workers = None,
    scratch: MaybePath = None,
    beam_args: BeamArgs = (),
) -> int:
    """Writes one self-contained page about a run or about a dataset.

    Of a run: learning curves, videos, replay, datasets. Of a dataset: pictures, lengths, success,
    distributions of actions and states, timing, findings of the validator, origin, fields. Beam's
    own options go after `--`, for a dataset only.

    Args:
      path: Directory of a run, which needs an evaluation (`serlds eval RUN --video`), or of a
        dataset.
      out: The page; by default report.html in that directory.
      baseline: Runs only: other runs, evaluated too, to compare with.
      seeds: Runs only: further runs of the same algorithm and task, evaluated too; all are shown
        as one: mean, lowest and highest.
      datasets: Runs only: further datasets to list beside those of the run.
      timing: Runs only: JSON file with the wall time of each phase in seconds, to show as bars.
      workers: Datasets only: processes of the local runner; by default as many as there are
        cores, or fewer for little data.
      scratch: Datasets only: directory for intermediate results, which all workers must see; by
        default beside the dataset where Beam's options name a runner.
    """
    from ..training.run_directory import CONFIG_FILE

    if (path / CONFIG_FILE).is_file():
        beam = {"--workers": workers, "--scratch": scratch, "options after `--`": beam_args}
        _refuse("run", beam)
        return _report_run(path, out, baseline, seeds, datasets, timing)
    given = {"--baseline": baseline, "--seeds": seeds, "--datasets": datasets, "--timing": timing}
    return _report_dataset(path, out, given, workers, scratch, beam_args)


def _report_run(
    run: Path, out: Path | None, baseline: tuple[Path, ...], seeds: tuple[Path, ...],
    datasets: tuple[str, ...], timing: Path | None,
) -> int:  # fmt: skip
    from ..training.run_report import write_report

    print(write_report(run, out or run / "report.html", baseline, datasets, timing, seeds))
    return 0


def _report_dataset(
    path: Path,
    out: Path | None,
    given: dict[str, object],
    workers: int | None,
    scratch: Path | None,
    beam_args: tuple[str, ...],
) -> int:
    from ..datasets.reading import open_dataset
    from ..pipelines.pages.dataset_report import write_dataset_report

    try:
        open_dataset(path)
    except DatasetNotFoundError as error:
        raise UsageError(f"{path}: there is no run here, and {error}") from error
    _refuse("dataset", given)
    with progress_bar("reporting", "passes over episodes") as progress:
        page = write_dataset_report(
            path, out, workers=workers, beam_args=beam_args, progress=progress, scratch=scratch
        )
    print(page)
    return 0


def _refuse(kind: str, given: dict[str, object]) -> None:
    if wrong := [flag for flag, value in given.items() if value]:
        raise UsageError(f"the report of a {kind} takes no {', '.join(wrong)}")
