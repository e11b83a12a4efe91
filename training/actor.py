"""An actor's process: `python -m serlds.training.actor RUN --actor-id K`.

It acts with the newest policy the learner has published, logs every episode to its own dataset in
the run, sends every transition to the table `online`, and, if it is the first of the run's actors,
now and then evaluates the policy without exploration, between two episodes.
"""

from __future__ import annotations

import argparse
import contextlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import dm_env
import numpy as np

from ..datasets.errors import UsageError
from ..envs.dm_adapter import GymAsDmEnv
from ..envs.recording import open_store, recording
from ..envs.robot_env import RobotManipulation
from ..envs.rollout import EpisodeResult, Pacer, run_episode
from ..envs.takeover import Driver, Takeover, make_driver
from ..envs.tasks import make_env, task_of
from ..hardware.teleoperation.device import kind_of
from .acting import ActingStopped, ExploringPolicy, ReadOnce, TransitionStreamer
from .metrics import ENV_STEPS, WALL_S, MetricsLog, read_metrics
from .policy import unpack_policy
from .process_main import run_here, run_process, skip_jax
from .replay_client import check_address, connected, wait_for_address
from .replay_items import online_source
from .replay_tables import MOST_ACTORS, ONLINE
from .replay_writer import TransitionStream
from .run_directory import RunDirectory, RunRecord, Session, actor_name, check_version
from .run_policy import ModePolicy, ObservationReader
from .stopping import StopRequest
from .weights import Weights, WeightsSubscriber, run_identity

if TYPE_CHECKING:
    import reverb

    from ..datasets.logger import EpisodeLogger

SUCCESS_WINDOW = 20
FIRST_SEED = 2**31
"""Seeds of training and of its evaluations are this or more; people's own are usually less."""
_TRAINING, _EVALUATION = 0, 1


def act(
    directory: RunDirectory,
    stop: StopRequest,
    address: str = "",
    actor_id: int = 0,
    actors: int = 1,
    intervene: str = "",
) -> None:
    """Acts until the run's environment steps are done or the stop is requested.

    Args:
        directory: The run.
        stop: Ends acting after the step in progress; its episode is not recorded.
        address: `host:port` of the replay server; by default the run's own.
        actor_id: Which of the run's actors this is, from 0.
        actors: How many there are.
        intervene: Who may take over from the policy, see `envs.takeover`; empty for nobody.

    Raises:
        UsageError: There is no such actor or driver, or server or learner are of another version or
            run.
        SerldsError: Replay unreachable, an episode that cannot be recorded.
    """
    if not 0 <= actor_id < min(actors, MOST_ACTORS):
        raise UsageError(
            f"--actor-id {actor_id} of --actors {actors}: expected 0 to "
            f"{min(actors, MOST_ACTORS) - 1}; there are at most {MOST_ACTORS} actors"
        )
    record = directory.read_record()
    env = make_env(record.run.env_id, **record.run.env_args)
    with contextlib.ExitStack() as opened:
        opened.enter_context(contextlib.closing(env))
        driver = make_driver(intervene, env)
        if driver:
            opened.enter_context(contextlib.closing(driver))
        pacer = None
        if isinstance(env.unwrapped, RobotManipulation):  # it keeps its rate itself
            env.unwrapped.watchers.append(lambda: _check(stop))
        elif kind_of(intervene):  # a person cannot steer what runs as fast as it can
            pacer = Pacer(1.0 / task_of(env).control_hz)
        address = address or wait_for_address(directory, stop)
        if stop:
            return
        session = directory.read_session()
        check_version(session)
        client, name = connected(address, stop), actor_name(actor_id)
        if stop:
            return
        log = MetricsLog(directory.metrics(name), directory.tensorboard / name)
        with log as metrics, open_store(env, directory.episodes_of(actor_id)) as store:
            actor = Actor(
                directory,
                record,
                session,
                (actor_id, actors),
                store.num_episodes,
                client,
                metrics,
                stop,
                driver,
                pacer,
            )
            takeover = actor.policy
            with (
                recording(
                    env,
                    store,
                    lambda: takeover.collector,
                    actor.policy_name,
                    lambda: takeover.has_intervened,
                ) as logger,
                contextlib.suppress(ActingStopped),
            ):
                actor.run(logger, GymAsDmEnv(env))
            actor.close()


