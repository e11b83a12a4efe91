"""SERL's side of the comparisons: runs under SERL's own interpreter and imports no serlds.

Started by `serl_peer.Peer`. It answers one JSON object per line of standard input with one per line
of standard output, until its input ends. What it runs is SERL's own code, called as SERL's
example does (examples/async_sac_state_sim of its repository).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

OBSERVATION_DIM, ACTION_DIM = 10, 4
TRANSITIONS, EPISODE_STEPS = 20_000, 100
CAMERAS, SIDE, PROPRIO_DIM, SEEN_TRANSITIONS = ("front", "wrist"), 128, 7, 1000
CRITIC_ACTOR_RATIO = 4


def timed(call):
    """Repeats a call: process time of all threads and wall time, in seconds."""

    def run(calls):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(calls):
            call()
        return {
            "cpu_s": time.process_time() - cpu_s,
            "wall_s": time.perf_counter() - wall_s,
        }

    return run


def replicated():
    """The placement that SERL's examples give to agents and batches."""
    import jax

    return jax.sharding.PositionalSharding(jax.local_devices()).replicate()


def place(agent):
    """An agent on the devices, as SERL's examples put it there."""
    import jax
    import jax.numpy as jnp

    return jax.device_put(jax.tree_util.tree_map(jnp.array, agent), replicated())


def sac_agent():
    """SERL's agent from state."""
    import numpy as np
    from serl_launcher.utils.launcher import make_sac_agent

    observation = np.zeros(OBSERVATION_DIM, np.float32)
    return place(make_sac_agent(0, observation, np.zeros(ACTION_DIM, np.float32)))


def sac(options):
    """The learner step from state: a batch of all minibatches, then `update_high_utd`."""
    import gym
    import jax
    import numpy as np
    from compilations import CompilationCounter
    from serl_launcher.data.data_store import ReplayBufferDataStore

    counter = CompilationCounter()
    rng = np.random.default_rng(0)
    buffer = ReplayBufferDataStore(
        gym.spaces.Box(-np.inf, np.inf, (OBSERVATION_DIM,), np.float32),
        gym.spaces.Box(-1, 1, (ACTION_DIM,), np.float32),
        TRANSITIONS,
    )
    for step in range(TRANSITIONS):
        buffer.insert(
            dict(
                observations=rng.standard_normal(OBSERVATION_DIM, np.float32),
                next_observations=rng.standard_normal(OBSERVATION_DIM, np.float32),
                actions=rng.uniform(-1, 1, ACTION_DIM).astype(np.float32),
                rewards=rng.random(),
                masks=1.0,
                dones=step % EPISODE_STEPS == EPISODE_STEPS - 1,
            )
        )
    size = options.batch * options.minibatches
    batches = buffer.get_iterator(sample_args={"batch_size": size}, device=replicated())
    agent = sac_agent()

    def step():
        nonlocal agent
        agent, _ = agent.update_high_utd(next(batches), utd_ratio=options.minibatches)
        agent = jax.block_until_ready(agent)

    return {"run": timed(step), "compilations": lambda: dict(counter.counts)}


