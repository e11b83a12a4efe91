"""The verb that tells whether a dataset is fit to train on: `validate`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from ..datasets.errors import UsageError
from ..progress import progress_bar
from .arguments import BeamArgs, MaybePath, Workers

MaybeDataset = Annotated[str | None, arg(metavar="DATASET")]
Checks = Annotated[tuple[str, ...], arg(metavar="CHECK ...")]


def validate(
    dataset: Positional[MaybeDataset] = None,
    images: Literal["headers", "sampled", "all"] | None = None,
    limits: Annotated[tuple[str, ...], arg(name="set", metavar="CHECK.THRESHOLD=NUMBER ...")] = (),
    skip: Checks = (),
    config: MaybePath = None,
    reference: Annotated[tuple[str, ...], arg(metavar="CAMERA=IMAGE ...")] = (),
    json_path: Annotated[Path | None, arg(name="json", metavar="PATH")] = None,
    page: MaybePath = None,
    list_checks: Annotated[bool, arg(name="list")] = False,
    explain: Checks = (),
    workers: Workers = None,
    scratch: MaybePath = None,
    beam_args: BeamArgs = (),
) -> int:
    """Checks every episode of a dataset, prints what it finds and what to do about it.

    Exit code 1 when there are errors; warnings alone give 0. The verdict is kept beside the data,
    in validation.json; `serlds train` asks for it. Beam's own options go after `--`, e.g.
    `serlds validate DATASET -- --runner=FlinkRunner`.

    Args:
      dataset: Dataset directory.
      images: How much of the images is decoded: only their headers are read, a sample of four
        frames per episode and camera, or all of them. By default sampled.
      limits: Thresholds that differ from their defaults, e.g. idle.max_share=0.2.
      skip: Checks that are not made.
      config: TOML file with `images`, `skip` and a table of thresholds for each check.
      reference: A frame known to have its colours right, for a camera, to find swapped channels.
      json_path: Also write all findings to this JSON file.
      page: Also write a page with the findings and plots to this HTML file.
      list_checks: Print all checks with their thresholds, and do nothing else.
      explain: Print rule, thresholds, source and remedy of these checks, and do nothing else.
      workers: Processes of the local runner; by default as many as there are cores, or fewer for
        little data.
      scratch: Directory for intermediate results, which all workers must see; by default beside
        the dataset where Beam's options name a runner.
      beam_args: Options for Beam.
    """
    from ..pipelines.checks import explaining, options

    if list_checks or explain:
        print(explaining.explain(explain) if explain else explaining.list_checks())
        return 0
    if dataset is None:
        raise UsageError("serlds validate: a dataset is needed, e.g. `serlds validate data/demos`")
    checks = options.check_options(images, skip, limits, reference, config)
    from ..pipelines.validate import keep_verdict
    from ..pipelines.validate import validate as run

    with progress_bar("validating") as progress:
        report = run(
            dataset,
            checks=checks,
            json_path=json_path,
            workers=workers,
            beam_args=beam_args,
            progress=progress,
            scratch=scratch,
        )
    if page is not None:
        from ..pipelines.pages.validation_page import write_validation_page

        write_validation_page(report, page)
    print(report.to_text())
    if problem := keep_verdict(report):
        print(f"serlds: {problem}", file=sys.stderr)
    return report.exit_code
