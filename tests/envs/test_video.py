import av
import numpy as np
import pytest

from serlds.datasets.errors import SerldsError
from serlds.envs.dm_adapter import GymAsDmEnv
from serlds.envs.rollout import RandomPolicy, run_episode
from serlds.envs.tasks import make_env
from serlds.envs.video import Film, write_video

ENV_ID = "serlds/WidowXPickCube-v0"


def colours(count, height=48, width=64):
    """Frames of one colour each, from red to blue."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = np.linspace(250, 5, count)[:, None, None]
    frames[..., 2] = np.linspace(5, 250, count)[:, None, None]
    return frames


def decode(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        return stream, np.stack(frames)


@pytest.mark.parametrize(("count", "frames_per_s"), [(1, 10.0), (24, 29.97)])
def test_a_video_plays_the_frames_at_the_rate(tmp_path, count, frames_per_s):
    path = tmp_path / "new" / "clip.mp4"
    frames = colours(count)
    write_video(path, frames, frames_per_s)
    stream, decoded = decode(path)
    assert stream.codec_context.name == "h264"
    assert stream.codec_context.pix_fmt == "yuv420p"
    assert float(stream.average_rate) == pytest.approx(frames_per_s, rel=1e-3)
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames.astype(int)).mean() < 6
    assert list(path.parent.iterdir()) == [path]


def test_odd_sizes_lose_their_last_row_and_column(tmp_path):
    write_video(tmp_path / "clip.mp4", colours(3, 49, 65), 10.0)
    assert decode(tmp_path / "clip.mp4")[1].shape == (3, 48, 64, 3)


@pytest.mark.parametrize(
    ("frames", "told"),
    [([], "no frames"), ([*colours(1, 48), *colours(1, 32)], "48 x 64, then 32 x 64")],
)
def test_what_cannot_be_written_leaves_the_old_video_alone(tmp_path, frames, told):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(SerldsError, match=told) as error:
        write_video(path, frames, 10.0)
    assert str(path) in str(error.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("hold_frames", [0, 5])
def test_a_film_has_a_frame_per_timestep_and_holds_the_last(hold_frames):
    env = make_env(ENV_ID, cameras=(), max_steps=3, render_mode="rgb_array", render_size=64)
    film = Film(env.render, hold_frames)
    run_episode(GymAsDmEnv(env), RandomPolicy(7), 0, on_step=film)
    env.close()
    assert len(film.frames) == 4 + hold_frames
    assert all(frame.shape == (64, 64, 3) for frame in film.frames)
    assert not np.array_equal(film.frames[0], film.frames[3])


def test_a_film_needs_an_environment_that_renders():
    env = make_env(ENV_ID, cameras=(), max_steps=1)
    with pytest.raises(SerldsError, match="render_mode='rgb_array'"):
        run_episode(GymAsDmEnv(env), RandomPolicy(7), 0, on_step=Film(env.render))
