"""The whole loop, for real: what `serlds quickstart` promises is there when it ends."""

import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest

READ_WITH_TFDS = """
import sys
import tensorflow_datasets as tfds
for directory in sys.argv[1:]:
    builder = tfds.builder_from_directory(directory)
    count = 0
    for split in builder.info.splits:
        for episode in builder.as_dataset(split=split):
            steps = list(episode["steps"])
            assert steps[0]["is_first"] and steps[-1]["is_last"]
            count += 1
    assert count == sum(s.num_examples for s in builder.info.splits.values()) > 0
    print(count)
"""

READ_WITH_RLDS = """
import sys
import rlds
import tensorflow_datasets as tfds
for directory in sys.argv[1:]:
    dataset = tfds.builder_from_directory(directory).as_dataset(split="train")
    steps = dataset.flat_map(lambda episode: episode[rlds.STEPS])
    print(sum(bool(step[rlds.IS_LAST]) for step in steps))
"""


class Page(HTMLParser):
    """The addresses that a page loads things from, and its text."""

    def __init__(self):
        super().__init__()
        self.sources, self.text = [], ""

    def handle_starttag(self, tag, attributes):
        self.sources += [v for name, v in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The output of one real quickstart: its directory and what it printed."""
    out = tmp_path_factory.mktemp("quickstart") / "out"
    command = [sys.executable, "-m", "serlds.cli", "quickstart", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out, done.stdout


def newest_evaluation(run):
    return json.loads(next((run / "evals").glob("*.json")).read_text())


def datasets(out):
    return [str(out / name) for name in
            ("data/pick_cube/1.0.0", "rlpd/episodes/1.0.0", "rtx/pick_cube_rtx/1.0.0")]  # fmt: skip


def test_online_training_adds_what_cloning_lacks(made):
    out, printed = made
    rlpd, bc = newest_evaluation(out / "rlpd"), newest_evaluation(out / "bc")
    assert rlpd["episodes"] == bc["episodes"] == 100
    assert rlpd["seed"] == bc["seed"]
    assert rlpd["success_rate"] >= 0.95
    assert bc["success_rate"] < 0.80
    assert f"RLPD {rlpd['success_rate']:.0%}" in printed


def test_every_verb_is_printed_as_it_would_be_typed(made):
    out, printed = made
    for verb in ("record", "validate", "convert", "stats", "train bc", "train rlpd", "eval",
                 "export rtx", "report"):  # fmt: skip
        assert f"$ serlds {verb} " in printed
    timing = json.loads((out / "timing.json").read_text())
    assert {"record demonstrations", "train RLPD", "report"} <= set(timing)
    assert all(seconds > 0 for seconds in timing.values())
    assert "then try:" in printed


def test_the_page_is_self_contained(made):
    out, _ = made
    page = Page()
    page.feed((out / "report.html").read_text())
    assert page.sources
    assert all(source.startswith("data:") for source in page.sources)
    assert sum(source.startswith("data:video/mp4") for source in page.sources) >= 4
    for heading in ("Success and return", "Replay composition", "Demonstrations", "Datasets"):
        assert heading in page.text


@pytest.mark.parametrize("script", [READ_WITH_TFDS, READ_WITH_RLDS], ids=["tfds", "rlds"])
def test_others_read_all_three_datasets(made, script):
    out, _ = made
    command = [sys.executable, "-c", script, *datasets(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr[-3000:]
    demos, online, rtx = (int(line) for line in done.stdout.split())
    assert demos == 20
    assert online > 50
    assert rtx in (19, 20)  # rlds counts the split train, one episode is in val


def test_an_existing_output_is_left_alone(made, tmp_path):
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-m", "serlds.cli", "quickstart", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert not list((tmp_path / "out").iterdir())
