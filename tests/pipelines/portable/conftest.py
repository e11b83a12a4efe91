"""Job services that run pipelines in processes other than the one that starts them."""

import contextlib
import dataclasses
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Flink looks into these packages, which Java closes from version 17 on.
JAVA_OPTIONS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.nio", "java.util", "java.util.concurrent", "sun.nio.ch")
]
JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
START_S = 90


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A running job service, and what Beam must be told to use it."""

    name: str
    beam_args: tuple[str, ...]
    worker_ids: Path
    """File to which each worker process adds its process id."""


@pytest.fixture(scope="session", params=["python", "flink"])
def cluster(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    classpath = os.environ.get("SERLDS_FLINK_CLASSPATH", "")
    if request.param == "flink" and not classpath:
        pytest.skip("needs Beam's job server for Flink; `make flink-test` obtains it")
    start = _flink if request.param == "flink" else _python
    with start(directory, classpath) as found:
        yield found


@contextlib.contextmanager
def _python(directory, _):
    port_file = directory / "port"
    script = Path(__file__).with_name("python_job_service.py")
    with _process([sys.executable, str(script), str(port_file)], directory) as process:
        _wait(process, directory, port_file.exists)
        command = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
        yield _cluster("python", port_file.read_text(), directory, [
            "--environment_type=beam:env:harness_subprocess_python:v1",
            f"--environment_config={_worker_script(directory, command)}",
        ])  # fmt: skip


@contextlib.contextmanager
def _flink(directory, classpath):
    port = _free_port()
    command = [
        "java", *JAVA_OPTIONS, "-cp", classpath, JOB_SERVER, "--flink-master=[local]",
        "--job-host=localhost", f"--job-port={port}", "--artifact-port=0", "--expansion-port=0",
        f"--artifacts-dir={directory / 'artifacts'}",
    ]  # fmt: skip
    with _process(command, directory) as process:
        _wait(process, directory, lambda: _answers(port))
        worker = f"{sys.executable} -m serlds.pipelines.engine.beam_worker"
        environment = json.dumps({"command": str(_worker_script(directory, worker))})
        yield _cluster("flink", port, directory, [
            "--environment_type=PROCESS", f"--environment_config={environment}", "--parallelism=2",
        ])  # fmt: skip


def _cluster(name, port, directory, more):
    endpoint = f"--job_endpoint=localhost:{port}"
    return Cluster(name, ("--runner=PortableRunner", endpoint, *more), directory / "worker_ids")


def _worker_script(directory, command):
    """An executable that notes its process id and becomes a worker."""
    script = directory / "worker"
    note = f"echo $$ >> {shlex.quote(str(directory / 'worker_ids'))}"
    script.write_text(f'#!/bin/sh\n{note}\nexec {command} "$@"\n')
    script.chmod(0o755)
    return script


@contextlib.contextmanager
def _process(command, directory):
    """Runs a command and ends it at the end, however that comes."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process, directory, is_up):
    deadline = time.monotonic() + START_S
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"no job service came up:\n{(directory / 'log').read_text()[-3000:]}")
        time.sleep(0.1)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("localhost", port)) == 0
