"""The verbs: what a person types, as functions; flags, defaults and help are their signatures."""

import dataclasses
import functools
import inspect as python_inspect
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import AvoidSubcommands, Positional, Suppress, arg

from .datasets.errors import UsageError
from .pipelines.rtx_options import RtxOptions
from .pipelines.transform_text import describe_transforms
from .progress import progress_bar
from .training.config import RunConfig
from .training.presets import PRESET_NAMES, preset

_RTX_DEFAULTS = RtxOptions()

EnvId = Annotated[str, arg(metavar="ENV")]
DatasetDir = Annotated[str, arg(metavar="DATASET")]
DatasetDirs = Annotated[tuple[str, ...], arg(metavar="DATASET ...")]
RunDir = Annotated[Path, arg(metavar="RUN")]
MaybeEnvId = Annotated[str | None, arg(metavar="ENV")]
MaybeRunDir = Annotated[Path | None, arg(metavar="RUN")]
MaybePath = Annotated[Path | None, arg(metavar="PATH")]
MaybeInt = Annotated[int | None, arg(metavar="INT")]
EnvArgs = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE ...")]
BeamArgs = Suppress[tuple[str, ...]]
"""What stands after `--` on the command line, so that options of Beam need no quoting."""


def quickstart(out: MaybePath = None, seed: int = 0) -> int:
    """Goes once through the whole loop and shows what happened.

    Records 20 demonstrations of a simulated WidowX AI arm picking up a cube, validates and converts
    them, trains behaviour cloning and RLPD on them, evaluates both on 100 fresh episodes, exports
    an RT-X dataset and writes report.html. Exit code 1 when RLPD stays under 95 % success.

    Args:
      out: Directory for everything that is made; by default ./serlds-runs/quickstart-<time>.
      seed: Seed of demonstrations, training and evaluation.
    """
    from .quickstart import run_quickstart

    return run_quickstart(out, seed)


def doctor() -> int:
    """Checks this machine and says how to mend what is wrong.

    Prints versions, renders an image, starts a Reverb server, runs a Beam pipeline, lists devices
    and free disk space. Exit code 1 when something is wrong.
    """
    from .doctor import examine

    return examine()


def record(
    env: Positional[EnvId],
    dataset: Positional[DatasetDir],
    by: Literal["expert", "policy", "random"] = "expert",
    episodes: int = 10,
    count: Literal["all", "successful"] = "all",
    policy: MaybeRunDir = None,
    expert_noise: float = 0.0,
    cameras: tuple[str, ...] = ("front", "wrist"),
    image_size: int = 128,
    env_args: EnvArgs = (),
    seed: MaybeInt = None,
) -> int:
    """Runs a task and appends every finished episode to an RLDS dataset.

    Each episode is durable on disk before the next begins; Ctrl-C or a crash loses at most the
    episode in progress.

    Args:
      env: Task, e.g. serlds/WidowXPickCube-v0.
      dataset: Dataset directory; made when it is not there, appended to when it is.
      by: Who acts: the task's scripted expert, a trained policy, or uniformly random actions.
      episodes: Episodes to record.
      count: Which episodes count as recorded; with successful, failures are kept beside them.
      policy: Run whose policy acts, with --by policy.
      expert_noise: Standard deviation of Gaussian noise on the expert's motions, in units of the
        action range [-1, 1].
      cameras: Cameras to record; give the flag without a value for none (state only).
      image_size: Height and width of the images, in pixels.
      env_args: Further arguments of the task, values as JSON, e.g. object_state=true; with a
        policy, by default those that it was trained with.
      seed: Seed of the first episode; by default counted on from the episodes that are there, so
        that none is recorded twice.
    """
    from .envs.recording import record_episodes

    if (policy is not None) != (by == "policy"):
        raise UsageError("--policy RUN and --by policy go together: give both or neither")
    acting, trained_with = None, {}
    if policy is not None:
        from .training.run_directory import RunDirectory
        from .training.run_policy import load_policy

        acting = load_policy(policy)
        trained_in = RunDirectory.open(policy).read_record().run
        trained_with = trained_in.env_args if trained_in.env_id == env else {}
    arguments = {**trained_with, "cameras": cameras, "image_size": image_size}
    arguments |= parse_env_args(env_args)
    with progress_bar("recording") as progress:
        result = record_episodes(
            env,
            arguments,
            dataset,
            by=by,
            episodes=episodes,
            count=count,
            policy=acting,
            policy_checkpoint=acting.checkpoint if acting else "",
            expert_noise=expert_noise,
            seed=seed,
            progress=progress,
        )
    print(result)
    return 0


