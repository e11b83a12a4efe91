"""Records tiny episodes without end, in children that the test kills.

For each line on stdin (a path that acknowledged episodes are noted in) a child is forked, so that
imports are paid for once; its process id is printed. The next line is read when it has died.
"""

import os
import sys

import gymnasium as gym
import numpy as np

from serlds.datasets import keys
from serlds.datasets.episode import Episode
from serlds.datasets.schema import STRING, Schema
from serlds.datasets.store import EpisodeStore

SPACES = gym.spaces.Dict(state=gym.spaces.Dict(q=gym.spaces.Box(-1, 1, (3,), np.float32)))
SCHEMA = Schema.from_spaces(SPACES, gym.spaces.Box(-1, 1, (7,), np.float32), {})


def episode(name, steps=5):
    columns = {
        field.path: ["lift"] * steps
        if field.dtype == STRING
        else np.zeros((steps, *field.shape), field.dtype)
        for field in SCHEMA.steps
    }
    metadata = {
        field.path: "" if field.dtype == STRING else np.zeros((), field.dtype).item()
        for field in SCHEMA.metadata
    }
    return Episode(columns, {**metadata, keys.EPISODE_ID: name})


def record(dataset, acknowledged):
    with EpisodeStore.open(dataset, SCHEMA) as store:
        while True:
            name = f"{os.getpid()}-{store.num_episodes}"
            ordinal = store.append(episode(name))
            os.write(acknowledged, f"{ordinal} {name}\n".encode())


def main():
    dataset = sys.argv[1]
    EpisodeStore.open(dataset, SCHEMA).close()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            record(dataset, os.open(line.strip(), flags, 0o644))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
