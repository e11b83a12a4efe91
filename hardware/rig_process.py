"""The process of a rig: `python -m serlds.hardware.rig_process FD PARENT CONFIG`, started by `Rig`.

Signals: SIGTERM and SIGINT end it with the arms idle, SIGUSR1 is a software stop, SIGUSR2 recovers.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time

import numpy as np

from ..datasets.errors import SerldsError
from .arm_line import ArmLine
from .rig_config import RigConfig
from .rig_loop import RigLoop
from .rig_slots import command_dtype, control_dtype, state_dtype, state_record
from .rig_state import RigMode, RigState
from .robots import ROBOTS
from .shared_slots import SharedSlots


class _Signals:
    """What signals asked for since the process began."""

    def __init__(self) -> None:
        self.end = False
        self.stops = self.recoveries = 0
        signal.signal(signal.SIGTERM, self._on_end)
        signal.signal(signal.SIGINT, self._on_end)
        signal.signal(signal.SIGUSR1, self._on_stop)
        signal.signal(signal.SIGUSR2, self._on_recover)

    def _on_end(self, *_: object) -> None:
        self.end = True

    def _on_stop(self, *_: object) -> None:
        self.stops += 1

    def _on_recover(self, *_: object) -> None:
        self.recoveries += 1


class _Process:
    def __init__(self, config: RigConfig, fd: int, parent: int) -> None:
        self._config, self._parent = config, parent
        self._signals = _Signals()
        self._state_dtype = state_dtype(config)
        shared = SharedSlots(command_dtype(config), control_dtype(), self._state_dtype, fd=fd)
        self._command, self._control, self._state = shared.slots
        self._newest_command = np.zeros(1, self._command.dtype)
        self._newest_control = np.zeros(1, self._control.dtype)
        period_s = 1.0 / config.rate_hz
        self._loop = RigLoop(
            config,
            [ArmLine(arm, ROBOTS[arm.robot].driver(arm.address), period_s) for arm in config.arms],
        )
        self._stops = self._recoveries = 0
        self._recoveries_served = 0

    def run(self) -> int:
        state = self._loop.connect()
        self._publish(state)
        if state.mode is RigMode.DISCONNECTED:
            return 1
        try:
            self._rounds()
        finally:
            self._loop.close()
            self._publish(self._loop.state())
        return 0

    def _rounds(self) -> None:
        period_s = 1.0 / self._config.rate_hz
        due_s = time.monotonic()
        while not self._signals.end and os.getppid() == self._parent:
            self._hear()
            self._serve_controls()
            self._publish(self._loop.round(time.monotonic(), self._newest_command[0]))
            due_s = max(due_s + period_s, time.monotonic() - period_s)
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _hear(self) -> None:
        """Takes what the other side has written; while it writes, what it had written before.

        It may be held up, or die, in the middle of that: the arms are watched all the same.
        """
        if (command := self._command.try_read()) is not None:
            self._newest_command = command
        if (control := self._control.try_read()) is not None:
            self._newest_control = control

    def _serve_controls(self) -> None:
        control = self._newest_control[0]
        recoveries = int(control["recoveries"]) + self._signals.recoveries
        if recoveries != self._recoveries:
            self._recoveries = recoveries
            self._loop.recover()
        self._recoveries_served = int(control["recoveries"])
        stops = int(control["stops"]) + self._signals.stops
        if stops != self._stops:
            self._stops = stops
            self._loop.stop()

    def _publish(self, state: RigState) -> None:
        self._state.write(state_record(state, self._recoveries_served, self._state_dtype))


def main() -> None:
    """Runs the rig until it is told to end or its parent is gone."""
    fd, parent, text = sys.argv[1:]
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    code = 70
    try:
        code = _Process(RigConfig.from_json(text), int(fd), int(parent)).run()
    except SerldsError as error:
        logging.error("%s", error)
    except Exception:
        logging.exception("the rig's process failed")
    sys.stdout.flush()
    sys.stderr.flush()
    # An interpreter that ends by itself would wait for, or abort over, threads of drivers.
    os._exit(code)


if __name__ == "__main__":
    main()
