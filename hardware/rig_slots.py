"""The records that a rig's process and its client share, and their way to and from `RigState`."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import numpy as np

from .rig_config import RigConfig
from .rig_state import ArmReport, Clamp, Fault, RigMode, RigState

_TEXT_BYTES = 480


class Request(enum.IntEnum):
    """What a command asks for."""

    NOTHING = 0
    FOLLOW = 1
    """Go to targets, as tasks do."""
    MOVE = 2
    """Go slowly to targets, as resets do: of the box only the floor holds."""
    HOLD = 3
    FREE = 4
    """Let a person move the arms by hand."""


def command_dtype(config: RigConfig) -> np.dtype:
    """What the client writes for each command."""
    shape = (len(config.arms), _joints(config))
    return np.dtype(
        [
            ("seq", "i8"),
            ("request", "i8"),
            ("sent_s", "f8"),
            ("duration_s", "f8"),
            ("joint_rad", "f8", shape),
            ("gripper_m", "f8", shape[:1]),
        ]
    )


def control_dtype() -> np.dtype:
    """What the client writes beside commands: how often it asked to stop and to recover."""
    return np.dtype([("stops", "i8"), ("recoveries", "i8")])


def state_dtype(config: RigConfig) -> np.dtype:
    """What the rig's process writes in every round."""
    joints = (_joints(config),)
    arm = np.dtype(
        [
            ("seq", "i8"),
            ("device_s", "f8"),
            ("received_s", "f8"),
            ("joint_rad", "f8", joints),
            ("joint_rad_s", "f8", joints),
            ("effort_nm", "f8", joints),
            ("gripper_m", "f8"),
            ("requested_joint_rad", "f8", joints),
            ("requested_gripper_m", "f8"),
            ("sent_joint_rad", "f8", joints),
            ("sent_gripper_m", "f8"),
            ("clamps", "i8"),
        ]
    )
    return np.dtype(
        [
            ("mode", "i8"),
            ("arrived_seq", "i8"),
            ("fault", "i8"),
            ("fault_text", f"S{_TEXT_BYTES}"),
            ("loop_s", "f8"),
            ("loops", "i8"),
            ("late", "i8"),
            ("command_seq", "i8"),
            ("recoveries", "i8"),
            ("arms", arm, (len(config.arms),)),
        ]
    )


def state_record(state: RigState, recoveries: int, dtype: np.dtype) -> np.ndarray:
    """A state as a record (1,). `recoveries` counts the requests to recover that were served."""
    record = np.zeros(1, dtype)
    for name in ("mode", "arrived_seq", "fault", "loop_s", "loops", "late", "command_seq"):
        record[name] = getattr(state, name)
    record["fault_text"] = state.fault_text.encode()[:_TEXT_BYTES]
    record["recoveries"] = recoveries
    for index, arm in enumerate(state.arms):
        into = record["arms"][0, index]
        for name, value in zip(ArmReport._fields, arm, strict=True):
            if isinstance(value, np.ndarray):
                into[name][: len(value)] = value
            else:
                into[name] = value
    return record


def state_of(record: np.ndarray, joints: Sequence[int]) -> RigState:
    """The state in a record (1,); `joints` is how many each arm has."""
    fields = record[0]
    return RigState(
        mode=RigMode(int(fields["mode"])),
        arrived_seq=int(fields["arrived_seq"]),
        fault=Fault(int(fields["fault"])),
        fault_text=fields["fault_text"].decode(errors="replace"),
        loop_s=float(fields["loop_s"]),
        loops=int(fields["loops"]),
        late=int(fields["late"]),
        command_seq=int(fields["command_seq"]),
        arms=tuple(
            _report_of(arm, count) for arm, count in zip(fields["arms"], joints, strict=True)
        ),
    )


def _report_of(fields: np.void, joints: int) -> ArmReport:
    values = {}
    for name in ArmReport._fields:
        value = fields[name]
        values[name] = value[:joints] if isinstance(value, np.ndarray) else value.item()
    values["clamps"] = Clamp(values["clamps"])
    return ArmReport(**values)


def _joints(config: RigConfig) -> int:
    return max(len(arm.safety.joint_lower_rad) for arm in config.arms)
