"""What transforms write of actions in the schema is what the validator and the exports read."""

import numpy as np
import pytest

from serlds.datasets.reading import open_dataset
from serlds.pipelines.convert import convert
from serlds.pipelines.rtx.export import export_rtx
from serlds.pipelines.rtx.options import RtxOptions
from serlds.pipelines.validate import validate


@pytest.fixture(scope="module")
def source(poses, deltas, tmp_path_factory):
    """Displacements whose documentation ends with: last the gripper: +1 open, -1 closed."""
    directory = tmp_path_factory.mktemp("to_rtx") / "arm"
    from serlds.datasets.store import EpisodeStore

    with EpisodeStore.open(directory, deltas.schema, env_id="test/Arm-v0") as store:
        for index in range(3):
            store.append(deltas.episode(index, actions=24))
    return directory


def export(dataset, directory):
    out = export_rtx(dataset, directory, RtxOptions(image_size=32))
    return {one.episode_id: one for one in open_dataset(out.dataset).episodes()}


@pytest.mark.parametrize(
    "chain",
    [
        ["to_absolute_actions", "to_delta_actions"],
        ["to_absolute_actions", "to_delta_actions:scale_m=0.05,scale_rad=0.25"],
        ["subsample:every=2,actions=pose_delta"],
        ["convert_rotation:field=action,source=rotvec,target=euler_xyz,start=3"],
    ],
    ids=" ".join,
)
def test_the_gripper_stays_documented_for_the_export(source, tmp_path, chain):
    made = convert(source, tmp_path / "made", chain).dataset
    exported = export(made, tmp_path / "rtx")
    plain = export(source, tmp_path / "plain")
    # Euler angles can exceed the scale of a rotation vector; such an episode is not converted.
    assert exported and len(exported) == open_dataset(made).num_episodes
    for episode_id, episode in exported.items():
        assert set(np.unique(episode["action"][:, 6])) <= {0, 1}
        if "subsample" not in chain[0]:
            np.testing.assert_allclose(episode["action"], plain[episode_id]["action"], atol=2e-5)


def test_absolute_actions_are_judged_as_such(source, tmp_path):
    absolute = convert(source, tmp_path / "absolute", ["to_absolute_actions"]).dataset
    report = validate(absolute)
    assert "action_kind" in report.checks
    assert not [one for one in report.errors if one.check == "action_kind"], report.to_text()
    delta = convert(absolute, tmp_path / "delta", ["to_delta_actions"]).dataset
    assert not [one for one in validate(delta).errors if one.check == "action_kind"]
    assert len(export(delta, tmp_path / "rtx")) == 3
