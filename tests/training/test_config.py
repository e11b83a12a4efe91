"""Configurations: what is refused, what survives JSON, what a resume is told."""

import dataclasses
import json
import subprocess
import sys

import pytest

from serlds.datasets.errors import UsageError
from serlds.training.config import (
    BCConfig,
    NetworkConfig,
    ReplayConfig,
    RLPDConfig,
    RunConfig,
    SACConfig,
    ScheduleConfig,
)
from serlds.training.config_json import differences, run_from_dict, run_to_dict
from serlds.training.presets import preset


def run_config(algorithm: str = "rlpd", name: str = "paper") -> RunConfig:
    chosen = preset(algorithm, name)
    return RunConfig(
        algorithm=algorithm,
        agent=chosen.agent,
        env_id="serlds/WidowXPickCube-v0",
        env_args={"cameras": [], "yaw_range_rad": 0.5},
        demos=("/data/demos/1.0.0",),
        seed=3,
        schedule=chosen.schedule,
        replay=chosen.replay,
    )


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        ("bc", "paper"),
        ("sac", "paper"),
        ("rlpd", "paper"),
        ("bc", "quickstart"),
        ("rlpd", "quickstart"),
        *(("drq", name) for name in ("paper", "pixels")),
        ("rlpd", "hil-serl"),
        ("rlpd", "quickstart-gripper"),
        *((algorithm, name) for algorithm in ("bc", "rlpd") for name in ("pixels", "paper-pixels")),
    ],
)
def test_a_run_survives_json(algorithm: str, name: str) -> None:
    run = run_config(algorithm, name)
    assert run_from_dict(json.loads(json.dumps(run_to_dict(run)))) == run


def test_optional_bounds_survive_json() -> None:
    agent = SACConfig(target_bounds=(0.0, 1.0), ensemble_size=4, subset_size=1)
    run = RunConfig(algorithm="sac", agent=agent, env_id="x")
    assert run_from_dict(json.loads(json.dumps(run_to_dict(run)))) == run


def test_the_published_defaults_of_rlpd() -> None:
    chosen = preset("rlpd", "paper")
    sac = chosen.agent.sac
    assert (sac.ensemble_size, sac.subset_size, sac.critic.layer_norm) == (10, 2, True)
    assert (sac.discount, sac.target_update_rate, sac.initial_temperature) == (0.99, 0.005, 1.0)
    assert (sac.critic.hidden_dims, sac.critic_learning_rate) == ((256, 256), 3e-4)
    assert (sac.entropy_backup, sac.target_entropy_per_dim) == (True, -0.5)
    assert (chosen.agent.demo_fraction, chosen.agent.bc_weight) == (0.5, 0.0)
    assert (chosen.schedule.utd_ratio, chosen.schedule.batch_size) == (20, 256)


def test_the_published_defaults_of_serl_for_cloning() -> None:
    for chosen in (preset("bc", "paper").agent, preset("bc", "paper-pixels").agent):
        assert chosen.network == NetworkConfig((256, 256), layer_norm=False, activation="tanh")
        assert (chosen.distribution, chosen.learning_rate) == ("gaussian", 3e-4)
        assert chosen.log_std_bounds == pytest.approx((-11.51, 1.61), abs=0.01)
    hil_serl = preset("hg-dagger", "paper").agent
    assert hil_serl.network == NetworkConfig((512, 512, 512), layer_norm=True, activation="tanh")
    assert hil_serl.log_std_bounds == chosen.log_std_bounds


