"""Other people's loaders, each in an environment of its own, read what serlds exports.

They are downloaded, so `make loaders-test` and `make lerobot-test` run this, `make test` does not:
`SERLDS_LOADERS` names a directory for the environments, `SERLDS_LOADER_NAMES` the loaders.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serlds.datasets.reading import open_dataset
from serlds.pipelines.lerobot.export import export_lerobot
from serlds.pipelines.rtx.export import export_rtx
from serlds.pipelines.rtx.options import RtxOptions

SCRIPTS = Path(__file__).parent / "scripts"
TENSORFLOW = ("tensorflow-cpu", "tensorflow-datasets==4.9.10")
INSTALL_S, READ_S = 1500, 240
# Mean error of a pixel value, of 255, that resizing and encoding may cost.
PIXEL_ERROR = 5.0


@dataclasses.dataclass(frozen=True)
class Loader:
    """A package and what else it needs to read these datasets.

    Attributes:
      name: of the script that reads with it.
      packages: what is installed.
      python: version or path of the interpreter.
      tells_language: whether it gives the instruction of each step.
    """

    name: str
    packages: tuple[str, ...]
    python: str = sys.executable
    tells_language: bool = True

    def __str__(self) -> str:
        return self.name


RTX = (
    Loader("tfds", ("rlds==0.1.8", "numpy>=2", *TENSORFLOW)),
    Loader("forge", ("forge-robotics==0.2.0", *TENSORFLOW), tells_language=False),
    Loader("robodm", ("robodm==0.1.0", "av", "h5py", "torch", *TENSORFLOW)),
    Loader("robotdataset", ("robotdataset[oxe]==0.2.4",), tells_language=False),
)
LEROBOT = Loader(
    "lerobot", ("lerobot[dataset]==0.6.1",), python=os.environ.get("SERLDS_LEROBOT_PYTHON", "3.12")
)
ENVIRONMENTS = os.environ.get("SERLDS_LOADERS", "")
CHOSEN = os.environ.get("SERLDS_LOADER_NAMES", "").split()


def chosen(loader: Loader) -> pytest.MarkDecorator:
    """Skips a test whose loader was not asked for."""
    needed = f"needs {' '.join(loader.packages)}; see docs/exporting.md"
    return pytest.mark.skipif(loader.name not in CHOSEN, reason=needed)


@pytest.fixture(scope="module")
def source(arm_world, tmp_path_factory):
    world = dataclasses.replace(arm_world, cameras=("front", "wrist"), size=(64, 64))
    episodes = [world.episode(index, 6 + index, success=index != 2) for index in range(5)]
    return open_dataset(world.dataset(tmp_path_factory.mktemp("source") / "arm", episodes))


def read_with(loader: Loader, dataset: Path, out: Path) -> dict[str, np.ndarray]:
    """What a loader gives: arrays by `<field>/<number of the episode>`."""
    python = environment(loader)
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [str(python), str(SCRIPTS / f"read_with_{loader.name}.py"), str(dataset), str(out)]
    run = subprocess.run(
        command, cwd="/", env=environ, capture_output=True, text=True, timeout=READ_S
    )
    assert run.returncode == 0, run.stderr
    print(run.stdout.splitlines()[-1])
    return dict(np.load(out))


def environment(loader: Loader) -> Path:
    """The interpreter of the loader's environment, which is kept for the next time."""
    directory = Path(ENVIRONMENTS).resolve() / loader.name
    python, done = directory / "bin" / "python", directory / "installed"
    if not done.is_file() or done.read_text() != " ".join(loader.packages):
        uv = [sys.executable, "-m", "uv"]
        subprocess.run(
            [*uv, "venv", "--clear", "-q", "-p", loader.python, str(directory)], check=True
        )
        install = [*uv, "pip", "install", "-q", "--python", str(python), *loader.packages]
        subprocess.run(install, check=True, timeout=INSTALL_S)
        done.write_text(" ".join(loader.packages))
    return python


def resized(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    image = Image.fromarray(pixels).resize((shape[1], shape[0]), Image.Resampling.LANCZOS)
    return np.asarray(image).astype(float)


def check_frames(seen, number, episode, expected, tells_language):
    """Compares what a loader gave of an episode with its source."""
    rows = len(episode) - 1
    np.testing.assert_allclose(seen[f"action/{number}"], expected, atol=1e-6)
    np.testing.assert_allclose(seen[f"state/{number}"], episode.state_matrix()[:-1], atol=1e-6)
    np.testing.assert_allclose(seen[f"reward/{number}"], episode["reward"][:-1])
    assert seen[f"last/{number}"].tolist() == [False] * (rows - 1) + [True]
    truth = episode.pixels("observation/image/front")[:-1]
    for shown, pixels in zip(seen[f"image/{number}"], truth, strict=True):
        assert shown.dtype == np.uint8
        assert np.abs(shown - resized(pixels, shown.shape)).mean() < PIXEL_ERROR
    if tells_language:
        assert seen[f"language/{number}"].tolist() == episode["language_instruction"][:-1]


@pytest.mark.parametrize("loader", [pytest.param(one, marks=chosen(one)) for one in RTX], ids=str)
def test_rtx_export_loads(source, tmp_path, loader):
    directory = export_rtx(source.directory, tmp_path / "arm_rtx", RtxOptions()).dataset
    exported = list(open_dataset(directory).episodes("train"))
    seen = read_with(loader, directory, tmp_path / "seen.npz")
    originals = {episode.episode_id: episode for episode in source.episodes()}
    assert sum(key.startswith("action/") for key in seen) == len(exported) == 4
    for number, episode in enumerate(exported):
        original = originals[episode.episode_id]
        # Translations are exact; the rotation's representation is checked where it is computed.
        translation = original["action"][:-1, :3] * original_scale(source)
        np.testing.assert_allclose(seen[f"action/{number}"][:, :3], translation, atol=1e-6)
        opened = (original["action"][:-1, 6] + 1) / 2
        np.testing.assert_allclose(seen[f"action/{number}"][:, 6], opened, atol=1e-6)
        check_frames(seen, number, original, episode["action"], loader.tells_language)


def original_scale(source):
    return np.array(source.schema.action.about.scale[:3])


@chosen(LEROBOT)
def test_lerobot_export_loads(source, tmp_path):
    root = export_lerobot(source.directory, tmp_path / "arm_lerobot").dataset
    seen = read_with(LEROBOT, root, tmp_path / "seen.npz")
    actions = []
    for number, episode in enumerate(source.episodes()):
        actions.append(episode["action"][:-1])
        check_frames(seen, number, episode, actions[-1], LEROBOT.tells_language)
    assert seen["episodes"].tolist() == [5]
    np.testing.assert_allclose(seen["action_mean"], np.concatenate(actions).mean(0), atol=1e-6)
