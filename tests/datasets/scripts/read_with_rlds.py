"""Turns a dataset into transitions with RLDS' own transformations and prints them as JSON."""

import json
import sys

import rlds
import tensorflow_datasets as tfds


def to_transition(batch):
    """One transition of a pair of steps."""
    return {
        "action": batch[rlds.ACTION][0],
        "reward": batch[rlds.REWARD][0],
        "terminal": batch[rlds.IS_TERMINAL][1],
        "position": batch[rlds.OBSERVATION]["state"]["tcp_pos"][0],
        "next_position": batch[rlds.OBSERVATION]["state"]["tcp_pos"][1],
    }


episodes = tfds.load(sys.argv[2], data_dir=sys.argv[1], split="train")
returns, transitions = [], []
for episode in episodes:
    steps = episode[rlds.STEPS]
    valid = rlds.transformations.truncate_after_condition(steps, lambda step: step[rlds.IS_LAST])
    returns.append(float(rlds.transformations.sum_dataset(valid, lambda step: step[rlds.REWARD])))
    pairs = rlds.transformations.batch(valid, size=2, shift=1, drop_remainder=True)
    transitions += [
        {name: value.tolist() for name, value in transition.items()}
        for transition in pairs.map(to_transition).as_numpy_iterator()
    ]
assert "serlds" not in sys.modules
print(json.dumps({"returns": returns, "transitions": transitions}))