def inspect(
    dataset: Positional[DatasetDir], as_json: Annotated[bool, arg(name="json")] = False
) -> int:
    """Prints what a dataset holds: episodes, success, lengths, fields with units, origin.

    Args:
      dataset: Dataset directory.
      as_json: Print JSON instead of tables.
    """
    from rich.console import Console

    from .datasets.reading import open_dataset
    from .datasets.summary import summarize
    from .datasets.summary_view import render

    summary = summarize(open_dataset(dataset))
    if as_json:
        print(json.dumps(dataclasses.asdict(summary), indent=2))
    else:
        Console().print(render(summary))
    return 0


def validate(
    dataset: Positional[DatasetDir],
    json_path: Annotated[Path | None, arg(name="json", metavar="PATH")] = None,
    workers: int = 1,
    beam_args: BeamArgs = (),
) -> int:
    """Checks every episode of a dataset and prints what it finds.

    Exit code 1 when there are errors; warnings alone give 0. Beam's own options go after `--`, e.g.
    `serlds validate DATASET -- --runner=FlinkRunner`.

    Args:
      dataset: Dataset directory.
      json_path: Also write all findings to this JSON file.
      workers: Processes of the local runner.
      beam_args: Options for Beam.
    """
    from .pipelines.validate import validate as run

    with progress_bar("validating") as progress:
        found = run(
            dataset, json_path=json_path, workers=workers, beam_args=beam_args, progress=progress
        )
    print(found.to_text())
    return found.exit_code


