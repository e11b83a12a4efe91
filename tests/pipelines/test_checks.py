"""Each rule finds the one defect planted for it, and nothing in a clean episode."""

import dataclasses

import numpy as np
import pytest

from serlds.datasets.episode import Episode, encode_image
from serlds.pipelines.alignment import alignment_sums, can_align, check_alignment
from serlds.pipelines.checks import CHECKS, check_one

FRONT = "observation/image/front"


def changed(episode, metadata=None, **columns):
    """The episode with some columns replaced (`a__b` names the field `a/b`)."""
    named = {path.replace("__", "/"): column for path, column in columns.items()}
    return Episode({**episode.columns, **named}, {**episode.metadata, **(metadata or {})})


def with_value(episode, path, step, value):
    column = np.array(episode.columns[path])
    column[step] = value
    return Episode({**episode.columns, path: column}, episode.metadata)


def with_image(episode, step, image):
    images = list(episode.columns[FRONT])
    images[step] = image
    return Episode({**episode.columns, FRONT: images}, episode.metadata)


def png(height, width):
    return encode_image(np.zeros((height, width, 3), np.uint8), "png")


def jpeg(height, width):
    return encode_image(np.zeros((height, width, 3), np.uint8), "jpeg")


# Name of the test, check that must fire, step it must name, field it must name, the defect.
PLANTED = [
    ("wrong dtype", "schema", None, "", lambda e: changed(e, action=e["action"].astype(float))),
    ("short column", "schema", None, "", lambda e: changed(e, reward=e["reward"][:-1])),
    ("missing field", "schema", None, "", lambda e: Episode({"is_first": e["is_first"]}, {})),
    ("png for jpeg", "images", 3, FRONT, lambda e: with_image(e, 3, png(32, 48))),
    ("wrong size", "images", 5, FRONT, lambda e: with_image(e, 5, jpeg(32, 32))),
    ("cut image", "images", 4, FRONT, lambda e: with_image(e, 4, e[FRONT][4][:-80])),
    ("no image", "images", 0, FRONT, lambda e: with_image(e, 0, b"")),
    ("two first", "flags", 4, "is_first", lambda e: with_value(e, "is_first", 4, True)),
    ("no first", "flags", 0, "is_first", lambda e: with_value(e, "is_first", 0, False)),
    ("early last", "flags", 2, "is_last", lambda e: with_value(e, "is_last", 2, True)),
    ("no last", "flags", 12, "is_last", lambda e: with_value(e, "is_last", 12, False)),
    ("early terminal", "flags", 7, "is_terminal", lambda e: with_value(e, "is_terminal", 7, True)),
    ("early zero", "discount", 3, "discount", lambda e: with_value(e, "discount", 3, 0)),
    ("negative", "discount", 3, "discount", lambda e: with_value(e, "discount", 3, -1)),
    ("never zero", "discount", 11, "discount", lambda e: with_value(e, "discount", 11, 1)),
    ("nan", "finite", 6, "action", lambda e: with_value(e, "action", (6, 2), np.nan)),
    (
        "inf",
        "finite",
        12,
        "observation/state/tcp_pos",
        lambda e: with_value(e, "observation/state/tcp_pos", (12, 0), np.inf),
    ),
    ("too far", "action_range", 9, "action", lambda e: with_value(e, "action", (9, 1), -1.01)),
    ("no reward", "success_reward", None, "reward", lambda e: with_value(e, "reward", 11, 0)),
    (
        "no success",
        "success_reward",
        11,
        "reward",
        lambda e: changed(e, metadata={"success": False}),
    ),
    ("backward", "timestamps", 5, "timestamp_s", lambda e: with_value(e, "timestamp_s", 5, 0.3)),
    ("stopped", "timestamps", 5, "timestamp_s", lambda e: with_value(e, "timestamp_s", 5, 0.4)),
    (
        "no language",
        "language",
        0,
        "language_instruction",
        lambda e: changed(e, language_instruction=[" "] * len(e)),
    ),
]


@pytest.mark.parametrize(
    "check, step, field, plant", [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED]
)
def test_planted_defect_is_found_and_named(world, check, step, field, plant):
    findings = check_one(plant(world.episode(0)), world.schema)
    assert {finding.check for finding in findings} == {check}
    assert (findings[0].step, findings[0].field) == (step, field)


def test_every_check_has_a_planted_defect():
    assert {row[1] for row in PLANTED} == set(CHECKS)


@pytest.mark.parametrize("success", [True, False])
@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_clean_episode_stays_clean(world, success, encoding):
    world = dataclasses.replace(world, encoding=encoding)
    assert check_one(world.episode(1, success=success), world.schema) == []


def test_episode_without_a_transition(world):
    episode = world.episode(0, actions=1)
    cut = Episode({path: column[:1] for path, column in episode.columns.items()}, episode.metadata)
    assert "flags" in {finding.check for finding in check_one(cut, world.schema)}


def test_dense_reward_says_nothing_about_success(world):
    episode = world.episode(0, success=False)
    dense = np.append(np.linspace(0, 1, 12, dtype=np.float32), np.float32(0))
    assert check_one(changed(episode, reward=dense), world.schema) == []


def test_actions_without_scale_have_no_range(world):
    action = world.schema["action"]
    unscaled = dataclasses.replace(action, about=dataclasses.replace(action.about, scale=()))
    fields = tuple(unscaled if f.path == "action" else f for f in world.schema.steps)
    episode = with_value(world.episode(0), "action", (9, 1), 2.0)
    assert check_one(episode, dataclasses.replace(world.schema, steps=fields)) == []


def shifted(episode, steps):
    """The episode with its actions moved to later (positive) or earlier rows."""
    return changed(episode, action=np.roll(episode["action"], steps, axis=0))


@pytest.mark.parametrize(
    "steps, severities", [(0, []), (1, ["error"]), (-1, ["warning"]), (2, ["error"])]
)
def test_shifted_actions_are_found(state_world, steps, severities):
    schema = state_world.schema
    episodes = [shifted(state_world.episode(index), steps) for index in range(6)]
    sums = [alignment_sums(episode, schema) for episode in episodes]
    findings = list(check_alignment(sums, 10.0))
    assert [finding.severity for finding in findings] == severities
    # An action found `steps` rows late is one whose motion comes `steps` rows early.
    assert [finding.found for finding in findings] == [f"shift {-steps}"] * len(severities)


def test_positions_for_displacements_are_found(state_world):
    schema = state_world.schema
    sums = []
    for index in range(8):
        episode = state_world.episode(index, actions=40)
        action = np.array(episode["action"])
        action[:, :3] = episode["observation/state/tcp_pos"]
        sums.append(alignment_sums(changed(episode, action=action), schema))
    (finding,) = check_alignment(sums, 10.0)
    assert finding.severity == "error" and "do not explain" in finding.message


def test_straight_motion_is_not_called_shifted(state_world):
    episode = state_world.episode(0, actions=60)
    action = np.tile(np.float32([0.5, 0, 0, 0, 0, 0, 1]), (61, 1))
    action[-1] = 0
    position = np.outer(np.arange(61), [0.01, 0, 0]).astype(np.float32)
    straight = changed(episode, action=action, observation__state__tcp_pos=position)
    assert list(check_alignment([alignment_sums(straight, state_world.schema)], 10.0)) == []


def test_alignment_needs_scaled_displacements(world):
    assert can_align(world.schema)
    others = tuple(
        field for field in world.schema.steps if field.path != "observation/state/tcp_pos"
    )
    assert not can_align(dataclasses.replace(world.schema, steps=others))
