"""The processes of a run: started together, watched, started again when they die, ended in order.

An actor that dies is started again alone. The replay server and the learner begin and end together:
the learner has taken transitions out of the server's tables that no other learner could get. When
one of them dies, all are ended, and a new session begins: the server fills its tables from the
logs, the learner goes on from its newest checkpoint.

Where actors move a robot, nothing is started again: a person looks at its arms first.

They are ended in the order actors, learner, replay server, so that the learner can still write its
checkpoint; one that does not end in time is killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from ..envs.tasks import is_on_robot
from ..hardware.teleoperation.lent_terminal import LentTerminal
from .child_process import ChildProcess, ProcessDiedError
from .config import RunConfig
from .replay_tables import online_updates
from .restarts import Restarts
from .run_directory import RunDirectory, actor_name
from .stopping import StopRequest

ACTOR, LEARNER, SERVER = "actor", "learner", "replay server"
STOP_TIMEOUTS_S: Mapping[str, float] = {ACTOR: 15.0, LEARNER: 90.0, SERVER: 10.0}
_SETTLE_S = 0.5
_BORROWER = actor_name(0)
"""The actor whose policy somebody may take over from."""
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "GRPC_VERBOSITY": "ERROR", "PYTHONUNBUFFERED": "1"}
# The actor and the server do small things: threads of their own would only disturb the learner.
_SMALL = {
    **{name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")},
    "JAX_PLATFORMS": "cpu",
}


class RunProcesses:
    """Replay server, learner and, for online algorithms, actors."""

    def __init__(
        self,
        directory: RunDirectory,
        config: RunConfig,
        port: int,
        stop: StopRequest,
        say: Callable[[str], None],
        actors: int = 1,
        restarts: Restarts | None = None,
        intervene: str = "",
    ) -> None:
        """Starts the server and the learner; the actors follow when the server is ready.

        Starting is mostly importing, and the actors are needed last.

        Args:
            directory: The run.
            config: Its configuration.
            port: A free port for the replay server.
            stop: Ends waiting before a restart.
            say: Tells a person what died and what is done about it.
            actors: How many actors, 1 or more.
            restarts: When to start a process again; by default as `Restarts` says.
            intervene: Who may take over from the policy of actor 0.
        """
        self._directory = directory
        self._port = port
        self._stop = stop
        self._say = say
        self._actors = actors if online_updates(config) > 0 else 0
        self._moves_robot = self._actors > 0 and is_on_robot(config.env_args)
        self._restarts = restarts or Restarts()
        self._intervene = intervene
        self._children: dict[str, ChildProcess] = {}
        # The actor has none of its own, and keys may take over there.
        self._terminal = LentTerminal()
        self._begin_session()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those started so far."""
        return {name: child.pid for name, child in self._children.items()}

    def are_done(self) -> bool:
        """True when learner and actors have done all they had to; starts again what died.

        Raises:
            ProcessDiedError: One is not started again; `end` the others.
        """
        if any(map(_is_dead, self._children.values())):
            self._revive()
        names = [actor_name(actor) for actor in range(self._actors)]
        missing = [name for name in names if name not in self._children]
        if missing and self._directory.address_file.is_file():
            for name in missing:
                self._start_actor(name)
            missing = []
        workers = [child for name, child in self._children.items() if name != SERVER]
        return not missing and all(worker.exit_code == 0 for worker in workers)

    def end(self) -> None:
        """Ends all that still run, in order; returns when none is left."""
        for kind, timeout_s in STOP_TIMEOUTS_S.items():
            for child in self._of_kind(kind):
                child.ask_to_stop()
            for child in self._of_kind(kind):
                if not child.stop(timeout_s):
                    print(
                        f"warning: the {child.name} did not end within {timeout_s:.0f} s and was "
                        f"killed; see {child.log}",
                        file=sys.stderr,
                        flush=True,
                    )
        self._terminal.take_back()
        self._directory.address_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends all at once."""
        for child in self._children.values():
            child.kill()
        self._terminal.take_back()

    def _begin_session(self) -> None:
        self._directory.address_file.unlink(missing_ok=True)
        self._children = {}
        self._start(SERVER, "replay_server", ["--port", str(self._port)], _SMALL)
        self._start(LEARNER, "learner", [])

    def _start_actor(self, name: str) -> None:
        number = name.partition("-")[2] or "0"
        options = ["--actor-id", number, "--actors", str(self._actors)]
        variables = dict(_SMALL)
        if self._intervene and name == _BORROWER:
            options += ["--intervene", self._intervene]
            variables |= self._terminal.variables
        self._start(name, "actor", options, variables)

    def _start(
        self, name: str, module: str, options: list[str], variables: Mapping[str, str] | None = None
    ) -> None:
        log = self._directory.log("replay" if name == SERVER else name)
        self._children[name] = ChildProcess(
            name,
            f"{__package__}.{module}",
            [str(self._directory.path), *options],
            log,
            {**_QUIET, **(variables or {})},
        )

    def _revive(self) -> None:
        # Who died first may have taken others along: let them show.
        time.sleep(_SETTLE_S)
        dead = [child for child in self._children.values() if _is_dead(child)]
        if any(child.name == _BORROWER for child in dead):
            self._terminal.take_back()
        only_actors = all(_kind(child) == ACTOR for child in dead)
        causes = dead if only_actors else [_first_cause(dead)]
        if self._moves_robot:
            raise ProcessDiedError(
                f"{causes[0].died()}\nOn a robot nothing is started again, since its arms would "
                f"move by themselves: look at them, then `serlds train --resume "
                f"{self._directory.path}` goes on"
            )
        delay_s = max(map(self._restarts.delay_s, causes))
        for child in causes:
            what = "it is started again" if only_actors else "a new session begins"
            self._say(f"the {child.name} {child.how_it_ended()}; {what}, see {child.log}")
        if only_actors:
            if not self._stop.wait(delay_s):
                for child in dead:
                    self._start_actor(child.name)
            return
        self.end()
        if not self._stop.wait(delay_s):
            self._begin_session()

    def _of_kind(self, kind: str) -> list[ChildProcess]:
        return [child for child in self._children.values() if _kind(child) == kind]


def _kind(child: ChildProcess) -> str:
    return child.name if child.name in (LEARNER, SERVER) else ACTOR


def _is_dead(child: ChildProcess) -> bool:
    return child.has_failed or (child.name == SERVER and child.exit_code is not None)


def _first_cause(dead: list[ChildProcess]) -> ChildProcess:
    """Who explains the others: one that was killed, else the one the others depend on."""
    killed = [child for child in dead if (child.exit_code or 0) < 0]
    order = (SERVER, LEARNER, ACTOR)
    return min(killed or dead, key=lambda child: order.index(_kind(child)))
