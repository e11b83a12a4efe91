"""The processes of a run: started together, watched, ended in order.

They are ended in the order actor, learner, replay server, so that the learner can still write its
checkpoint; one that does not end in time is killed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from .child_process import ChildProcess, ProcessDiedError
from .config import RunConfig
from .replay_tables import online_updates
from .run_directory import RunDirectory

ACTOR, LEARNER, SERVER = "actor", "learner", "replay server"
STOP_TIMEOUTS_S: Mapping[str, float] = {ACTOR: 15.0, LEARNER: 90.0, SERVER: 10.0}
_SETTLE_S = 0.5
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "GRPC_VERBOSITY": "ERROR", "PYTHONUNBUFFERED": "1"}
# The actor and the server do small things: threads of their own would only disturb the learner.
_SMALL = {
    **{name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")},
    "JAX_PLATFORMS": "cpu",
}


class RunProcesses:
    """Replay server, learner and, for online algorithms, actor."""

    def __init__(self, directory: RunDirectory, config: RunConfig, port: int) -> None:
        """Starts the server and the learner; the actor follows when the server is ready.

        Starting is mostly importing, and the actor is needed last.

        Args:
            directory: The run, with its session written.
            config: Its configuration.
            port: A free port for the replay server.
        """
        self._directory = directory
        self._needs_actor = online_updates(config) > 0
        self._children: dict[str, ChildProcess] = {}
        self._start(LEARNER, "learner", [])
        self._start(SERVER, "replay_server", ["--port", str(port)], _SMALL)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those started so far."""
        return {name: child.pid for name, child in self._children.items()}

    def are_done(self) -> bool:
        """True when learner and actor have done all they had to.

        Raises:
            ProcessDiedError: One died; `end` the others.
        """
        self._raise_if_one_died()
        if self._needs_actor and self._directory.address_file.is_file():
            self._needs_actor = False
            self._start(ACTOR, "actor", [], _SMALL)
        workers = [child for name, child in self._children.items() if name != SERVER]
        return not self._needs_actor and all(worker.exit_code == 0 for worker in workers)

    def end(self) -> None:
        """Ends all that still run, in order; returns when none is left."""
        for name, timeout_s in STOP_TIMEOUTS_S.items():
            child = self._children.get(name)
            if child is not None and not child.stop(timeout_s):
                print(
                    f"warning: the {name} did not end within {timeout_s:.0f} s and was killed; "
                    f"see {child.log}",
                    file=sys.stderr,
                    flush=True,
                )
        self._directory.address_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends all at once."""
        for child in self._children.values():
            child.kill()

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

    def _raise_if_one_died(self) -> None:
        def is_dead(child: ChildProcess) -> bool:
            return child.has_failed or (child.name == SERVER and child.exit_code is not None)

        if any(is_dead(child) for child in self._children.values()):
            # Who died first may have taken others along: let them show.
            time.sleep(_SETTLE_S)
            dead = [child for child in self._children.values() if is_dead(child)]
            raise self._first_cause(dead)

    @staticmethod
    def _first_cause(dead: list[ChildProcess]) -> ProcessDiedError:
        """Who explains the others: one that was killed, else the one the others depend on."""
        killed = [child for child in dead if (child.exit_code or 0) < 0]
        order = (SERVER, LEARNER, ACTOR)
        return min(killed or dead, key=lambda child: order.index(child.name)).died()
