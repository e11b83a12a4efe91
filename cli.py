"""The front door: the program `serlds` and its verbs.

A verb is a function in `commands/`; tyro turns its signature and docstring into flags and help.
Nothing heavy is imported before a verb runs.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from . import __version__
from .datasets.errors import SerldsError, UsageError

_GROUPS: Mapping[str, Mapping[str, str]] = {
    "Begin": {
        "quickstart": "the whole loop once: record, convert, validate, train, evaluate, export",
        "doctor": "check this machine: versions, rendering, Reverb, Beam, devices, disk",
    },
    "Get data": {
        "record": "run a task and log every episode to an RLDS dataset",
        "playback": "do a recorded episode again, slowly",
        "teleop": "drive a task by hand, without recording it",
        "import serl": "make a dataset from SERL's demos.pkl",
        "import hil-serl": "make a dataset from HIL-SERL's demonstrations or buffers",
        "import robomimic": "make a dataset from HDF5 files of robomimic",
        "import lerobot": "make a dataset from one in LeRobot v3.0 form: parquet and mp4",
        "import rlds": "make a dataset from any RLDS dataset, e.g. of Open X-Embodiment",
        "import encoder": "make a frozen image encoder from SERL's pretrained ResNet-10",
    },
    "Know it": {
        "inspect": "print what a dataset holds",
        "validate": "check every episode; exit code 1 when there are errors",
        "report": "write one self-contained page about a dataset or a run",
        "stats": "mean, deviation, range and quantiles of actions and states",
        "diff": "compare two datasets; exit code 1 when they differ",
    },
    "Shape it": {
        "convert": "make a new dataset by applying transforms to an old one",
        "transforms": "list the transforms of `convert`, or explain one",
        "merge": "make one dataset of several",
        "split": "deal a dataset's episodes out to train, val, ...",
        "drop": "take bad episodes out of a dataset, reversibly",
        "restore": "put dropped episodes back, or list them",
        "compact": "join a dataset's many small shards into few large ones",
        "recover": "put a dataset right after a crash and check every record",
    },
    "Drive a robot": {
        "robot check": "look at an arm: network, versions, joints, rates; what to mend",
        "robot home": "move an arm slowly to its home posture",
        "robot stop": "stop every arm that serlds drives on this machine",
        "robot recover": "clear the fault of arms, after you have looked at them",
    },
    "Learn from it": {
        "train bc": "behaviour cloning from demonstrations",
        "train hg-dagger": "behaviour cloning that goes on with what a person corrects",
        "train sac": "soft actor-critic, online",
        "train drq": "soft actor-critic from pixels, online",
        "train rlpd": "reinforcement learning online with demonstrations",
        "train classifier": "a success classifier, to judge frames or to reward by",
        "train vice": "as rlpd, rewarded by a classifier that learns from the demonstrations",
        "train --resume RUN": "go on with a run from its last checkpoint",
        "watch": "show a run live in the browser: curves, rates, replay, videos",
        "serve": "a run's replay server alone, for learner and actors anywhere",
        "learner": "a run's learner alone",
        "actor": "one of a run's actors alone",
        "eval": "evaluate a run's policy on fresh episodes, with videos",
        "trace": "name the episodes and steps that an update learned from",
        "runs": "list training runs and compare them",
    },
    "Give it away": {
        "export rtx": "write a dataset in Open X-Embodiment (RT-X) form",
        "export lerobot": "write a dataset in LeRobot v3.0 form: parquet and mp4",
        "export policy": "write a run's policy as a directory that acts with NumPy alone",
    },
}
VERBS: Mapping[str, str] = {
    name: text for verbs in _GROUPS.values() for name, text in verbs.items()
}

_HELP = """usage: serlds VERB ... [--debug]

One loop around RLDS datasets: record episodes, run pipelines on them, train from them, export them.

{verbs}

DATASET is a directory: <data_dir>/<name>/<version>, or <data_dir>/<name> for its newest version.
RUN is the directory of a training run.

  serlds VERB --help   explains each flag
  --debug              show the traceback of an error
  --version            print the version
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one verb and exits: 0 done, 1 a check failed, 2 wrong usage, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _set_up_libraries(debug)
    try:
        code = _run(arguments)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        code = 130
    except SerldsError as error:
        if debug:
            raise
        print(f"serlds: {error}", file=sys.stderr)
        code = error.exit_code
    except BrokenPipeError:  # the reader of our output went away, as in `serlds inspect D | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if debug:
            raise
        print(f"serlds: {_describe_os_error(error)}", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        print(f"serlds {__version__}")
        return 0
    from .commands.dispatch import run_verb

    name, rest = _split_verb(arguments)
    if rest is None:
        print(_help(name))
        return 0
    return run_verb(name, rest)


def _split_verb(arguments: list[str]) -> tuple[str, list[str] | None]:
    """The verb, of one or two words, and its arguments; None where only its group is named."""
    first = arguments[0]
    second = arguments[1] if len(arguments) > 1 else "--help"
    if f"{first} {second}" in VERBS:
        return f"{first} {second}", arguments[2:]
    if first in VERBS:
        return first, arguments[1:]
    group = [name.split()[1] for name in VERBS if name.startswith(f"{first} ")]
    if not group:
        known = ", ".join(dict.fromkeys(name.split()[0] for name in VERBS))
        raise UsageError(f"there is no verb {first!r}; the verbs are {known}")
    if first == "train" and any(argument.split("=")[0] == "--resume" for argument in arguments):
        return "train", ["--help"] if {"-h", "--help"} & set(arguments) else arguments[1:]
    if second in ("-h", "--help"):
        return first, None
    raise UsageError(f"serlds {first}: expected one of {', '.join(group)}, found {second!r}")


def _help(group: str = "") -> str:
    width = max(map(len, VERBS))
    blocks = []
    for title, verbs in _GROUPS.items():
        lines = [f"  {name:{width}}  {verbs[name]}" for name in verbs if name.startswith(group)]
        if lines:
            blocks.append("\n".join([f"{title}:", *lines]))
    return _HELP.format(verbs="\n\n".join(blocks))


def _set_up_libraries(debug: bool) -> None:
    """Tells libraries what they read when they load; the processes started from here inherit it.

    BLAS gets one thread: the matrices here are small, and a second thread waits more than it works.
    Start-up chatter of TensorFlow and gRPC stays out of a person's terminal.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if not debug:
        logging.getLogger().addFilter(_is_news)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        os.environ.setdefault("GLOG_minloglevel", "2")


def _is_news(record: logging.LogRecord) -> bool:
    """False for Beam's remark, at every import, that it was installed without Google Cloud."""
    return not record.getMessage().startswith("apitools not found")


def _describe_os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    remedy = {28: "; free some space and run the command again"}.get(error.errno or 0, "")
    return f"{where}{error.strerror or error}{remedy}"


if __name__ == "__main__":
    main()
