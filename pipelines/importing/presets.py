"""What SERL's and HIL-SERL's environments do not write into their files: names, units, scales.

Their wrapper flattens the state in the alphabetical order of its keys
(serl_launcher/wrappers/serl_obs_wrappers.py with gym's `Dict`), after `RelativeFrame` and
`Quat2EulerWrapper` (serl_robot_infra/franka_env/envs/franka_env.py, relative_env.py, wrappers.py).
Read in rail-berkeley/serl cd5f7e7 and rail-berkeley/hil-serl 5d02aed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ...datasets.errors import UsageError
from ...datasets.schema import FieldDoc


@dataclasses.dataclass(frozen=True)
class StatePart:
    """Consecutive values of a flat state vector that belong together."""

    name: str
    size: int
    about: FieldDoc = dataclasses.field(default_factory=FieldDoc)


_TOOL, _AT_RESET, _BASE = "tool", "tool at the last reset", "robot base"
_POSE_UNITS = "m, m, m, rad, rad, rad"
_EULER = "Position and Euler angles about the fixed axes x, y, z of the tool."
_GRIPPER = StatePart("gripper_pose", 1, FieldDoc("Opening, as the robot server reports it."))
_FORCE = StatePart("tcp_force", 3, FieldDoc("External force.", "N"))
_POSE = StatePart("tcp_pose", 6, FieldDoc(_EULER, _POSE_UNITS, _AT_RESET))
_POSE_QUATERNION = StatePart(
    "tcp_pose", 7, FieldDoc("Position and quaternion x, y, z, w.", "m, m, m, 1, 1, 1, 1", _AT_RESET)
)
_TORQUE = StatePart("tcp_torque", 3, FieldDoc("External torque.", "N m"))
_VELOCITY = StatePart(
    "tcp_vel", 6, FieldDoc("Twist of the tool.", "m/s, m/s, m/s, rad/s, rad/s, rad/s", _TOOL)
)
_BLOCK = StatePart("block_pos", 3, FieldDoc("Position of the block.", "m", _BASE))
_SIM = (
    StatePart("gripper_pos", 1, FieldDoc("Closing, 0 to 1.")),
    StatePart("tcp_pos", 3, FieldDoc("Position of the tool.", "m", _BASE)),
    StatePart("tcp_vel", 3, FieldDoc("Velocity of the tool.", "m/s", _BASE)),
)


def _arm(side: str, part: StatePart) -> StatePart:
    return dataclasses.replace(part, name=f"{side}_{part.name}")


STATES: Mapping[str, tuple[StatePart, ...]] = {
    "franka": (_GRIPPER, _FORCE, _POSE, _TORQUE, _VELOCITY),
    "franka-quaternion": (_GRIPPER, _FORCE, _POSE_QUATERNION, _TORQUE, _VELOCITY),
    # ZOnlyWrapper of the bin relocation task.
    "franka-z": (_GRIPPER, _FORCE, StatePart("tcp_z", 1, FieldDoc("", "m")), _TORQUE, _VELOCITY),
    # HIL-SERL, object handover.
    "franka-dual": tuple(
        _arm(side, part) for side in ("left", "right") for part in (_GRIPPER, _POSE, _VELOCITY)
    ),
    # PandaPickCube-v0 and PandaPickCubeVision-v0 (franka_sim/envs/panda_pick_gym_env.py).
    "sim-cube": (_BLOCK, *_SIM),
    "sim-cube-vision": _SIM,
}
"""By name; a state of 19 or 20 values is taken as `franka` or `franka-quaternion`."""

_RECOGNISED = ("franka", "franka-quaternion")

SCALES: Mapping[str, tuple[float, float]] = {
    "peg": (0.02, 0.1),
    "pcb": (0.02, 0.2),
    "cable": (0.05, 0.3),
    "bin": (0.05, 0.1),
    "ram": (0.01, 0.06),
    "usb": (0.015, 0.1),
    "handover": (0.04, 0.2),
}
"""ACTION_SCALE of the tasks: metres and radians of an action of 1.

