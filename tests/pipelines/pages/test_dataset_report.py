import dataclasses
import shutil

import numpy as np
import pytest
from scipy.stats import binomtest

from serlds.cli import main
from serlds.datasets.reading import open_dataset
from serlds.datasets.store import EpisodeStore

LENGTHS = (5, 9, 12, 12, 20)


def test_the_figures_are_those_of_the_data(page, recorded):
    episodes = list(open_dataset(recorded).episodes())
    tiles = dict(map(tuple, page.tiles))
    assert tiles["5"] == "episodes"
    assert tiles[str(sum(LENGTHS) + 5)].startswith("steps in")
    interval = binomtest(3, 5).proportion_ci(method="wilson")
    expected = f"{100 * interval.low:.0f} % to {100 * interval.high:.0f} %"
    assert tiles["60 %"] == f"success (95 % interval {expected})"
    assert ["scripted", "5", "3", "60 %", expected] in page.tables[""]
    assert f"{sum(LENGTHS)} actions; shortest 5, median 12, longest 20." in page.text
    actions = np.concatenate([episode["action"][:-1] for episode in episodes]).astype(np.float64)
    positions = np.concatenate([e["observation/state/tcp_pos"] for e in episodes])
    for field, values in (("action", actions), ("observation/state/tcp_pos", positions)):
        for column, figures in (
            ("min", values.min(axis=0)),
            ("mean", values.mean(axis=0)),
            ("std", values.std(axis=0)),
            ("q99", np.quantile(values, 0.99, axis=0)),
            ("max", values.max(axis=0)),
        ):
            assert page.numbers(field, column) == pytest.approx(figures, rel=1e-3, abs=1e-6)


def test_dimensions_have_names_and_units(page):
    assert [row[:2] for row in page.tables["observation/state/tcp_pos"][1:]] == [
        ["x", "m"], ["y", "m"], ["z", "m"]]  # fmt: skip
    units = [row[1] for row in page.tables["action"][1:]]
    assert units == ["0.02 m"] * 3 + ["0.1 rad"] * 3 + ["1 fraction of opening"]


def test_pictures_show_successes_and_failures(page):
    titles = [heading for heading in page.headings if heading.startswith("Episode ")]
    assert len(titles) == 5
    assert sum("success" in title for title in titles) == 3
    assert sum("failure" in title for title in titles) == 2
    assert sum(source.startswith("data:video/mp4") for source in page.sources) == 5
    assert sum(source.startswith("data:image/jpeg") for source in page.sources) == 6 + 4 * 8
    assert "Episode 4, camera front, step 20" in page.alts


def test_the_page_needs_nothing_else_and_is_light(page):
    assert all(source.startswith("data:") for source in page.sources)
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.anchors)
    assert all(page.alts)
    assert not page.tags & {"script", "iframe", "object"}
    assert "url(" not in page.raw
    assert all('href="http' not in svg and "<script" not in svg for svg in page.svgs)
    assert len(page.raw) < 8e6


def test_constant_dimensions_are_marked(made, world, tmp_path):
    def still(episode):
        action = np.array(episode["action"])
        action[:, 4] = 0.25
        return dataclasses.replace(episode, columns={**episode.columns, "action": action})

    dataset = world.dataset(tmp_path / "still", [still(world.episode(i)) for i in range(2)])
    _, page = made("report", dataset)
    marked = [row[0] for row in page.tables["action"][1:] if row[2] == "constant"]
    assert marked == ["4"]


def test_gaps_and_numbers_that_are_not_finite_are_counted(made, world, tmp_path):
    first, second = world.episode(0), world.episode(1)
    time = np.array(first["timestamp_s"])
    time[5:] += 0.3  # three steps are missing
    position = np.array(second["observation/state/tcp_pos"])
    position[3, 1] = np.nan
    first = dataclasses.replace(first, columns={**first.columns, "timestamp_s": time})
    second = dataclasses.replace(
        second, columns={**second.columns, "observation/state/tcp_pos": position}
    )
    code, page = made("report", world.dataset(tmp_path / "faulty", [first, second]))
    assert code == 0
    assert page.facts["declared rate"] == "10 Hz (2 episodes)"
    assert page.facts["gaps"] == "1 of 24 intervals, in 1 episode; about 3 steps missing"
    assert page.facts["longest interval"] == "400 ms"
    intervals = np.concatenate([np.diff(time), np.diff(second["timestamp_s"])])
    assert page.facts["jitter"].startswith(f"{1000 * intervals.std():.1f} ms")
    assert "1 step not finite" in page.text
    finding = next(row for row in page.tables[""] if "observation/state/tcp_pos" in row)
    assert finding[:2] == ["episode-00001", "3"]


HOSTILE = (
    "</title></td><script>alert(1)</script><img src=x onerror=alert(2)> $\\frac{$ &amp; {{ 7*7 }}"
)


