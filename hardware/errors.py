"""The errors of robots and their rigs."""

from ..datasets.errors import SerldsError


class RobotError(SerldsError):
    """A robot cannot be reached, does not answer, or its process is gone."""


class RobotFaultError(RobotError):
    """The rig is in FAULT, where it stays until a person has looked and calls `recover`."""


class CameraError(RobotError):
    """A camera cannot be opened, gives no new pictures, or its process is gone."""
