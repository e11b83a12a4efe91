"""The guide to the transforms says what is so."""

import re
import shlex
from pathlib import Path

import pytest

from serlds.pipelines.transforms.chain_file import read_chain
from serlds.pipelines.transforms.parameters import parameters_of
from serlds.pipelines.transforms.registry import TRANSFORMS
from serlds.pipelines.transforms.text import parse_transform

GUIDE = (Path(__file__).parents[3] / "docs" / "transforms.md").read_text()
# (parameters, example) by name, from the table of transforms.
ROWS = {
    name: (parameters, example.strip(" `"))
    for name, parameters, example in re.findall(
        r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", GUIDE, re.M
    )
}


def test_the_table_has_every_transform_with_every_parameter():
    assert list(ROWS) == list(TRANSFORMS)
    for name, (parameters, _) in ROWS.items():
        if name != "to_absolute_actions":  # "the same without scales and `clip`"
            assert set(re.findall(r"`(\w+)`", parameters)) == set(parameters_of(TRANSFORMS[name]))


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """The files that the guide tells to write."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(re.search(r"```toml\n(.*?)```", GUIDE, re.S)[1])
    (tmp_path / "instructions.csv").write_text(re.search(r"```csv\n(.*?)```", GUIDE, re.S)[1])


def test_every_example_can_be_read(beside):
    assert [one.name for one in read_chain(Path("small.toml"))] == ["keep_if", "resize_images"]
    commands = "".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.S)).replace("\\\n", "").splitlines()
    texts = [example for _, example in ROWS.values() if "recipe" not in example]
    for command in commands:
        words = shlex.split(command, comments=True)
        if "--apply" in words:
            texts += words[words.index("--apply") + 1 :]
    assert len(texts) > 40
    for text in texts:
        parse_transform(text)
