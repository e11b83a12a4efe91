"""Runs curation in children that kill themselves at the n-th change of a name in the dataset.

Each line on stdin is a JSON list [n, dataset, verb, arguments...]; a child is forked for it, so
that imports are paid for once. The answer is `killed` or `done`. Python's audit events come right
before the system calls (open for writing, rename, remove), so that n runs through all of them.
"""

import json
import os
import runpy
import signal
import sys
from pathlib import Path

import tensorflow_datasets  # noqa: F401  (before the fork: it takes seconds)

from serlds.datasets.compaction import compact
from serlds.datasets.curation import drop_episodes, restore_episodes
from serlds.datasets.episode import Episode
from serlds.datasets.salvage import recover
from serlds.datasets.store import EpisodeStore

RECORDER = runpy.run_path(str(Path(__file__).with_name("record_forever.py")), run_name="recorder")
EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "open")


def record(dataset, *names):
    with EpisodeStore.open(dataset, RECORDER["SCHEMA"]) as store:
        for name in names:
            store.append(RECORDER["episode"](name))


def think_again(dataset, name):
    with EpisodeStore.open(dataset, RECORDER["SCHEMA"]) as store:
        store.append(RECORDER["episode"](name))
        store.drop_newest("not kept")


def amend(dataset):
    with EpisodeStore.open(dataset, RECORDER["SCHEMA"]) as store:
        newest = store.newest()
        store.amend_newest(Episode(newest.columns, {**newest.metadata, "task": "amended"}))


VERBS = {
    "drop": drop_episodes,
    "restore": restore_episodes,
    "compact": lambda dataset, _: compact(dataset),
    "recover": lambda dataset, _: recover(dataset, salvage=True),
    "record": lambda dataset, names: record(dataset, *names),
    "think again": lambda dataset, names: think_again(dataset, *names),
    "amend": lambda dataset, _: amend(dataset),
}


def die_at(count, dataset):
    """Ends the process, as `kill -9` does, before the system call `count` in the dataset."""
    left = count

    def watch(event, arguments):
        nonlocal left
        if event not in EVENTS or not str(arguments[0]).startswith(dataset):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main():
    print("ready", flush=True)
    for line in sys.stdin:
        count, dataset, verb, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            die_at(count, dataset)
            VERBS[verb](dataset, arguments)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else f"done {status}", flush=True)


if __name__ == "__main__":
    main()
