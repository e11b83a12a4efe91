"""An arm of a rig, commanded by actions and read like its simulated twin."""

from __future__ import annotations

import numpy as np

from ..hardware.arm import TOOL_DOWN_QUAT_WXYZ, Mount
from ..hardware.cartesian import CartesianController
from ..hardware.rig_state import ArmReport


class RobotArm:
    """Turns actions into joint targets and reports into proprioception, as `SimArm` does.

    Attributes:
      mount: which arm.
      pose: (6,) of the tool in the base frame, measured, as `CartesianController.pose_of` gives it.
      report: what the rig told last; None before `start`.
    """

    def __init__(self, mount: Mount, step_m: float, step_rad: float) -> None:
        """`step_m` and `step_rad` are the translation and rotation of an action of 1."""
        self.mount = mount
        self.pose = np.zeros(6)
        self._scale = np.array([step_m] * 3 + [step_rad] * 3)
        self._kinematics = mount.arm.kinematics()
        self._controller = CartesianController(
            self._kinematics, TOOL_DOWN_QUAT_WXYZ, mount.arm.limits, step_m, step_rad
        )
        self._sent_pose = np.zeros(6)
        self.report: ArmReport | None = None

    def start(self, report: ArmReport) -> None:
        """Commands the pose where the arm is now: what the next actions start from."""
        self.measure(report)
        self._controller.reset(report.joint_rad)
        self._sent_pose = self.pose.copy()

    def measure(self, report: ArmReport) -> None:
        """Takes over what the rig has seen."""
        self.report = report
        self.pose = self._pose_at(report.joint_rad)

    @property
    def commanded_pose(self) -> np.ndarray:
        """The commanded pose of the tool (6,), as `pose`: where the next action starts from."""
        return self._controller.commanded

    def motion_to(self, pose: np.ndarray) -> np.ndarray:
        """The motion (6,) in [-1, 1] that takes the command to a pose, or as near as it may go."""
        return self._controller.delta_to(pose)

    def target(self, action: np.ndarray) -> tuple[np.ndarray, float]:
        """Joint positions (n,) in rad and finger distance in m to command for an action (7,)."""
        joint_rad = self._controller.joint_targets(action[:6], self.pose)
        return joint_rad.copy(), self.mount.arm.finger_travel_m * 0.5 * (action[6] + 1.0)

    def sent_action(self, report: ArmReport, action: np.ndarray) -> np.ndarray:
        """The action (7,) that the arm really took instead of `action`, which the rig clamped.

        It is the motion from where the arm had been sent before to where it was sent now. The
        command goes on from there.
        """
        sent = report.sent_joint_rad
        if not np.isfinite(sent).all():  # nothing was sent: the arm stands
            sent = report.joint_rad
        now = self._pose_at(sent)
        taken = np.append((now - self._sent_pose) / self._scale, action[6])
        self._controller.reset(sent)
        return np.clip(taken, -1.0, 1.0)

    def follow(self, report: ArmReport) -> None:
        """Remembers where the arm was sent, which the next action starts from."""
        sent = report.sent_joint_rad
        self._sent_pose = self._pose_at(sent if np.isfinite(sent).all() else report.joint_rad)

    def proprioception(self, flat: np.ndarray) -> None:
        """Writes the fields of `spaces.proprioception` into `flat`, side by side."""
        assert self.report is not None
        flat[0] = self.report.gripper_m
        flat[1:-6] = self.report.joint_rad
        flat[-6:] = self.pose

    def _pose_at(self, joint_rad: np.ndarray) -> np.ndarray:
        return self._controller.pose_of(*self._kinematics.forward(joint_rad))
