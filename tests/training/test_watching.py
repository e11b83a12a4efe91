"""The live page: in a real browser while a run is written, and by plain HTTP."""

import dataclasses
import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from serlds.datasets.errors import UsageError
from serlds.envs.recording import record_episodes
from serlds.envs.video import write_video
from serlds.training.metrics import MetricsLog
from serlds.training.run_directory import RunDirectory, create_run_directory
from serlds.training.run_preparation import prepare
from serlds.training.watching.server import WatchServer

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no chromium with chromedriver; `make browser` installs them"
)
PATIENCE_S = 20.0


@pytest.fixture
def directory(tiny_rlpd, tmp_path):
    return create_run_directory(tmp_path / "run", prepare(tiny_rlpd))


@pytest.fixture
def server(directory):
    with WatchServer(directory.path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server, path, **headers):
    """(status, headers, body) of a request whose path is sent as it is."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def get_json(server, path):
    status, _, body = get(server, path)
    assert status == 200, body
    return json.loads(body)


def learner_line(directory, updates, wall_s=10.0, env_steps=20):
    with MetricsLog(directory.metrics("learner"), directory.tensorboard / "learner") as log:
        log.write({
            "wall_s": wall_s, "env_steps": env_steps, "learner/updates": updates,
            "learner/critic_updates_per_s": 120.0, "learner/utd_ratio": 2.0,
            "replay/demos": 40, "replay/online": env_steps,
            "loss/value": 0.5, "loss/target_value": 0.4, "loss/entropy": -2.0,
            "loss/temperature": 0.1, "loss/unheard_of": float("nan"),
        })  # fmt: skip


def actor_line(directory, **values):
    with MetricsLog(directory.metrics("actor"), directory.tensorboard / "actor") as log:
        log.write({"wall_s": 11.0, "env_steps": 20, **values})


def add_evaluation(directory, name="updates-65-seed-0"):
    video = f"{name}-0.mp4"
    frames = [np.full((64, 64, 3), 20 * i, np.uint8) for i in range(10)]
    write_video(directory.evals / video, frames, 10.0)
    values = {
        "checkpoint": "65",
        "success_rate": 1.0,
        "success_interval": [0.2, 1.0],
        "length_mean_steps": 9.0,
        "episodes": 1,
        "successes": [True],
        "lengths": [9],
        "videos": [video],
    }
    (directory.evals / f"{name}.json").write_text(json.dumps(values))
    return video


@pytest.fixture
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1200,1600")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(DRIVER))
    yield browser
    browser.quit()


def shows(browser, script):
    """Waits until a JavaScript expression is true in the page."""
    from selenium.webdriver.support.wait import WebDriverWait

    wait = WebDriverWait(browser, PATIENCE_S, poll_frequency=0.1)
    wait.until(lambda b: b.execute_script(f"return {script}"), message=script)


WRITER = """
import sys
from pathlib import Path
from serlds.training.metrics import MetricsLog

run = Path(sys.argv[1])
learner = MetricsLog(run / "metrics-learner.jsonl", run / "tensorboard" / "learner")
actor = MetricsLog(run / "metrics-actor.jsonl", run / "tensorboard" / "actor")
for line in sys.stdin:
    step = int(line)
    common = {"wall_s": step / 2, "env_steps": step}
    learner.write({**common, "learner/updates": step, "learner/critic_updates_per_s": 100.0 + step,
                   "learner/utd_ratio": 2, "replay/demos": 40, "replay/online": step,
                   "loss/value": step / 100, "loss/target_value": step / 90, "loss/entropy": -step,
                   "loss/temperature": 1 / (1 + step), "loss/unheard_of": step})
    actor.write({**common, "train/success": 1, "train/return": 1, "train/length_steps": 10,
                 "train/episodes": step, "train/success_rate_20": step / 100,
                 "train/intervened_share": 0.25, "policy/age_s": 0.5, "policy/lag_updates": 3})
    actor.write({**common, "eval/success_rate": step / 100, "eval/return": step / 100,
                 "eval/length_steps": 10, "eval/episodes": 100, "eval/policy_updates": step})
