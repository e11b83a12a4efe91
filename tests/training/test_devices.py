"""The learner over four simulated devices, in a process that has them."""

import os
import subprocess
import sys

CODE = """
import dataclasses
import jax
import numpy as np
from serlds.training.agents import create_agent
from serlds.training.config import NetworkConfig, RLPDConfig, SACConfig
from serlds.training.devices import Devices
from serlds.training.transition import Observation, Transition

assert len(jax.local_devices()) == 4
net = NetworkConfig(hidden_dims=(16,))
config = RLPDConfig(sac=SACConfig(actor=net, critic=net, ensemble_size=3))
rng = np.random.default_rng(0)
u, b, s, a = 2, 24, 5, 3

def batches():
    return Transition(
        Observation(rng.standard_normal((u, b, s), dtype=np.float32)),
        rng.uniform(-1, 1, (u, b, a)).astype(np.float32),
        rng.random((u, b), dtype=np.float32),
        np.ones((u, b), np.float32),
        Observation(rng.standard_normal((u, b, s), dtype=np.float32)),
    )

one = create_agent(config, 0, np.zeros(s, np.float32), np.ones(s, np.float32), a)
devices = Devices.of_this_machine(b)
assert len(devices.devices) == 4
four = devices.replicate(one)
for _ in range(3):
    batch = batches()
    one, info = one.update_utd(batch)
    spread = devices.split(batch)
    assert len(spread.reward.sharding.device_set) == 4
    assert spread.reward.addressable_shards[0].data.shape == (u, b // 4)
    four, other = four.update_utd(spread)
    for name, value in info.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
np.testing.assert_allclose(four.packed_policy(), one.packed_policy(), rtol=1e-3, atol=1e-4)
assert len(four.packed_policy().sharding.device_set) == 4
print([len(Devices.of_this_machine(size).devices) for size in (256, 6, 9, 5)])
"""


def test_four_devices_learn_what_one_does():
    variables = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    result = subprocess.run(
        [sys.executable, "-c", CODE], env=variables, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[4, 3, 3, 1]"
    assert "the learner uses 3 of 4 devices: schedule.batch_size = 6" in result.stderr
