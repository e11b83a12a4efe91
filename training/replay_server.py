"""The replay server's process: `python -m serlds.training.replay_server RUN`.

Reverb has neither authentication nor encryption and always listens on every network interface. The
server's listening sockets are therefore bound to the loopback device as soon as they exist, so that
other machines cannot connect; a learner or actor elsewhere comes through an SSH tunnel.

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
from typing import TYPE_CHECKING

import psutil

from ..datasets.durable_files import write_durably
from ..datasets.errors import UsageError
from .process_main import run_process, skip_jax
from .replay_loader import fill_tables
from .replay_tables import ReplayPlan, make_tables
from .run_directory import RunDirectory
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
        UsageError: Another process uses the wanted port.
    """
    with _probe_socket() as probe:
        # A server that has just ended leaves the port in TIME_WAIT, which is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            raise _port_error(port, error) from error
        return int(probe.getsockname()[1])


def start_server(plan: ReplayPlan, port: int) -> reverb.Server:
    """Starts a replay server that only this machine can reach; call its `stop()` at the end.

    Args:
        plan: What decides the tables.
        port: The port to listen on, from `choose_port`.

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
                _bind_to_loopback(listener)
        _check_alone(port)
    except BaseException:
        server.stop()
        raise
    return server


def serve(directory: RunDirectory, port: int, stop: StopRequest) -> None:
    """Fills the tables of the run's present session from RLDS and serves them until the stop."""
    import reverb

    record, session = directory.read_record(), directory.read_session()
    server = start_server(session.replay, port)
    try:
        address = f"{HOST}:{server.port}"
        fill_tables(reverb.Client(address), directory, record, session)
        print(f"replay server: ready at {address}", file=sys.stderr, flush=True)
        # Last: who finds the address finds full tables.
        write_durably(directory.address_file, address.encode())
        while not stop.wait(_POLL_S):
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


def main() -> None:
    """Runs the process."""
    skip_jax()
    parser = argparse.ArgumentParser(description="replay server of a run")
    parser.add_argument("--port", type=int, required=True)
    run_process(parser, lambda run, options, stop: serve(run, options.port, stop))


if __name__ == "__main__":
    main()
