"""RealSense cameras, from a recording that the vendor's own library makes and plays."""

import time

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.hardware.cameras.camera import open_camera
from serlds.hardware.errors import CameraError

rs = pytest.importorskip(
    "pyrealsense2",
    reason="needs pyrealsense2 and libusb-1.0: pip install 'serlds[realsense]'",
    exc_type=ImportError,
)
HEIGHT, WIDTH, RATE_HZ, LENGTH = 60, 80, 30, 45
LOST = (20, 21, 22)


def colour_profile():
    stream, lens = rs.video_stream(), rs.intrinsics()
    lens.width, lens.height, lens.ppx, lens.ppy = WIDTH, HEIGHT, WIDTH / 2, HEIGHT / 2
    lens.fx = lens.fy = 70.0
    lens.model, lens.coeffs = rs.distortion.none, [0.0] * 5
    stream.type, stream.index, stream.uid, stream.intrinsics = rs.stream.color, 0, 1, lens
    stream.width, stream.height, stream.fps, stream.bpp = WIDTH, HEIGHT, RATE_HZ, 3
    stream.fmt = rs.format.rgb8
    return stream


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Pictures of red 5 x their number; three numbers are missing."""
    path = tmp_path_factory.mktemp("recording") / "scene.db3"
    device = rs.software_device()
    sensor = device.add_sensor("Color")
    profile = sensor.add_video_stream(colour_profile())
    recorder = rs.recorder(str(path), device)
    recorded = recorder.query_sensors()[0]
    queue = rs.frame_queue(LENGTH)
    recorded.open(profile)
    recorded.start(queue)
    for number in range(LENGTH):
        if number in LOST:
            continue
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[..., 0] = 5 * number
        frame = rs.software_video_frame()
        frame.pixels, frame.stride, frame.bpp = image, WIDTH * 3, 3
        frame.timestamp, frame.domain = number * 1e3 / RATE_HZ, rs.timestamp_domain.hardware_clock
        frame.frame_number, frame.profile = number, profile.as_video_stream_profile()
        sensor.on_video_frame(frame)
        time.sleep(1.0 / RATE_HZ)
    recorded.stop()
    recorded.close()
    del recorder, recorded
    time.sleep(0.3)
    return path


def test_a_recording_plays_with_the_times_and_losses_of_its_device(recording):
    with open_camera(f"realsense:{recording}", name="wrist") as camera:
        frame = camera.read()
        seen = 0
        while frame.image[0, 0, 0] < 5 * 40:
            number = round(frame.device_s * RATE_HZ)
            assert frame.image.shape == (HEIGHT, WIDTH, 3)
            assert (frame.image == [5 * number, 0, 0]).all()
            seen += 1
            frame = camera.read(newer_than=frame.seq)
        assert seen > 10
        assert camera.stats().dropped >= len(LOST)
        before = frame.seq
        frame = camera.read(newer_than=before + LENGTH)
        assert frame.seq > before + LENGTH, "it plays again after its end"


def test_what_cannot_be_opened_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="no RealSense camera has the serial number '123'"):
        open_camera("realsense:123")
    with pytest.raises(UsageError, match="is no file; expected a recording"):
        open_camera(f"realsense:{tmp_path}/none.db3")
    broken = tmp_path / "broken.db3"
    broken.write_bytes(b"no recording")
    with pytest.raises(CameraError, match="cannot be started"):
        open_camera(f"realsense:{broken}")
