"""Pages made by the verbs of the command line, and a reader of them."""

import base64
import dataclasses
import functools
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from serlds.cli import main
from serlds.datasets.dataset_files import (
    COUNTED_TEMPLATE,
    DatasetFiles,
    SplitFiles,
    shard_name,
    write_metadata,
)
from serlds.datasets.episode import Episode, encode_image
from serlds.datasets.records import encode_episode, frame_record
from serlds.datasets.schema import Field, Schema

LENGTHS = (5, 9, 12, 12, 20)
OUTCOMES = (True, False, True, True, False)
VOID = {"meta", "link", "img", "br", "input"}


@dataclasses.dataclass
class Page(HTMLParser):
    """What stands on a page: texts by element, addresses, tables by field."""

    path: str

    def __post_init__(self):
        super().__init__()
        self.raw = Path(self.path).read_text()
        self.text, self.title = "", ""
        self.sources, self.links, self.alts, self.headings, self.anchors = [], [], [], [], []
        self.tags = set()
        self.tables = {}  # by field, rows of cells
        self.tiles = []  # (value, label)
        self.facts = {}
        self._stack, self._rows, self._name = [], None, ""
        self.feed(self.raw)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.add(tag)
        if tag not in VOID:
            self._stack.append(tag)
        if "src" in values:
            self.sources.append(values["src"])
        if tag == "img":
            self.alts.append(values.get("alt"))
        if "href" in values:
            self.links.append(values["href"])
        if "id" in values:
            self.anchors.append(values["id"])
        if tag == "table":
            self._rows = self.tables.setdefault(values.get("data-field", ""), [])
        if tag == "tr" and self._rows is not None:
            self._rows.append([])
        if tag in ("td", "th") and self._rows is not None:
            self._rows[-1].append("")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag == "b":
            self.tiles.append(["", ""])
        if tag == "dt":
            self._name = ""
        if tag == "dd":
            self.facts[self._name.strip()] = ""

    def handle_endtag(self, tag):
        if tag in self._stack:
            while self._stack.pop() != tag:
                pass
        if tag == "table":
            self._rows = None

    def handle_data(self, data):
        inside = set(self._stack)
        if inside & {"style"}:
            return
        if "title" in inside:
            self.title += data
            return
        self.text += data
        if self._rows and self._rows[-1] and inside & {"td", "th"}:
            self._rows[-1][-1] += data.strip()
        if inside & {"h1", "h2", "h3"}:
            self.headings[-1] += data
        if "b" in inside:
            self.tiles[-1][0] += data
        elif self.tiles and "span" in inside and "div" in inside and not self.tiles[-1][1]:
            self.tiles[-1][1] = data
        if "dt" in inside:
            self._name += data
        if "dd" in inside:
            self.facts[self._name.strip()] += data

    @property
    def svgs(self):
        """The texts of the plots."""
        head = "data:image/svg+xml;base64,"
        return [
            base64.b64decode(source.removeprefix(head)).decode()
            for source in self.sources
            if source.startswith(head)
        ]

    def numbers(self, field, column):
        """A column of a field's table as numbers."""
        header, *rows = self.tables[field]
        index = header.index(column)
        return [float(row[index].replace("\N{MINUS SIGN}", "-")) for row in rows]


def make_page(path, verb, dataset, *arguments):
    """Runs a verb that writes a page; gives (exit code, Page)."""
    flag = "--out" if verb == "report" else "--page"
    with pytest.raises(SystemExit) as stop:
        main([verb, str(dataset), flag, str(path), *map(str, arguments)])
    return stop.value.code, Page(str(path))


@pytest.fixture
def made(tmp_path):
    """`made("report", dataset, ...)` runs a verb that writes a page and gives (exit code, Page)."""
    return functools.partial(make_page, tmp_path / "page.html")


@pytest.fixture(scope="session")
def recorded(arm_world, tmp_path_factory):
    """A dataset of five episodes, three of them successes; tests must not change it."""
    episodes = [
        arm_world.episode(index, actions, success)
        for index, (actions, success) in enumerate(zip(LENGTHS, OUTCOMES, strict=True))
    ]
    return arm_world.dataset(tmp_path_factory.mktemp("pages") / "arm_demos", episodes)


@pytest.fixture(scope="session")
def page(recorded, tmp_path_factory):
    """The report of `recorded`."""
    code, page = make_page(tmp_path_factory.mktemp("page") / "page.html", "report", recorded)
    assert code == 0
    return page


@pytest.fixture
def browse(tmp_path):
    """Opens a page in headless Chromium; gives what its console says."""

    def open_page(path):
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'chromium'}", "--virtual-time-budget=1000",
            f"--screenshot={tmp_path / 'shot.png'}", f"file://{path}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert (tmp_path / "shot.png").stat().st_size > 10_000
        return [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """A dataset like RT-1, by another writer: action in parts, no success, no clock, two shards."""
    schema = Schema(
        (
            Field("action/gripper_closedness_action", "float32", (1,)),
            Field("action/terminate_episode", "int32", (3,)),
            Field("action/world_vector", "float32", (3,)),
            *(Field(f"is_{name}", "bool") for name in ("first", "last", "terminal")),
            Field("observation/image", "uint8", (24, 32, 3), "png"),
            Field("observation/natural_language_embedding", "float32", (512,)),
            Field("observation/natural_language_instruction", "string"),
            Field("reward", "float32"),
        ),
        (),
    )
    directory = tmp_path_factory.mktemp("foreign") / "rt1_like" / "0.1.0"
    directory.mkdir(parents=True)
    split = SplitFiles("train", (2, 1), 0, COUNTED_TEMPLATE)
    episodes = [encode_episode(_foreign_episode(length), schema) for length in (4, 5, 6)]
    for shard, payloads in enumerate((episodes[:2], episodes[2:])):
        content = b"".join(frame_record(payload) for payload in payloads)
        (directory / shard_name("rt1_like", split, shard)).write_bytes(content)
    write_metadata(directory, DatasetFiles("rt1_like", "0.1.0", (split,)), schema)
    return directory


def _foreign_episode(length):
    rows = np.arange(length)
    last = rows == length - 1
    frames = np.random.default_rng(length).integers(0, 255, (length, 24, 32, 3), np.uint8)
    columns = {
        "action/gripper_closedness_action": np.float32(rows % 2)[:, None],
        "action/terminate_episode": np.int32([last, ~last, rows * 0]).T,
        "action/world_vector": np.float32(2.0 * (-1.0) ** rows)[:, None].repeat(3, axis=1),
        "is_first": rows == 0,
        "is_last": last,
        "is_terminal": last,
        "observation/image": [encode_image(frame, "png") for frame in frames],
        "observation/natural_language_embedding": np.zeros((length, 512), np.float32),
        "observation/natural_language_instruction": ["move the can"] * length,
        "reward": last.astype(np.float32),
    }
    return Episode(columns, {})
