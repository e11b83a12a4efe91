"""Obtains Beam's job server for Flink from the Java registry and prints its class path.

Usage: `python flink_job_server.py [NAME=VERSION ...]`, with the names `flink` and `beam` of
`flink-job-server.xml`, which says the versions used by default. Maven keeps the files in ~/.m2.
Exit code 2 where they cannot be had.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

POM = Path(__file__).with_name("flink-job-server.xml")
TIME_LIMIT_S = 900


def main():
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        _fail(f"needs {' and '.join(missing)}: Java 17 and Maven")
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "classpath"
        chosen = [f"-D{argument}" for argument in sys.argv[1:]]
        goal = ["dependency:build-classpath", f"-Dmdep.outputFile={target}"]
        command = ["mvn", "-B", "-q", "-U", "-f", str(POM), *chosen, *goal]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S)
        if done.returncode or not target.is_file():
            _fail(f"mvn cannot obtain what {POM.name} names:\n{done.stdout[:1000]}")
        print(target.read_text().strip())


def _fail(reason):
    print(f"flink-test: NOT RUN: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
