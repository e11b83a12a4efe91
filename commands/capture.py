"""The verbs that act: `record`, `teleop`, which only drives, and `playback`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from ..datasets.errors import UsageError
from ..hardware.teleoperation.device import kind_of
from ..progress import progress_bar
from .arguments import (
    DatasetDir,
    EnvArgs,
    EnvId,
    MaybeFloat,
    MaybeInt,
    MaybeRunDir,
    Reward,
    parse_env_args,
    with_reward,
)


def record(
    env: Positional[EnvId],
    dataset: Positional[DatasetDir],
    by: Annotated[
        str, arg(metavar="expert|policy|random|keyboard|spacemouse|gamepad|leader")
    ] = "expert",
    episodes: int = 10,
    count: Literal["all", "successful"] = "all",
    policy: MaybeRunDir = None,
    expert_noise: float = 0.0,
    cameras: Annotated[tuple[str, ...] | None, arg(metavar="CAMERA ...")] = None,
    image_size: MaybeInt = None,
    env_args: EnvArgs = (),
    seed: MaybeInt = None,
    reward: Reward = None,
    label: Annotated[Literal["success", "failure"] | None, arg(metavar="success|failure")] = None,
    decide_s: MaybeFloat = None,
) -> int:
    """Runs a task and appends every finished episode to an RLDS dataset.

    Each episode is durable on disk before the next begins; Ctrl-C or a crash loses at most the
    episode in progress.

    Args:
      env: Task, e.g. serlds/WidowXPickCube-v0.
      dataset: Dataset directory; made when it is not there, appended to when it is.
      by: Who acts: the task's scripted expert, a trained policy, uniformly random actions, or a
        person at a device, at the task's rate; leader:ADDRESS,... says where leader arms are.
      episodes: Episodes to record.
      count: Which episodes count as recorded; with successful, failures are kept beside them.
      policy: Run whose policy acts, with --by policy.
      expert_noise: Standard deviation of Gaussian noise on the expert's motions, in units of the
        action range [-1, 1].
      cameras: Cameras to record, by default all of the task's; give the flag without a value for
        none (state only).
      image_size: Height and width of the images, in pixels; by default 128 or, with a policy, those
        that it was trained with.
      env_args: Further arguments of the task, values as JSON, e.g. object_state=true; with a
        policy, by default those that it was trained with.
      seed: Seed of the first episode; by default counted on from the episodes that were ever
        recorded there, dropped ones included, so that none is recorded twice.
      reward: What is rewarded: the task's own sparse or dense reward, or what a classifier of
        `serlds train classifier` sees, which then also ends the episode: it must be as probable as
        threshold, by default what it was trained for, in `frames` observations in a row.
      label: What every step of these episodes shows, as examples for `serlds train classifier`; a
        dataset has such labels in all of its episodes or in none.
      decide_s: How long a person may change what becomes of an episode that ended by itself or by
        them, 5 by default; then it is kept as it was judged. One that ran into the time limit
        waits for them. 0: they are never asked.
    """
    from ..envs.recording import record_episodes
    from ..envs.tasks import env_arguments

    if (policy is not None) != (by == "policy"):
        raise UsageError("--policy RUN and --by policy go together: give both or neither")
    acting, trained_with = None, {}
    if policy is not None:
        from ..training.run_directory import RunDirectory
        from ..training.run_policy import load_policy

        acting = load_policy(policy)
        trained_in = RunDirectory.open(policy).read_record().run
        trained_with = trained_in.env_args if trained_in.env_id == env else {}
    size = trained_with.get("image_size", 128) if image_size is None else image_size
    arguments = {**trained_with, "image_size": size}
    arguments["cameras"] = env_arguments(env)["cameras"] if cameras is None else cameras
    arguments |= _object_state(trained_with, arguments["cameras"])
    arguments = with_reward(arguments | parse_env_args(env_args), reward)
    if kind_of(by):
        _check_person(by, count, expert_noise, decide_s)
        return _by_person(env, arguments, dataset, by, episodes, seed, label or "", decide_s)
    if decide_s is not None:
        raise UsageError(f"--decide-s {decide_s:g}: only a person is asked, not {by}")
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
            label=label or "",
            progress=progress,
        )
    print(result)
    return 0


def _object_state(trained_with: Mapping[str, Any], cameras: Sequence[str]) -> dict[str, bool]:
    """What a policy was shown of the objects, where other cameras would decide otherwise now."""
    in_simulation = trained_with.get("backend", "sim") == "sim"
    if not trained_with or not in_simulation or trained_with.get("object_state") is not None:
        return {}
    was_told = not trained_with.get("cameras", True)
    return {"object_state": was_told} if was_told == bool(cameras) else {}


def teleop(
    env: Positional[EnvId],
    by: Annotated[str, arg(metavar="keyboard|spacemouse|gamepad|leader")] = "keyboard",
    env_args: EnvArgs = (),
    seed: MaybeInt = None,
) -> int:
    """Lets a person drive a task without recording it, until they stop.

    Args:
      env: Task, e.g. serlds/WidowXPickCube-v0.
      by: The device.
      env_args: Arguments of the task, values as JSON, e.g. backend=robot robot=sim.
      seed: Seed of the first episode.
    """
    return _by_person(env, {"cameras": [], **parse_env_args(env_args)}, None, by, 1, seed)


def playback(
    dataset: Positional[DatasetDir],
    episode: Positional[int],
    speed: float = 0.25,
    env_args: EnvArgs = (),
) -> int:
    """Does a recorded episode again in its task and says how near it came.

    A robot moves slowly to the start first. What a robot recorded is played as the joint targets
    that it was sent, all else as its actions.

    Args:
      dataset: Dataset directory.
      episode: Number of the episode, from 0.
      speed: Of the recorded speed, above 0, at most 1.
      env_args: Arguments of the task that shall be others than recorded, values as JSON, e.g.
        backend=robot robot=sim.
    """
    from ..envs.playback import playback as play

    print(play(dataset, episode, speed, parse_env_args(env_args)))
    return 0


def _by_person(
    env: str,
    arguments: Mapping[str, Any],
    dataset: str | None,
    by: str,
    episodes: int,
    seed: int | None,
    label: str = "",
    decide_s: float | None = None,
) -> int:
    from ..envs.teleop_recording import DECIDE_S, record_teleoperation
    from ..hardware.teleoperation.keyboard import HELP
    from .teleop_screen import TerminalScreen

    screen = TerminalScreen()
    screen.note(HELP)
    result = record_teleoperation(
        env,
        arguments,
        dataset,
        by=by,
        episodes=episodes,
        screen=screen,
        decide_s=DECIDE_S if decide_s is None else decide_s,
        seed=seed,
        label=label,
    )
    if result is not None:
        print(result)
    return 0


def _check_person(by: str, count: str, expert_noise: float, decide_s: float | None) -> None:
    if count != "all":
        raise UsageError(f"--count {count}: not with --by {by}: press u for what shall not count")
    if expert_noise:
        raise UsageError(f"--expert-noise {expert_noise}: only the expert takes it, not {by}")
    if decide_s is not None and not 0.0 <= decide_s <= 3600.0:
        raise UsageError(f"--decide-s {decide_s:g}: expected 0 to 3600 s")
