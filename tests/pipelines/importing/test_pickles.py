"""`serlds import serl` and `import hil-serl` on files as their scripts write them."""

import copy
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from serlds.datasets.errors import SchemaError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.pipelines.importing.actions import held_gripper
from serlds.pipelines.importing.options import EpisodeFacts, TransitionOptions
from serlds.pipelines.importing.pickles import plan_pickles
from serlds.pipelines.importing.plan import run_import
from serlds.pipelines.rtx.export import export_rtx
from serlds.pipelines.rtx.options import RtxOptions
from serlds.pipelines.validate import validate

FRANKA = ("gripper_pose", "tcp_force", "tcp_pose", "tcp_torque", "tcp_vel")


@pytest.fixture
def imports(tmp_path, recorded):
    """Pickles a content, imports it, and gives the report and the dataset."""

    def do(content, facts=None, options=None, name="peg_insert_3_demos_2024-11-02.pkl", **run):
        path = recorded.save(tmp_path / name, content)
        plan = plan_pickles(path, facts or EpisodeFacts(), options or TransitionOptions())
        report = run_import(plan, tmp_path / "data" / "peg", {"verb": "import serl"}, **run)
        return report, open_dataset(tmp_path / "data" / "peg")

    return do


def test_the_flat_list_becomes_episodes(imports, recorded, tmp_path):
    transitions = recorded.serl(recorded.Env())
    report, dataset = imports(transitions, EpisodeFacts(instruction="insert the peg"))
    episodes = list(dataset.episodes())
    assert report.exit_code == 0
    assert [len(episode) for episode in episodes] == [9, 9, 9]
    first = episodes[0]
    np.testing.assert_array_equal(
        first["action"][:8], np.float32([one["actions"] for one in transitions[:8]])
    )
    states = np.concatenate([one["observations"]["state"] for one in transitions[:8]])
    np.testing.assert_array_equal(first.state_matrix()[:8], states)
    last = transitions[7]["next_observations"]["state"][0]
    np.testing.assert_array_equal(first.state_matrix()[8], last)
    assert first["reward"].tolist() == [0] * 7 + [1, 0]
    assert first["discount"].tolist() == [1] * 7 + [0, 0]
    assert first["is_terminal"].tolist() == [False] * 8 + [True]
    assert first["language_instruction"] == ["insert the peg"] * 9
    assert first["intervened"].tolist() == [True] * 8 + [False]
    np.testing.assert_allclose(first["timestamp_s"], np.arange(9) / 10)
    assert (first.success, first.metadata["task"]) == (True, "peg_insert")
    assert first.metadata["robot"] == "Franka Panda"
    names = [field.path.split("/")[-1] for field in dataset.schema.state_fields]
    assert tuple(names) == FRANKA
    assert first["observation/state/tcp_pose"].shape == (9, 6)
    source = tmp_path / "peg_insert_3_demos_2024-11-02.pkl"
    (file,) = dataset.provenance.transform["files"]
    assert file["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_pixels_are_kept_exactly_as_png(imports, recorded):
    transitions = recorded.serl(recorded.Env(cameras=("front",)), episodes=1)
    _, dataset = imports(transitions, EpisodeFacts(image_encoding="png"))
    pixels = dataset.episode(0).pixels("observation/image/front")
    np.testing.assert_array_equal(pixels[3], transitions[3]["observations"]["front"][0])
    np.testing.assert_array_equal(pixels[8], transitions[7]["next_observations"]["front"][0])


@pytest.mark.parametrize("shape", ["lists", "columns", "one dictionary"])
def test_every_shape_gives_the_same_episodes(imports, recorded, tmp_path, shape):
    transitions = recorded.serl(recorded.Env())
    trajectories = recorded.as_trajectories(transitions)
    content = trajectories
    if shape == "columns":
        content = [recorded.as_columns(one) for one in trajectories]
    elif shape == "one dictionary":
        columns = [recorded.as_columns(trajectories[0])]
        content, transitions = columns[0], trajectories[0]
    _, dataset = imports(content)
    have = list(dataset.episodes())
    path = recorded.save(tmp_path / "flat.pkl", transitions)
    plan = plan_pickles(path, EpisodeFacts(), TransitionOptions())
    want = [plan.source.load(ref) for ref in plan.by_split["train"]]
    assert len(have) == len(want)
    for one, other in zip(have, want, strict=True):
        for name in ("action", "reward", "discount", "is_terminal", "observation/state/tcp_pose"):
            np.testing.assert_array_equal(one[name], other[name])


def test_a_time_limit_is_not_the_end_of_the_task(imports, recorded):
    transitions = recorded.serl(recorded.Env(), fails=(1,))
    transitions[-1]["masks"] = 1.0
    report, dataset = imports(transitions, options=TransitionOptions(terminal="recorded"))
    ends = [episode["is_terminal"][-1] for episode in dataset.episodes()]
    # SERL's environments write mask 0 at a time limit too; that is kept and said.
    assert ends == [True, True, False]
    assert any("--terminal success" in note for note in report.notes)
    assert [episode["discount"][-2] for episode in dataset.episodes()] == [0, 0, 1]


def test_terminal_success_makes_failures_time_limits(imports, recorded):
    transitions = recorded.serl(recorded.Env(), fails=(1,))
    _, dataset = imports(transitions, options=TransitionOptions(terminal="success"))
    assert [one["is_terminal"][-1] for one in dataset.episodes()] == [True, False, True]
    assert [one.success for one in dataset.episodes()] == [True, False, True]


def test_a_jump_of_the_observations_ends_an_episode(imports, recorded):
    transitions = recorded.serl(recorded.Env())
    del transitions[3]
    report, dataset = imports(transitions)
    assert [len(episode) for episode in dataset.episodes()] == [4, 5, 9, 9]
    assert any("jump" in note for note in report.notes)


def test_infos_of_hil_serl_say_who_drove_and_succeeded(imports, recorded):
    transitions = recorded.hil_serl(recorded.Env(actions=7))
    for one in transitions[8:16]:
        one["infos"]["succeed"] = False
        one["rewards"] = 0
    _, dataset = imports(transitions)
    episodes = list(dataset.episodes())
    assert [one.success for one in episodes] == [True, False, True]
    assert episodes[0]["intervened"].tolist() == [True, True, False] * 2 + [True, True, False]
    assert episodes[0]["grasp_penalty"][2] == np.float32(-0.02)


def test_the_newest_of_stacked_frames_is_taken(imports, recorded):
    transitions = recorded.serl(recorded.Env(cameras=("front",)), episodes=1)
    stacked = copy.deepcopy(transitions)
    for one in stacked:
        for key in ("observations", "next_observations"):
            one[key] = {k: np.concatenate([np.zeros_like(v), v]) for k, v in one[key].items()}
    _, dataset = imports(stacked)
    states = np.concatenate([one["observations"]["state"] for one in transitions])
    np.testing.assert_array_equal(dataset.episode(0).state_matrix()[:8], states)


def test_nested_states_and_images_keep_their_names(imports, recorded):
    transitions = recorded.serl(recorded.Env(cameras=("front",)), episodes=1)
    for one in transitions:
        for key in ("observations", "next_observations"):
            old = one[key]
            state = {"joints/position": old["state"][0, :7], "gripper": np.float64(0.5)}
            one[key] = {"state": state, "images": {"left/wrist": old["front"][0]}}
    _, dataset = imports(transitions)
    paths = [field.path for field in dataset.schema.steps if field.path.startswith("obs")]
    assert paths == [
        "observation/image/left_wrist",
        "observation/state/gripper",
        "observation/state/joints_position",
    ]


def test_state_parts_can_be_named(imports, recorded):
    parts = TransitionOptions(state=("joints=7", "rest=12"))
    _, dataset = imports(recorded.serl(recorded.Env(), episodes=1), options=parts)
    assert dataset.schema["observation/state/joints"].shape == (7,)
    assert dataset.schema["observation/state/rest"].shape == (12,)


def test_observations_can_be_chosen_and_left_out(imports, recorded, tmp_path):
    transitions = recorded.serl(recorded.Env(), episodes=1)
    options = TransitionOptions(observations=("state", "wrist_1"))
    _, dataset = imports(transitions, options=options)
    assert [field.path for field in dataset.schema.image_fields] == ["observation/image/wrist_1"]
    path = tmp_path / "peg_insert_3_demos_2024-11-02.pkl"
    plan = plan_pickles(path, EpisodeFacts(), TransitionOptions(leave_out=("wrist_1",)))
    (image,) = plan.source.schema.image_fields
    assert image.path == "observation/image/wrist_2"


def test_actions_beyond_their_range_keep_their_physical_value(imports, recorded):
    transitions = recorded.serl(recorded.Env(actions=7), episodes=1)
    transitions[2]["actions"][0] = 1.5
    options = TransitionOptions(action_scale="peg", gripper="held")
    report, dataset = imports(transitions, options=options)
    scale = np.array(dataset.schema.action.about.scale)
    stored = dataset.episode(0)["action"][:8]
    np.testing.assert_allclose(scale, [0.03] * 3 + [0.15] * 3 + [1])
    physical = np.array([one["actions"] for one in transitions]) * ([0.02] * 3 + [0.1] * 3 + [1])
    np.testing.assert_allclose((stored * scale)[:, :6], physical[:, :6], rtol=1e-5)
    assert any("1.5" in note for note in report.notes)


def test_held_gripper():
    commands = np.array([0, 0.3, -0.95, 0, 0.4, 0.92, 0, -0.5])
    assert held_gripper(commands).tolist() == [1, 1, -1, -1, -1, 1, 1, -1]


def test_several_files_and_workers_give_the_same(tmp_path, recorded):
    directory = tmp_path / "buffer"
    directory.mkdir()
    for index in (1, 2, 10):
        content = recorded.hil_serl(recorded.Env(seed=index), episodes=2)
        recorded.save(directory / f"transitions_{index}.pkl", content)
    digests = []
    for workers in (1, 2):
        plan = plan_pickles(directory, EpisodeFacts(), TransitionOptions())
        target = tmp_path / f"data_{workers}" / "all"
        run_import(plan, target, {"verb": "import hil-serl"}, workers=workers)
        digests.append(open_dataset(target).digest)
    ids = [episode.episode_id.rsplit("-", 1)[0] for episode in open_dataset(target).episodes()]
    expected = [f"transitions_{index}-{n:05d}" for index in (1, 2, 10) for n in range(2)]
    assert ids == expected
    assert digests[0] == digests[1]


def test_bad_episodes_are_dead_letters_with_their_place(imports, recorded, tmp_path):
    transitions = recorded.serl(recorded.Env())
    transitions[10]["actions"] = np.full(6, np.nan)
    del transitions[17]["rewards"]
    report, dataset = imports(transitions)
    assert (report.exit_code, dataset.num_episodes) == (1, 1)
    lines = (dataset.directory / "dead_letters.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert (first["record"], first["step"], first["field"]) == (1, 2, "action")
    assert (second["record"], second["step"]) == (2, 1)
    assert "rewards" in second["message"] and "transition 16" in second["message"]


READER = """
import json, sys
import tensorflow_datasets as tfds

data = tfds.builder_from_directory(sys.argv[1]).as_dataset(split="all")
assert "serlds" not in sys.modules
print(json.dumps([[step["action"].tolist() for step in one["steps"].as_numpy_iterator()]
                  for one in data]))
"""


@pytest.mark.parametrize(("size", "gripper"), [(6, "closed"), (7, "held")])
def test_from_pickle_to_a_valid_dataset_and_rtx(imports, recorded, tmp_path, size, gripper):
    """Read by TFDS alone, the actions are what SERL's environment makes of the recorded ones."""
    transitions = recorded.serl(recorded.Env(length=12, actions=size), episodes=3)
    facts = EpisodeFacts(instruction="insert the peg")
    _, dataset = imports(transitions, facts, TransitionOptions(action_scale="peg", gripper=gripper))
    assert "Euler angles" in dataset.schema.action.about.doc
    assert dataset.schema.action.about.frame == "tool"
    report = validate(dataset.directory)
    assert report.num_errors == 0 and "alignment" in report.checks
    out = export_rtx(dataset.directory, tmp_path / "rtx" / "peg", RtxOptions(image_size=32))
    command = [sys.executable, "-c", READER, str(out.dataset)]
    read = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    actions = [np.array(rows) for rows in json.loads(read.stdout.splitlines()[-1])]
    recorded_ones = np.array([one["actions"] for one in transitions]).reshape(3, 12, size)
    want = [one[:, :6] * ([0.02] * 3 + [0.1] * 3) for one in recorded_ones]
    first = np.array([rows[0, :6] for rows in actions])
    order = [int(np.argmin(np.linalg.norm(first - one[0], axis=1))) for one in want]
    assert sorted(order) == [0, 1, 2]
    for at, physical, one in zip(order, want, recorded_ones, strict=True):
        np.testing.assert_allclose(actions[at][:, :6], physical, atol=1e-5)
        opened = held_gripper(one[:, 6]) > 0 if size == 7 else np.zeros(12)
        np.testing.assert_array_equal(actions[at][:, 6], opened)
    again = validate(out.dataset)
    assert again.num_errors == 0 and "alignment" in again.checks


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"state": ("nonsense",)}, "franka"),
        ({"state": ("a=3",)}, "19 values"),
        ({"leave_out": ("side",)}, "wrist_1"),
        ({"action_scale": "door"}, "peg"),
        ({"action_scale": "1,2,3"}, "6 values"),
        ({"gripper": "held"}, "seventh"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_say_what_would(imports, recorded, options, told):
    with pytest.raises(UsageError) as no:
        imports(recorded.serl(recorded.Env(), episodes=1), options=TransitionOptions(**options))
    assert told in str(no.value)


def test_float_images_say_how_to_leave_them_out(imports, recorded, tmp_path):
    transitions = recorded.serl(recorded.Env(cameras=("front",)), episodes=1)
    for one in transitions:
        for key in ("observations", "next_observations"):
            one[key]["depth"] = np.zeros((1, 8, 8, 1), np.float32)
    with pytest.raises(SchemaError, match="--leave-out depth"):
        imports(transitions)
    assert not (tmp_path / "data").exists()
