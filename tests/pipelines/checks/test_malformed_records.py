"""The validator survives whatever a record holds: findings, no crash, no wrong success."""

import dataclasses
import json

import numpy as np
import pytest

from serlds.datasets.records import encode_episode, frame_record
from serlds.pipelines.checks.options import CheckOptions
from serlds.pipelines.engine.parts import Part, RecordRef
from serlds.pipelines.validate import ValidateJob

BATCHES, RECORDS_EACH = 20, 500
EXTREMES = (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 0.0, 1.0, -1.0, 57.3)


def mutated_bytes(payload, rng):
    """A record cut, or with some bytes changed, doubled or taken out."""
    data = bytearray(payload)
    at = int(rng.integers(len(data)))
    kind = rng.integers(4)
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        for place in rng.integers(len(data), size=rng.integers(1, 9)):
            data[place] = rng.integers(256)
    elif kind == 2:
        del data[at : at + int(rng.integers(1, 50))]
    else:
        data[at:at] = data[at : at + int(rng.integers(1, 50))]
    return bytes(data)


def mutated_values(episode, rng):
    """An episode that fits its schema and makes no sense."""
    columns = {
        path: np.array(c) for path, c in episode.columns.items() if isinstance(c, np.ndarray)
    }
    for path in rng.choice(sorted(columns), size=rng.integers(1, 4), replace=False):
        flat = columns[path].reshape(-1)
        chosen = rng.random(len(flat)) < rng.choice([0.02, 0.5, 1.0])
        with np.errstate(all="ignore"):
            flat[chosen] = np.asarray(rng.choice(EXTREMES, chosen.sum())).astype(flat.dtype)
    metadata = dict(episode.metadata)
    metadata["control_hz"] = float(rng.choice([10.0, 0.0, -1.0, np.nan, np.inf]))
    return dataclasses.replace(episode, columns={**episode.columns, **columns}, metadata=metadata)


@pytest.fixture(scope="module")
def short(full_arm):
    """A short episode with pictures, and its bytes."""
    episode = full_arm.episode(1, actions=8)
    return full_arm.schema, episode, encode_episode(episode, full_arm.schema)


@pytest.mark.parametrize("seed", range(BATCHES))
@pytest.mark.filterwarnings("error")
def test_ten_thousand_malformed_records(short, tmp_path, seed, malformed_round):
    schema, episode, payload = short
    rng = np.random.default_rng([seed, malformed_round])
    refs, path = [], tmp_path / "shard"
    with path.open("wb") as file:
        for record in range(RECORDS_EACH):
            if record % 4:
                made = mutated_bytes(payload, rng)
            else:
                made = encode_episode(mutated_values(episode, rng), schema)
            refs.append(RecordRef(str(path), record, file.tell(), len(made)))
            file.write(frame_record(made))
    result = ValidateJob(
        schema, CheckOptions(images="sampled" if seed % 4 == 0 else "headers")
    ).run(Part(0, "train", tuple(refs)), tmp_path)
    json.dumps(result)  # it travels
    unread = RECORDS_EACH - result["read"]
    unfit = sum(count for check, _, count in result["counts"] if check == "schema")
    assert unfit >= unread > 0  # each that cannot be read is told
    assert len(result["measured"]) == RECORDS_EACH - unfit
    assert all(values["file"] and values["record"] is not None for values in result["findings"])
