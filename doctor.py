"""What `serlds doctor` does: try each thing serlds needs and say how to mend what fails."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import IO

from . import __version__

_PACKAGES = (
    "dm-reverb", "tensorflow-cpu", "tensorflow-datasets", "rlds", "envlogger", "apache-beam",
    "jax", "flax", "optax", "orbax-checkpoint", "numpy", "protobuf", "gymnasium", "mujoco",
    "trossen-arm-sim",
)  # fmt: skip
_REINSTALL = "run `make setup` in the checkout, which installs the versions that work together"
_MIN_FREE_GB = 5.0


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was tried: its name, whether it works, what was seen, and the remedy."""

    name: str
    works: bool
    seen: str
    remedy: str = ""


def examine() -> int:
    """Tries everything, prints a table, and returns 0 when all of it works, else 1."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    console = Console()
    findings = []
    with console.status("looking ..."):
        for name, (check, remedy) in _CHECKS.items():
            findings.append(_try(name, check, remedy))
    for finding in findings:
        mark = "[green]ok[/]" if finding.works else "[red]wrong[/]"
        remedy = "" if finding.works else f"\n[yellow]-> {finding.remedy}[/]"
        table.add_row(finding.name, mark, finding.seen + remedy)
    console.print(table)
    return 0 if all(finding.works for finding in findings) else 1


def _try(name: str, check: Callable[[], str], remedy: str) -> Finding:
    with _held_stderr() as chatter:
        try:
            return Finding(name, True, check())
        except Exception as error:  # whatever goes wrong here is what the person wants to see
            seen = f"{type(error).__name__}: {error}\n{chatter()}".strip()
            return Finding(name, False, seen, remedy)


@contextlib.contextmanager
def _held_stderr() -> Iterator[Callable[[], str]]:
    """Keeps what libraries print to standard error, from C++ too, out of the table."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield lambda: _content(held)
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _python() -> str:
    if sys.version_info[:2] != (3, 11):
        raise RuntimeError(f"Python 3.11 is needed, this is {platform.python_version()}")
    return f"serlds {__version__}, Python {platform.python_version()}, {platform.platform()}"


def _versions() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)


def _rendering() -> str:
    from .envs.tasks import make_env, task_ids

    env = make_env(task_ids()[0], cameras=("front",), image_size=128)
    try:
        observation, _ = env.reset(seed=0)
        start_s, frames = time.perf_counter(), 5
        for _ in range(frames):
            observation = env.step(env.action_space.sample())[0]
        period_ms = 1e3 * (time.perf_counter() - start_s) / frames
    finally:
        env.close()
    pixels = observation["image"]["front"]
    if pixels.std() < 1:
        raise RuntimeError(f"the rendered image is blank (all pixels near {pixels.mean():.0f})")
    back_end = os.environ.get("MUJOCO_GL", "the default of MuJoCo")
    return f"rendered 128x128 through {back_end}, {period_ms:.0f} ms a step with one camera"


def _reverb() -> str:
    import numpy as np
    import reverb

    table = reverb.Table("probe", reverb.selectors.Fifo(), reverb.selectors.Fifo(), 1,
                         reverb.rate_limiters.MinSize(1))  # fmt: skip
    server = reverb.Server([table])
    try:
        client = reverb.Client(f"127.0.0.1:{server.port}")
        client.insert(np.float32([42.0]), {"probe": 1.0})
        value = next(iter(client.sample("probe", 1)))[0].data[0]
        if value != 42.0:
            raise RuntimeError(f"put in 42.0, got back {value}")
    finally:
        server.stop()
    return "started a server on loopback, put an item in and got it back"


def _beam() -> str:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        total = pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum)
        _ = total | beam.Map(_expect_six)
    return "ran a pipeline on the local runner"


def _expect_six(total: int) -> None:
    if total != 6:
        raise RuntimeError(f"1 + 2 + 3 came out as {total}")


def _devices() -> str:
    import jax

    return f"{', '.join(str(device) for device in jax.devices())} (jax {jax.default_backend()})"


def _disk() -> str:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    if free_gb < _MIN_FREE_GB:
        raise RuntimeError(f"{free_gb:.1f} GB free in {Path.cwd()}, {_MIN_FREE_GB} GB are needed")
    return f"{free_gb:.0f} GB free in {Path.cwd()}"


_CHECKS: dict[str, tuple[Callable[[], str], str]] = {
    "python": (_python, "install Python 3.11; dm-reverb has no wheels for later versions"),
    "versions": (_versions, _REINSTALL),
    "rendering": (
        _rendering,
        "install the EGL libraries (Debian: sudo apt-get install libegl1 libegl-mesa0 "
        "libgl1-mesa-dri), or use tasks without cameras: --cameras",
    ),
    "reverb": (_reverb, _REINSTALL),
    "beam": (_beam, _REINSTALL),
    "devices": (_devices, "check the driver, or set JAX_PLATFORMS=cpu"),
    "disk": (_disk, "free some space, or run from a directory on another disk"),
}
