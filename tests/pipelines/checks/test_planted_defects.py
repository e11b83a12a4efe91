"""Each check finds the one defect planted for it, no other check fires, and clean data is clean."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets.episode import Episode, decode_image, encode_image
from serlds.datasets.schema import Field
from serlds.pipelines.checks.images import red_minus_blue
from serlds.pipelines.checks.options import CheckOptions
from serlds.pipelines.checks.registry import CHECKS

FRONT = "observation/image/front"
STATE = "observation/state/"


def changed(episode, metadata=None, **columns):
    """The episode with some columns replaced (`a__b` names the field `a/b`)."""
    named = {path.replace("__", "/"): column for path, column in columns.items()}
    return Episode({**episode.columns, **named}, {**episode.metadata, **(metadata or {})})


def edited(episode, path, edit):
    """The episode with one column edited in a copy."""
    column = np.array(episode.columns[path])
    edit(column)
    return Episode({**episode.columns, path: column}, episode.metadata)


def at(path, index, value):
    """Plants a value in the fourth episode."""

    def plant(episodes):
        def edit(column):
            column[index] = value

        return [edited(e, path, edit) if n == 3 else e for n, e in enumerate(episodes)]

    return plant


def every(path, edit):
    """Edits a column of every episode."""
    return lambda episodes: [edited(episode, path, edit) for episode in episodes]


def image(step, make):
    """Replaces an image of the fourth episode."""

    def plant(episodes):
        images = list(episodes[3][FRONT])
        images[step] = make(images[step])
        return [changed(e, **{FRONT: images}) if n == 3 else e for n, e in enumerate(episodes)]

    return plant


def images(make):
    """Replaces all images of the fourth episode."""

    def plant(episodes):
        made = make(list(episodes[3][FRONT]))
        return [changed(e, **{FRONT: made}) if n == 3 else e for n, e in enumerate(episodes)]

    return plant


def third(change):
    """Changes the fourth episode."""
    return lambda episodes: [change(e) if n == 3 else e for n, e in enumerate(episodes)]


def scaled(path, start, stop, factor):
    def edit(column):
        column[:, start:stop] *= factor

    return every(path, edit)


def shifted(steps):
    def edit(action):
        action[:-1] = np.roll(action[:-1], steps, axis=0)

    return every("action", edit)


def turned_frame(action):
    x, y = action[:, 0].copy(), action[:, 1].copy()
    action[:, 0], action[:, 1] = -y, x


def positions_for_displacements(episodes):
    return [
        edited(e, "action", lambda a, e=e: np.copyto(a[:-1, :3], e[STATE + "tcp_pos"][1:]))
        for e in episodes
    ]


def shuffled(action):
    np.random.default_rng(1).shuffle(action[:-1, :3])


def subsampled(episodes):
    """Every third step, its action as it was."""
    made = []
    for e in episodes:
        rows = np.arange(0, len(e) - 1, 3)
        rows = np.append(rows, len(e) - 1)
        columns = {
            path: [column[row] for row in rows] if isinstance(column, list) else column[rows]
            for path, column in e.columns.items()
        }
        columns["reward"], columns["discount"] = (
            np.array(columns[n]) for n in ("reward", "discount")
        )
        columns["reward"][-2], columns["discount"][-2] = e["reward"][-2], e["discount"][-2]
        columns["timestamp_s"] = (np.arange(len(rows)) / 10).astype(np.float32)
        made.append(Episode(columns, e.metadata))
    return made


def at_rest(episodes):
    """Positions so small that the tool seems to stand still."""
    return scaled(STATE + "tcp_pos", 0, 3, 0.001)(episodes)


def oxe_with_dummies(episodes):
    """The last row counts as an action, as its reward says, but is all zero."""
    made = []
    for e in episodes:
        reward, discount = np.array(e["reward"]), np.ones(len(e), np.float32)
        reward[-2], reward[-1] = 0, 1
        discount[-1] = 0 if e["is_terminal"][-1] else 1
        made.append(changed(e, {"success": True}, reward=reward, discount=discount))
    return made


def late_camera(episodes):
    return [changed(e, **{FRONT: e[FRONT][3:0:-1] + e[FRONT][:-3]}) for e in episodes]


def black(encoded):
    return encode_image(np.zeros_like(decode_image(encoded)), "jpeg")


def bgr(encoded):
    return encode_image(decode_image(encoded)[..., ::-1], "jpeg")


def paused(action):
    action[5:15, :6] = 0
    action[5:15, 6] = action[4, 6]


def wrapped(column):
    column[20:, 2] += np.where(column[20:, 2] > 0, -2 * np.pi, 2 * np.pi).astype(np.float32)


def jittery(times):
    times += np.random.default_rng(0).uniform(-0.03, 0.03, len(times)).astype(np.float32)


def gap(times):
    times[20:] += 0.15


def short(e):
    columns = {path: column[:4] for path, column in e.columns.items()}
    columns["is_last"], columns["is_terminal"] = np.arange(4) == 3, np.arange(4) == 3
    columns["discount"] = np.float32([1, 1, 0, 0])
    columns["reward"] = np.float32([0, 0, 1, 0])
    return Episode(columns, {**e.metadata, "success": True})


def huge(encoded):
    """A JPEG whose header says that it has 294 million pixels."""
    size = encoded.index(b"\xff\xc0") + 5
    return (
        encoded[:size]
        + (33677).to_bytes(2, "big")
        + (8720).to_bytes(2, "big")
        + encoded[size + 4 :]
    )


# Name of the test: (checks that must fire, severity, defect).
PLANTED = {
    "wrong dtype": (
        "schema",
        "error",
        third(lambda e: changed(e, action=e["action"].astype(float))),
    ),
    "short column": ("schema", "error", third(lambda e: changed(e, reward=e["reward"][:-1]))),
    "wrong shape": ("schema", "error", third(lambda e: changed(e, action=e["action"][:, :6]))),
    "png for jpeg": ("images", "error", image(3, lambda i: encode_image(decode_image(i), "png"))),
    "wrong size": (
        "images",
        "error",
        image(5, lambda i: encode_image(decode_image(i)[:32], "jpeg")),
    ),
    "cut image": ("images image_content", "error", image(4, lambda i: i[: len(i) // 2])),
    "huge image": ("images image_content", "error", image(4, huge)),
    "no image": ("images image_content", "error", image(0, lambda i: b"")),
    "two first": ("flags", "error", at("is_first", 4, True)),
    "no first": ("flags", "error", at("is_first", 0, False)),
    "early last": ("flags", "error", at("is_last", 2, True)),
    "no last": ("flags", "error", at("is_last", -1, False)),
    "early terminal": ("flags", "error", at("is_terminal", 7, True)),
    "early zero": ("discount", "error", at("discount", 3, 0)),
    "negative discount": ("discount", "error", at("discount", 3, -1)),
    "nan": ("finite", "error", at("action", (6, 2), np.nan)),
    "inf": ("finite", "error", at(STATE + "joint_pos", (12, 0), np.inf)),
    "actions one step late": ("alignment", "error", shifted(1)),
    "actions one step early": ("alignment", "warning", shifted(-1)),
    "actions two steps late": ("alignment", "error", shifted(2)),
    "unrelated actions": ("alignment", "error", every("action", shuffled)),
    "positions for displacements": ("action_kind", "error", positions_for_displacements),
    "another frame": ("action_frame", "error", every("action", turned_frame)),
    "millimetres": ("action_scale speed", "error", scaled(STATE + "tcp_pos", 0, 3, 1000)),
    "kilometres": ("action_scale", "error", at_rest),
    "every third step": ("action_scale", "error", subsampled),
    "actions cut to a third": ("action_scale", "error", scaled("action", 0, 3, 0.3)),
    "out of range": ("action_range", "error", at("action", (9, 1), -1.01)),
    "dummy last action": ("dummy_action", "error", oxe_with_dummies),
    "first action zero": ("dummy_action", "warning", every("action", lambda a: a[0].fill(0))),
    "gripper inverted": ("gripper_sign", "error", scaled("action", 6, 7, -1)),
    "gripper half open": ("gripper_range", "warning", scaled("action", 6, 7, 0.5)),
    "gripper too far": ("gripper_range action_range", "error", scaled("action", 6, 7, 1.5)),
    "long quaternion": ("quaternion", "error", at(STATE + "tcp_quat", (5, 0), 1.5)),
    "quaternion sign": (
        "quaternion",
        "warning",
        third(lambda e: edited(e, STATE + "tcp_quat", lambda q: np.negative(q[9:], out=q[9:]))),
    ),
    "wrapped angle": (
        "angle_wrap",
        "warning",
        third(lambda e: edited(e, STATE + "joint_pos", wrapped)),
    ),
    "turns in degrees": ("rotation_units action_range", "error", scaled("action", 3, 6, 57.3)),
    "a turn over pi": ("angle_wrap action_range", "error", at("action", (7, 4), 50)),
    "joints in degrees": ("rotation_units", "error", scaled(STATE + "joint_pos", 0, 6, 57.3)),
    "constant action": ("constant", "warning", every("action", lambda a: a[:, 4].fill(0))),
    "constant state": (
        "constant",
        "warning",
        every(STATE + "joint_pos", lambda s: s[:, 4].fill(1)),
    ),
    "cut sensor": (
        "saturation",
        "warning",
        every(STATE + "joint_pos", lambda s: np.minimum(s, 0.0, out=s)),
    ),
    "jump": ("speed", "error", at(STATE + "tcp_pos", (20, 0), 1.5)),
    "pause": ("idle", "warning", third(lambda e: edited(e, "action", paused))),
    "late start": ("idle dummy_action", "warning", every("action", lambda a: a[:12, :6].fill(0))),
    "frozen camera": ("stale_frames", "error", images(lambda i: i[:10] + [i[10]] * 20 + i[30:])),
    "broken pixels": (
        "image_content",
        "error",
        image(4, lambda i: i[: i.index(b"\xff\xda") - 30] + b"\xff\xd9"),
    ),
    "black image": ("blank_images", "error", image(4, black)),
    "swapped channels": ("swapped_channels", "error", images(lambda i: [bgr(one) for one in i])),
    "late camera": ("camera_lag", "error", late_camera),
    "backward time": ("timestamps", "error", at("timestamp_s", 5, 0.3)),
    "stopped time": ("timestamps", "error", at("timestamp_s", 5, 0.4)),
    "wrong rate": ("rate", "error", every("timestamp_s", lambda t: np.multiply(t, 2, out=t))),
    "slightly wrong rate": (
        "rate",
        "warning",
        every("timestamp_s", lambda t: np.multiply(t, 1.1, out=t)),
    ),
    "gap": ("rate", "warning", third(lambda e: edited(e, "timestamp_s", gap))),
    "jitter": ("rate", "warning", third(lambda e: edited(e, "timestamp_s", jittery))),
    "success without reward": (
        "success_reward",
        "error",
        lambda es: [changed(e, reward=np.zeros_like(e["reward"])) if e.success else e for e in es],
    ),
    "reward without success": (
        "success_reward",
        "error",
        lambda episodes: [changed(e, {"success": False}) for e in episodes],
    ),
    "no language": (
        "language",
        "warning",
        third(lambda e: changed(e, language_instruction=[" "] * len(e))),
    ),
    "placeholder": (
        "language",
        "warning",
        third(lambda e: changed(e, language_instruction=["Do something."] * len(e))),
    ),
    "zero embedding": ("embedding", "error", at("language_embedding", 3, 0)),
    "short episode": ("length", "warning", third(short)),
    "same id": (
        "duplicates",
        "error",
        third(lambda e: changed(e, {"episode_id": "episode-00001"})),
    ),
    "same content": (
        "duplicates",
        "error",
        lambda episodes: [*episodes, changed(episodes[1], {"episode_id": "another"})],
    ),
}


@pytest.mark.parametrize(("checks", "severity", "plant"), PLANTED.values(), ids=PLANTED.keys())
def test_the_planted_defect_alone_is_found(full_arm, clean, find, checks, severity, plant):
    findings = find(full_arm.schema, plant(clean))
    assert {finding.check for finding in findings} == set(checks.split()), findings
    assert severity in {finding.severity for finding in findings}
    if severity == "warning":
        assert "error" not in {finding.severity for finding in findings}


def test_every_check_has_a_planted_defect():
    planted = {name for checks, _, _ in PLANTED.values() for name in checks.split()}
    # Damaged files and schemas without a field are planted in test_validate.
    assert planted | {"records", "required_fields"} == {check.name for check in CHECKS}


def test_clean_data_is_clean(full_arm, clean, find):
    assert find(full_arm.schema, clean) == []


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("alpha", [1.0, 0.7, 0.5, 0.3, 0.2])
def test_a_sluggish_arm_is_no_error(full_arm, find, alpha, noise):
    arm = dataclasses.replace(full_arm, alpha=alpha, noise=noise, camera=False)
    findings = find(arm.schema, arm.episodes())
    assert {finding.severity for finding in findings} <= {"warning"}, findings
    # It is late, and says so; nothing else.
    assert {finding.check for finding in findings} <= {"alignment"}
    if alpha >= 0.7:
        assert findings == []


def test_a_tool_that_is_held_back_is_no_error(full_arm, clean, find):
    """It runs against the limit of its workspace in the middle of each episode, and stays there."""

    def held(episode):
        position = np.array(episode[STATE + "tcp_pos"])
        position[12:] = position[12]
        return changed(episode, **{STATE + "tcp_pos": position})

    findings = find(full_arm.schema, [held(e) for e in clean], CheckOptions(images="headers"))
    assert {finding.severity for finding in findings} <= {"warning"}
    assert {finding.check for finding in findings} <= {"action_scale", "saturation"}


@pytest.mark.parametrize("threshold, found", [(0.1, True), (0.9, False)])
def test_a_threshold_decides(full_arm, clean, find, threshold, found):
    _, _, plant = PLANTED["pause"]
    options = CheckOptions(images="headers", limits={"idle.max_share": threshold})
    assert bool(find(full_arm.schema, plant(clean), options)) == found


def test_a_skipped_check_finds_nothing(full_arm, clean, find):
    _, _, plant = PLANTED["gripper inverted"]
    options = CheckOptions(images="headers", skip=("gripper_sign",))
    assert find(full_arm.schema, plant(clean), options) == []


@pytest.mark.parametrize("images, found", [("headers", False), ("sampled", True), ("all", True)])
def test_pixels_are_looked_at_as_far_as_asked(full_arm, clean, find, images, found):
    plant = image(0, black)
    assert bool(find(full_arm.schema, plant(clean), CheckOptions(images=images))) == found


def test_a_dataset_swapped_throughout_needs_a_reference(full_arm, clean, find):
    episodes = [changed(e, **{FRONT: [bgr(one) for one in e[FRONT]]}) for e in clean]
    assert find(full_arm.schema, episodes) == []
    right = {FRONT: red_minus_blue(decode_image(clean[0][FRONT][0]))}
    findings = find(full_arm.schema, episodes, references=right)
    assert [f.check for f in findings] == ["swapped_channels"] * len(episodes)
    assert find(full_arm.schema, clean, references=right) == []


def test_findings_name_their_place(full_arm, clean, find):
    (nan,) = find(full_arm.schema, PLANTED["nan"][2](clean))
    assert (nan.step, nan.field, nan.found, nan.record) == (6, "action", "nan", 3)
    assert nan.episode_id == "episode-00003" and "action[2]" in nan.message
    (again,) = find(full_arm.schema, PLANTED["same content"][2](clean))
    assert again.episode_id == "another" and "episode episode-00001" in again.message


def without(schema, *paths):
    return dataclasses.replace(schema, steps=tuple(f for f in schema.steps if f.path not in paths))


def test_a_check_that_cannot_apply_says_why(full_arm):
    from serlds.pipelines.checks.fields import Fields

    bare = without(full_arm.schema, STATE + "tcp_pos", STATE + "tcp_quat", FRONT, "timestamp_s")
    reasons = CheckOptions(skip=("idle",)).not_made(Fields(bare))
    assert reasons["alignment"].startswith("not applicable: no position of the tool")
    assert "no image field" in reasons["images"] and "timestamp_s" in reasons["rate"]
    assert reasons["idle"] == "skipped"
    assert "constant" not in reasons and "gripper_sign" not in reasons


def documented(schema, doc):
    action = dataclasses.replace(
        schema["action"], about=dataclasses.replace(schema["action"].about, doc=doc)
    )
    steps = tuple(action if f.path == "action" else f for f in schema.steps)
    return dataclasses.replace(schema, steps=steps)


def unscaled(schema):
    about = dataclasses.replace(schema["action"].about, scale=())
    action = dataclasses.replace(schema["action"], about=about)
    return dataclasses.replace(
        schema, steps=tuple(action if f.path == "action" else f for f in schema.steps)
    )


def test_declared_targets_are_taken_as_such(full_arm, clean, find):
    """Absolute actions that say so are clean, and displacements in their place are found."""
    schema = documented(unscaled(full_arm.schema), "Target pose of the tool; then the gripper.")
    scale = np.float32([0.02] * 3 + [0.1] * 3 + [1])
    targets = []
    for episode in positions_for_displacements(clean):
        targets.append(edited(episode, "action", lambda a: np.multiply(a[:, 3:], 1, out=a[:, 3:])))
    assert find(schema, targets, CheckOptions(images="headers")) == []
    deltas = [changed(e, action=(e["action"] * scale).astype(np.float32)) for e in clean]
    findings = find(schema, deltas, CheckOptions(images="headers", skip=("idle", "dummy_action")))
    assert [f.check for f in findings] == ["action_kind"]


@pytest.mark.parametrize(
    "doc, sign, clean_data",
    [
        ("last the gripper: 1 closed, -1 open", -1, True),
        ("last the gripper: 1 closed, -1 open", 1, False),
        ("last the gripper: 1 open, -1 closed", 1, True),
    ],
)
def test_the_documented_sense_of_the_gripper_counts(full_arm, clean, find, doc, sign, clean_data):
    schema = documented(full_arm.schema, "Change of the tool pose; " + doc)
    findings = find(schema, scaled("action", 6, 7, sign)(clean), CheckOptions(images="headers"))
    assert [f.check for f in findings] == ([] if clean_data else ["gripper_sign"])


def test_a_straight_motion_is_not_called_shifted(full_arm, find):
    def straight(episode):
        rows = len(episode)
        action = np.array(episode["action"])
        action[:-1, :3] = (0.5, 0, 0)
        position = np.outer(np.arange(rows), [0.01, 0, 0]).astype(np.float32)
        return changed(episode, action=action, **{STATE + "tcp_pos": position})

    episodes = [straight(full_arm.episode(index)) for index in range(6)]
    options = CheckOptions(images="headers", skip=("constant", "duplicates"))
    assert find(full_arm.schema, episodes, options) == []


def test_dense_reward_says_nothing_about_success(full_arm, clean, find):
    dense = np.append(np.linspace(0, 1, 40, dtype=np.float32), np.float32(0))
    episodes = [changed(e, {"success": False}, reward=dense) for e in clean]
    assert find(full_arm.schema, episodes, CheckOptions(images="headers")) == []


def test_unused_dimensions_may_be_constant(full_arm, clean, find):
    flat = Field(STATE + "spare", "float32", (2,))
    for doc, expected in (("", ["constant", "constant"]), ("Unused.", [])):
        spare = dataclasses.replace(flat, about=dataclasses.replace(flat.about, doc=doc))
        schema = dataclasses.replace(full_arm.schema, steps=(*full_arm.schema.steps, spare))
        episodes = [changed(e, **{flat.path: np.zeros((len(e), 2), np.float32)}) for e in clean]
        assert [f.check for f in find(schema, episodes)] == expected
