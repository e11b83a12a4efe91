"""How fast does a rig notice trouble, and what does its process cost a control loop?

The vendor's driver for Trossen arms talks to simulated controllers on loopback addresses. Measured:

- from a controller that freezes to FAULT (asked for: 250 ms), beside a plain loop around the
  driver, which may never notice;
- from SIGTERM to the rig's end, when the arm is idle (asked for: 100 ms), beside a plain loop;
- how evenly a loop of 50 Hz runs with a rig, beside a plain loop around the driver;
- from `Rig.command` until the driver was called, beside the driver's own call.

Exit code 1 when an asked-for time was missed in the median. Evenness depends on what else the
machine does: nothing is asked of it.

    python benchmarks/arm_loop.py
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import trossen_arm

from serlds.hardware.errors import RobotError
from serlds.hardware.rig import Rig
from serlds.hardware.rig_config import ArmConfig, RigConfig
from serlds.hardware.rig_state import RigMode
from serlds.hardware.trossen_sim import SimulatedController
from serlds.hardware.widowx import WIDOWX

HOST = "127.0.200.1"
PERIOD_S = 0.02
HOME = WIDOWX.tool_down_joint_rad
FREEZE_MS, SIGTERM_MS = 250.0, 100.0
WATCH_PLAIN_S = 5.0
PLAIN_LOOP = f"""
import sys, time, trossen_arm
driver = trossen_arm.TrossenArmDriver()
model, hand = trossen_arm.Model.wxai_v0, trossen_arm.StandardEndEffector.wxai_v0_follower
driver.configure(model, hand, sys.argv[1], False, 3.0)
driver.set_all_modes(trossen_arm.Mode.position)
here = list(driver.get_all_positions())
print("ready", flush=True)
while True:
    driver.set_all_positions(here, {PERIOD_S}, False)
    driver.get_robot_output()
    time.sleep({PERIOD_S})
"""


def plain_driver(host: str) -> trossen_arm.TrossenArmDriver:
    """The vendor's driver as its demonstrations use it."""
    driver = trossen_arm.TrossenArmDriver()
    follower = trossen_arm.StandardEndEffector.wxai_v0_follower
    driver.configure(trossen_arm.Model.wxai_v0, follower, host, False, 3.0)
    driver.set_all_modes(trossen_arm.Mode.position)
    return driver


def freeze_ms(rig: Rig, controller: SimulatedController) -> float:
    """From a frozen controller to FAULT; then all is well again."""
    rig.home()
    os.kill(controller.pid, signal.SIGSTOP)
    begin_s = time.perf_counter()
    try:
        while rig.read().mode is not RigMode.FAULT:
            time.sleep(0.001)
        return (time.perf_counter() - begin_s) * 1e3
    finally:
        os.kill(controller.pid, signal.SIGCONT)
        time.sleep(0.2)
        rig.recover()


def plain_notices(controller: SimulatedController) -> str:
    """What a plain loop sees of a frozen controller."""
    driver = plain_driver(controller.host)
    here = list(driver.get_all_positions())
    os.kill(controller.pid, signal.SIGSTOP)
    begin_s = time.perf_counter()
    noticed = f"nothing in {WATCH_PLAIN_S:.0f} s"
    try:
        while time.perf_counter() < begin_s + WATCH_PLAIN_S:
            driver.set_all_positions(here, PERIOD_S, False)
            driver.get_robot_output()
            time.sleep(PERIOD_S)
    except (RuntimeError, AssertionError):
        noticed = f"an error after {(time.perf_counter() - begin_s) * 1e3:.0f} ms"
    os.kill(controller.pid, signal.SIGCONT)
    time.sleep(0.2)
    driver.cleanup()
    return noticed


def sigterm_ms(config: RigConfig) -> float:
    """From SIGTERM to the end of the rig's process: its last act leaves the arm idle."""
    with Rig(config) as rig:
        rig.wait_for(rig.command([rig.read().arms[0].joint_rad], [0.02]))
        pid = rig.pid
        assert pid is not None
        begin_s = time.perf_counter()
        os.kill(pid, signal.SIGTERM)
        try:
            while True:
                rig.read()
                time.sleep(0.0005)
        except RobotError:
            return (time.perf_counter() - begin_s) * 1e3


