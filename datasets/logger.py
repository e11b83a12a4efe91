"""Recording a dm_env environment into an `EpisodeStore` through EnvLogger.

EnvLogger hands over timesteps: an observation with the action that led to it and the reward of that
action. An RLDS step holds an observation with the action taken from it and the reward that
followed. `EpisodeWriter` turns the one into the other, and nothing else in serlds does.
EnvLogger: https://github.com/google-deepmind/envlogger
"""

from __future__ import annotations

import datetime
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import dm_env
import envlogger
from envlogger.backends import backend_writer

from .. import __version__
from . import keys
from .episode import Episode
from .errors import SchemaError, SerldsError
from .step_columns import StepColumns, flatten
from .store import EpisodeStore

_log = logging.getLogger(__name__)

# Fields that nobody need give where the schema has them.
_OPTIONAL = (keys.LANGUAGE_INSTRUCTION, keys.TIMESTAMP_S, keys.INTERVENED, keys.ACTION_REQUESTED)

StepFields = Callable[[dm_env.TimeStep, Any, dm_env.Environment], Mapping[str, Any]]
EpisodeMetadata = Callable[[dm_env.TimeStep, dm_env.Environment], Mapping[str, Any]]


class EpisodeLogger(envlogger.EnvLogger):
    """An EnvLogger that shows its writer.

    Attributes:
      writer: knows the current episode's id and ordinal.
    """

    writer: EpisodeWriter


class EpisodeWriter(backend_writer.BackendWriter):
    """An EnvLogger backend that appends each finished episode to a store.

    Attributes:
      episode_id: of the current episode; sorts by the time of its start. Empty before the first.
      ordinal: place of the current episode in the store, if it finishes.
      episodes_recorded: how many this writer has appended.
      episodes_dropped: how many ended by a reset or close before their last timestep, or by a bad
        value.
    """

    def __init__(
        self,
        store: EpisodeStore,
        utc_now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
        monotonic_s: Callable[[], float] = time.monotonic,
    ):
        """Appends to `store`, which stays the caller's to close; clocks can be replaced."""
        self.episode_id = ""
        self.ordinal = store.num_episodes
        self.episodes_recorded = 0
        self.episodes_dropped = 0
        self._store = store
        self._optional = [f.path for f in store.schema.steps if f.path in _OPTIONAL]
        self._utc_now = utc_now
        self._monotonic_s = monotonic_s
        self._columns: StepColumns | None = None
        self._metadata_of_episode: dict[str, Any] = {}
        self._started_s = 0.0
        super().__init__()

    def set_episode_metadata(self, data: Mapping[str, Any]) -> None:
        """Takes the metadata of the current episode; commits the episode if it has ended.

        Raises:
          SchemaError: a metadata field is missing, unknown or of another type.
          StoreWriteError: the operating system refused to write the episode.
        """
        self._metadata_of_episode.update(data)
        if self._columns is not None and self._columns.is_complete:
            self._commit(self._columns)

    def close(self) -> None:
        """Ends recording: an episode that has not ended is dropped with a notice."""
        # `__del__` of the base class calls this also where `__init__` did not get far.
        if (columns := getattr(self, "_columns", None)) is not None:
            self._finish(columns, "the logger was closed")

    def _record_step(self, data: envlogger.StepData, is_new_episode: bool) -> None:
        if is_new_episode:
            if self._columns is not None:
                self._finish(self._columns, "the environment was reset")
            self._begin()
        if (columns := self._columns) is None:
            raise SerldsError("no episode is being recorded: reset the environment first")
        try:
            self._add(columns, data)
        except SchemaError as error:
            where = f"episode {self.episode_id!r}, step {len(columns)}"
            self._drop(f"step {len(columns)} holds a bad value")
            raise SchemaError(f"{where}: {error}; this episode is not recorded") from error

    def _begin(self) -> None:
        now = self._utc_now()
        self.episode_id = f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z-{secrets.token_hex(4)}"
        self.ordinal = self._store.num_episodes
        self._started_s = self._monotonic_s()
        self._columns = StepColumns(self._store.schema)
        self._metadata_of_episode = {
            keys.EPISODE_ID: self.episode_id,
            keys.ENV_ID: self._store.provenance.env_id,
            keys.POLICY_CHECKPOINT: "",
            keys.CREATED_UTC: now.isoformat(timespec="microseconds"),
            keys.SERLDS_VERSION: __version__,
        }

    def _add(self, columns: StepColumns, data: envlogger.StepData) -> None:
        timestep = data.timestep
        unsaid = {
            keys.LANGUAGE_INSTRUCTION: "",
            keys.TIMESTAMP_S: self._monotonic_s() - self._started_s,
            keys.INTERVENED: False,
            keys.ACTION_REQUESTED: data.action,
        }
        values = {
            **{path: unsaid[path] for path in self._optional},
            **flatten(timestep.observation, keys.OBSERVATION),
            keys.ACTION: data.action,
            keys.REWARD: timestep.reward,
            keys.DISCOUNT: timestep.discount,
            **(data.custom_data or {}),
        }
        if timestep.first():
            values = {path: v for path, v in values.items() if not keys.is_of_action(path)}
        columns.add(values)
        if timestep.last():
            columns.complete()

    def _finish(self, columns: StepColumns, reason: str) -> None:
        if columns.is_complete:
            self._commit(columns)
        else:
            self._drop(f"{reason} after {len(columns)} steps, before the episode's end")

    def _commit(self, columns: StepColumns) -> None:
        episode = Episode(columns.columns(), self._metadata_of_episode)
        self._columns = None
        try:
            _check_collector(episode)
            self.ordinal = self._store.append(episode)
        except SerldsError:
            self.episodes_dropped += 1
            raise
        self.episodes_recorded += 1

    def _drop(self, reason: str) -> None:
        self._columns = None
        self.episodes_dropped += 1
        _log.warning("episode %s is not recorded: %s", self.episode_id, reason)


