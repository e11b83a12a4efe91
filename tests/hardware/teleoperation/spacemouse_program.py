"""Opens the SpaceMouse and tells, as JSON, what it says whenever a line comes."""

import json
import sys

from serlds.datasets.errors import SerldsError
from serlds.hardware.teleoperation.device import open_device

try:
    device = open_device("spacemouse")
    print("open", flush=True)
    for _ in sys.stdin:
        sample = device.poll()
        told = {
            "engaged": sample.engaged,
            "motion": sample.motion.round(3).tolist(),
            "gripper": sample.gripper.tolist(),
            "events": [event.name for event in sample.events],
        }
        print(json.dumps(told), flush=True)
    device.close()
except SerldsError as error:
    print(f"error: {error}", flush=True)
