"""A simulated Trossen controller on a loopback address, for the vendor's own driver to talk to.

`python -m serlds.hardware.trossen_sim HOST PARENT` is the process of a `SimulatedController`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import TracebackType

from .errors import RobotError

DEFAULT_HOST = "127.0.0.10"
_READY = "ready"
_START_TIMEOUT_S = 30.0


class SimulatedController:
    """A controller with its arm in a process of its own; it ends with this one.

    The ports are those of the real controller: each arm needs an address of its own, e.g.
    127.0.0.10 and 127.0.0.11.
    """

    def __init__(self, host: str = DEFAULT_HOST) -> None:
        """Starts it and waits until it listens.

        Raises:
          RobotError: it does not, e.g. because something else listens at the address.
        """
        self.host = host
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.trossen_sim", host, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        watchdog = threading.Timer(_START_TIMEOUT_S, self._process.kill)
        watchdog.start()
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        watchdog.cancel()
        if said != _READY:
            _, errors = self._process.communicate()
            reason = (errors.strip() or "it said nothing").splitlines()[-1]
            raise RobotError(f"the simulated controller did not start at {host}: {reason}")

    @property
    def pid(self) -> int:
        """Its process; SIGSTOP makes it a controller that is frozen or has no cable."""
        return self._process.pid

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> SimulatedController:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def main() -> None:
    """Serves one arm until the parent is gone."""
    # Here alone: it brings MuJoCo along, which is set up elsewhere before it is imported.
    from trossen_arm_sim import TrossenArmSimServer, WidowXSim

    host, parent = sys.argv[1], int(sys.argv[2])
    arm = WidowXSim()
    arm.start()
    # It binds the TCP port first, which fails if another process listens there.
    TrossenArmSimServer(arm, host=host).start()
    print(_READY, flush=True)
    while os.getppid() == parent:
        time.sleep(0.2)


if __name__ == "__main__":
    main()
