"""Steering with leader arms: arms with a handle instead of a gripper, moved by a person's hand."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Sequence

import numpy as np

from ...datasets.errors import UsageError
from ..arm import TOOL_DOWN_QUAT_WXYZ
from ..cartesian import pose_of
from ..errors import RobotError
from ..rig import Rig
from ..rig_config import MAX_ARMS, ArmConfig, RigConfig
from ..rig_state import RigMode
from ..robots import ROBOTS
from .device import TeleopSample

ROBOT = "trossen-leader"
_CLOSED, _OPEN = 0.35, 0.65
"""Parts of the handle's way at which it has closed and opened: a hand is never quite still."""


class Leader:
    """One leader arm for each arm of the task, in a rig of its own, which keeps them safe.

    The arms carry their own weight; the hand on them says where tools shall be, and the handle
    whether grippers shall be open. They have no buttons, and a hand on them is never still: people
    take over and let go by the keys beside.
    """

    def __init__(self, arms: int = 1, addresses: Sequence[str] = ()) -> None:
        """Connects nothing.

        Args:
          arms: of the task.
          addresses: of the leaders' controllers, in the order of the task's arms.

        Raises:
          UsageError: not as many addresses as arms.
        """
        if len(addresses) != arms or arms > MAX_ARMS:
            example = ",".join(["192.168.1.3", "192.168.1.5"][:arms])
            raise UsageError(
                f"leader: the task has {arms} arms, found {len(addresses)} addresses; say "
                f"leader:{example}, or give `leaders` in the robot's setup"
            )
        # A controller on this machine is simulated and has no core of its own.
        simulated = all(_is_here(address) for address in addresses)
        patience = {"stale_state_s": 1.0} if simulated else {}
        self._rig = Rig(
            RigConfig(
                arms=tuple(
                    ArmConfig(ROBOT, address, name=f"leader_{number}" if arms > 1 else "leader")
                    for number, address in enumerate(addresses)
                ),
                **patience,
            )
        )
        arm = ROBOTS[ROBOT].arm
        self._kinematics = arm.kinematics()
        self._travel_m = arm.finger_travel_m
        self._gripper = np.ones(arms, np.float32)

    def connect(self) -> None:
        """Connects the leaders and lets people move them.

        Raises:
          RobotError: one cannot be reached; says which, and what to do.
        """
        self._rig.start()
        try:
            self._rig.free()
        except BaseException:
            self._rig.close()
            raise

    def poll(self) -> TeleopSample:
        """See `TeleopDevice.poll`."""
        state = self._rig.read()
        if state.mode is not RigMode.FREE:
            raise RobotError(
                f"leader: nobody can move it, it is in {state.mode.name} "
                f"({state.fault_text or 'stopped'}); look at it, then start again"
            )
        part = np.array([arm.gripper_m for arm in state.arms]) / self._travel_m
        self._gripper[part < _CLOSED] = -1.0
        self._gripper[part > _OPEN] = 1.0
        tools = [self._kinematics.forward(arm.joint_rad) for arm in state.arms]
        return TeleopSample(
            age_s=time.monotonic() - min(arm.received_s for arm in state.arms),
            engaged=False,
            motion=np.zeros(6 * len(tools), np.float32),
            gripper=self._gripper.copy(),
            events=(),
            pose=np.concatenate([pose_of(*tool, TOOL_DOWN_QUAT_WXYZ) for tool in tools]),
        )

    def close(self) -> None:
        """Leaves the leaders idle."""
        self._rig.close()


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
