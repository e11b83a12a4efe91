import socket

import psutil
import pytest

from serlds.datasets.errors import UsageError
from serlds.training.child_process import ChildProcess
from serlds.training.replay_client import wait_for_address
from serlds.training.replay_server import choose_port
from serlds.training.run_directory import create_run_directory
from serlds.training.run_preparation import prepare
from serlds.training.stopping import StopRequest


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("shares_its_port", [False, True])
def test_a_port_in_use_is_refused(host, shares_its_port):
    with socket.socket() as other:
        if shares_its_port:  # as a Reverb server does
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} .*give another --port"):
            choose_port(port)
    assert choose_port(port) == port


def test_the_port_of_a_running_replay_server_is_refused(served_run):
    port = int(served_run[2].rpartition(":")[2])
    with pytest.raises(UsageError, match=f"port {port} "):
        choose_port(port)


@pytest.mark.parametrize("port", [-1, 70_000])
def test_an_impossible_port_is_refused(port):
    with pytest.raises(UsageError, match=f"port {port} "):
        choose_port(port)


def test_only_this_machine_reaches_the_server(served_run):
    host, _, port = served_run[2].rpartition(":")
    assert host == "127.0.0.1"
    with socket.create_connection((host, int(port)), timeout=5):
        pass
    outside = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    if not outside:
        pytest.skip("this machine has no other network interface")
    for address in outside:
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((address, int(port)), timeout=2)


def test_other_machines_are_let_in_only_when_asked_for_and_not_silently(tiny_rlpd, tmp_path):
    address = next(
        (
            found.address
            for addresses in psutil.net_if_addrs().values()
            for found in addresses
            if found.family == socket.AF_INET and not found.address.startswith("127.")
        ),
        None,
    )
    if address is None:
        pytest.skip("this machine has no other network interface")
    directory = create_run_directory(tmp_path / "run", prepare(tiny_rlpd))
    server = ChildProcess(
        "replay server",
        "serlds.training.replay_server",
        [str(directory.path), "--port", str(choose_port()), "--host", address],
        directory.log("replay"),
        {},
    )
    try:
        host, _, port = wait_for_address(directory, StopRequest()).rpartition(":")
        assert host == address
        with socket.create_connection((host, int(port)), timeout=5):
            pass
        log = directory.log("replay").read_text()
        assert "warning: the replay server listens on every network interface" in log
    finally:
        server.stop(10.0)
