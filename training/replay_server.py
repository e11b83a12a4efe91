"""The replay server's process: `python -m serlds.training.replay_server RUN`.

Reverb has neither authentication nor encryption and always listens on every network interface. The
server's listening sockets are therefore bound to the loopback device as soon as they exist, so that
other machines cannot connect; a learner or actor elsewhere comes through an SSH tunnel. Only where
another host than loopback is asked for are they left as they are, with a warning.

Reverb also starts without complaint on a port that another Reverb server listens on (SO_REUSEPORT);
the two would then share the connections. A port is therefore tried with an ordinary socket first.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import psutil

from ..datasets.durable_files import write_durably
from ..datasets.errors import UsageError
from .process_main import run_here, run_process, skip_jax
from .replay_loader import fill_tables
from .replay_tables import ReplayPlan, make_tables
from .run_directory import RunDirectory, RunRecord, Session
from .session import begin_session, is_to_be_renewed
from .stopping import StopRequest

if TYPE_CHECKING:
    import reverb

HOST = "127.0.0.1"
_LOOPBACK_DEVICE = b"lo\0"
_POLL_S = 0.5


def choose_port(port: int = 0) -> int:
    """A port that nobody listens on.

    Args:
        port: The wanted one; 0 for any that is free.

    Raises:
        UsageError: Another process uses the wanted port, or there is none of that number.
    """
    if not 0 <= port < 2**16:
        raise UsageError(f"port {port} does not exist: expected 0 to 65535")
    with _probe_socket() as probe:
        # A server that has just ended leaves the port in TIME_WAIT, which is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            raise _port_error(port, error) from error
        return int(probe.getsockname()[1])


def start_server(plan: ReplayPlan, port: int, host: str = HOST) -> reverb.Server:
    """Starts a replay server; call its `stop()` at the end.

    Args:
        plan: What decides the tables.
        port: The port to listen on, from `choose_port`.
        host: Loopback, so that only this machine can reach it; or how other machines call this one.

    Raises:
        UsageError: Another process listens on the port.
    """
    import reverb

    tables = make_tables(plan)
    # The log is the truth: Reverb's own checkpoints are not used, but it wants a place for them.
    with tempfile.TemporaryDirectory() as place:
        checkpointer = reverb.checkpointers.DefaultCheckpointer(place)
        server = reverb.Server(tables, choose_port(port), checkpointer)
    try:
        for listener in _own_listeners(port):
            with listener:
                if host == HOST:
                    _bind_to_loopback(listener)
        _check_alone(port)
    except BaseException:
        server.stop()
        raise
    return server


def serve(directory: RunDirectory, port: int, stop: StopRequest, host: str = HOST) -> None:
    """Serves session after session of the run until the stop.

    A session begins with tables filled from RLDS and ends when another learner asks for its own.

    Args:
        directory: The run.
        port: The port to listen on, from `choose_port`.
        stop: Ends serving.
        host: Loopback, or how other machines call this one.

    Raises:
        UsageError: The port is in use, or there are too many demonstrations.
        StoreLockedError, DamagedDatasetError: A log of episodes cannot be read.
    """
    if host != HOST:
        print(
            f"warning: the replay server listens on every network interface of this machine, and "
            f"it has neither authentication nor encryption: whoever reaches port {port} can read "
            f"and change the training data; let only trusted machines through the firewall",
            file=sys.stderr,
            flush=True,
        )
    while not stop:
        directory.address_file.unlink(missing_ok=True)
        record = directory.read_record()
        session = begin_session(directory, record, stop)
        _serve_session(directory, record, session, port, stop, host)


def _serve_session(
    directory: RunDirectory,
    record: RunRecord,
    session: Session,
    port: int,
    stop: StopRequest,
    host: str,
) -> None:
    import reverb

    server = start_server(session.replay, port, host)
    try:
        fill_tables(reverb.Client(f"{HOST}:{server.port}"), directory, record, session, stop)
        address = f"{host}:{server.port}"
        print(
            f"replay server: session {session.number} ready at {address}",
            file=sys.stderr,
            flush=True,
        )
        # Last: who finds the address finds full tables.
        write_durably(directory.address_file, address.encode())
        while not stop.wait(_POLL_S) and not is_to_be_renewed(directory, session):
            pass
    finally:
        directory.address_file.unlink(missing_ok=True)
        server.stop()


def _probe_socket() -> socket.socket:
    try:
        probe = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return probe
    except OSError:  # a machine without IPv6
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def _port_error(port: int, reason: object) -> UsageError:
    return UsageError(
        f"port {port} of this machine cannot be used for the replay server: {reason}; end the "
        f"process that uses it, or give another --port (0: any free one)"
    )


def _own_listeners(port: int) -> Iterator[socket.socket]:
    """Duplicates of this process' sockets that listen on the port."""
    for connection in psutil.Process().net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            yield socket.socket(fileno=os.dup(connection.fd))


def _check_alone(port: int) -> None:
    """Raises UsageError when another process began to listen at the same time as this one."""
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        if listens and connection.pid != os.getpid():
            raise _port_error(port, f"process {connection.pid or 'of another user'} uses it too")


def _bind_to_loopback(listener: socket.socket) -> None:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK_DEVICE)
    except OSError as error:  # Linux before 5.7 asks for a privilege
        print(
            f"warning: the replay server can be reached from other machines, and it has no "
            f"authentication: binding it to the loopback device failed ({error}); close port "
            f"{listener.getsockname()[1]} in the firewall",
            file=sys.stderr,
            flush=True,
        )


def serve_here(run: Path, port: int, host: str) -> NoReturn:
    """What `serlds serve` does; see there."""
    skip_jax()

    def serve_alone(directory: RunDirectory, _: argparse.Namespace, stop: StopRequest) -> None:
        lock = directory.lock()
        try:
            serve(directory, choose_port(port), stop, host)
        finally:
            lock.release()

    run_here(serve_alone, run)


def main() -> None:
    """Runs the process."""
    skip_jax()
    parser = argparse.ArgumentParser(description="replay server of a run")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default=HOST)
    run_process(parser, lambda run, options, stop: serve(run, options.port, stop, options.host))


if __name__ == "__main__":
    main()