peg, pcb, cable, bin: serl_robot_infra/franka_env/envs/*_env/config.py of SERL; ram, usb, handover:
examples/experiments/*/config.py of HIL-SERL. The rotation is about the fixed axes x, y, z.
"""


def split_state(size: int, wanted: Sequence[str]) -> tuple[StatePart, ...]:
    """The parts of a flat state vector.

    Args:
      size: values of the vector.
      wanted: the name of a preset, or NAME=SIZE of each part; empty: what the size tells.

    Returns:
      The parts; one part `proprio` where nothing is known.

    Raises:
      UsageError: an unknown preset, a malformed part, or sizes that do not add up.
    """
    if not wanted:
        known = (STATES[name] for name in _RECOGNISED)
        matching = [parts for parts in known if _total(parts) == size]
        return matching[0] if matching else (StatePart("proprio", size),)
    parts = _preset_or_parts(wanted)
    if _total(parts) != size:
        listed = " ".join(f"{part.name}={part.size}" for part in parts)
        raise UsageError(
            f"--state: the state has {size} values, but {listed} are {_total(parts)}; give parts "
            f"as NAME=SIZE, e.g. --state joint_pos=7 gripper_pos=1"
        )
    return parts


def _preset_or_parts(wanted: Sequence[str]) -> tuple[StatePart, ...]:
    if len(wanted) == 1 and "=" not in wanted[0]:
        if wanted[0] not in STATES:
            raise UsageError(
                f"--state: there is no preset {wanted[0]!r}; the presets are {', '.join(STATES)}; "
                f"or give parts as NAME=SIZE"
            )
        return STATES[wanted[0]]
    parts = []
    for item in wanted:
        name, _, size = item.partition("=")
        if not name.isidentifier() or not size.isdecimal() or int(size) < 1:
            raise UsageError(f"--state {item!r}: expected NAME=SIZE, e.g. joint_pos=7")
        parts.append(StatePart(name, int(size)))
    return tuple(parts)


def _total(parts: Sequence[StatePart]) -> int:
    return sum(part.size for part in parts)


def action_scale(text: str, size: int) -> tuple[float, ...]:
    """The physical value of 1 in each dimension of an action.

    Args:
      text: the name of a preset; metres and radians, e.g. `0.02,0.1`, for actions of 6 values (or 7
        with a gripper) per arm; or one number per dimension; empty for none.
      size: dimensions of the action.

    Raises:
      UsageError: an unknown preset or another number of values.
    """
    if not text:
        return ()
    if text in SCALES:
        numbers = SCALES[text]
    else:
        try:
            numbers = tuple(float(item) for item in text.split(","))
        except ValueError:
            raise UsageError(
                f"--action-scale {text!r}: expected one of {', '.join(SCALES)}, or METRES,RADIANS, "
                f"or a number per dimension"
            ) from None
    if not all(0 < number < float("inf") for number in numbers):
        raise UsageError(f"--action-scale {text!r}: expected positive numbers")
    if len(numbers) == size:
        return numbers
    if len(numbers) == 2 and size in (6, 7, 12, 14):
        arm = (numbers[0],) * 3 + (numbers[1],) * 3
        return ((*arm, 1.0) if size % 7 == 0 else arm) * (size // 6 if size % 7 else size // 7)
    raise UsageError(
        f"--action-scale {text!r}: {len(numbers)} numbers do not fit an action of {size} values"
    )


def pose_units(size: int) -> str:
    """Units of a displacement of 6 values (7 with a gripper) per arm; empty for other sizes."""
    if size not in (6, 7, 12, 14):
        return ""
    arm = _POSE_UNITS if size % 7 else f"{_POSE_UNITS}, 1"
    return ", ".join([arm] * (size // 7 if size % 7 == 0 else size // 6))
