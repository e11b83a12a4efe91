import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tensorflow_datasets.proto import tf_example_pb2

from serlds.cli import main
from serlds.datasets.episode import Episode
from serlds.datasets.errors import DatasetNotFoundError, UsageError
from serlds.datasets.reading import open_dataset
from serlds.datasets.records import frame_record, read_records
from serlds.datasets.verdict import objection, read_verdict
from serlds.pipelines.checks.explaining import markdown_table
from serlds.pipelines.checks.options import CheckOptions
from serlds.pipelines.checks.registry import CHECKS
from serlds.pipelines.validate import keep_verdict, validate


def shard(dataset, index):
    return dataset / "1.0.0" / f"{dataset.name}-train.tfrecord-{index:05d}"


def flip_byte(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


@pytest.fixture
def dataset(world, tmp_path):
    return world.dataset(tmp_path / "arm", [world.episode(i, success=i != 2) for i in range(6)])


def test_clean_dataset(dataset):
    report = validate(dataset)
    assert report.findings == () and report.exit_code == 0
    assert (report.num_episodes, report.num_steps) == (6, 6 * 13)
    assert {*report.tallies, *report.not_made} == {check.name for check in CHECKS}
    assert report.not_made["camera_lag"] == "needs --images all"
    assert sum(report.evidence["lengths"]["counts"]) == 6
    assert sum(report.evidence["periods"]["counts"]) == 6 * 12
    assert report.evidence["alignment"]["residuals"][2] < 0.01
    assert report.evidence["bounds"][0]["name"] == "action[0]"


def test_planted_defects_are_reported_with_their_place(world, tmp_path):
    episodes = [world.episode(index) for index in range(5)]
    episodes[1]["action"][4, 2] = np.nan
    episodes[3]["discount"][5] = 0
    dataset = world.dataset(tmp_path / "arm", episodes)
    path = tmp_path / "report.json"
    report = validate(dataset, json_path=path)
    nan, zero = report.findings
    assert (nan.check, nan.episode_id, nan.step, nan.found) == ("finite", "episode-00001", 4, "nan")
    assert (zero.check, zero.episode_id, zero.step) == ("discount", "episode-00003", 5)
    assert nan.file == str(shard(dataset, 1)) and nan.record == 0
    assert report.exit_code == 1 and "episode episode-00001, step 4" in report.to_text()
    written = json.loads(path.read_text())
    assert written["num_errors"] == 2 and written["tallies"]["finite"] == {"error": 1, "warning": 0}
    assert written["findings"][0]["episode_id"] == "episode-00001"


def test_warnings_alone_do_not_fail(world, tmp_path):
    episode = world.episode(0)
    mute = Episode({**episode.columns, "language_instruction": [""] * 13}, episode.metadata)
    report = validate(world.dataset(tmp_path / "arm", [mute]))
    assert [finding.check for finding in report.warnings] == ["language"]
    assert report.exit_code == 0


@pytest.mark.parametrize(
    "offset, what", [(2000, "content"), (2, "length")], ids=["content", "length"]
)
def test_flipped_byte_names_file_and_record_and_hides_nothing_else(dataset, offset, what):
    flip_byte(shard(dataset, 2), offset)
    report = validate(dataset)
    (finding,) = report.errors
    assert finding.check == "records" and finding.record == 0
    assert finding.file == str(shard(dataset, 2)) and what in finding.message
    assert report.num_episodes == 5 and report.exit_code == 1


def test_torn_file_is_reported(dataset):
    path = shard(dataset, 4)
    path.write_bytes(path.read_bytes()[:-100])
    report = validate(dataset)
    assert [finding.file for finding in report.errors] == [str(path)]
    assert "1 of 1 records are lost" in report.errors[0].message and report.num_episodes == 5


def rewritten(path, change):
    (payload,) = read_records(path)
    example = tf_example_pb2.Example.FromString(payload)
    change(example.features.feature)
    path.write_bytes(frame_record(example.SerializeToString()))


def drop_values(features):
    del features["steps/action"].float_list.value[-3:]


def other_type(features):
    features["steps/reward"].int64_list.value.extend([0] * 13)


def no_steps(features):
    del features["steps/is_first"]


@pytest.mark.parametrize("change", [drop_values, other_type, no_steps])
def test_record_that_does_not_fit_the_schema(dataset, change):
    rewritten(shard(dataset, 3), change)
    report = validate(dataset)
    (finding,) = report.errors
    assert (finding.check, finding.file) == ("schema", str(shard(dataset, 3)))
    assert report.num_episodes == 5


def test_record_that_is_no_example(dataset):
    shard(dataset, 3).write_bytes(frame_record(b"\xff\x01 not protocol buffers"))
    assert [finding.check for finding in validate(dataset).errors] == ["schema"]


def test_duplicated_episode_is_found(world, tmp_path):
    episodes = [world.episode(index) for index in (0, 1, 0)]
    report = validate(world.dataset(tmp_path / "arm", episodes))
    (finding,) = report.errors
    assert (finding.check, finding.episode_id) == ("duplicates", "episode-00000")
    assert finding.file.endswith("00002") and "00000" in finding.message


def test_shifted_dataset_is_found(state_world, tmp_path):
    episodes = []
    for index in range(6):
        episode = state_world.episode(index)
        late = np.roll(episode["action"], 1, axis=0)
        episodes.append(Episode({**episode.columns, "action": late}, episode.metadata))
    report = validate(state_world.dataset(tmp_path / "arm", episodes))
    assert [(f.check, f.found) for f in report.errors] == [("alignment", "shift -1")]


def test_constant_action_dimension_is_a_warning(state_world, tmp_path):
    episodes = [state_world.episode(index) for index in range(3)]
    for episode in episodes:
        episode["action"][:, 4] = 0
    report = validate(state_world.dataset(tmp_path / "arm", episodes))
    assert [finding.check for finding in report.warnings] == ["constant"]
    assert "action[4]" in report.warnings[0].message and report.exit_code == 0


def test_progress_reaches_the_end(dataset):
    seen = []
    validate(dataset, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 6) and seen[-1] == (6, 6)


def test_nothing_to_validate(tmp_path):
    with pytest.raises(DatasetNotFoundError):
        validate(tmp_path / "nothing")


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"workers": 0}, "expected at least 1, found 0"),
        ({"workers": 2, "beam_args": ["--runner=FlinkRunner"]}, "name a runner"),
        ({"beam_args": ["--no_such_option=1"]}, "--no_such_option"),
        ({"beam_args": ["--direct_num_workers=many"]}, "invalid int value"),
        ({"beam_args": ["--runner=NoSuchRunner"]}, "NoSuchRunner"),
        ({"json_path": "/no/such/directory/report.json"}, "/no/such/directory"),
    ],
)
def test_wrong_options_are_refused(dataset, options, complaint):
    with pytest.raises(UsageError) as error:
        validate(dataset, **options)
    assert complaint in str(error.value)


