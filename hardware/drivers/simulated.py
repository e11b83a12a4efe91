"""An arm that MuJoCo simulates in the process itself, in real time: no network, no controller."""

from __future__ import annotations

import time

import numpy as np

from ..arm import Arm
from ..headless import mujoco
from .arm_driver import ArmInfo, ArmState

_MAX_CATCH_UP_S = 0.1
"""A process that was held up for longer does not make up for all of it."""


class SimulatedDriver:
    """One arm alone in the air; it begins in the posture with the tool down.

    Time passes when it is read: each `read` steps the physics up to now.
    """

    def __init__(self, arm: Arm, address: str) -> None:
        """`address` means nothing here."""
        spec = arm.spec(False)
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._n = len(arm.joints)
        finger = self._model.joint(arm.finger_joints[0])
        self._finger_qpos = finger.qposadr[0]
        self._data.qpos[: self._n] = arm.tool_down_joint_rad
        self._data.ctrl[: self._n] = arm.tool_down_joint_rad
        mujoco.mj_forward(self._model, self._data)
        self._seq = 0
        self._now_s = 0.0
        self._active = False

    def connect(self) -> ArmInfo:
        """See `ArmDriver.connect`."""
        self._now_s = time.monotonic()
        lower, upper = self._model.jnt_range[: self._n].T
        return ArmInfo("simulated", mujoco.__version__, lower, upper, np.full(self._n, np.inf))

    def read(self) -> ArmState:
        """See `ArmDriver.read`."""
        now_s = time.monotonic()
        self._now_s = max(self._now_s, now_s - _MAX_CATCH_UP_S)
        while self._now_s < now_s:
            mujoco.mj_step(self._model, self._data)
            self._now_s += self._model.opt.timestep
            self._seq += 1
        return ArmState(
            seq=self._seq,
            device_s=self._data.time,
            received_s=now_s,
            joint_rad=self._data.qpos[: self._n].copy(),
            joint_rad_s=self._data.qvel[: self._n].copy(),
            effort_nm=self._data.actuator_force[: self._n].copy(),
            gripper_m=float(self._data.qpos[self._finger_qpos]),
        )

    def activate(self) -> None:
        """See `ArmDriver.activate`."""
        self._hold()
        self._active = True

    def free(self) -> None:
        """See `ArmDriver.free`; there is no hand that could move it."""
        self.stop()

    def command(self, joint_rad: np.ndarray, gripper_m: float, period_s: float) -> None:
        """See `ArmDriver.command`."""
        if self._active:
            self._data.ctrl[: self._n] = joint_rad
            self._data.ctrl[self._n] = gripper_m

    def stop(self) -> None:
        """See `ArmDriver.stop`."""
        self._hold()
        self._active = False

    def recover(self) -> None:
        """See `ArmDriver.recover`."""
        self.stop()

    def close(self) -> None:
        """See `ArmDriver.close`."""
        self.stop()

    def _hold(self) -> None:
        self._data.ctrl[: self._n] = self._data.qpos[: self._n]
        self._data.ctrl[self._n] = self._data.qpos[self._finger_qpos]