def drq(options):
    """The learner iteration from pixels: three updates of the critics, then one of everything."""
    import gym
    import jax
    import numpy as np
    from compilations import CompilationCounter
    from serl_launcher.data.data_store import MemoryEfficientReplayBufferDataStore
    from serl_launcher.utils.launcher import make_drq_agent
    from serl_launcher.vision import small_encoders

    class SmallEncoder(small_encoders.SmallEncoder):
        """Takes the argument that SERL's wrapper gives to every encoder."""

        def __call__(self, observations, train=False, encode=True):
            return super().__call__(observations, train=train)

    small_encoders.SmallEncoder = SmallEncoder
    counter, rng = CompilationCounter(), np.random.default_rng(0)
    images = {name: gym.spaces.Box(0, 255, (1, SIDE, SIDE, 3), np.uint8) for name in CAMERAS}
    state = gym.spaces.Box(-np.inf, np.inf, (1, PROPRIO_DIM), np.float32)
    space = gym.spaces.Dict({"state": state, **images})
    buffer = MemoryEfficientReplayBufferDataStore(
        space,
        gym.spaces.Box(-1, 1, (ACTION_DIM,), np.float32),
        2 * SEEN_TRANSITIONS,
        image_keys=CAMERAS,
    )

    def observation():
        frames = rng.integers(0, 256, (len(CAMERAS), 1, SIDE, SIDE, 3), np.uint8)
        state = rng.standard_normal((1, PROPRIO_DIM), np.float32)
        return {"state": state, **dict(zip(CAMERAS, frames, strict=True))}

    now = observation()
    for step in range(SEEN_TRANSITIONS):
        then = observation()
        buffer.insert(
            dict(
                observations=now,
                next_observations=then,
                actions=rng.uniform(-1, 1, ACTION_DIM).astype(np.float32),
                rewards=rng.random(),
                masks=1.0,
                dones=step % EPISODE_STEPS == EPISODE_STEPS - 1,
            )
        )
        now = then
    batches = buffer.get_iterator(
        sample_args={"batch_size": options.batch, "pack_obs_and_next_obs": True},
        device=replicated(),
    )
    action = np.zeros(ACTION_DIM, np.float32)
    agent = place(make_drq_agent(0, now, action, CAMERAS, options.encoder))

    def step():
        nonlocal agent
        for _ in range(CRITIC_ACTOR_RATIO - 1):
            agent, _ = agent.update_critics(next(batches))
        agent, _ = agent.update_high_utd(next(batches), utd_ratio=1)
        agent = jax.block_until_ready(agent)

    return {"run": timed(step), "compilations": lambda: dict(counter.counts)}


def env(options):
    """Steps of an environment with random actions, resets included."""
    import franka_sim  # noqa: F401  (registers the environments)
    import gym

    task = gym.make(options.env)
    task.reset()

    def step():
        *_, terminated, truncated, _ = task.step(task.action_space.sample())
        if terminated or truncated:
            task.reset()

    return {"run": timed(step)}


def trainer_config(options):
    """SERL's configuration of agentlace on the ports given."""
    from serl_launcher.utils.launcher import make_trainer_config

    return make_trainer_config(options.port, options.broadcast_port)


def publisher(options):
    """The learner's end of agentlace."""
    from agentlace.trainer import TrainerServer

    server = TrainerServer(trainer_config(options))
    server.start(threaded=True)
    agent = sac_agent()

    def publish():
        start_s = time.monotonic()
        server.publish_network(agent.state.params)
        return {"start_s": start_s}

    def message_bytes():
        return len(server.broadcast_server.compress(agent.state.params))

    return {"publish": publish, "message_bytes": message_bytes}


def subscriber(options):
    """The actor's end of agentlace; it tells when it last had new weights in its policy."""
    from agentlace.data.data_store import QueuedDataStore
    from agentlace.trainer import TrainerClient

    agent, swapped_s = sac_agent(), 0.0
    client = TrainerClient(
        "actor_env", "127.0.0.1", trainer_config(options), QueuedDataStore(2000), timeout_ms=20_000
    )

    def swap(params):
        nonlocal agent, swapped_s
        agent = agent.replace(state=agent.state.replace(params=params))
        swapped_s = time.monotonic()

    client.recv_network_callback(swap)

    def wait(after_s, timeout_s):
        end_s = time.monotonic() + timeout_s
        while swapped_s <= after_s and time.monotonic() < end_s:
            time.sleep(0.0005)
        return {"swapped_s": swapped_s}

    return {"wait": wait}


SCENARIOS = {
    "sac": sac,
    "drq": drq,
    "env": env,
    "publisher": publisher,
    "subscriber": subscriber,
}


def main():
    """Answers until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--minibatches", type=int, default=8)
    parser.add_argument("--encoder", default="resnet-pretrained")
    parser.add_argument("--env", default="PandaPickCube-v0")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--broadcast-port", type=int, default=0)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what SERL prints is not an answer
    handlers = SCENARIOS[options.scenario](options)
    print(json.dumps("ready"), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(handlers[request.pop("do")](**request)), file=answers)
    answers.flush()
    os._exit(0)  # agentlace's and MuJoCo's threads do not end by themselves


if __name__ == "__main__":
    main()
