"""An exported policy acts where there is nothing but NumPy."""

import json
import subprocess
import sys
import venv

import numpy as np
import pytest

from serlds.cli import main
from serlds.datasets.errors import UsageError
from serlds.datasets.reading import open_dataset
from serlds.training.checkpoints import LearnerCounters, save_checkpoint
from serlds.training.config import BCConfig, NetworkConfig, RunConfig, ScheduleConfig
from serlds.training.evaluation import evaluate
from serlds.training.policy_export import export_policy
from serlds.training.run_directory import create_run_directory
from serlds.training.run_policy import load_policy
from serlds.training.run_preparation import prepare

ACT = """
import json, sys
import numpy as np
assert not [name for name in sys.modules if name.startswith(("serlds", "jax", "tensorflow"))]
sys.path.insert(0, sys.argv[1])
from act import ExportedPolicy
policy = ExportedPolicy.load(sys.argv[1])
observations = [{k: np.asarray(v, np.float32) for k, v in o.items()} for o in json.load(sys.stdin)]
print(json.dumps([policy({"state": o}).tolist() for o in observations]))
"""


@pytest.fixture(params=["relu", "tanh"])
def run(request, demos, tmp_path):
    """A run of behaviour cloning with one checkpoint, whose weights are random."""
    network = NetworkConfig((16, 8), layer_norm=request.param == "tanh", activation=request.param)
    distribution = "gaussian" if request.param == "relu" else "deterministic"
    config = RunConfig(
        algorithm="bc",
        agent=BCConfig(network=network, distribution=distribution),
        env_id="serlds/WidowXPickCube-v0",
        env_args={"cameras": [], "max_steps": 20},
        demos=(str(demos),),
        schedule=ScheduleConfig(env_steps=0, offline_updates=10),
    )
    record = prepare(config)
    directory = create_run_directory(tmp_path / "run", record)
    packed = np.random.default_rng(0).uniform(0.1, 1.0, record.policy_spec.size)
    save_checkpoint(
        directory.checkpoints, {"none": np.zeros(1)}, packed.astype(np.float32) - 0.4,
        LearnerCounters(offline_updates=10), record, kept=2,
    )  # fmt: skip
    return directory


def test_a_policy_of_the_state_acts_for_a_recording_with_cameras(run, tmp_path):
    arguments = ["--by", "policy", "--policy", str(run.path), "--episodes", "1"]
    with pytest.raises(SystemExit) as ended:
        main(["record", "serlds/WidowXPickCube-v0", str(tmp_path / "out"), *arguments])
    assert ended.value.code == 0
    schema = open_dataset(tmp_path / "out").schema
    assert schema.image_fields and "observation/state/cube_pos" in schema


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A fresh interpreter with NumPy and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = f"-m pip --python {python} install --quiet numpy=={np.__version__}"
    subprocess.run([sys.executable, *install.split()], check=True)
    return python


def test_it_acts_the_same_with_nothing_but_numpy(run, python, tmp_path):
    policy, rng = load_policy(run.path), np.random.default_rng(1)
    out = export_policy(run.path, tmp_path / "out")
    spec = json.loads((out / "policy.json").read_text())
    observations = [
        {f["name"]: rng.normal(size=f["shape"]).astype(np.float32) for f in spec["state"]}
        for _ in range(5)
    ]
    text = json.dumps([{k: v.tolist() for k, v in o.items()} for o in observations])
    command = [str(python), "-I", "-c", ACT, str(out)]
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    expected = [policy({"state": o}) for o in observations]
    assert np.ptp(expected) > 0.1
    np.testing.assert_array_equal(np.array(json.loads(result.stdout), np.float32), expected)


def test_it_says_what_goes_in_and_where_it_comes_from(run, tmp_path):
    evaluate(run.path, episodes=2, seed=5)
    out = export_policy(run.path, tmp_path / "out", checkpoint="10")
    spec, record = json.loads((out / "policy.json").read_text()), run.read_record()
    fields = {field["name"]: field for field in spec["state"]}
    assert [f"observation/state/{name}" for name in fields] == list(record.task.state_fields)
    assert fields["tcp_pos"]["unit"] == "m"
    assert fields["tcp_pos"]["frame"]
    assert spec["action"]["shape"] == [7]
    assert len(spec["action"]["scale"]) == 7
    assert spec["control_hz"] == 10.0
    assert spec["datasets"][0]["digest"] == record.datasets[0].digest
    assert spec["updates"] == 10
    assert spec["evaluation"]["episodes"] == 2
    readme = (out / "README.md").read_text()
    assert "10 times a second" in readme
    assert "`tcp_pos` | (3,) | m |" in readme
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "act.py", "policy.json", "policy.npz"
    ]  # fmt: skip


def test_wrong_observations_and_weights_are_named(run, tmp_path):
    from serlds.envs.policy_forward import ExportedPolicy

    out = export_policy(run.path, tmp_path / "out")
    policy = ExportedPolicy.load(out)
    state = {f["name"]: np.zeros(f["shape"]) for f in policy.spec["state"]}
    with pytest.raises(ValueError, match=r"'tcp_pos': expected shape \(3,\), found \(2,\)"):
        policy({**state, "tcp_pos": np.zeros(2)})
    with pytest.raises(ValueError, match="'tcp_pos': expected shape"):
        policy({name: value for name, value in state.items() if name != "tcp_pos"})
    with pytest.raises(ValueError, match=r"'tcp_pos': expected finite numbers, found \[nan"):
        policy({**state, "tcp_pos": np.full(3, np.nan)})
    np.savez(out / "policy.npz", **{"hidden_0/kernel": np.zeros((2, 2), np.float32)})
    with pytest.raises(ValueError, match=r"policy.npz is not of this policy.json"):
        ExportedPolicy.load(out)
    with pytest.raises(UsageError, match="exists already"):
        export_policy(run.path, out)
