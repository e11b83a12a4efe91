"""What a person can choose about an RT-X export."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ...datasets.errors import UsageError
from ..cards import CardOptions
from ..transforms.resizing import FITS


@dataclasses.dataclass(frozen=True)
class RtxOptions(CardOptions):
    """Options of `export_rtx`."""

    images: tuple[str, ...] = ("front=image", "wrist=wrist_image")
    """Names of the cameras in the export, CAMERA=NAME; others become CAMERA_image. Where none is
    called `image`, the first one that is not on the wrist is."""

    state: tuple[str, ...] = ()
    """State fields to put into `observation/state`, in this order; none given: all, by name."""

    image_size: int = 256
    """Height and width of the exported images, in pixels."""

    image_fit: Literal["stretch", "crop", "pad"] = "pad"
    """How images that are not square become so: pad with black, crop, or stretch."""

    actions: Literal["flat", "rt1", "as_is"] = "flat"
    """`flat`: (7,) end-effector deltas and gripper; `rt1`: the same as the dictionary of RT-1;
    `as_is`: the source's own action space in physical units, e.g. joints or two arms, documented
    as such. Readers that expect 7-d deltas refuse it."""

    rotation: Literal["documented", "rotvec", "euler_xyz"] = "documented"
    """What dimensions 3 to 5 of the source's action are: a rotation vector, or roll, pitch, yaw
    about fixed axes. By default Euler angles where the field's documentation names them."""

    gripper_open: float | None = None
    """Value of the source's gripper command that opens, exported as 1; by default what the
    documentation of the action says: `+1 open, -1 closed` or `1 open, 0 closed`."""

    gripper_closed: float | None = None
    """Value of the source's gripper command that closes, exported as 0; see gripper-open."""

    val_share: float = 0.05
    """Share of the episodes that go to the split `val`; at least one where there are two."""

    instruction: str = ""
    """Language instruction of steps that have none."""

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise UsageError(f"image size: expected at least 1 pixel, found {self.image_size}")
        if self.image_fit not in FITS:
            raise UsageError(
                f"image fit: expected one of {', '.join(FITS)}, found {self.image_fit!r}"
            )
        if self.actions not in ("flat", "rt1", "as_is"):
            raise UsageError(f"actions: expected flat, rt1 or as_is, found {self.actions!r}")
        if self.rotation not in ("documented", "rotvec", "euler_xyz"):
            raise UsageError(
                f"rotation: expected documented, rotvec or euler_xyz, found {self.rotation!r}"
            )
        given = (self.gripper_open, self.gripper_closed)
        if (None in given and given != (None, None)) or (given[0] == given[1] is not None):
            raise UsageError(
                f"gripper open and closed: expected two different values, found {given[0]} and "
                f"{given[1]}"
            )
        if not 0 <= self.val_share < 1:
            raise UsageError(f"val share: expected from 0 to less than 1, found {self.val_share}")
        for item in self.images:
            camera, equals, name = item.partition("=")
            if not (camera and equals and name) or "/" in name:
                raise UsageError(f"images: expected CAMERA=NAME, found {item!r}")
        names = list(self.image_names.values())
        if len(set(names)) < len(names):
            raise UsageError(f"images: two cameras have the same name: {', '.join(names)}")

    @property
    def image_names(self) -> dict[str, str]:
        """Name in the export by camera."""
        return {item.partition("=")[0]: item.partition("=")[2] for item in self.images}
