"""The script that brings and runs a Flink cluster: what it says where it cannot, and what it leaves."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.clusters import Cluster
from tests.scripts.test_kafka import imitate, without_java  # noqa: F401 - a fixture

SCRIPT = Path(__file__).parents[2] / "scripts" / "flink.sh"
COMMANDS = "get, start, stop, status, jobs, cancel, drain or savepoint"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def bare_path(without_java: str) -> str:  # noqa: F811
    for name in ("uname", "grep", "wc", "ln"):
        place = Path(without_java) / name
        if not place.exists():
            place.symlink_to(str(shutil.which(name)))
    return without_java


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), f"expected {COMMANDS}, got ''"),
        (("begin",), f"expected {COMMANDS}, got 'begin'"),
        (("start", "--prot", "1"), "unknown option --prot"),
        (("start", "--port"), "--port takes a value"),
        (("start", "now"), "unknown argument now"),
    ],
)
def test_wrong_usage_is_one_line(arguments, says, tmp_path):
    done = run(*arguments, *(("--folder", str(tmp_path)) if "now" in arguments else ()))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"flink: {says}\n")


def test_without_java_nothing_fails_but_the_start(tmp_path, bare_path):
    cache = str(tmp_path / "cache")
    got = run("get", PATH=bare_path, XDG_CACHE_HOME=cache)
    assert (got.returncode, got.stderr) == (0, "")
    assert got.stdout.startswith("flink: not fetched: it takes Java and Maven")
    started = run("start", "--folder", str(tmp_path / "flink"), PATH=bare_path, XDG_CACHE_HOME=cache)
    assert (started.returncode, started.stdout) == (3, "")
    assert started.stderr.startswith("flink: there is no Java here")


def test_an_old_java_and_missing_jars_are_told(tmp_path, bare_path):
    imitate(bare_path, "java", "echo 'openjdk version \"1.8.0_402\" 2024-01-16' >&2")
    done = run("start", "--folder", str(tmp_path / "flink"), PATH=bare_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (3, "flink: it takes Java 11 or newer, and here is 1\n")
    imitate(bare_path, "java", "echo 'openjdk version \"17.0.15\" 2025-04-15' >&2")
    done = run("start", "--folder", str(tmp_path / "flink"), PATH=bare_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (3, "flink: not fetched yet: scripts/flink.sh get\n")


def test_a_taken_port_is_one_line_and_nothing_is_started(tmp_path):
    cluster = Cluster(tmp_path / "flink")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = cluster.run("start", "--port", str(port))
    if done.returncode == 3:
        pytest.skip(done.stderr)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"flink: port {port} of 127.0.0.1 is taken: name another one with --port\n"
    assert not cluster.processes()


def test_what_does_not_run_is_stopped_already(tmp_path):
    cluster = Cluster(tmp_path)
    assert cluster.run("status").returncode == 1
    done = cluster.run("stop")
    assert (done.returncode, done.stdout) == (0, f"flink: does not run in {tmp_path}\n")


def test_a_cluster_that_is_not_there_is_one_line():
    done = run("jobs", "--master", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "flink: no JobManager of Flink answers at 127.0.0.1:1: [Errno 111] Connection refused\n"
