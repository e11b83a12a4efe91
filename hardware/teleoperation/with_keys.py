"""A device with the keys of a terminal beside it."""

from __future__ import annotations

from ...datasets.errors import UsageError
from .device import TeleopDevice, TeleopSample
from .keyboard import Keyboard


class WithKeys:
    """Steers as a device does; what happens is told by the device or by keys, e.g. `y`.

    Devices have few buttons, and who holds a leader arm has none at all. A pedal that types keys
    will do.
    """

    def __init__(self, device: TeleopDevice) -> None:
        """Connects nothing yet."""
        self._device = device
        self._keys: Keyboard | None = None

    def connect(self) -> None:
        """Connects the device, and listens to keys where there is a terminal.

        Raises:
          UsageError: the device is not there.
        """
        self._device.connect()
        keys = Keyboard()
        try:
            keys.connect()
        except UsageError:
            return  # the device alone will do
        self._keys = keys

    def poll(self) -> TeleopSample:
        """See `TeleopDevice.poll`."""
        sample = self._device.poll()
        if self._keys is None:
            return sample
        return sample._replace(events=(*sample.events, *self._keys.poll().events))

    def close(self) -> None:
        """See `TeleopDevice.close`."""
        if self._keys is not None:
            self._keys.close()
            self._keys = None
        self._device.close()
