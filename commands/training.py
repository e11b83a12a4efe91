"""The verbs that learn: `train`, `serve`, `learner`, `actor`, `eval`, `trace`, `runs`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from tyro.conf import Positional, arg

from ..datasets.errors import UsageError
from ..progress import progress_bar
from ..training.config import RunConfig
from ..training.presets import DEFAULT_PRESET, preset, preset_names
from .arguments import (
    DatasetDirs,
    EnvArgs,
    MaybeEnvId,
    MaybeInt,
    Reward,
    RunDir,
    parse_env_args,
    with_reward,
)

Host = Annotated[str, arg(metavar="HOST")]
Driver = Annotated[str, arg(metavar="NAME")]
ReplayAddress = Annotated[str, arg(metavar="HOST:PORT")]


def train(algorithm: str, preset_name: str) -> Callable[..., int]:
    """The verb `train ALGORITHM`, with the defaults of a preset."""
    defaults, names = preset(algorithm, preset_name), "|".join(preset_names(algorithm))

    def train_algorithm(
        out: RunDir,
        env: MaybeEnvId = None,
        env_args: EnvArgs = (),
        reward: Reward = None,
        demos: DatasetDirs = (),
        seed: int = 0,
        preset: Annotated[str, arg(metavar=names)] = preset_name,
        allow_unvalidated: bool = False,
        port: int = 0,
        actors: int = 1,
        intervene: Driver = "",
        policies: Literal["one", "per-task", "per-arm"] = "one",
        prepare_only: bool = False,
        settings: Annotated[type(defaults), arg(name="")] = defaults,
    ) -> int:
        """Trains a policy; every online episode is logged to RLDS in RUN/episodes.

        Starts and supervises a replay server, a learner and, for online algorithms, actors, and
        starts again what dies. Ctrl-C ends them cleanly with a checkpoint; `serlds train --resume
        RUN` goes on.

        Args:
          out: Directory of the new run.
          env: Task; by default the one that the demonstrations were recorded in.
          env_args: Arguments of the task, values as JSON; by default those that the demonstrations
            were recorded with. The cameras are those of the agent's encoder; without one the policy
            learns from the state and nothing is rendered.
          reward: What is rewarded: the task's own sparse or dense reward, or what a classifier of
            `serlds train classifier` sees, which then also ends the episode. Its cameras are then
            rendered besides the agent's.
          demos: Datasets of demonstrations.
          seed: Seed of networks, sampling and environment.
          preset: Named set of defaults for all flags below.
          allow_unvalidated: Train also on demonstrations that `serlds validate` has not seen as
            they are now, or in which it has found errors.
          port: Loopback port of the replay server; 0 takes any free one.
          actors: Actors to start; each logs to a dataset of its own.
          intervene: Who may take over from the policy of the first actor, at any step; what they do
            is learned from as a demonstration.
          policies: One policy; or, from one replay, one for the task and one for its reverse, which
            reset each other; or one for each arm.
          prepare_only: Make the run's directory and start nothing: `serlds serve`, `serlds learner`
            and `serlds actor` start its processes one by one, on one machine or several.
          settings: Hyper-parameters.
        """
        from ..training.run_preparation import observed_cameras
        from ..training.supervisor import create
        from ..training.supervisor import train as run_training

        cameras = observed_cameras(settings.agent)
        asked = with_reward(parse_env_args(env_args), reward)
        env_id, arguments = _task(env, asked, demos, cameras)
        config = RunConfig(
            algorithm=algorithm,
            agent=settings.agent,
            env_id=env_id,
            env_args=arguments,
            demos=tuple(str(Path(path).absolute()) for path in demos),
            seed=seed,
            schedule=settings.schedule,
            replay=settings.replay,
            policies=policies,
        )
        if prepare_only:
            print(f"prepared: {create(config, out, allow_unvalidated).path}")
        else:
            print(run_training(config, out, port, allow_unvalidated, actors, intervene=intervene))
        return 0

    return train_algorithm


def resume(
    run: Annotated[Path, arg(name="resume", metavar="RUN")],
    env_steps: MaybeInt = None,
    publish_interval_updates: MaybeInt = None,
    evaluation_interval_steps: MaybeInt = None,
    evaluation_episodes: MaybeInt = None,
    checkpoint_interval_updates: MaybeInt = None,
    checkpoints_kept: MaybeInt = None,
    port: int = 0,
    actors: int = 1,
    intervene: Driver = "",
) -> int:
    """Goes on with a run from its last checkpoint, with the configuration it began with.

    Args:
      run: Directory of the run.
      env_steps: New total of environment steps; it may only grow. By default as configured, as are
        the fields below; no other can change.
      publish_interval_updates: New interval between two publications of the policy.
      evaluation_interval_steps: New interval between two evaluations.
      evaluation_episodes: New number of episodes of each evaluation.
      checkpoint_interval_updates: New interval between two checkpoints.
      checkpoints_kept: New number of checkpoints that are kept.
      port: Loopback port of the replay server; 0 takes any free one.
      actors: Actors to start.
      intervene: Who may take over from the policy of the first actor.
    """
    from ..training.supervisor import resume as resume_training

    asked = {
        "env_steps": env_steps,
        "publish_interval_updates": publish_interval_updates,
        "evaluation_interval_steps": evaluation_interval_steps,
        "evaluation_episodes": evaluation_episodes,
        "checkpoint_interval_updates": checkpoint_interval_updates,
        "checkpoints_kept": checkpoints_kept,
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    print(resume_training(run, changes, port=port, actors=actors, intervene=intervene))
    return 0


def serve(run: Positional[RunDir], port: int = 0, host: Host = "127.0.0.1") -> NoReturn:
    """Serves a run's replay to its learner and actors until Ctrl-C.

    The tables are filled from the run's datasets; RUN/replay-address says where it serves. Make a
    run without starting it by `serlds train ALGORITHM ... --prepare-only`.

    Args:
      run: Directory of the run.
      port: Port to listen on; 0 takes any free one.
      host: How others call this machine. Reverb has neither authentication nor encryption: by
        default only this machine can connect; with anything but 127.0.0.1 the server listens on
        every network interface. A tunnel is the safer way.
    """
    from ..training.replay_server import serve_here

    serve_here(run, port, host)


def learner(run: Positional[RunDir], replay: ReplayAddress = "") -> NoReturn:
    """Trains a run's policy from its replay server until the run is done.

    Goes on from the newest checkpoint. Exit code 75 says that the replay server was lost and that
    the learner may be started again.

    Args:
      run: Directory of the run.
      replay: Address of the replay server; by default the one in RUN/replay-address.
    """
    from ..training.learner import learn_here

    learn_here(run, replay)


def actor(
    run: Positional[RunDir],
    actor_id: int = 0,
    actors: int = 1,
    replay: ReplayAddress = "",
    intervene: Driver = "",
) -> NoReturn:
    """Acts in a run's task with the newest policy until the run is done.

    Exit code 75 says that the replay server was lost and that the actor may be started again.

    Args:
      run: Directory of the run, which all machines of the run share.
      actor_id: Which of the run's actors this is, from 0; each logs to a dataset of its own,
        RUN/episodes or RUN/episodes-<id>. Actor 0 also evaluates.
      actors: How many actors the run has; together they keep their distance to the learner.
      replay: Address of the replay server; by default the one in RUN/replay-address.
      intervene: Who may take over from the policy, at any step.
    """
    from ..training.actor import act_here

    act_here(run, actor_id, actors, replay, intervene)


def trace(run: Positional[RunDir], update: int) -> int:
    """Names the episodes and steps that an update of a run learned from.

    Args:
      run: Directory of the run.
      update: Number of the update, from 1, over all phases.
    """
    from ..training.tracing import trace as run_trace

    print(run_trace(run, update))
    return 0


def runs(
    directories: Positional[Annotated[tuple[Path, ...], arg(metavar="DIR ...")]] = (Path("."),),
) -> int:
    """Lists training runs and compares them: what on what, how far, how good.

    Args:
      directories: Runs, or directories to look for runs in.
    """
    from ..training.run_listing import list_runs

    print(list_runs(directories))
    return 0


def evaluate(
    run: Positional[RunDir],
    episodes: int = 50,
    seed: int = 10_000,
    seeds: tuple[int, ...] = (),
    video: bool = False,
    checkpoint: Annotated[str | None, arg(metavar="UPDATES")] = None,
) -> int:
    """Evaluates a run's policy, without exploration, on fresh episodes.

    Prints success with its 95 % interval, return and length, and writes RUN/evals/.

    Args:
      run: Directory of the run.
      episodes: Episodes to run.
      seed: Seed of the first episode, the next ones count on; training draws its seeds elsewhere.
      seeds: Instead of --seed, the first seeds of several evaluations, at least --episodes apart;
        success is told of each and of all together.
      video: Also write videos of the first episodes.
      checkpoint: Checkpoint to evaluate, by its number of updates; by default the last.
    """
    from ..training.evaluation import evaluate as run_evaluation
    from ..training.evaluation import evaluate_seeds

    each: list[Any] = []
    with progress_bar("evaluating") as progress:
        if seeds:
            each, result = evaluate_seeds(
                run, episodes, seeds, video=video, checkpoint=checkpoint, progress=progress
            )
        else:
            result = run_evaluation(
                run, episodes, seed=seed, video=video, checkpoint=checkpoint, progress=progress
            )
    for one in each:
        low, high = one.success_interval
        print(f"seed {one.seed}: success {one.success_rate:.1%} ({low:.1%} to {high:.1%})")
    print(result)
    return 0


def _task(
    env: str | None, arguments: dict[str, Any], demos: Sequence[str], cameras: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """The task to train in, with the cameras; the rest, if not given, from the demonstrations."""
    from ..datasets.reading import open_dataset

    origin = open_dataset(demos[0]).provenance if demos else None
    env_id = env or (origin.env_id if origin else "")
    if not env_id:
        why = f"{demos[0]} names none, as imported data" if demos else "there are no --demos"
        raise UsageError(
            f"--env is needed, the task to train in ({why}); its observations must have the fields "
            f"of the demonstrations"
        )
    recorded = origin.env_args if origin and origin.env_id == env_id else {}
    given = {**recorded, **arguments}
    return env_id, {**given, "cameras": _with_those_of_reward(cameras, str(given.get("reward")))}


def _with_those_of_reward(cameras: Sequence[str], reward: str) -> list[str]:
    """The cameras of the agent, then those that only a classifier that rewards it looks at."""
    from ..envs.classifier_reward import PREFIX, classifier_of

    others = classifier_of(reward).cameras if reward.startswith(PREFIX) else ()
    return list(dict.fromkeys((*cameras, *others)))


def preset_name_in(arguments: Sequence[str]) -> str:
    """The value of --preset, which decides the defaults of the flags that are parsed next."""
    for position, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--preset":
            return value or "".join(arguments[position + 1 : position + 2])
    return DEFAULT_PRESET
