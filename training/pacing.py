"""How one actor of several knows how far the run is."""

from __future__ import annotations

from .weights import Weights


class StepCount:
    """The environment steps of all actors, as one of them knows them: what the learner says that it
    has received, and this actor's own steps that were still under way then.

    Attributes:
        acted: Steps of this actor, of its process alone.
    """

    def __init__(self, actor: int, actors: int = 1) -> None:
        """Nothing is known yet; `actors` is how many there are."""
        self.acted = 0
        self._actors = actors
        self._actor = actor
        self._received = 0
        self._received_before: int | None = None
        self._total = 0

    def take(self, weights: Weights) -> None:
        """Learns of a publication."""
        self._received = int(weights.received[self._actor])
        self._total = weights.counters.env_steps
        # A learner that starves has all there is: what seems to be under way never arrives.
        if self._received_before is None or weights.counters.is_starved:
            self._received_before = self._received - self.acted

    @property
    def env_steps(self) -> int:
        """Environment steps of the run so far, over all sessions, but for those of the others that
        are under way."""
        return self._total + self._under_way

    @property
    def expected_env_steps(self) -> int:
        """The same, if each of the others has as many steps under way as this one."""
        return self._total + self._under_way * self._actors

    @property
    def _under_way(self) -> int:
        arrived = self._received - (self._received_before or 0)
        return max(self.acted - arrived, 0)