def test_the_verdict_is_kept_beside_the_data_and_bound_to_it(world, dataset):
    directory = dataset / "1.0.0"
    assert "has not been validated" in objection(read_verdict(directory), "")
    report = validate(dataset, checks=CheckOptions(limits={"idle.max_share": 0.2}))
    assert keep_verdict(report) == ""
    verdict = read_verdict(directory)
    assert dataclasses.replace(report.verdict(), created_utc=verdict.created_utc) == verdict
    assert verdict.digest == open_dataset(dataset).digest and verdict.errors == 0
    assert verdict.thresholds["idle"]["max_share"] == 0.2
    assert verdict.checks["finite"] == {"error": 0, "warning": 0} and verdict.images == "sampled"
    assert objection(verdict, open_dataset(dataset).digest) == ""
    world.dataset(dataset, [world.episode(9)])
    assert "changed since" in objection(verdict, open_dataset(dataset).digest)
    assert validate(dataset).exit_code == 0  # the file beside the data disturbs no one


def test_a_dataset_that_cannot_be_written_is_validated_all_the_same(dataset, monkeypatch):
    report = validate(dataset)
    blocked = dataset / "1.0.0" / "validation.json"
    blocked.mkdir()
    assert "could not be written" in keep_verdict(report)


def test_two_workers_find_what_one_finds(world, tmp_path):
    episodes = [world.episode(index) for index in (*range(8), 3)]
    episodes[2]["action"][4, 2] = np.nan
    dataset = world.dataset(tmp_path / "arm", episodes)
    one, two = validate(dataset, workers=1), validate(dataset, workers=2)
    assert one.to_json() == two.to_json() and one.num_errors == 2


def test_the_text_says_what_and_what_to_do(world, tmp_path):
    episodes = [world.episode(index) for index in range(6)]
    for episode in episodes[:5]:
        episode["action"][4, 2] = np.nan
    text = validate(world.dataset(tmp_path / "arm", episodes)).to_text()
    assert "error finite: 5 finding(s)" in text and "... and 2 more" in text
    assert "what to do: Drop these episodes" in text
    assert "episodes: episode-00000 episode-00001" in text
    assert "5 errors, 0 warnings" in text and "quaternion (not applicable: no quaternion" in text


def test_the_verb_explains_sets_and_keeps(dataset, tmp_path, capfd):
    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["validate", *map(str, arguments)])
        return stop.value.code, *capfd.readouterr()

    code, out, _ = run("--list")
    assert code == 0 and all(check.name in out for check in CHECKS)
    code, out, _ = run("--explain", "idle", "rate")
    assert code == 0 and "idle.max_share" in out and "1.5 periods" in out
    config = tmp_path / "checks.toml"
    config.write_text('skip = ["language"]\nimages = "headers"\n[speed]\nmax_m_s = 0.01\n')
    code, out, _ = run(dataset, "--config", config)
    assert code == 1 and "error speed" in out
    code, out, _ = run(dataset, "--config", config, "--set", "speed.max_m_s=5", "--skip", "idle")
    assert code == 0 and "idle, language (skipped)" in out
    assert read_verdict(dataset / "1.0.0").images == "headers"
    for wrong, told in {
        ("--set", "speed.max=5"): "it has max_m_s",
        ("--set", "sped.max_m_s=5"): "did you mean speed",
        ("--set", "speed.max_m_s=fast"): "expected a number",
        ("--set", "speed"): "CHECK.THRESHOLD=NUMBER",
        ("--skip", "lnguage"): "did you mean language",
        ("--reference", "side=x.png"): "the cameras are",
        ("--reference", "front=x.png"): "not a readable image",
        ("--config", tmp_path / "none.toml"): "cannot be read",
    }.items():
        code, _, err = run(dataset, *wrong)
        assert code == 2 and told in err, (wrong, err)
    code, _, err = run()
    assert code == 2 and "a dataset is needed" in err


def test_the_documented_table_is_that_of_the_checks():
    text = (Path(__file__).parents[2] / "docs" / "validating.md").read_text()
    assert markdown_table() in text
