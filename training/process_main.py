"""What the main functions of a run's processes have in common."""

from __future__ import annotations

import argparse
import errno
import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ..datasets.errors import SerldsError
from .run_directory import RunDirectory
from .stopping import StopRequest

BUG = 70
"""Exit code after an exception that nobody foresaw (EX_SOFTWARE of sysexits.h)."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

Main = Callable[[RunDirectory, argparse.Namespace, StopRequest], None]


def skip_jax() -> None:
    """Saves the second that TensorFlow spends on importing jax where it is installed.

    None in `sys.modules` makes the import fail; TensorFlow then does without its jax converter.
    """
    sys.modules.setdefault("jax", None)  # type: ignore[arg-type]


def run_process(parser: argparse.ArgumentParser, main: Main) -> None:
    """Parses the command line, runs `main` and exits.

    SIGQUIT makes it write to standard error where each of its threads is, and go on.

    The exit code is 0 also when the process was asked to stop and did; the code of a SerldsError,
    whose message goes to standard error; 70 after any other exception.

    Args:
        parser: With the options of this process; RUN and --supervised are added here.
        main: Called with the run, the options and the request to stop.
    """
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's directory")
    parser.add_argument(
        "--supervised",
        action="store_true",
        help="end when standard input is closed, that is with the supervisor",
    )
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    stop = StopRequest()
    stop.listen_to_signals()
    if options.supervised:
        stop.listen_to_supervisor()
    _exit(_run(main, options, stop))


def run_here(main: Main, run: Path, **options: Any) -> NoReturn:
    """Runs `main` as this process, without a supervisor; exits as `run_process`."""
    stop = StopRequest()
    stop.listen_to_signals()
    _exit(_run(main, argparse.Namespace(run=run, **options), stop))


def _run(main: Main, options: argparse.Namespace, stop: StopRequest) -> int:
    faulthandler.register(signal.SIGQUIT)
    try:
        main(RunDirectory.open(options.run), options, stop)
    except SerldsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            print(f"error: the disk is full: {error}; free some and resume", file=sys.stderr)
        else:
            traceback.print_exc()
            return BUG
        return 1
    return 0


def _exit(code: int) -> NoReturn:
    # Not by returning: threads of Reverb that wait for a dead server would keep the process alive.
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)
