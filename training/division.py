"""How several policies divide the work: each its own task, or each its own arm; one replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .config import AgentConfig, BCConfig, RLPDConfig
from .network_config import ARM_ACTIONS
from .policy import PoliciesSpec, policy_spec

Policies = Literal["one", "per-task", "per-arm"]


@dataclass(frozen=True)
class Division:
    """Which policy learns and does what."""

    switch: int | None
    """Position in the state of the number that tells the task: the second policy is for those where
    it is above 0. None: each policy drives an arm."""
    count: int
    """Number of policies."""
    action_dim: int
    """Length A of the whole action."""

    @property
    def part_dim(self) -> int:
        """Length of the action of each policy."""
        return self.action_dim if self.switch is not None else self.action_dim // self.count

    def config_of(self, config: AgentConfig, policy: int) -> AgentConfig:
        """The hyper-parameters of one policy's agent: those of all, but for its own gripper."""
        sac = config.sac if isinstance(config, RLPDConfig) else config
        if isinstance(sac, BCConfig) or sac.gripper is None or self.switch is not None:
            return config
        openings = sac.gripper.openings[policy : policy + 1]
        sac = replace(sac, gripper=replace(sac.gripper, openings=openings))
        return replace(config, sac=sac) if isinstance(config, RLPDConfig) else sac

    def policy_spec(
        self,
        config: AgentConfig,
        observation_dim: int,
        image_shapes: Mapping[str, tuple[int, int, int]],
    ) -> PoliciesSpec:
        """The layout of the policies that agents of this configuration train."""
        parts = (
            policy_spec(self.config_of(config, k), observation_dim, self.part_dim, image_shapes)
            for k in range(self.count)
        )
        return PoliciesSpec(tuple(parts), self.switch)


def division_of(policies: Policies, action_dim: int, switch: int | None) -> Division | None:
    """How so many policies divide a task; None for one."""
    if policies == "one":
        return None
    if policies == "per-task":
        return Division(switch, 2, action_dim)
    return Division(None, action_dim // ARM_ACTIONS, action_dim)
