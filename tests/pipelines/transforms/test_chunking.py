import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serlds.datasets.errors import SchemaError
from serlds.pipelines.action_rows import num_action_rows
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.transforms.chunking import ChunkActions


@settings(deadline=None, max_examples=40)
@given(horizon=st.integers(1, 20), actions=st.integers(2, 12), last_row=st.booleans())
def test_chunks(deltas, horizon, actions, last_row):
    episode = deltas.episode(1, actions, last_row=last_row)
    chunk = ChunkActions(horizon)
    result = chunk(episode, deltas.schema)
    schema = chunk.map_schema(deltas.schema)
    assert schema["action"].shape == (horizon, 7) and check_one(result, schema) == []
    for row in range(actions):
        for ahead in range(horizon):
            inside = row + ahead < actions
            expected = episode["action"][min(row + ahead, actions - 1)]
            np.testing.assert_array_equal(result["action"][row, ahead], expected)
            assert result["action_is_pad"][row, ahead] == (not inside)
    assert result["action_is_pad"][actions:].all() and not result["action"][actions:].any()
    assert num_action_rows(result) == actions
    np.testing.assert_array_equal(result["action"][:actions, 0], episode["action"][:actions])


def test_chunks_beside_the_action(deltas):
    chunk = ChunkActions(4, into="plan/chunk")
    schema = chunk.map_schema(deltas.schema)
    assert schema["action"] == deltas.schema["action"]
    assert schema["plan/chunk"].about.scale == schema["action"].about.scale
    assert schema["plan/chunk_is_pad"].shape == (4,)


def test_chunks_are_not_chunked_again(deltas):
    schema = ChunkActions(4).map_schema(deltas.schema)
    with pytest.raises(SchemaError, match="expected a vector"):
        ChunkActions(4).map_schema(schema)
    with pytest.raises(SchemaError, match="collides"):
        ChunkActions(4, into="reward").map_schema(deltas.schema)
