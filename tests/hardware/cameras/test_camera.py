"""Cameras that OpenCV reads, through the process that captures them."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from serlds.datasets.episode import resize_image
from serlds.datasets.errors import UsageError
from serlds.hardware.cameras.camera import open_camera
from serlds.hardware.errors import CameraError

from .conftest import HEIGHT, LENGTH, RATE_HZ, WIDTH, index_of, is_red_left_and_blue_right


@pytest.fixture
def camera(video):
    with open_camera(f"opencv:{video}", name="front") as camera:
        yield camera


def test_a_video_is_played_in_order_at_its_rate_and_again(camera):
    frames = [camera.read()]
    while len(frames) < 2 * LENGTH:
        frames.append(camera.read(newer_than=frames[-1].seq))
    first = frames[0]
    assert first.image.shape == (HEIGHT, WIDTH, 3) and first.image.dtype == np.uint8
    assert is_red_left_and_blue_right(first.image)
    for frame in frames:
        assert index_of(frame.image) == (frame.seq - 1) % LENGTH
        assert frame.device_s == pytest.approx((frame.seq - 1) % LENGTH / RATE_HZ)
    taken_s = frames[-1].received_s - first.received_s
    # A busy machine may make it slower; nothing makes it faster.
    assert taken_s > 0.9 * (frames[-1].seq - first.seq) / RATE_HZ
    assert camera.stats().frames >= frames[-1].seq
    assert camera.stats().stale == camera.stats().dropped == camera.stats().repeated == 0


def test_read_gives_the_newest_at_once_and_a_newer_one_when_asked(camera):
    begin_s = time.monotonic()
    first = camera.read()
    time.sleep(0.3)
    later = camera.read()
    assert later.seq >= first.seq + 3
    assert later.received_s > begin_s
    newer = camera.read(newer_than=later.seq)
    assert newer.seq > later.seq and newer.received_s > later.received_s
    assert index_of(first.image) == (first.seq - 1) % LENGTH, "its picture was overwritten"


def test_pictures_are_resized_as_images_of_datasets_are(video):
    with open_camera(f"opencv:{video}") as whole, open_camera(f"opencv:{video}", (24, 40)) as small:
        wanted = {}
        seq = 0
        for _ in range(LENGTH + 5):
            frame = whole.read(newer_than=seq)
            seq = frame.seq
            wanted[index_of(frame.image)] = resize_image(frame.image, (24, 40))
        found = small.read()
        while index_of(found.image) not in wanted:
            found = small.read(newer_than=found.seq)
    np.testing.assert_array_equal(found.image, wanted[index_of(found.image)])


def test_pictures_are_never_torn(tmp_path):
    """Large pictures of one brightness each, written as fast as the file can be read."""
    import cv2

    path = tmp_path / "large.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 500.0, (640, 480))
    for index in range(25):
        writer.write(np.full((480, 640, 3), index * 10, np.uint8))
    writer.release()
    with open_camera(f"opencv:{path}") as camera:
        seen = set()
        end_s = time.monotonic() + 3.0
        while time.monotonic() < end_s:
            frame = camera.read()
            assert frame.image.max() - frame.image.min() <= 2
            seen.add(frame.seq)
        assert len(seen) > 50


def test_a_stuck_camera_is_seen_in_the_count_of_repeated_pictures(tmp_path, eventually):
    import cv2

    path = tmp_path / "stuck.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 100.0, (64, 48))
    for _ in range(10):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    with open_camera(f"opencv:{path}") as camera:
        eventually(lambda: camera.stats().frames > 20)
        stats = camera.stats()
        assert stats.repeated == stats.frames - 1


def test_a_frozen_process_makes_the_picture_stale(camera):
    seq = camera.read().seq
    os.kill(camera.pid, signal.SIGSTOP)
    try:
        with pytest.raises(CameraError, match=r"'front' \(opencv:.*newest picture is 0\.\d+ s old"):
            while True:
                seq = camera.read(newer_than=seq).seq
        begin_s = time.monotonic()
        with pytest.raises(CameraError, match="look at it and its cable"):
            camera.read()
        assert time.monotonic() - begin_s < 0.2
        assert camera.stats().stale == 2
    finally:
        os.kill(camera.pid, signal.SIGCONT)
    time.sleep(0.3)
    assert camera.read().seq > seq


def test_a_killed_process_is_an_error_at_the_next_read(camera, eventually):
    camera.read()
    os.kill(camera.pid, signal.SIGKILL)
    eventually(lambda: os.waitid(os.P_PID, camera.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    with pytest.raises(CameraError, match=r"'front'.*ended with signal 9; .* s old; look at it"):
        camera.read()


def test_close_ends_the_process_and_reading_is_an_error(camera):
    pid = camera.pid
    camera.close()
    camera.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(CameraError, match="it was closed; open it again"):
        camera.read()


def test_the_process_ends_when_its_parent_is_killed(video, eventually):
    code = (
        "import sys, time\nfrom serlds.hardware.cameras.camera import open_camera\n"
        f"camera = open_camera({f'opencv:{video}'!r})\n"
        "print(camera.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        capture = psutil.Process(int(parent.stdout.readline()))
        assert capture.is_running()
        parent.kill()
    eventually(lambda: not capture.is_running() or capture.status() == psutil.STATUS_ZOMBIE)


def test_a_network_camera_is_read_falls_silent_and_hangs_up(picture_server):
    with open_camera(f"opencv:{picture_server.url}", name="wrist") as camera:
        frame = camera.read()
        for _ in range(10):
            newer = camera.read(newer_than=frame.seq)
            assert index_of(newer.image) == (index_of(frame.image) + newer.seq - frame.seq) % LENGTH
            frame = newer
        assert is_red_left_and_blue_right(frame.image)
        picture_server.silent.set()
        with pytest.raises(CameraError, match=r"'wrist' .*newest picture is 0\.\d+ s old"):
            while True:
                frame = camera.read(newer_than=frame.seq)
        picture_server.silent.clear()
        time.sleep(0.3)
        assert camera.read().seq > frame.seq
        picture_server.hung_up.set()
        with pytest.raises(CameraError, match=r"stopped giving pictures.*does its server run"):
            while True:
                frame = camera.read(newer_than=frame.seq)
                assert camera.stats().frames < 10_000


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("usb:0", UsageError, "names no camera; expected opencv:0"),
        ("opencv:", UsageError, "names no camera"),
        ("opencv:/no/such/file.mp4", UsageError, "is no file; give opencv: the number"),
        (f"opencv:{__file__}", CameraError, "finds no picture in this file"),
        ("opencv:http://127.0.0.1:9/front", CameraError, "cannot open it; does its server run"),
        ("opencv:97", CameraError, "cannot open it; is it connected, free"),
    ],
)
def test_what_cannot_be_opened_says_what_to_do(source, kind, message):
    with pytest.raises(kind, match=message) as raised:
        open_camera(source, name="front")
    assert "'front'" in str(raised.value) and source in str(raised.value)


def test_a_missing_library_says_how_to_install_it(video, tmp_path, monkeypatch):
    # The process of the camera finds this instead of the library.
    (tmp_path / "cv2.py").write_text("raise ImportError('No module named cv2')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"pip install 'serlds\[cameras\]'"):
        open_camera(f"opencv:{video}")
    (tmp_path / "pyrealsense2.py").write_text("raise ImportError('libusb-1.0.so.0: cannot open')")
    with pytest.raises(UsageError, match=r"apt-get install libusb-1\.0-0"):
        open_camera("realsense:123")
