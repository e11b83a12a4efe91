"""The rigs that run on this machine, found by their processes."""

from __future__ import annotations

import os
from typing import NamedTuple

import psutil

from .rig_config import RigConfig

MODULE = f"{__package__}.rig_process"


class RunningRig(NamedTuple):
    """The process of a rig, of this user."""

    pid: int
    config: RigConfig

    def __str__(self) -> str:
        arms = ", ".join(
            f"{arm.name} {arm.robot} {arm.address}".strip() for arm in self.config.arms
        )
        return f"{arms} (process {self.pid})"

    def signal(self, number: int) -> None:
        """Sends SIGUSR1 to stop or SIGUSR2 to recover; a rig that ended meanwhile is fine."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


def running_rigs(address: str | None = None) -> list[RunningRig]:
    """The rigs of this user that run now: all, or those with an arm at an address."""
    rigs = []
    for process in psutil.process_iter(["cmdline", "uids"]):
        command, uids = process.info["cmdline"] or [], process.info["uids"]
        if MODULE in command and uids and uids.real == os.getuid():
            rigs.append(RunningRig(process.pid, RigConfig.from_json(command[-1])))
    return [rig for rig in rigs if address in {None, *(arm.address for arm in rig.config.arms)}]
