"""Runners run a part again where they are not sure that it was done."""

import dataclasses

from serlds.datasets.reading import open_dataset
from serlds.datasets.records import record_spans
from serlds.pipelines.engine.loading import DatasetSource
from serlds.pipelines.engine.parts import locate_records, plan_parts
from serlds.pipelines.engine.results import read_results
from serlds.pipelines.engine.runner import RunnerOptions, run_parts
from serlds.pipelines.writing import WriteJob


@dataclasses.dataclass(frozen=True)
class AsItIs:
    schema: object

    def __call__(self, episode, ref):
        return episode


def test_part_that_runs_twice_counts_once(world, tmp_path):
    dataset = open_dataset(
        world.dataset(tmp_path / "arm", [world.episode(index) for index in range(6)])
    )
    by_split, _ = locate_records(dataset)
    parts = plan_parts(by_split, part_bytes=20_000)
    assert len(parts) > 1
    job = WriteJob(DatasetSource(dataset.schema), AsItIs(dataset.schema))
    work = tmp_path / "work"
    work.mkdir()
    run_parts(job, parts, work, RunnerOptions())
    first = list(read_results(work, parts))
    run_parts(job, parts, work, RunnerOptions())
    second = list(read_results(work, parts))
    assert sum(len(list(record_spans(work / one["file"]))) for one in second) == 6
    for before, after in zip(first, second, strict=True):
        assert before.pop("file") != after.pop("file")  # an attempt never writes another's file
        assert before == after
