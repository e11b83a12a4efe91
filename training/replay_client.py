"""Connecting to a run's replay server, and asking how full it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..datasets.errors import SerldsError
from .run_directory import RunDirectory
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

CONNECT_TIMEOUT_S = 120.0
ANSWER_TIMEOUT_S = 10
FLUSH_TIMEOUT_S = 30.0
_FLUSH_SLICE_MS = 500
_POLL_S = 0.05


class ReplayUnreachableError(SerldsError):
    """The replay server does not answer."""


def wait_for_address(
    directory: RunDirectory, stop: StopRequest, timeout_s: float = CONNECT_TIMEOUT_S
) -> str:
    """The address that the run's replay server writes when it is ready.

    Returns:
        `host:port`, or an empty text when the stop was requested first.

    Raises:
        ReplayUnreachableError: It did not appear in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while not stop.wait(_POLL_S):
        if directory.address_file.is_file():
            return directory.address_file.read_text()
        if time.monotonic() > deadline_s:
            raise ReplayUnreachableError(
                f"the replay server did not start within {timeout_s:.0f} s; see "
                f"{directory.log('replay')}"
            )
    return ""


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


def flush(writer: reverb.TrajectoryWriter, what: str, stop: StopRequest | None = None) -> None:
    """Waits until the server has confirmed all that was written.

    Args:
        writer: Its stream.
        what: What was written, for the error.
        stop: Ends the wait early where the server does not answer.

    Raises:
        ReplayUnreachableError: The server did not confirm within FLUSH_TIMEOUT_S, or the stop came.
    """
    import reverb

    deadline_s = time.monotonic() + FLUSH_TIMEOUT_S
    while True:
        try:
            return writer.flush(timeout_ms=_FLUSH_SLICE_MS)
        except reverb.DeadlineExceededError as error:
            if stop or time.monotonic() > deadline_s:
                raise ReplayUnreachableError(
                    f"the replay server does not take {what}: {error}"
                ) from error
        except Exception as error:  # reverb raises by the kind of failure
            raise ReplayUnreachableError(
                f"the replay server does not take {what}: {error}"
            ) from error


def inserted(info: reverb.reverb_types.TableInfo) -> int:
    """Items that were ever inserted into a table."""
    return int(info.rate_limiter_info.insert_stats.completed)