def plain_sigterm_ms(host: str) -> float:
    """The same of a plain loop, which dies with the arm still powered."""
    command = [sys.executable, "-c", PLAIN_LOOP, host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loop:
        assert loop.stdout is not None
        while loop.stdout.readline().strip() != "ready":
            pass
        time.sleep(0.2)
        begin_s = time.perf_counter()
        loop.terminate()
        loop.wait()
        return (time.perf_counter() - begin_s) * 1e3


def period_errors_ms(step: Callable[[], object], steps: int) -> np.ndarray:
    """How far each period of a loop of 50 Hz is from 20 ms."""
    due_s = time.perf_counter()
    starts = []
    for _ in range(steps):
        starts.append(time.perf_counter())
        step()
        due_s = max(due_s + PERIOD_S, time.perf_counter())
        time.sleep(max(0.0, due_s - time.perf_counter()))
    return np.abs(np.diff(starts) - PERIOD_S) * 1e3


def command_path_ms(rig: Rig, count: int) -> np.ndarray:
    """From `Rig.command` until the state tells that the driver was given it."""
    times = []
    for index in range(count):
        target = HOME + 0.02 * np.sin(0.1 * index)
        begin_s = time.perf_counter()
        seq = rig.command([target], [0.02])
        while rig.read().command_seq < seq:
            time.sleep(0.0002)
        times.append((time.perf_counter() - begin_s) * 1e3)
        time.sleep(PERIOD_S * (0.5 + 0.37 * (index % 3)))
    return np.array(times)


def quantiles(values: np.ndarray) -> str:
    """Median, 99th percentile and largest."""
    p50, p99 = np.quantile(values, [0.5, 0.99])
    return f"p50 {p50:6.2f}   p99 {p99:6.2f}   largest {values.max():6.2f}"


def missed(errors_ms: np.ndarray) -> str:
    """Periods that were wrong by more than half."""
    return f"missed {np.count_nonzero(errors_ms > PERIOD_S * 500)} of {len(errors_ms)}"


def main() -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="of what happens once")
    parser.add_argument("--steps", type=int, default=500, help="of each loop")
    options = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with SimulatedController(HOST) as controller:
        config = RigConfig(arms=(ArmConfig("trossen", HOST),))
        print(f"frozen controller, plain loop: {plain_notices(controller)}")
        with Rig(config) as rig:
            freezes = [freeze_ms(rig, controller) for _ in range(options.repeats)]
        print(f"frozen controller to FAULT [ms]: {quantiles(np.array(freezes))}", flush=True)

        plain = [plain_sigterm_ms(HOST) for _ in range(options.repeats)]
        print(f"SIGTERM to the end, plain loop, arm powered [ms]: {quantiles(np.array(plain))}")
        ends = [sigterm_ms(config) for _ in range(options.repeats)]
        print(f"SIGTERM to the end, rig, arm idle [ms]: {quantiles(np.array(ends))}", flush=True)

        driver = plain_driver(HOST)
        here = list(driver.get_all_positions())

        def drive() -> None:
            driver.set_all_positions(here, PERIOD_S, False)
            driver.get_robot_output()

        errors = period_errors_ms(drive, options.steps)
        print(f"50 Hz, plain loop, period error [ms]: {quantiles(errors)}   {missed(errors)}")
        calls = []
        for _ in range(options.steps // 5):
            begin_s = time.perf_counter()
            driver.set_all_positions(here, PERIOD_S, False)
            calls.append((time.perf_counter() - begin_s) * 1e3)
            time.sleep(PERIOD_S)
        driver.cleanup()

        with Rig(config) as rig:
            rig.home()

            def command() -> None:
                rig.command([HOME], [0.02], PERIOD_S)
                rig.read()

            errors = period_errors_ms(command, options.steps)
            state = rig.read()
            print(f"50 Hz, rig,        period error [ms]: {quantiles(errors)}   {missed(errors)}")
            print(f"the rig's own loop of 100 Hz: {state.late} of {state.loops} rounds late")
            print(f"one call of the driver [ms]:         {quantiles(np.array(calls))}")
            path = command_path_ms(rig, options.steps // 5)
            print(f"Rig.command to the driver's call [ms]: {quantiles(path)}")
    failed = np.median(freezes) > FREEZE_MS or np.median(ends) > SIGTERM_MS
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
