"""Connecting to a run's replay server, and asking how full it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..datasets.errors import SerldsError, UsageError
from .run_directory import RunDirectory
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

CONNECT_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 10
FLUSH_TIMEOUT_S = 30.0
FLOOD_NOTICE_S = 5.0
_FLUSH_SLICE_MS = 500
_POLL_S = 0.05
_CONNECT_SLICE_S = 1
_WAIT_NOTICE_S = 5.0


class ReplayUnreachableError(SerldsError):
    """The replay server does not answer; who meets it may be started again."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


def wait_for_address(
    directory: RunDirectory, stop: StopRequest, timeout_s: float = CONNECT_TIMEOUT_S
) -> str:
    """The address that the run's replay server writes when it is ready.

    Returns:
        `host:port`, or an empty text when the stop was requested first.

    Raises:
        ReplayUnreachableError: It did not appear in time.
    """
    import reverb  # noqa: F401 - who asks needs it next, and it takes seconds

    start_s = time.monotonic()
    is_told = False
    while not stop.wait(_POLL_S):
        if directory.address_file.is_file():
            return directory.address_file.read_text()
        waited_s = time.monotonic() - start_s
        if waited_s > _WAIT_NOTICE_S and not is_told:
            is_told = True
            print(
                f"waiting for the run's replay server to be ready ({directory.address_file}); "
                f"where none was started: serlds serve {directory.path}",
                file=sys.stderr,
                flush=True,
            )
        if waited_s > timeout_s:
            raise ReplayUnreachableError(
                f"the run's replay server was not ready within {timeout_s:.0f} s; see what it "
                f"printed, under `serlds train` in {directory.log('replay')}, or start it: serlds "
                f"serve {directory.path}"
            )
    return ""


def connected(address: str, stop: StopRequest) -> reverb.Client:
    """A client of the replay server at `host:port`, once it answers or the stop was requested.

    Reverb itself would wait for it for ever, in a call that no signal ends.

    Raises:
        ReplayUnreachableError: It did not answer in time.
    """
    import reverb

    client, start_s, is_told = reverb.Client(address), time.monotonic(), False
    while not stop:
        try:
            client.server_info(timeout=_CONNECT_SLICE_S)
            break
        except Exception as error:  # RuntimeError or reverb's own, by the kind of failure
            waited_s = time.monotonic() - start_s
            if waited_s > CONNECT_TIMEOUT_S:
                raise ReplayUnreachableError(
                    f"no replay server answered at {address} within {CONNECT_TIMEOUT_S:.0f} s; is "
                    f"`serlds serve` up, and the tunnel, if there is one?"
                ) from error
            if waited_s > _WAIT_NOTICE_S and not is_told:
                is_told = True
                print(
                    f"no replay server answers at {address}; waiting", file=sys.stderr, flush=True
                )
            stop.wait(_POLL_S)
    return client


def check_address(address: str) -> None:
    """Raises UsageError where the address of a replay server is neither empty nor `host:port`."""
    host, _, port = address.rpartition(":")
    if address and not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise UsageError(f"--replay {address!r}: expected HOST:PORT, e.g. 127.0.0.1:8000")


def table_infos(client: reverb.Client) -> dict[str, reverb.reverb_types.TableInfo]:
    """What the server says about its tables.

    Raises:
        ReplayUnreachableError: It does not answer.
    """
    try:
        return client.server_info(timeout=ANSWER_TIMEOUT_S)
    except Exception as error:  # RuntimeError or reverb's own, by the kind of failure
        raise ReplayUnreachableError(
            f"the replay server at {client.server_address} does not answer: {error}"
        ) from error


def flood_notice(client: reverb.Client, table: str) -> str:
    """Why a table takes nothing more, when it is full; empty when it has room.

    Raises:
        ReplayUnreachableError: The server does not answer.
    """
    info = table_infos(client)[table]
    if info.current_size < info.max_size:
        return ""
    return (
        f"table {table!r} of the replay server at {client.server_address} is full: the learner has "
        f"not taken {info.current_size} items. It may still be compiling or have ended (see "
        f"logs/learner.log); this goes on when it takes them"
    )


def flush(
    writer: reverb.TrajectoryWriter,
    what: str,
    stop: StopRequest | None = None,
    is_flooded: Callable[[], str] = str,
    is_over: Callable[[], bool] = bool,
) -> None:
    """Waits until the server has confirmed all that was written, or nobody will take it any more.

    A table that is full is waited for as long as it takes, and reported now and then.

    Args:
        writer: Its stream.
        what: What was written, for the error.
        stop: Ends the wait early where the server does not answer.
        is_flooded: Says why the server can take nothing more at present; empty: it could.
        is_over: Whether nobody will ever make room for it.

    Raises:
        ReplayUnreachableError: The server did not confirm within FLUSH_TIMEOUT_S, or the stop came.
    """
    import reverb

    deadline_s = time.monotonic() + FLUSH_TIMEOUT_S
    noticed_s = time.monotonic()
    while True:
        try:
            return writer.flush(timeout_ms=_FLUSH_SLICE_MS)
        except reverb.DeadlineExceededError as error:
            if is_over():
                return None
            if not stop and time.monotonic() - noticed_s > FLOOD_NOTICE_S:
                noticed_s = time.monotonic()
                if notice := is_flooded():
                    deadline_s = noticed_s + FLUSH_TIMEOUT_S
                    print(f"warning: {notice}", file=sys.stderr, flush=True)
            if stop or time.monotonic() > deadline_s:
                raise ReplayUnreachableError(
                    f"the replay server does not take {what}: {error}"
                ) from error
        except ReplayUnreachableError:
            raise
        except Exception as error:  # reverb raises by the kind of failure
            raise ReplayUnreachableError(
                f"the replay server does not take {what}: {error}"
            ) from error


def inserted(info: reverb.reverb_types.TableInfo) -> int:
    """Items that were ever inserted into a table."""
    return int(info.rate_limiter_info.insert_stats.completed)
