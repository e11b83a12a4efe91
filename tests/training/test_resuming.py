import dataclasses

import pytest

from serlds.datasets.errors import UsageError
from serlds.training.adjusting import ADJUSTABLE, adjusted
from serlds.training.run_directory import RunRecord, TaskRecord


@pytest.fixture
def record(tiny_rlpd):
    return RunRecord(tiny_rlpd, TaskRecord(("observation/state/x",), 3, 2))


@pytest.mark.parametrize("name", ADJUSTABLE)
def test_these_fields_may_change(record, name):
    changed = adjusted(record, {name: 77})
    assert getattr(changed.run.schedule, name) == 77
    schedule = dataclasses.replace(record.run.schedule, **{name: 77})
    asked = dataclasses.replace(record.run, schedule=schedule)
    assert adjusted(record, {}, asked) == changed


@pytest.mark.parametrize(
    ("name", "value"), [("seed", 5), ("schedule.batch_size", 16), ("agent.demo_fraction", 0.25)]
)
def test_another_configuration_is_refused_by_its_field(record, name, value):
    run, (part, _, field) = record.run, name.rpartition(".")
    if part:
        changed = dataclasses.replace(getattr(run, part), **{field: value})
        asked = dataclasses.replace(run, **{part: changed})
    else:
        asked = dataclasses.replace(run, **{field: value})
    with pytest.raises(UsageError, match=f"{name}: .* in the run, {value} asked") as raised:
        adjusted(record, {}, asked)
    assert "schedule.checkpoints_kept" in str(raised.value)
    with pytest.raises(UsageError, match=r"schedule\.batch_size"):
        adjusted(record, {"batch_size": 16})


def test_environment_steps_only_grow(record):
    with pytest.raises(UsageError, match="60 in the run, 59 asked"):
        adjusted(record, {"env_steps": 59})
