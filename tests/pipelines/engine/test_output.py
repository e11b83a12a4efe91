import os

import pytest

from serlds.datasets.errors import SerldsError, UsageError
from serlds.pipelines.engine.output import appearing_directory


def test_appears_complete(tmp_path):
    target = tmp_path / "name" / "1.0.0"
    with appearing_directory(target) as directory:
        (directory / "file").write_text("x")
        assert not target.exists()
    assert os.listdir(target) == ["file"] and os.listdir(target.parent) == ["1.0.0"]


def test_error_leaves_nothing(tmp_path):
    with (
        pytest.raises(RuntimeError, match="stop"),
        appearing_directory(tmp_path / "a" / "b" / "1.0.0") as directory,
    ):
        (directory / "file").write_text("x")
        raise RuntimeError("stop")
    assert os.listdir(tmp_path) == []


def test_directories_that_were_there_stay(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(RuntimeError), appearing_directory(tmp_path / "a" / "b" / "1.0.0"):
        raise RuntimeError("stop")
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == []


def test_target_that_appears_meanwhile_wins(tmp_path):
    target = tmp_path / "1.0.0"
    with (
        pytest.raises(UsageError, match="never overwritten"),
        appearing_directory(target) as directory,
    ):
        (directory / "mine").write_text("x")
        target.mkdir()
        (target / "theirs").write_text("y")
    assert os.listdir(target) == ["theirs"] and os.listdir(tmp_path) == ["1.0.0"]


def test_abandoned_directory_is_removed_and_a_running_one_is_not(tmp_path):
    abandoned = tmp_path / ".1.0.0-dead.incomplete"
    abandoned.mkdir()
    with appearing_directory(tmp_path / "1.0.0") as first:
        assert not abandoned.exists()
        with pytest.raises(RuntimeError), appearing_directory(tmp_path / "1.0.0"):
            assert first.exists()
            raise RuntimeError("stop")
        assert first.exists()
    assert os.listdir(tmp_path) == ["1.0.0"]


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(SerldsError, match="cannot be written"),
        appearing_directory(tmp_path / "file" / "1.0.0"),
    ):
        pass
