"""The front door: the program `serlds` and its verbs.

A verb is a function of `commands.py`; tyro turns its signature and docstring into flags and help.
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

VERBS: Mapping[str, str] = {
    "quickstart": "the whole loop once: record, validate, convert, train, evaluate, export, report",
    "doctor": "check this machine: versions, rendering, Reverb, Beam, devices, disk",
    "record": "run a task and log every episode to an RLDS dataset",
    "inspect": "print what a dataset holds",
    "validate": "check a dataset's episodes; exit code 1 when there are errors",
    "convert": "make a new dataset by applying transforms to an old one",
    "stats": "mean, deviation, range and quantiles of actions and states",
    "export rtx": "write a dataset in Open X-Embodiment (RT-X) form",
    "train bc": "behaviour cloning from demonstrations",
    "train sac": "soft actor-critic, online",
    "train rlpd": "reinforcement learning online with demonstrations",
    "train --resume RUN": "go on with a run from its last checkpoint",
    "eval": "evaluate a run's policy on fresh episodes, with videos",
    "report": "write one self-contained page about a run",
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
    _quiet_libraries(debug)
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
    from . import commands

    name, rest = _split_verb(arguments)
    if rest is None:
        print(_help(name))
        return 0
    return commands.run_verb(name, rest)


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
    shown = {name: text for name, text in VERBS.items() if name.startswith(group)}
    width = max(map(len, shown))
    return _HELP.format(verbs="\n".join(f"  {name:{width}}  {shown[name]}" for name in shown))


def _quiet_libraries(debug: bool) -> None:
    """Keeps start-up chatter of TensorFlow and gRPC out of a person's terminal."""
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
