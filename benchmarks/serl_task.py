"""A task of serlds over pipes, so that SERL's own interpreter can act in it.

Started by `serl_example.Task` with the task, its arguments and the fields of the state; says the
lengths of state and action, then answers each line of JSON, `"reset"` or an action, with one:
[state, reward, terminated, truncated, success].

With `--seeds` the episodes have these seeds, and the first follows the last.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys

import numpy as np

from serlds.datasets.keys import STATE
from serlds.envs.policy_forward import state_vector
from serlds.envs.tasks import make_env


def main() -> None:
    """Answers until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("env_id")
    parser.add_argument("env_args", type=json.loads)
    parser.add_argument("state_fields", type=json.loads)
    parser.add_argument("--seeds", type=json.loads, default=[None])
    options = parser.parse_args()
    env = make_env(options.env_id, **options.env_args)
    seeds = itertools.cycle(options.seeds)

    def answer(request: object) -> list[object]:
        reward, terminated, truncated = 0.0, False, False
        if request == "reset":
            observation, info = env.reset(seed=next(seeds))
        else:
            action = np.asarray(request, np.float32)
            observation, reward, terminated, truncated, info = env.step(action)
        state = state_vector(observation[STATE], options.state_fields).tolist()
        return [state, float(reward), bool(terminated), bool(truncated), bool(info["success"])]

    print(json.dumps([len(answer("reset")[0]), env.action_space.shape[0]]), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
