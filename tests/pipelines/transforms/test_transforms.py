"""What holds for every transform."""

import copy
import pickle

import numpy as np
import pytest

from serlds.datasets.errors import SchemaError, UsageError
from serlds.pipelines.action_rows import num_action_rows
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import ERROR
from serlds.pipelines.transforms.explaining import explain, summarize
from serlds.pipelines.transforms.parameters import parameters_of
from serlds.pipelines.transforms.registry import TRANSFORMS
from serlds.pipelines.transforms.text import parse_transform, transform_to_text

FRONT = "observation/image/front"
POS, ROTVEC = "observation/state/tcp_pos", "observation/state/tcp_rotvec"
ROWS = None  # the transform leaves out steps, so it makes every column anew

# Each with the columns that it makes anew.
CASES = [
    ("only_successful", set()),
    ("keep_if:where=num_steps > 3", set()),
    ("drop_noops:threshold=0.9", ROWS),
    ("drop_noops:threshold=0.9,where=ends", ROWS),
    ("subsample:every=3,actions=pose_delta", ROWS),
    ("subsample:every=3,actions=pose_delta,frame=tool", ROWS),
    ("subsample:every=2,actions=joint_delta", ROWS),
    ("subsample:hz=5,actions=absolute", ROWS),
    ("crop_images:height=20,width=30", {FRONT}),
    ("resize_images:height=16,width=16", {FRONT}),
    ("encode_images:encoding=png", {FRONT}),
    ("convert_rotation:field=action,start=3,source=rotvec,target=rot6d", {"action"}),
    (f"convert_rotation:field={ROTVEC},source=rotvec,target=quat_wxyz", {ROTVEC}),
    ("select_dimensions:field=action,dims=2 1 0 6", {"action"}),
    ("chunk_actions:horizon=4", {"action", "action_is_pad"}),
    ("chunk_actions:horizon=4,into=chunk", {"chunk", "chunk_is_pad"}),
    ("sparse_reward", {"reward"}),
    ("sparse_reward:terminate=true", {"reward", "discount", "is_terminal"}),
    ("scale_reward:scale=2,offset=-0.5", {"reward"}),
    ("classify_reward:classifier=serlds_test_classifiers:never", {"reward"}),
    ("classify_reward:classifier=serlds_test_classifiers:from_fifth", ROWS),
    (
        "classify_reward:classifier=serlds_test_classifiers:from_fifth,end=false",
        {"reward"},
    ),
    ("add_nstep:n=3", {"nstep/reward", "nstep/discount", "nstep/length"}),
    ("set_language:template={task} the cube", {"language_instruction"}),
    ("embed_language:dim=16", {"language_embedding"}),
    ("rename_field:old=intervened,new=driven", set()),
    ("drop_field:path=intervened", set()),
    ("add_field:path=height,value=0.7", {"height"}),
    ("field_from_metadata:metadata=seed,path=seed", {"seed"}),
    (f"cast_field:field={POS},dtype=float64", {POS}),
    ("to_absolute_actions", {"action"}),
    ("to_absolute_actions:reference=command,frame=tool", {"action"}),
]
OF_POSES = [
    ("to_delta_actions", {"action"}),
    ("to_delta_actions:frame=tool,reference=command", {"action"}),
    ("to_delta_actions:scale_m=0.05,scale_rad=3.2", {"action"}),
    ("subsample:every=5,actions=absolute", ROWS),
    ("drop_noops:actions=absolute,threshold=0.01", ROWS),
]


