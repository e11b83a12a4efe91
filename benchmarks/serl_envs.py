"""Environment steps against SERL's franka_sim: state alone, and two cameras of 128 x 128.

A step is one action of the policy and one observation, resets included: PandaPickCube-v0 and
PandaPickCubeVision-v0 there, our PickCube of each arm here, random actions, one BLAS thread on both
sides (which is SERL's faster setting).

    python benchmarks/serl_envs.py --serl SERL --agentlace AGENTLACE --python SERL_ENV/bin/python

Bounds: 5 times SERL's steps per second from state, 40 times from pixels.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ.setdefault("MUJOCO_GL", "egl")

import itertools
import sys
from collections.abc import Callable

import serl_peer

from serlds.envs.tasks import make_env, task_ids

SERL_ENVS = {(): "PandaPickCube-v0", ("front", "wrist"): "PandaPickCubeVision-v0"}
BOUNDS = {(): 5.0, ("front", "wrist"): 40.0}
CALLS = {(): (2000, 200), ("front", "wrist"): (400, 4)}
"""Steps per turn, ours and SERL's: turns of about as long."""


def stepper(env_id: str, cameras: tuple[str, ...]) -> Callable[[], None]:
    """A function that makes one step of our environment with a random action."""
    env = make_env(env_id, cameras=cameras)
    env.action_space.seed(0)
    env.reset(seed=0)

    def step() -> None:
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()

    return step


def main() -> int:
    """Measures; returns 1 when a bound is missed."""
    options = serl_peer.arguments(__doc__).parse_args()
    serl_peer.check(options)
    missed = False
    env_ids = [env_id for env_id in task_ids() if "PickCube" in env_id]
    for (cameras, serl_env), env_id in itertools.product(SERL_ENVS.items(), env_ids):
        step = stepper(env_id, cameras)
        with serl_peer.peer(options, "env", env=serl_env) as serl:
            ratio = serl_peer.compare(
                f"step, {' and '.join(cameras) or 'state alone'}: {env_id} against {serl_env}",
                lambda calls, step=step: serl_peer.timed(step, calls),
                serl.run,
                CALLS[cameras],
                options.rounds,
            )
        print(f"  bound of the ratio of CPU times: {BOUNDS[cameras]:.0f}", flush=True)
        missed |= ratio < BOUNDS[cameras]
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
