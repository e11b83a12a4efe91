"""All checks of the validator, in the order of its report."""

from __future__ import annotations

from . import alignment, angles, behaviour, episode_index, gripper, images, timing, values
from .check import Check
from .dataset_checks import RECORDS_CHECK, REQUIRED_FIELDS
from .episode_checks import EPISODE_CHECKS

CHECKS: tuple[Check, ...] = (
    RECORDS_CHECK,
    REQUIRED_FIELDS,
    *EPISODE_CHECKS,
    alignment.ALIGNMENT,
    alignment.ACTION_KIND,
    alignment.ACTION_FRAME,
    alignment.ACTION_SCALE,
    values.ACTION_RANGE,
    values.DUMMY_ACTION,
    gripper.GRIPPER_SIGN,
    gripper.GRIPPER_RANGE,
    angles.QUATERNION,
    angles.ANGLE_WRAP,
    angles.ROTATION_UNITS,
    values.CONSTANT,
    values.SATURATION,
    behaviour.SPEED,
    behaviour.IDLE,
    images.STALE_FRAMES,
    images.IMAGE_CONTENT,
    images.BLANK_IMAGES,
    images.SWAPPED_CHANNELS,
    images.CAMERA_LAG_CHECK,
    timing.TIMESTAMPS,
    timing.RATE,
    behaviour.SUCCESS_REWARD,
    behaviour.LANGUAGE,
    values.EMBEDDING,
    episode_index.LENGTH,
    episode_index.DUPLICATES,
)
BY_NAME = {check.name: check for check in CHECKS}