"""


@needs_browser
def test_a_browser_shows_a_run_as_it_grows(server, directory, browser, tmp_path):
    tiles = "document.getElementById('tiles').innerText.replace(/\\u00a0/g, ' ')"
    path = "document.querySelector('[data-chart=\"{}\"] svg path[stroke]')?.getAttribute('d')"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory.path)], stdin=subprocess.PIPE, text=True
    )

    def write(*steps):
        writer.stdin.write("".join(f"{step}\n" for step in steps))
        writer.stdin.flush()

    browser.get(server.url)
    shows(browser, "document.getElementById('status').innerText == 'stopped'")  # nothing is written
    browser.execute_script("window.isTheSamePage = true")

    write(10, 20)
    shows(browser, f"{tiles}.includes('20 %\\nsuccess in the last evaluation of 100 (95 %: 13 to')")
    shows(browser, f"{path.format('Q values')} != null")
    early = {
        name: browser.execute_script(f"return {path.format(name)}")
        for name in (
            "Success",
            "Return",
            "Q values",
            "Entropy",
            "Temperature",
            "Replay",
            "Learning",
        )
    }
    assert all(early.values()), early

    write(30, 50)
    shows(browser, f"{tiles}.includes('50 %\\nsuccess in the last evaluation of 100 (95 %: 40 to')")
    shows(browser, f"{tiles}.includes('50\\nof 60 environment steps')")
    shows(browser, f"{tiles}.includes('25 %\\nof the last episode driven by a human')")
    shows(browser, f"{tiles}.includes('0.5 s\\nage of the acting policy, 3 updates behind')")
    for name, before in early.items():
        assert browser.execute_script(f"return {path.format(name)}") != before, name

    browser.execute_script("document.querySelector('[data-axis=wall_s]').click()")
    shows(browser, "document.querySelector('[data-chart=Success] svg').textContent.includes(' s')")
    browser.execute_script("document.getElementById('more').open = true")
    shows(browser, f"{path.format('loss/unheard_of')} != null")  # no metric is ever hidden

    add_evaluation(directory)
    video = "document.querySelector('.videos video')"
    shows(browser, f"{video} != null")
    browser.execute_script(f"{video}.scrollIntoView()")  # one out of sight does not play
    shows(browser, f"{video}.readyState >= 2 && {video}.currentTime > 0")
    shows(browser, f"{tiles}.includes('100 %\\nsuccess by serlds eval of 1')")
    browser.set_window_size(500, 900)
    assert browser.execute_script("return document.body.scrollWidth <= window.innerWidth")

    # The run begins anew in the same place: the old curves go.
    writer.stdin.close()
    assert writer.wait(30) == 0
    record = directory.read_record()
    directory.metrics("actor").unlink()
    directory.metrics("learner").unlink()
    directory.write_record(dataclasses.replace(record, created_utc="2030-01-01T00:00:00+00:00"))
    shows(browser, f"!{tiles}.includes('last evaluation')")
    assert browser.execute_script("return window.isTheSamePage") is True
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors


def test_only_new_and_whole_lines_are_sent(server, directory):
    first = get_json(server, "/metrics")
    assert (first["lines"], first["offsets"], first["anew"]) == ({}, {}, True)
    learner_line(directory, updates=10)
    with directory.metrics("learner").open("a") as file:
        file.write('{"wall_s": 11, "env')  # the writer was killed here
    query = f"/metrics?run={first['run'].replace('+', '%2B')}"
    second = get_json(server, query)
    assert [line["learner/updates"] for line in second["lines"]["learner"]] == [10]
    assert second["lines"]["learner"][0]["loss/unheard_of"] is None
    assert second["anew"] is False
    learner_line(directory, updates=20)  # it drops the torn line first
    third = get_json(server, f"{query}&learner={second['offsets']['learner']}")
    assert [line["learner/updates"] for line in third["lines"]["learner"]] == [20]
    assert (third["anew"], third["more"]) == (False, False)
    shorter = get_json(server, f"{query}&learner=1000000")
    assert shorter["anew"] is True
    assert len(shorter["lines"]["learner"]) == 2


def test_a_long_history_comes_in_pieces(server, directory):
    line = json.dumps({"wall_s": 1, "env_steps": 1, "loss/value": 0.5}) + "\n"
    directory.metrics("learner").write_text(line * 25_000)
    run, offset, pieces, lines, more = "", 0, 0, 0, True
    while more:
        news = get_json(server, f"/metrics?run={run}&learner={offset}")
        run, offset = news["run"].replace("+", "%2B"), news["offsets"]["learner"]
        lines, pieces, more = lines + len(news["lines"]["learner"]), pieces + 1, news["more"]
    assert (lines, pieces) == (25_000, 2)


def test_the_status_follows_the_run(server, directory):
    assert get_json(server, "/state")["status"] == "stopped"
    lock = directory.lock()
    assert get_json(server, "/state")["status"] == "starting"
    learner_line(directory, updates=20)
    assert get_json(server, "/state")["status"] == "training"
    lock.release()
    learner_line(directory, updates=65, env_steps=60)
    state = get_json(server, "/state")
    assert (state["status"], state["updates"], state["env_steps"]) == ("finished", 65, 60)
    facts = dict(state["facts"])
    record = RunDirectory.open(directory.path).read_record()
    assert facts["algorithm"] == "rlpd"
    assert facts["batch"] == "8, 50% of it demonstrations"
    assert record.datasets[0].digest[:12] in facts["demonstrations"]


def test_damage_is_told_and_the_rest_goes_on(server, directory):
    actor_line(directory, **{"train/episodes": 1})
    with directory.metrics("actor").open("a") as file:
        file.write("not json\n")
    status, _, body = get(server, "/metrics")
    assert status == 503
    assert "metrics-actor.jsonl, line 2: not JSON" in json.loads(body)["error"]
    assert get(server, "/")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_other_names_of_this_machine_are_refused(server, host):
    for path in ("/", "/state", "/metrics"):
        status, _, body = get(server, path, Host=host)
        assert status == 403
        assert b"WidowX" not in body


def test_a_tunnel_may_end_at_another_port(server):
    assert get(server, "/state", Host="localhost:1234")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/config.json",
        "/../config.json",
        "/evals/../config.json",
        "/evals/..%2fconfig.json",
        "/evals/%2e%2e/config.json",
        "/evals//etc/passwd",
        "/evals/updates-65-seed-0.json",
        "/evals/unlisted.mp4",
        "/logs/learner.log",
        "/episode.mp4",
    ],
)
def test_nothing_else_is_served(server, directory, path):
    add_evaluation(directory)
    (directory.evals / "unlisted.mp4").write_bytes(b"private")
    directory.log("learner").write_text("private")
    assert get(server, path)[0] == 404


def test_a_result_that_names_a_file_elsewhere_gives_nothing(server, directory, tmp_path):
    add_evaluation(directory)
    (tmp_path / "private.mp4").write_bytes(b"private")
    result = directory.evals / "updates-65-seed-0.json"
    values = json.loads(result.read_text())
    result.write_text(json.dumps({**values, "videos": ["../../private.mp4"]}))
    assert get(server, "/evals/private.mp4")[0] == 404
    assert get(server, "/evals/..%2f..%2fprivate.mp4")[0] == 404


def test_videos_come_whole_or_in_parts(server, directory):
    name = add_evaluation(directory)
    content = (directory.evals / name).read_bytes()
    status, headers, body = get(server, f"/evals/{name}?1")
    assert (status, headers["Content-Type"], body) == (200, "video/mp4", content)
    status, headers, body = get(server, f"/evals/{name}", Range="bytes=10-19")
    assert (status, body) == (206, content[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    assert get(server, f"/evals/{name}", Range="bytes=10-")[2] == content[10:]
    assert get(server, f"/evals/{name}", Range="bytes=99999999-")[0] == 416


def test_the_last_online_episode_is_filmed(server, directory):
    assert get_json(server, "/state")["episode"] is None
    env_args = {"cameras": ["front"], "image_size": 32, "max_steps": 4}
    path = directory.episodes.directory.parent
    record_episodes("serlds/WidowXPickCube-v0", env_args, path, by="random", episodes=1, seed=0)
    first = get_json(server, "/state")["episode"]
    status, _, one = get(server, "/episode.mp4")
    assert (status, one[4:8]) == (200, b"ftyp")
    record_episodes("serlds/WidowXPickCube-v0", env_args, path, by="random", episodes=1, seed=1)
    assert get_json(server, "/state")["episode"] != first
    assert get(server, "/episode.mp4")[2] != one


def test_the_page_runs_its_own_script_alone(server):
    _, headers, one = get(server, "/")
    rules = headers["Content-Security-Policy"]
    assert "default-src 'none'" in rules
    assert "unsafe-inline" not in rules.split("script-src")[1].split(";")[0]
    assert b"http://" not in one.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in one
    assert rules != get(server, "/")[1]["Content-Security-Policy"]  # the nonce is used once
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_wrong_requests_are_refused(server, directory, tmp_path):
    assert get(server, "/metrics?learner=-1")[0] == 400
    assert get(server, "/metrics?learner=x")[0] == 400
    with pytest.raises(UsageError, match="cannot listen"):
        WatchServer(directory.path, server.server_address[1])
    with pytest.raises(UsageError, match="no run here"):
        WatchServer(tmp_path)


def test_the_verb_prints_the_address_and_ends_by_ctrl_c(directory):
    command = [str(Path(sys.executable).with_name("serlds")), "watch", str(directory.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "is shown at http://127.0.0.1:" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
