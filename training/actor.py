"""The actor's process: `python -m serlds.training.actor RUN`.

It acts with the newest policy the learner has published, logs every episode to `RUN/episodes`,
sends every transition to the table `online`, and now and then evaluates the policy without
exploration in an environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dm_env
import numpy as np

from ..envs.dm_adapter import GymAsDmEnv
from ..envs.recording import open_store, recording
from ..envs.rollout import EpisodeResult, run_episode
from ..envs.tasks import make_env
from .acting import ActingStopped, ExploringPolicy, TransitionStreamer
from .metrics import ENV_STEPS, WALL_S, MetricsLog, read_metrics
from .policy import MLPPolicy
from .process_main import run_process, skip_jax
from .replay_client import wait_for_address
from .replay_tables import ONLINE
from .replay_writer import TransitionStream
from .run_directory import RunDirectory, RunRecord, Session
from .run_policy import ModePolicy, StateReader
from .stopping import StopRequest
from .weights import Weights, WeightsSubscriber

if TYPE_CHECKING:
    import reverb

    from ..datasets.logger import EpisodeLogger

SUCCESS_WINDOW = 20
FIRST_SEED = 2**31
"""Seeds of training and of its evaluations are this or more; people's own are usually less."""
_TRAINING, _EVALUATION = 0, 1


def act(directory: RunDirectory, stop: StopRequest, address: str = "") -> None:
    """Acts until the run's environment steps are done or the stop is requested.

    Args:
        directory: The run.
        stop: Ends acting after the step in progress; its episode is not recorded.
        address: `host:port` of the replay server; by default the run's own.

    Raises:
        SerldsError: Replay unreachable, an episode that cannot be recorded.
    """
    import reverb

    record, session = directory.read_record(), directory.read_session()
    env = make_env(record.run.env_id, **record.run.env_args)
    evaluation_env = make_env(record.run.env_id, **record.run.env_args)
    with contextlib.closing(env), contextlib.closing(evaluation_env):
        address = address or wait_for_address(directory, stop)
        if stop:
            return
        client = reverb.Client(address)
        log = MetricsLog(directory.metrics("actor"), directory.tensorboard / "actor")
        with log as metrics, open_store(env, directory.episodes) as store:
            actor = Actor(directory, record, session, store.num_episodes, client, metrics, stop)
            with (
                recording(env, store, "policy", actor.policy_name) as logger,
                contextlib.suppress(ActingStopped),
            ):
                actor.run(logger, GymAsDmEnv(evaluation_env))
            actor.close()


class Actor:
    """Runs episodes and evaluations in turn."""

    def __init__(
        self,
        directory: RunDirectory,
        record: RunRecord,
        session: Session,
        episodes: int,
        client: reverb.Client,
        metrics: MetricsLog,
        stop: StopRequest,
    ) -> None:
        """Connects to the tables.

        Args:
            directory: The run.
            record: Its record.
            session: Its present session.
            episodes: Online episodes recorded so far.
            client: Connected to the replay server.
            metrics: Where to write metrics.
            stop: Ends acting by ActingStopped.
        """
        self._directory = directory
        self._record = record
        self._session = session
        self._metrics = metrics
        self._stop = stop
        self._read_state = StateReader(record.task.state_fields)
        self._subscriber = WeightsSubscriber(client)
        self._stream = TransitionStream(client, ONLINE, stop)
        self._streamer = TransitionStreamer(self._stream, session.replay.layout, self._read_state)
        self._policy = ExploringPolicy(
            record.policy_spec,
            record.run.schedule,
            self._subscriber,
            self._read_state,
            session.env_steps,
            stop,
        )
        self._episodes = episodes
        lines = read_metrics(directory.metrics("actor"))
        successes = (line["train/success"] for line in lines if "train/success" in line)
        self._successes = deque(successes, maxlen=SUCCESS_WINDOW)

    def run(self, env: EpisodeLogger, evaluation_env: GymAsDmEnv) -> None:
        """Acts in `env` until the environment steps are done; then evaluates the final policy.

        Raises:
            ActingStopped: The stop was requested.
            ReplayUnreachableError: The replay server does not answer any more.
        """
        schedule = self._record.run.schedule
        interval, policy = schedule.evaluation_interval_steps, self._policy
        weights = policy.wait_for()
        next_evaluation = -(-policy.env_steps // interval) * interval if interval else None
        while policy.env_steps < schedule.env_steps:
            if next_evaluation is not None and policy.env_steps >= next_evaluation:
                self._evaluate(evaluation_env, self._subscriber.newest() or weights)
                next_evaluation = (policy.env_steps // interval + 1) * interval
            self._run_episode(env)
        self._stream.close()
        weights = policy.wait_for(is_final=True)
        if interval:
            self._evaluate(evaluation_env, weights)

    def policy_name(self) -> str:
        """What to call the policy that acts now: the run and the updates behind it."""
        return f"{self._directory.path.absolute().name}, {self._policy.updates} updates"

    def close(self) -> None:
        """Ends the fetching of weights."""
        self._subscriber.close()

    def _run_episode(self, env: EpisodeLogger) -> None:
        self._streamer.begin(self._episodes)
        seed = episode_seed(self._record.run.seed, _TRAINING, self._episodes)
        result = run_episode(env, self._policy, seed, on_step=self._streamer)
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
                "train/success_rate_20": float(np.mean(self._successes)),
            }
        )

    def _evaluate(self, env: GymAsDmEnv, weights: Weights) -> None:
        wall_s, run = self._session.wall_s(), self._record.run
        mode = MLPPolicy(self._record.policy_spec, weights.evaluation_policy)
        policy = ModePolicy(mode, self._read_state)
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
        if self._stop:
            raise ActingStopped


def episode_seed(run_seed: int, purpose: int, ordinal: int) -> int:
    """Seed of an episode; differs between runs, purposes and episodes, and is 2**31 or more."""
    state = np.random.SeedSequence((run_seed, purpose, ordinal)).generate_state(1, np.uint32)
    return FIRST_SEED + int(state[0]) // 2


def evaluation_seeds(run_seed: int, episodes: int) -> Iterator[int]:
    """Seeds of the evaluations while training: the same in each, so that curves compare."""
    return (episode_seed(run_seed, _EVALUATION, index) for index in range(episodes))


def _mean(results: list[EpisodeResult], field: str) -> float:
    return float(np.mean([float(getattr(result, field)) for result in results]))


def main() -> None:
    """Runs the process."""
    skip_jax()
    parser = argparse.ArgumentParser(description="actor of a run")
    parser.add_argument("--replay", default="", help="host:port of the replay server")
    run_process(parser, lambda run, options, stop: act(run, stop, options.replay))


if __name__ == "__main__":
    main()
