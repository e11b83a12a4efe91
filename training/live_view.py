"""What a person sees while a run trains: one calm table on a terminal, a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .config import RLPDConfig, RunConfig
from .metrics import ENV_STEPS, WALL_S, Line, MetricsTail
from .replay_tables import online_updates
from .run_directory import RunDirectory, actor_name

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

LINE_INTERVAL_S = 5.0
_RATE_WINDOW_S = 30.0


class RunProgress:
    """The newest numbers of a run, from its metrics files.

    Attributes:
        values: The newest value of every metric.
    """

    def __init__(self, directory: RunDirectory, config: RunConfig) -> None:
        """Reads what earlier sessions wrote, too."""
        self.values: Line = {}
        self._directory = directory
        self._tails = [MetricsTail(directory.metrics(name)) for name in ("learner", "actor")]
        self._config = config
        self._history: deque[tuple[float, float]] = deque()
        self.read()
        self._history.clear()

    def read(self) -> None:
        """Takes in what has been written since."""
        for tail in self._tails:
            for line in tail.read():
                highest = {n: max(line[n], self.values.get(n, 0)) for n in (WALL_S, ENV_STEPS)}
                self.values.update(line)
                self.values.update(highest)
        now = self.values.get(WALL_S, 0.0), self._fraction()
        if not self._history or self._history[-1] != now:
            self._history.append(now)
        while self._history[-1][0] - self._history[0][0] > _RATE_WINDOW_S:
            self._history.popleft()

    @property
    def updates_planned(self) -> int:
        """Updates of the whole run."""
        agent, schedule = self._config.agent, self._config.schedule
        pretrain = agent.bc_pretrain_updates if isinstance(agent, RLPDConfig) else 0
        return pretrain + schedule.offline_updates + online_updates(self._config)

    @property
    def has_several_actors(self) -> bool:
        """Whether other actors than the first wrote metrics; only the first's are shown."""
        return self._directory.metrics(actor_name(1)).is_file()

    def eta_s(self) -> float | None:
        """Seconds to the end at the pace of the last half minute; None when there is no telling."""
        if len(self._history) < 2:
            return None
        (start_s, start), (end_s, end) = self._history[0], self._history[-1]
        if end <= start or end_s <= start_s:
            return None
        return (1.0 - end) * (end_s - start_s) / (end - start)

    def _fraction(self) -> float:
        planned = self.updates_planned
        return min(self.values.get("learner/updates", 0.0) / planned, 1.0) if planned else 1.0


def describe(progress: RunProgress, config: RunConfig) -> list[tuple[str, str]]:
    """What there is to tell, as (name, value)."""
    values, schedule = progress.values, config.schedule
    if "learner/updates" not in values:
        return [("starting", "replay server, learner" + (", actor" if schedule.env_steps else ""))]
    rows = [("updates", f"{values['learner/updates']:,.0f} of {progress.updates_planned:,}")]
    rate = f"{values['learner/critic_updates_per_s']:,.0f} minibatches/s"
    if schedule.env_steps:
        rows.append(("environment steps", f"{values[ENV_STEPS]:,.0f} of {schedule.env_steps:,}"))
        rate += f", {values['learner/utd_ratio']:.2f} of {schedule.utd_ratio} per environment step"
    rows.append(("learning", rate))
    if "train/episodes" in values:
        success = f"{values['train/success_rate_20']:.0%} success in the last 20, exploring"
        whose = "episodes of actor 0" if progress.has_several_actors else "episodes"
        rows.append((whose, f"{values['train/episodes']:,.0f}, {success}"))
    if share := values.get("train/intervened_share"):
        rows.append(("taken over", f"{share:.0%} of the last episode's steps"))
    if "eval/success_rate" in values:
        success = f"{values['eval/success_rate']:.0%} of {values['eval/episodes']:.0f} episodes"
        rows.append(("last evaluation", success))
    sizes = f"{values['replay/demos']:,.0f} demos, {values['replay/online']:,.0f} online"
    rows.append(("replay", sizes))
    eta_s = progress.eta_s()
    left = f", about {_duration(eta_s)} left" if eta_s is not None else ""
    rows.append(("time", f"{_duration(values[WALL_S])}{left}"))
    return rows


class LiveView:
    """Shows a run's progress on standard error until it is left."""

    def __init__(
        self,
        title: str,
        progress: RunProgress,
        config: RunConfig,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Shows `progress` under `title`."""
        self._title = title
        self._progress = progress
        self._config = config
        self._clock = clock
        self._live: Live | None = None
        self._shown_s = clock()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(self._table(), console=console, auto_refresh=False)
            self._live.start()
        else:
            print(self._title, file=sys.stderr, flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._show()
        if self._live is not None:
            self._live.stop()

    def update(self) -> None:
        """Reads the newest numbers and shows them, at most as often as one can read them."""
        interval_s = LINE_INTERVAL_S if self._live is None else 0.5
        if self._clock() - self._shown_s >= interval_s:
            self._show()

    def say(self, text: str) -> None:
        """Prints a line above the numbers."""
        if self._live is not None:
            self._live.console.print(text, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def _show(self) -> None:
        self._shown_s = self._clock()
        self._progress.read()
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        else:
            rows = describe(self._progress, self._config)
            text = "; ".join(f"{name} {value}" for name, value in rows)
            print(text, file=sys.stderr, flush=True)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(title=self._title, title_justify="left", box=None, show_header=False)
        for name, value in describe(self._progress, self._config):
            table.add_row(f"[dim]{name}[/]", value)
        return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
