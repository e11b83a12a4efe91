"""Gymnasium tasks, their scripted experts and the rollout loop.

Importing this package registers the tasks under `serlds/`; MuJoCo is imported when one is made.
"""

import gymnasium

gymnasium.register(
    id="serlds/WidowXPickCube-v0",
    entry_point="serlds.envs.pick_cube:WidowXPickCube",
)