def _check_collector(episode: Episode) -> None:
    collector = episode.metadata.get(keys.COLLECTOR)
    if collector is not None and collector not in keys.COLLECTORS:
        raise SchemaError(
            f"episode {episode.episode_id!r}: collector is {collector!r}; use one of "
            f"{', '.join(keys.COLLECTORS)}"
        )


def make_logger(
    environment: dm_env.Environment,
    store: EpisodeStore,
    step_fields: StepFields | None = None,
    episode_metadata: EpisodeMetadata | None = None,
) -> EpisodeLogger:
    """Wraps an environment so that each of its finished episodes is appended to `store`.

    An episode is durable when the `step` that ends it returns. One that is left early, by `reset`
    or `close`, is dropped with a notice. Values are recorded as they come, NaN included; a wrong
    dtype, shape or type raises SchemaError from that step and drops the episode alone.

    Args:
      environment: its observations are those that the store's schema was made from.
      store: stays the caller's to close.
      step_fields: `(timestep, action, environment) -> {path: value}`, called at every timestep;
        `action` led to `timestep`, and is None at a reset. Fields of the action, see
        `keys.is_of_action`, are taken as said of `action`, and an `action` itself instead of it;
        all other fields as said of the timestep's observation. Left out: `timestamp_s` is the time
        since the reset, `language_instruction` empty, `intervened` False, `action_requested` the
        action.
      episode_metadata: `(timestep, environment) -> {name: value}`, called once, with the last
        timestep. It must give what the schema has beyond `episode_id`, `created_utc`,
        `serlds_version`, `env_id` (the store's) and `policy_checkpoint` (empty).
    """

    def at_the_end(timestep: dm_env.TimeStep, _: Any, wrapped: dm_env.Environment) -> Any:
        if not timestep.last():
            return None
        return episode_metadata(timestep, wrapped) if episode_metadata else {}

    writer = EpisodeWriter(store)
    logger = EpisodeLogger(environment, step_fields, at_the_end, backend=writer)
    logger.writer = writer
    return logger
