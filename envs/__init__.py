"""Gymnasium tasks, their scripted experts and the rollout loop.

Importing this package registers the tasks under `serlds/`; MuJoCo is imported when one is made.
"""

import gymnasium

for _task, _entry_point in {
    "BimanualLift": "bimanual_lift:BimanualLift",
    "FrankaBinRelocation": "bin_relocation:FrankaBinRelocation",
    "FrankaPegInsert": "peg_insert:FrankaPegInsert",
    "FrankaPickCube": "pick_cube:FrankaPickCube",
    "WidowXBinRelocation": "bin_relocation:WidowXBinRelocation",
    "WidowXPegInsert": "peg_insert:WidowXPegInsert",
    "WidowXPickCube": "pick_cube:WidowXPickCube",
}.items():
    gymnasium.register(id=f"serlds/{_task}-v0", entry_point=f"{__name__}.{_entry_point}")
