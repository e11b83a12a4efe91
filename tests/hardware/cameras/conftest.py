import contextlib
import http.server
import io
import threading
import time

import av
import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH, RATE_HZ, LENGTH = 48, 64, 30, 20
LEVEL = 10
"""The green of a picture, divided by this, is its place in the video."""


def picture(index):
    """Red left, blue right; the green tells the index."""
    image = np.full((HEIGHT, WIDTH, 3), [0, index * LEVEL, 0], np.uint8)
    image[:, : WIDTH // 2, 0] = 200
    image[:, WIDTH // 2 :, 2] = 200
    return image


def index_of(image):
    return round(float(image[..., 1].mean()) / LEVEL)


def is_red_left_and_blue_right(image):
    red, blue = image[:, :24, 0].mean(), image[:, -24:, 2].mean()
    return red > 150 and blue > 150 and image[:, :24, 2].mean() < 60


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "scene.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "5"}
        for index in range(LENGTH):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


class PictureServer:
    """A network camera: MJPEG over HTTP, which can fall silent or hang up."""

    def __init__(self):
        self.silent, self.hung_up = threading.Event(), threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                index = 0
                # A reader that has gone is the end of its connection.
                with contextlib.suppress(ConnectionError):
                    while not outer.hung_up.is_set():
                        if not outer.silent.is_set():
                            self._send(index % LENGTH)
                            index += 1
                        time.sleep(1.0 / RATE_HZ)

            def _send(self, index):
                buffer = io.BytesIO()
                Image.fromarray(picture(index)).save(buffer, "JPEG", quality=95)
                body = buffer.getvalue()
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body + b"\r\n")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/front.mjpg"

    def close(self):
        self.hung_up.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def picture_server():
    with contextlib.closing(PictureServer()) as server:
        yield server
