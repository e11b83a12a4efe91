"""SERL's example of learning from state, on a task of serlds; imports no serlds.

Runs one process, actor or learner, of examples/async_sac_state_sim of SERL's repository, under
SERL's interpreter, and leaves its loops as they are. What differs:

- the environment is a task of serlds in a process of its own (`serl_task.py`);
- half of each minibatch of the learner is demonstrations, joined as in SERL's async_drq_sim;
- evaluations are told on standard output; that before any learning is left out;
- the ports are given, and FLAGS.utd_ratio, which the example uses and does not define, is its
  critic_actor_ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback

ENV = "Serlds-v0"


def task_class(spec):
    """The environment, as a class of gym."""
    import gym
    import numpy as np

    class Task(gym.Env):
        """A task of serlds in a process of its own."""

        def __init__(self, seeds=(None,)):
            command = [
                *(spec["python"], spec["server"], spec["env_id"], json.dumps(spec["env_args"])),
                *(json.dumps(spec["state_fields"]), "--seeds", json.dumps(list(seeds))),
            ]
            environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=environment,
            )
            state_dim, action_dim = json.loads(self._server.stdout.readline())
            self.observation_space = gym.spaces.Box(-np.inf, np.inf, (state_dim,), np.float32)
            self.action_space = gym.spaces.Box(-1, 1, (action_dim,), np.float32)

        def _ask(self, request):
            self._server.stdin.write(json.dumps(request) + "\n")
            state, *rest = json.loads(self._server.stdout.readline())
            return np.asarray(state, np.float32), *rest

        def reset(self, *, seed=None, options=None):
            state, *_, success = self._ask("reset")
            return state, {"success": float(success)}

        def step(self, action):
            state, *rest, success = self._ask(np.asarray(action).tolist())
            return state, *rest, {"success": float(success)}

        def close(self):
            self._server.stdin.close()
            self._server.wait()

    return Task


def half_demonstrations(replay, demos, batch):
    """Batches of which, after SERL's split into minibatches, half of each is demonstrations."""
    import jax
    from flax.core import frozen_dict
    from serl_launcher.data.data_store import ReplayBufferDataStore
    from serl_launcher.utils.train_utils import concat_batches

    keys = ("observations", "actions", "rewards", "masks", "next_observations")
    count = len(demos["rewards"])
    buffer = ReplayBufferDataStore(*demos.pop("spaces"), max(count, 1))
    for row in range(count):
        transition = {key: demos[key][row] for key in keys}
        buffer.insert({**transition, "dones": demos["masks"][row] == 0})
    device = jax.sharding.PositionalSharding(jax.local_devices()).replicate()
    online, demonstrated = (
        side.get_iterator(sample_args={"batch_size": batch // 2}, device=device)
        for side in (replay, buffer)
    )
    while True:
        joined = concat_batches(next(online), next(demonstrated), axis=0)
        # SERL's update takes rows k * size to (k + 1) * size as minibatch k: alternate the halves.
        yield frozen_dict.freeze(
            jax.tree_util.tree_map(
                lambda x: x.reshape(2, -1, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape), joined
            )
        )


def main():
    """Runs the process until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("side", choices=("actor", "learner"))
    parser.add_argument("--example", required=True, help="its directory")
    parser.add_argument("--spec", required=True, type=json.loads, help="the task, see Task")
    parser.add_argument("--demos", required=True, help="npz of transitions")
    parser.add_argument("--seeds", type=json.loads, required=True, help="of evaluations")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--broadcast-port", type=int, required=True)
    options, flags = parser.parse_known_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what SERL prints is not an answer

    import gym
    import numpy as np
    from absl import app
    from absl import flags as absl_flags

    sys.path.insert(0, options.example)
    import async_sac_state_sim as example

    task, evaluate, learner = task_class(options.spec), example.evaluate, example.learner
    trainer_config, make = example.make_trainer_config, gym.make
    gym.register(ENV, entry_point=task)
    has_begun = False

    def told_evaluate(policy_fn, env, num_episodes):
        nonlocal has_begun
        if not has_begun:
            has_begun = True
            return {}
        start_s = time.monotonic()
        found = evaluate(policy_fn, env, num_episodes)
        success, took_s = float(found["final.success"]), time.monotonic() - start_s
        print(json.dumps({"success": success, "took_s": took_s}), file=answers)
        return found

    environments = 0

    def make_task(name):
        nonlocal environments
        environments += 1
        # The actor makes one to learn from, then one to evaluate in.
        return make(name) if environments == 1 else make(name, seeds=options.seeds)

    def learn(rng, agent, replay_buffer, replay_iterator):
        flag = absl_flags.FLAGS
        with np.load(options.demos) as file:
            demos = dict(file)
        env = make(ENV)
        demos["spaces"] = env.observation_space, env.action_space
        env.close()
        size = flag.batch_size * flag.critic_actor_ratio
        learner(rng, agent, replay_buffer, half_demonstrations(replay_buffer, demos, size))

    absl_flags.DEFINE_integer("utd_ratio", 8, "As critic_actor_ratio.")
    example.evaluate, example.learner, gym.make = told_evaluate, learn, make_task
    example.make_trainer_config = lambda: trainer_config(options.port, options.broadcast_port)
    try:
        app.run(example.main, argv=[sys.argv[0], f"--{options.side}", f"--env={ENV}", *flags])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # agentlace's threads do not end by themselves


if __name__ == "__main__":
    main()
