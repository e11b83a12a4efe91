"""What does it cost to spread a learner over more devices?

Critic updates per second of RLPD (the paper's networks, batch 256, 20 minibatches a call) on 1, 2,
4 and 8 devices that XLA simulates with threads of this machine's cores; the baseline is one device
in the same run. Simulated devices share the cores, so this shows the price of spreading, not its
gain: no speed is asked for. Exit code 1 when the scalars of the first call differ between numbers
of devices.

    python benchmarks/devices.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

DEVICES = (1, 2, 4, 8)
SIZES = {"observations": 21, "actions": 7}
TOLERANCE = 1e-3


def measure(calls: int) -> dict[str, object]:
    """Updates per second in this process, and the scalars of the first call."""
    import jax

    from serlds.training.agents import create_agent
    from serlds.training.devices import Devices
    from serlds.training.presets import preset
    from serlds.training.transition import Observation, Transition

    chosen = preset("rlpd", "paper")
    u, b = chosen.schedule.minibatches_per_update, chosen.schedule.batch_size
    s, a = SIZES["observations"], SIZES["actions"]
    rng = np.random.default_rng(0)
    batches = Transition(
        Observation(rng.standard_normal((u, b, s), dtype=np.float32)),
        rng.uniform(-1, 1, (u, b, a)).astype(np.float32),
        rng.random((u, b), dtype=np.float32),
        np.ones((u, b), np.float32),
        Observation(rng.standard_normal((u, b, s), dtype=np.float32)),
    )
    devices = Devices.of_this_machine(b)
    fresh = create_agent(chosen.agent, 0, np.zeros(s, np.float32), np.ones(s, np.float32), a)
    agent, info = devices.replicate(fresh).update_utd(devices.split(batches))
    first = {name: float(value) for name, value in info.items()}
    start_s = time.perf_counter()
    for _ in range(calls):
        agent, info = agent.update_utd(devices.split(batches))
    jax.block_until_ready((agent, info))
    rate = calls * u / (time.perf_counter() - start_s)
    return {"devices": len(devices.devices), "updates_per_s": rate, "first": first}


def main() -> int:
    """Runs itself once per number of devices, which is fixed at a process' start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--here", action="store_true", help="measure in this process, print JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.calls)))
        return 0
    results = []
    print("devices  critic updates/s  ratio to one")
    for count in DEVICES:
        flags = f"--xla_force_host_platform_device_count={count}"
        command = [sys.executable, __file__, "--here", "--calls", str(options.calls)]
        output = subprocess.run(
            command,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        results.append(json.loads(output))
        rate = results[-1]["updates_per_s"]
        print(f"{count:7}  {rate:16.1f}  {rate / results[0]['updates_per_s']:12.2f}", flush=True)
    one = results[0]["first"]
    worst = max(
        abs(result["first"][name] - value) / max(abs(value), 1.0)
        for result in results
        for name, value in one.items()
    )
    print(f"largest difference of a scalar of the first call: {worst:.1e} (bound {TOLERANCE:.0e})")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
