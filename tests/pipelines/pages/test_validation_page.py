import dataclasses

import numpy as np
import pytest

from serlds.cli import main
from serlds.pipelines.checks.registry import BY_NAME


def test_a_clean_dataset_is_called_valid(made, recorded):
    code, page = made("validate", recorded)
    assert code == 0
    assert page.tiles[0][0] == "valid"
    assert ["5", "episodes that could be read"] in page.tiles
    assert all(source.startswith("data:") for source in page.sources)
    assert {"Checks", "Actions and motion", "Time between steps", "Lengths", "Bounds"} <= {
        text.strip() for text in page.headings
    }


def test_what_was_found_is_listed_with_its_place(made, world, tmp_path):
    episode = world.episode(1)
    position = np.array(episode["observation/state/tcp_pos"])
    position[3, 1] = np.inf
    bad = dataclasses.replace(
        episode, columns={**episode.columns, "observation/state/tcp_pos": position}
    )
    code, page = made("validate", world.dataset(tmp_path / "bad", [world.episode(0), bad]))
    assert code == 1
    assert page.tiles[0][0].endswith(("error", "errors"))
    row = next(row for row in page.tables[""] if "observation/state/tcp_pos" in row)
    assert row[:2] == ["episode-00001", "3"]
    assert any("finite" in heading and "error" in heading for heading in page.headings)
    assert "What to do:" in page.text


def test_each_check_says_its_rule_and_thresholds(made, recorded):
    _, page = made("validate", recorded, "--set", "alignment.fail_residual=0.9")
    row = next(row for row in page.tables[""] if row[0] == "alignment")
    assert row[3] == BY_NAME["alignment"].rule
    assert "fail_residual 0.9" in row[4]
    assert page.facts["embedding"]  # why the check was not made


def test_saturated_commands_are_to_be_seen(made, world, tmp_path):
    episode = world.episode(0, actions=20)
    action = np.array(episode["action"])
    action[:10, 0] = 1.0
    cut = dataclasses.replace(episode, columns={**episode.columns, "action": action})
    _, page = made("validate", world.dataset(tmp_path / "cut", [cut]))
    header = ["dimension", "min", "at min", "max", "at max"]
    assert header in page.tables[""]
    row = next(row for row in page.tables[""] if row[0] == "action[0]")
    assert row[3:] == ["1", "50 %"]


def test_no_page_is_written_unless_asked(recorded):
    before = {path for path in recorded.rglob("*.html")}
    with pytest.raises(SystemExit):
        main(["validate", str(recorded)])
    assert {path for path in recorded.rglob("*.html")} == before
