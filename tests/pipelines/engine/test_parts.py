import pytest
from hypothesis import given
from hypothesis import strategies as st

from serlds.datasets.dataset_files import MAX_SHARDS
from serlds.datasets.errors import UsageError
from serlds.pipelines.engine.parts import MAX_PART_BYTES, RecordRef, plan_parts


def refs(sizes):
    return [RecordRef("file", index, 0, size) for index, size in enumerate(sizes)]


@given(
    st.lists(st.integers(1, 10_000), max_size=60),
    st.lists(st.integers(1, 10_000), max_size=5),
    st.integers(1, 20_000),
)
def test_every_record_is_in_one_part_in_order(train, val, part_bytes):
    by_split = {"train": refs(train), "val": refs(val)}
    parts = plan_parts(by_split, part_bytes)
    for split, records in by_split.items():
        planned = [ref for part in parts if part.split == split for ref in part.records]
        assert planned == records
    assert [part.index for part in parts] == list(range(len(parts)))
    assert all(part.records for part in parts)


@pytest.mark.parametrize(
    "records, size, parts",
    [
        (10, 1000, 1),  # little data is one shard
        (320, 2**20, 16),  # more is cut so that workers can share it
        (400, 2**24, 50),  # and never into shards above the greatest size
    ],
)
def test_number_of_parts_follows_the_size(records, size, parts):
    planned = plan_parts({"train": refs([size] * records)})
    assert len(planned) == parts
    assert all(sum(ref.size for ref in part.records) <= MAX_PART_BYTES for part in planned)


def test_a_split_never_has_more_parts_than_tfds_can_number():
    parts = plan_parts({"train": refs([10] * 150_000)}, part_bytes=10)
    assert len(parts) <= MAX_SHARDS
    assert sum(len(part.records) for part in parts) == 150_000


def test_size_must_be_positive():
    with pytest.raises(UsageError):
        plan_parts({"train": refs([1])}, 0)