def test_the_published_defaults_of_serl_from_pixels() -> None:
    chosen = preset("drq", "paper")
    agent = chosen.agent
    assert (agent.ensemble_size, agent.subset_size, agent.discount) == (10, 2, 0.96)
    assert (agent.initial_temperature, agent.target_entropy_per_dim) == (0.01, -0.5)
    assert (agent.entropy_backup, agent.target_update_rate) == (False, 0.005)
    assert agent.log_std_bounds == pytest.approx((-11.51, 1.61), abs=0.01)
    assert (agent.encoder.features, agent.encoder.proprio_features) == (256, 64)
    assert (chosen.schedule.batch_size, chosen.schedule.minibatches_per_update) == (256, 4)
    assert preset("rlpd", "paper-pixels").agent == RLPDConfig(sac=agent, demo_fraction=0.5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: NetworkConfig(hidden_dims=()), "NetworkConfig.hidden_dims"),
        (lambda: NetworkConfig(hidden_dims=(64, 0)), "NetworkConfig.hidden_dims"),
        (lambda: NetworkConfig(activation="gelu"), "'gelu'"),
        (lambda: BCConfig(learning_rate=0.0), "BCConfig.learning_rate"),
        (lambda: BCConfig(distribution="beta"), "gaussian or deterministic"),
        (lambda: BCConfig(log_std_bounds=(2.0, 2.0)), "BCConfig.log_std_bounds: expected low"),
        (lambda: SACConfig(discount=1.5), "from 0 to 1, found 1.5"),
        (lambda: SACConfig(subset_size=3), r"1 to ensemble_size \(2\), found 3"),
        (lambda: SACConfig(ensemble_size=0, subset_size=0), "SACConfig.ensemble_size"),
        (lambda: SACConfig(target_bounds=(1.0, 0.0)), "low below high"),
        (lambda: SACConfig(initial_log_std=3.0), "SACConfig.initial_log_std"),
        (lambda: SACConfig(target_update_rate=0.0), "SACConfig.target_update_rate"),
        (lambda: SACConfig(initial_temperature=float("nan")), "found nan"),
        (lambda: RLPDConfig(demo_fraction=-0.1), "RLPDConfig.demo_fraction"),
        (lambda: RLPDConfig(bc_weight=-1.0), "RLPDConfig.bc_weight"),
        (lambda: RunConfig("sac", SACConfig(), "x", seed=2**32), "RunConfig.seed"),
        (lambda: ScheduleConfig(batch_size=0), "ScheduleConfig.batch_size"),
        (lambda: ScheduleConfig(utd_ratio=0), "ScheduleConfig.utd_ratio"),
        (lambda: ScheduleConfig(env_steps=-1), "ScheduleConfig.env_steps"),
        (lambda: ReplayConfig(online_capacity=0), "ReplayConfig.online_capacity"),
        (lambda: RunConfig("dqn", BCConfig(), "x"), "bc, hg-dagger, sac, drq, rlpd, vice"),
        (lambda: RunConfig("sac", BCConfig(), "x"), "a SACConfig for algorithm 'sac'"),
        (lambda: preset("rlpd", "nature"), "rlpd paper"),
        (lambda: preset("sac", "hil-serl"), "known: bc paper"),
    ],
)
def test_wrong_values_are_refused_by_name(build, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schedule", "batch_size"), "many", "RunConfig.schedule.batch_size: expected an integer"),
        (("schedule", "batch_size"), True, "RunConfig.schedule.batch_size: expected an integer"),
        (("schedule", "speed"), 1, "RunConfig.schedule.speed: unknown field"),
        (("agent", "sac", "discount"), "x", "RunConfig.agent.sac.discount: expected a number"),
        (("agent", "sac", "learn_temperature"), 1, "expected a bool"),
        (("agent", "sac", "critic", "hidden_dims"), 64, "hidden_dims: expected a list"),
        (("agent", "sac", "critic", "activation"), "gelu", "expected one of"),
        (("env_args",), 5, "RunConfig.env_args: expected an object"),
        (("algorithm",), "dqn", "expected one of bc, hg-dagger, sac, drq, rlpd, vice"),
    ],
)
def test_a_damaged_config_file_is_refused_by_path(path, value, message: str) -> None:
    values = run_to_dict(run_config())
    inner = values
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(UsageError, match=message):
        run_from_dict(values)


def test_a_missing_field_is_named() -> None:
    values = run_to_dict(run_config())
    del values["env_id"]
    with pytest.raises(UsageError, match=r"RunConfig\.env_id: missing"):
        run_from_dict(values)


def test_differences_name_each_field_and_both_values() -> None:
    run = run_config()
    asked = dataclasses.replace(
        run,
        agent=dataclasses.replace(run.agent, sac=dataclasses.replace(run.agent.sac, discount=0.97)),
        env_args={"cameras": []},
        seed=4,
    )
    assert differences(run, run) == []
    assert differences(run, asked) == [
        "agent.sac.discount: 0.99 in the run, 0.97 asked",
        "env_args.yaw_range_rad: 0.5 in the run, (absent) asked",
        "seed: 3 in the run, 4 asked",
    ]


def test_demo_rows_are_the_configured_share_of_the_batch() -> None:
    assert RLPDConfig().demo_rows(256) == 128
    assert RLPDConfig(demo_fraction=0.25).demo_rows(128) == 32
    assert RLPDConfig(demo_fraction=0.0).demo_rows(128) == 0


def test_configs_and_policies_import_without_jax() -> None:
    code = (
        "import sys; import serlds.training.presets, serlds.training.config_json, "
        "serlds.training.policy, serlds.training.transition; "
        "print([m for m in ('jax', 'flax', 'optax', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
