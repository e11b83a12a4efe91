"""Convert and inspect beside forge-robotics, on the same dataset.

    python benchmarks/pipeline_forge.py --install

forge-robotics needs other versions of TensorFlow and numpy, so it lives in a virtual environment of
its own (`--environment`), which `--install` makes. Compared are whole commands as a person types
them, from the shell's point of view: RLDS to RLDS (`serlds convert` also checks and measures), and
an inspection that reads every episode (`forge inspect --deep` against `serlds validate`, which
checks them). The dataset has its observation in the flat layout of Open X-Embodiment, the only
one that forge-robotics converts. Both start Python anew each time. Exit code 1 when a bound is
missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pipeline_data as data

BOUND = 3.0


def main() -> int:
    """Prints the figures; 1 when a bound is missed."""
    parser = data.arguments(__doc__, episodes=50)
    parser.add_argument("--environment", type=Path, help="by default below --scratch")
    parser.add_argument("--install", action="store_true", help="make the environment first")
    options = parser.parse_args()
    environment = options.environment or options.scratch / "forge-environment"
    if options.install and not (environment / "bin" / "forge").exists():
        _install(environment)
    forge = environment / "bin" / "forge"
    if not forge.exists():
        parser.error(f"there is no {forge}; add --install")
    size = data.size_of(options)
    source = _flat(options.scratch, size)
    print(f"{size.episodes} episodes of {size.steps} actions, {data.size_mb(source):.0f} MB")
    ours, theirs = options.scratch / "forge_ours", options.scratch / "forge_theirs"
    serlds = Path(sysconfig.get_path("scripts")) / "serlds"
    rename = "rename_field:old=intervened,new=driven_by_human"
    commands = {
        "convert": (
            [serlds, "convert", source, ours, "--apply", rename],
            [forge, "convert", source, theirs, "--format", "rlds", "--workers", _cores()],
        ),
        "inspect": (
            [serlds, "validate", source, "--images", "headers"],
            [forge, "inspect", source, "--deep"],
        ),
    }
    steps, kept = size.episodes * (size.steps + 1), []
    for what, (our_command, their_command) in commands.items():
        costs = data.measure_in_turns(
            {
                "serlds": lambda command=our_command: _run(command),
                "forge": lambda command=their_command: _run(command),
            },
            max(1, options.repeats // 2),
            outputs=(ours, theirs),
        )
        for name, cost in costs.items():
            data.report(f"{what}: {name}", cost, steps)
            print(f"{'':44s} {size.episodes / cost.wall_s:7.1f} episodes/s wall")
        wall = costs["forge"].wall_s / costs["serlds"].wall_s
        kept.append(data.verdict(f"{what}: times forge-robotics' speed, wall time", wall, BOUND))
        ratio = costs["forge"].cpu_s / costs["serlds"].cpu_s
        kept.append(data.verdict(f"{what}: times forge-robotics' speed, CPU time", ratio, BOUND))
    for directory in (ours, theirs):
        data.remove(directory)
    return 0 if all(kept) else 1


def _flat(scratch: Path, size: data.Size) -> Path:
    """The dataset in the layout that forge-robotics knows: no dictionaries in the observation."""
    from serlds.pipelines.convert import convert

    source = data.dataset(scratch, size)
    target = source.with_name("3.0.0")
    if not target.is_dir():
        names = {
            "observation/image/camera_1": "observation/wrist_image",
            "observation/image/camera_0": "observation/image",
            "observation/state/tcp_pos": "observation/state",
        }
        renames = [f"rename_field:old={old},new={new}" for old, new in names.items()]
        drop = "drop_field:path=observation/state/joint_pos"
        convert(source, target, [drop, *renames])
    return target


def _cores() -> str:
    return str(len(os.sched_getaffinity(0)))


def _install(environment: Path) -> None:
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    command = str(uv) if uv.exists() else "uv"
    subprocess.run([command, "venv", "--quiet", environment], check=True)
    python = environment / "bin" / "python"
    # It writes images with Pillow without asking for it.
    install = [
        command,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "forge-robotics[rlds]",
        "pillow",
    ]
    subprocess.run(install, check=True)


def _run(command: list) -> None:
    done = subprocess.run(
        list(map(str, command)),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # A finding of `validate` gives 1; the synthetic data has some.
    if done.returncode not in (0, 1) or "Traceback" in done.stdout:
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