def convert(
    source: Positional[Annotated[str, arg(metavar="SOURCE")]],
    destination: Positional[Annotated[str, arg(metavar="DESTINATION")]],
    apply: Annotated[tuple[str, ...], arg(metavar="TRANSFORM ...")],
    workers: int = 1,
    beam_args: BeamArgs = (),
) -> int:
    """Makes a new dataset by applying transforms, in order, to the episodes of another.

    The destination appears complete or not at all. Episodes that a transform cannot take are listed
    in its dead_letters.jsonl, and the exit code is 1. Beam's own options go after `--`.

    The transforms are:

    TRANSFORMS

    Args:
      source: Dataset directory.
      destination: Dataset directory that does not exist yet.
      apply: Transforms, each NAME or NAME:KEY=VALUE,KEY=VALUE.
      workers: Processes of the local runner.
      beam_args: Options for Beam.
    """
    from .pipelines.convert import convert as run

    with progress_bar("converting") as progress:
        done = run(
            source, destination, apply, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def stats(
    dataset: Positional[DatasetDir],
    json_path: Annotated[Path | None, arg(name="json", metavar="PATH")] = None,
    workers: int = 1,
    beam_args: BeamArgs = (),
) -> int:
    """Prints mean, deviation, range and quantiles of each dimension of actions and states.

    Beam's own options go after `--`.

    Args:
      dataset: Dataset directory.
      json_path: File to write; by default statistics.json in the dataset's directory.
      workers: Processes of the local runner.
      beam_args: Options for Beam.
    """
    from .pipelines.stats import statistics

    with progress_bar("measuring") as progress:
        done = statistics(
            dataset, json_path=json_path, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def export_rtx(
    source: Positional[Annotated[str, arg(metavar="SOURCE")]],
    destination: Positional[Annotated[str, arg(metavar="DESTINATION")]],
    options: Annotated[RtxOptions, arg(name="")] = _RTX_DEFAULTS,
    workers: int = 1,
    beam_args: BeamArgs = (),
) -> int:
    """Writes a dataset in the form of the published Open X-Embodiment (RT-X) datasets.

    The destination appears complete or not at all. Beam's own options go after `--`.

    Args:
      source: Dataset directory.
      destination: Dataset directory that does not exist yet.
      options: What to export and how.
      workers: Processes of the local runner.
      beam_args: Options for Beam.
    """
    from .pipelines.rtx import export_rtx as run

    with progress_bar("exporting", "passes over episodes") as progress:
        done = run(
            source, destination, options, workers=workers, beam_args=beam_args, progress=progress
        )
    print(done.to_text())
    return done.exit_code


def train(algorithm: str, preset_name: str) -> Callable[..., int]:
    """The verb `train ALGORITHM`, with the defaults of a preset."""
    defaults = preset(algorithm, preset_name)

    def train_algorithm(
        out: RunDir,
        env: MaybeEnvId = None,
        env_args: EnvArgs = (),
        demos: DatasetDirs = (),
        seed: int = 0,
        preset: Annotated[str, arg(metavar="|".join(PRESET_NAMES))] = preset_name,
        port: int = 0,
        settings: Annotated[type(defaults), arg(name="")] = defaults,
    ) -> int:
        """Trains a policy; every online episode is logged to RLDS in RUN/episodes.

        Starts and supervises a replay server, a learner and, for online algorithms, an actor.
        Ctrl-C ends them cleanly with a checkpoint; `serlds train --resume RUN` goes on.

        Args:
          out: Directory of the new run.
          env: Task; by default the one that the demonstrations were recorded in.
          env_args: Arguments of the task, values as JSON; by default those that the demonstrations
            were recorded with. Policies learn from the state, so nothing is rendered.
          demos: Datasets of demonstrations.
          seed: Seed of networks, sampling and environment.
          preset: Named set of defaults for all flags below.
          port: Loopback port of the replay server; 0 takes any free one.
          settings: Hyper-parameters.
        """
        from .training.supervisor import train as run_training

        env_id, arguments = _task(env, parse_env_args(env_args), demos)
        config = RunConfig(
            algorithm=algorithm,
            agent=settings.agent,
            env_id=env_id,
            env_args=arguments,
            demos=tuple(str(Path(path).absolute()) for path in demos),
            seed=seed,
            schedule=settings.schedule,
            replay=settings.replay,
        )
        print(run_training(config, out, port))
        return 0

    return train_algorithm


def resume(
    run: Annotated[Path, arg(name="resume", metavar="RUN")],
    env_steps: MaybeInt = None,
    port: int = 0,
) -> int:
    """Goes on with a run from its last checkpoint, with the configuration it began with.

    Args:
      run: Directory of the run.
      env_steps: New total of environment steps; it may only grow. By default as configured.
      port: Loopback port of the replay server; 0 takes any free one.
    """
    from .training.supervisor import resume as resume_training

    print(resume_training(run, env_steps=env_steps, port=port))
    return 0


def evaluate(
    run: Positional[RunDir],
    episodes: int = 50,
    seed: int = 10_000,
    video: bool = False,
    checkpoint: Annotated[str | None, arg(metavar="UPDATES")] = None,
) -> int:
    """Evaluates a run's policy, without exploration, on fresh episodes.

    Prints success with its 95 % interval, return and length, and writes RUN/evals/.

    Args:
      run: Directory of the run.
      episodes: Episodes to run.
      seed: Seed of the first episode, the next ones count on; training draws its seeds elsewhere.
      video: Also write videos of the first episodes.
      checkpoint: Checkpoint to evaluate, by its number of updates; by default the last.
    """
    from .training.evaluation import evaluate as run_evaluation

    with progress_bar("evaluating") as progress:
        result = run_evaluation(
            run, episodes, seed=seed, video=video, checkpoint=checkpoint, progress=progress
        )
    print(result)
    return 0


def report(
    run: Positional[RunDir],
    out: MaybePath = None,
    baseline: MaybeRunDir = None,
    datasets: DatasetDirs = (),
    timing: MaybePath = None,
) -> int:
    """Writes one self-contained page about a run: curves, videos, replay, datasets.

    Args:
      run: Directory of the run; it needs an evaluation (`serlds eval RUN --video`).
      out: The page; by default RUN/report.html.
      baseline: Another run, evaluated too, to compare with.
      datasets: Further datasets to list beside those of the run.
      timing: JSON file with the wall time of each phase in seconds, to show as bars.
    """
    from .training.run_report import write_report

    print(write_report(run, out or run / "report.html", baseline, datasets, timing))
    return 0


def parse_env_args(items: Sequence[str]) -> dict[str, Any]:
    """`name=value` texts as a dictionary; values are JSON, or text where they are not.

    Raises:
      UsageError: an item without `=`.
    """
    arguments = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"--env-args {item!r}: expected NAME=VALUE, e.g. object_state=true")
        try:
            arguments[name] = json.loads(value)
        except json.JSONDecodeError:
            arguments[name] = value
    return arguments


def _task(
    env: str | None, arguments: dict[str, Any], demos: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """The task to train in, without cameras; what is not given is taken from the demonstrations."""
    from .datasets.reading import open_dataset

    origin = open_dataset(demos[0]).provenance if demos else None
    env_id = env or (origin.env_id if origin else "")
    if not env_id:
        raise UsageError("--env is needed: there are no demonstrations that tell their task")
    recorded = origin.env_args if origin and origin.env_id == env_id else {}
    return env_id, {**recorded, **arguments, "cameras": []}


def run_verb(name: str, arguments: Sequence[str]) -> int:
    """Parses the arguments of a verb and runs it; tyro exits with 2 on a wrong flag."""
    mine, beam_args = _split_at_dashes(list(arguments))
    if name.startswith("train "):
        function = train(name.split()[1], _preset_name(mine))
    else:
        function = _FUNCTIONS[name]
    if beam_args:
        function = _with_beam_args(function, name, beam_args)
    function.__doc__ = _flowing(function)
    return tyro.cli(function, prog=f"serlds {name}", args=mine, config=(AvoidSubcommands,))


def _with_beam_args(
    function: Callable[..., int], name: str, beam_args: tuple[str, ...]
) -> Callable[..., int]:
    if "beam_args" not in python_inspect.signature(function).parameters:
        raise UsageError(f"serlds {name} takes nothing after `--`, found {' '.join(beam_args)}")

    @functools.wraps(function)
    def with_beam_args(**flags: Any) -> int:
        return function(**{**flags, "beam_args": beam_args})

    return with_beam_args


def _flowing(function: Callable[..., int]) -> str:
    """The docstring without the source's line breaks, which tyro would keep in a flag's help."""
    doc = re.sub(r"\n {4,}", " ", python_inspect.getdoc(function) or "")
    doc = re.sub(r"(?<=\S)\n(?=\S)", " ", doc)
    return doc.replace("TRANSFORMS", describe_transforms()) if function is convert else doc


_FUNCTIONS: dict[str, Callable[..., int]] = {
    "quickstart": quickstart,
    "doctor": doctor,
    "record": record,
    "inspect": inspect,
    "validate": validate,
    "convert": convert,
    "stats": stats,
    "export rtx": export_rtx,
    "train": resume,
    "eval": evaluate,
    "report": report,
}


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], tuple[str, ...]]:
    if "--" not in arguments:
        return arguments, ()
    position = arguments.index("--")
    return arguments[:position], tuple(arguments[position + 1 :])


def _preset_name(arguments: Sequence[str]) -> str:
    """The value of --preset, which decides the defaults of the flags that are parsed next."""
    for position, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--preset":
            return value or "".join(arguments[position + 1 : position + 2])
    return PRESET_NAMES[0]