@pytest.fixture(autouse=True)
def classifiers(tmp_path, monkeypatch):
    (tmp_path / "serlds_test_classifiers.py").write_text(
        "import numpy as np\n"
        "def never(episode, schema):\n    return np.zeros(len(episode))\n"
        "def from_fifth(episode, schema):\n    return (np.arange(len(episode)) >= 5) * 0.9\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def equal(left, right):
    return left.keys() == right.keys() and all(
        np.array_equal(left[path], right[path]) for path in left
    )


@pytest.mark.parametrize("last_row", [True, False], ids=["N+1 rows", "N rows"])
@pytest.mark.parametrize("success", [True, False], ids=["success", "failure"])
@pytest.mark.parametrize(
    ("text", "touched", "absolute"),
    [(*case, False) for case in CASES] + [(*case, True) for case in OF_POSES],
    ids=[text for text, _ in CASES + OF_POSES],
)
def test_is_pure_and_leaves_a_valid_episode(
    deltas, poses, frozen, text, touched, absolute, success, last_row
):
    world = poses if absolute else deltas
    transform = pickle.loads(pickle.dumps(parse_transform(text)))
    episode = frozen(world.episode(3, success=success, last_row=last_row))
    before = copy.deepcopy(episode)
    schema = transform.map_schema(world.schema)
    result = transform(episode, world.schema)

    assert equal(before.columns, episode.columns) and before.metadata == episode.metadata
    if result is None:
        assert text == "only_successful" and not success
        return
    # A sparse reward that a person asks to differ from the recorded success is what they asked for.
    wrong = [one for one in check_one(result, schema) if one.severity == ERROR]
    assert wrong == []
    assert len(result) - num_action_rows(result) == last_row
    if touched is not ROWS:
        kept = {path for path in result.columns if path in episode.columns} - touched
        assert all(result[path] is episode[path] for path in kept)
        assert touched <= set(result.columns)


def test_every_transform_is_among_the_cases():
    assert {text.partition(":")[0] for text, _ in CASES + OF_POSES} == set(TRANSFORMS)


@pytest.mark.parametrize("kind", TRANSFORMS.values(), ids=lambda kind: kind.name)
def test_help_explains_every_parameter_and_its_example_works(kind, tmp_path):
    text = explain(kind)
    assert all(f"  {name}  (" in text for name in parameters_of(kind))
    assert kind.example in text and kind.example.startswith(kind.name)
    transform = parse_transform(kind.example)
    assert parse_transform(transform_to_text(transform)) == transform
    assert f"  {kind.name} " in summarize(TRANSFORMS.values())


@pytest.mark.parametrize(
    "text",
    [
        "rename_field:old=no/such,new=x",
        f"rename_field:old={FRONT},new=action",
        f"rename_field:old={FRONT},new=action/x",
        f"rename_field:old={FRONT},new=observation",
        "rename_field:old=is_last,new=x",
        "drop_field:path=is_first",
        "drop_field:path=no_such",
        "resize_images:height=8,width=8,field=observation/image/no_such",
        "crop_images:height=33,width=8",
        "crop_images:height=8,width=8,left=41",
        "add_field:path=action/x,value=1",
        "field_from_metadata:metadata=no_such,path=x",
        "select_dimensions:field=action,dims=7",
        "select_dimensions:field=reward,dims=0",
        f"select_dimensions:field={FRONT},dims=0",
        "cast_field:field=language_instruction,dtype=float32",
        "cast_field:field=reward,dtype=float64",
        "cast_field:field=no_such,dtype=float64",
        "convert_rotation:field=action,start=5,source=rotvec,target=rot6d",
        "convert_rotation:field=action,start=2,source=rotvec,target=rot6d",
        f"convert_rotation:field={ROTVEC},source=quat_xyzw,target=rot6d",
        "convert_rotation:field=reward,source=rotvec,target=rot6d",
        "to_delta_actions:orientation=observation/state/no_such",
        "to_delta_actions:orientation_as=quat_xyzw",
        "to_absolute_actions:rotation=matrix",
        "subsample:hz=5,actions=pose_delta",
        "set_language:template={no_such}",
        "keep_if:where=no_such > 1",
    ],
)
def test_what_cannot_be_applied_is_refused_before_any_episode(deltas, text):
    transform = parse_transform(text)
    with pytest.raises(UsageError) as error:
        transform.map_schema(deltas.schema)
    assert str(error.value).startswith(f"{transform.name}: ")


@pytest.mark.parametrize(
    "text", ["sparse_reward", "scale_reward", "add_nstep:n=2", "embed_language", "drop_noops"]
)
def test_missing_fields_are_named(deltas, text):
    needed = {"embed_language": "language_instruction", "drop_noops": "action"}
    path = needed.get(text, "reward")
    schema = parse_transform(f"drop_field:path={path}").map_schema(deltas.schema)
    with pytest.raises(SchemaError, match=f"no step field '{path}'; the fields are "):
        parse_transform(text).map_schema(schema)