class Actor:
    """Runs episodes and evaluations in turn.

    Attributes:
        policy: Who acts in the episodes that are learned from.
    """

    def __init__(
        self,
        directory: RunDirectory,
        record: RunRecord,
        session: Session,
        place: tuple[int, int],
        episodes: int,
        client: reverb.Client,
        metrics: MetricsLog,
        stop: StopRequest,
        driver: Driver | None,
        pacer: Pacer | None,
    ) -> None:
        """Connects to the tables.

        Args:
            directory: The run.
            record: Its record.
            session: Its present session.
            place: Which of its actors this is, and how many there are.
            episodes: Episodes in this actor's log; the next one's seed follows from it.
            client: Connected to the replay server.
            metrics: Where to write metrics.
            stop: Ends acting by ActingStopped.
            driver: Who may take over from the policy.
            pacer: Keeps the episodes that are learned from at their rate; None: none is needed.
        """
        actor_id, actors = place
        self._directory = directory
        self._record = record
        self._session = session
        self._metrics = metrics
        self._stop = stop
        self._read = ReadOnce(ObservationReader(record.task))
        self._subscriber = WeightsSubscriber(client)
        # An episode may last longer than the run: the learner then is done before it ends.
        layout = session.replay.layout
        is_over = self._subscriber.is_final
        self._stream = TransitionStream(client, ONLINE, layout, stop, is_over=is_over)
        self._policy = ExploringPolicy(
            record.policy_spec,
            record.run.schedule,
            self._subscriber,
            self._read,
            actor_id,
            actors,
            run_identity(record),
            stop,
        )
        self.policy = Takeover(self._policy, driver)
        self._driver = driver
        self._pacer = pacer
        self._streamer = TransitionStreamer(
            self._stream,
            layout,
            self._read,
            online_source(actor_id),
            lambda: self.policy.has_intervened,
        )
        self._actor_id = actor_id
        self._episodes = episodes
        lines = read_metrics(directory.metrics(actor_name(actor_id)))
        successes = (line["train/success"] for line in lines if "train/success" in line)
        self._successes = deque(successes, maxlen=SUCCESS_WINDOW)

    def run(self, env: EpisodeLogger, evaluation_env: GymAsDmEnv) -> None:
        """Acts in `env` until the environment steps are done; then evaluates the final policy.

        `evaluation_env` is the same without the logger: there may be but one robot.

        Raises:
            ActingStopped: The stop was requested.
            ReplayUnreachableError: The replay server does not answer any more.
        """
        schedule = self._record.run.schedule
        interval = schedule.evaluation_interval_steps if self._actor_id == 0 else 0
        policy, final = self._policy, None
        weights = policy.wait_for()
        next_evaluation = -(-policy.env_steps // interval) * interval if interval else None
        while final is None:
            if policy.env_steps >= schedule.env_steps:
                final = policy.wait_for_final()
                continue
            if next_evaluation is not None and policy.env_steps >= next_evaluation:
                self._evaluate(evaluation_env, self._subscriber.newest() or weights)
                next_evaluation = (policy.env_steps // interval + 1) * interval
            self._run_episode(env)
        self._stream.close()
        if interval:
            self._evaluate(evaluation_env, final)

    def policy_name(self) -> str:
        """What to call the policy that acts now: the run and the updates behind it."""
        return f"{self._directory.path.absolute().name}, {self._policy.updates} updates"

    def close(self) -> None:
        """Ends the fetching of weights."""
        self._subscriber.close()

    def _run_episode(self, env: EpisodeLogger) -> None:
        self._streamer.begin(self._episodes)
        seed = episode_seed(self._record.run.seed, _TRAINING, self._episodes, self._actor_id)
        result = run_episode(env, self.policy, seed, self._streamer, self._pacer)
        self._episodes += 1
        self._successes.append(float(result.success))
        self._metrics.write(
            {
                WALL_S: self._session.wall_s(),
                ENV_STEPS: self._policy.env_steps,
                "train/success": float(result.success),
                "train/return": result.episode_return,
                "train/length_steps": result.length,
                "train/episodes": self._episodes,
                "train/intervened_share": self.policy.intervened_share,
                "train/success_rate_20": float(np.mean(self._successes)),
                "policy/updates": self._policy.updates,
                "policy/age_s": float(np.mean(self._policy.ages_s)),
                "policy/lag_updates": float(np.mean(self._policy.lags_updates or [0])),
            }
        )

    def _evaluate(self, env: GymAsDmEnv, weights: Weights) -> None:
        wall_s, run = self._session.wall_s(), self._record.run
        mode = unpack_policy(self._record.policy_spec, weights.evaluation_policy)
        policy = ModePolicy(mode, self._read)
        seeds = evaluation_seeds(run.seed, run.schedule.evaluation_episodes)
        results = [run_episode(env, policy, seed, on_step=self._check_stop) for seed in seeds]
        self._metrics.write(
            {
                WALL_S: wall_s,
                ENV_STEPS: self._policy.env_steps,
                "eval/success_rate": _mean(results, "success"),
                "eval/return": _mean(results, "episode_return"),
                "eval/length_steps": _mean(results, "length"),
                "eval/episodes": len(results),
                "eval/policy_updates": weights.counters.updates,
            }
        )

    def _check_stop(self, timestep: dm_env.TimeStep, action: np.ndarray | None) -> None:
        _check(self._stop)
        if self._driver:
            self._driver.watch()
        self._subscriber.newest()  # raises when the replay server is gone: a new session waits


def episode_seed(run_seed: int, purpose: int, ordinal: int, actor: int = 0) -> int:
    """Seed of an episode; differs between runs, purposes, actors and episodes; 2**31 or more."""
    entropy = (run_seed, purpose, ordinal, actor)
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint32)
    return FIRST_SEED + int(state[0]) // 2


def evaluation_seeds(run_seed: int, episodes: int) -> Iterator[int]:
    """Seeds of the evaluations while training: the same in each, so that curves compare."""
    return (episode_seed(run_seed, _EVALUATION, index) for index in range(episodes))


def _check(stop: StopRequest) -> None:
    """Raises ActingStopped when the stop was requested."""
    if stop:
        raise ActingStopped


def _mean(results: list[EpisodeResult], field: str) -> float:
    return float(np.mean([float(getattr(result, field)) for result in results]))


def act_here(run: Path, actor_id: int, actors: int, address: str, intervene: str) -> NoReturn:
    """What `serlds actor` does; see there."""
    check_address(address)
    skip_jax()
    run_here(
        lambda directory, _, stop: act(directory, stop, address, actor_id, actors, intervene), run
    )


def main() -> None:
    """Runs the process."""
    skip_jax()
    parser = argparse.ArgumentParser(description="actor of a run")
    parser.add_argument("--replay", default="", help="host:port of the replay server")
    parser.add_argument("--actor-id", type=int, default=0, help="which of the run's actors")
    parser.add_argument("--actors", type=int, default=1, help="how many actors the run has")
    parser.add_argument("--intervene", default="", help="who may take over from the policy")
    run_process(
        parser,
        lambda run, options, stop: act(
            run, stop, options.replay, options.actor_id, options.actors, options.intervene
        ),
    )


if __name__ == "__main__":
    main()