def test_text_of_a_dataset_is_only_text(made, world, tmp_path):
    schema = world.schema
    about = dataclasses.replace(schema.action.about, doc=HOSTILE, frame=HOSTILE)
    steps = tuple(
        dataclasses.replace(field, about=about) if field.path == "action" else field
        for field in schema.steps
    )
    schema = dataclasses.replace(schema, steps=steps)
    path = tmp_path / "hostile"
    with EpisodeStore.open(path, schema, env_id="test/Arm-v0", description=HOSTILE) as store:
        for index in range(2):
            episode = world.episode(index)
            names = ("episode_id", "task", "robot", "collector", "created_utc")
            metadata = {**episode.metadata, **{name: f"{HOSTILE}{index}" for name in names}}
            position = np.full_like(episode["observation/state/tcp_pos"], np.nan)
            columns = {
                **episode.columns,
                "language_instruction": [HOSTILE] * len(episode),
                "observation/state/tcp_pos": position,
            }
            store.append(dataclasses.replace(episode, columns=columns, metadata=metadata))
    for verb in ("report", "validate"):
        _, page = made(verb, path)
        assert "script" not in page.tags
        assert "x" not in page.sources
        assert HOSTILE in page.text


def test_what_a_dataset_lacks_is_left_out(made, foreign):
    code, page = made("report", foreign)
    assert code == 0
    names = {heading.strip() for heading in page.headings}
    assert {"Pictures", "Episodes", "Actions", "Origin", "Fields"} <= names
    assert not names & {"Success", "Timing", "Tool positions", "Recording days"}
    assert "success" not in " ".join(label for _, label in page.tiles)
    assert page.facts["origin"].startswith("not written by serlds")
    assert page.facts["instruction"] == "move the can (3)"
    assert page.numbers("action/world_vector", "max") == [2.0, 2.0, 2.0]
    assert "observation/natural_language_embedding (512 numbers)" in page.text


def test_an_empty_dataset_says_so(made, world, tmp_path):
    with EpisodeStore.open(tmp_path / "empty", world.schema, env_id="test/Arm-v0"):
        pass
    code, page = made("report", tmp_path / "empty")
    assert code == 0
    assert "The dataset holds no episodes yet." in page.text
    assert ["0", "episodes"] in page.tiles
    assert "observation/state/tcp_pos" in page.text


def test_a_damaged_episode_does_not_hide_the_others(made, recorded, tmp_path):
    copy = shutil.copytree(recorded, tmp_path / recorded.name)
    shard = next(copy.rglob("*.tfrecord-00001"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(bytes(content))
    code, page = made("report", copy)
    assert code == 0
    assert ["4", "episodes"] in page.tiles
    assert "records" in " ".join(page.headings)


def test_workers_do_not_change_the_page(page, made, recorded):
    _, other = made("report", recorded, "--workers", "2")
    assert other.raw == page.raw


def test_origin_names_the_parent_and_the_transform(made, recorded, tmp_path):
    child = tmp_path / "child"
    with pytest.raises(SystemExit):
        main(["convert", str(recorded), str(child), "--apply", "only_successful"])
    _, page = made("report", child)
    assert open_dataset(recorded).digest[:12] in page.facts["parents"]
    assert "only_successful" in page.facts["transform"]
    assert ["3", "episodes"] in page.tiles


def test_by_default_the_page_is_beside_the_data(world, tmp_path, capsys):
    recorded = world.dataset(tmp_path / "arm_demos", [world.episode(0)])
    with pytest.raises(SystemExit) as stop:
        main(["report", str(recorded)])
    assert stop.value.code == 0
    page = recorded / "1.0.0" / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert page.is_file()
    assert open_dataset(recorded).num_episodes == 1


@pytest.mark.parametrize(
    "flags", [["--baseline", "r"], ["--datasets", "d"], ["--timing", "t"]], ids=lambda f: f[0]
)
def test_flags_for_runs_are_refused_for_a_dataset(recorded, capfd, flags):
    with pytest.raises(SystemExit) as stop:
        main(["report", str(recorded), *flags])
    assert stop.value.code == 2
    assert f"the report of a dataset takes no {flags[0]}" in capfd.readouterr().err
    assert not (recorded / "1.0.0" / "report.html").exists()


@pytest.mark.parametrize("flags", [["--workers", "2"], ["--", "--runner=x"]], ids=lambda f: f[0])
def test_flags_for_datasets_are_refused_for_a_run(tmp_path, capfd, flags):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path), *flags])
    assert stop.value.code == 2
    assert "the report of a run takes no" in capfd.readouterr().err


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium")
def test_a_browser_opens_it_without_complaint(page, browse, tmp_path):
    assert not browse(page.path)
    broken = page.raw.replace(
        "</main>", "<script>1</script><img src='http://localhost/x.png'></main>"
    )
    (tmp_path / "broken.html").write_text(broken)
    assert len(browse(tmp_path / "broken.html")) >= 2
