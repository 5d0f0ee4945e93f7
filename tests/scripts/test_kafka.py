"""The script that brings and runs the Kafka broker: what it says, what it leaves, and where it cannot."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import Broker, running_broker

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "kafka.sh"
#: What the script calls, beside Java and Maven.
PROGRAMS = ("bash", "sed", "dirname", "cmp", "cat", "mkdir", "mktemp", "rm", "head", "tail", "tr", "grep", "cp", "mv")


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
def without_java(tmp_path) -> str:
    """A PATH that has what every machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def imitate(folder: str, name: str, program: str) -> None:
    path = Path(folder) / name
    path.write_text(f"#!{shutil.which('bash')}\n{program}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "expected get, start, stop or status, got ''"),
        (("begin",), "expected get, start, stop or status, got 'begin'"),
        (("start", "--prot", "1"), "unknown option --prot"),
        (("start", "--port"), "--port takes a value"),
    ],
)
def test_wrong_usage_is_one_line(arguments, says):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"kafka: {says}\n")


def test_without_java_nothing_fails_but_the_start(tmp_path, without_java):
    cache = str(tmp_path / "cache")
    got = run("get", PATH=without_java, XDG_CACHE_HOME=cache)
    assert (got.returncode, got.stderr) == (0, "")
    assert got.stdout.startswith("kafka: not fetched: it takes Java and Maven")
    started = run("start", "--folder", str(tmp_path / "kafka"), PATH=without_java, XDG_CACHE_HOME=cache)
    assert (started.returncode, started.stdout) == (3, "")
    assert started.stderr.startswith("kafka: there is no Java here")


def test_an_old_java_is_told(tmp_path, without_java):
    imitate(without_java, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    done = run("start", "--folder", str(tmp_path / "kafka"), PATH=without_java)
    assert (done.returncode, done.stderr) == (3, "kafka: it takes Java 17 or newer, and here is 11\n")


def test_a_maven_that_gets_nothing_fails_nothing_and_leaves_nothing(tmp_path, without_java):
    imitate(without_java, "java", "exit 0")
    imitate(without_java, "mvn", "echo '[ERROR] no route to anywhere'; echo '[ERROR] more'; exit 1")
    done = run("get", PATH=without_java, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "kafka: not fetched: [ERROR] no route to anywhere; its tests are skipped"
    assert list((tmp_path / "cache" / "transaction-streams").iterdir()) == []


def test_start_without_get_says_so(tmp_path, without_java):
    imitate(without_java, "java", "echo 'openjdk version \"21\" 2023-09-19' >&2")
    done = run("start", "--folder", str(tmp_path / "kafka"), PATH=without_java, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (3, "kafka: not fetched yet: scripts/kafka.sh get\n")


def test_a_broker_that_runs_is_not_started_twice(kafka: Broker):
    folder = str(kafka.folder)
    pid = (kafka.folder / "pid").read_text().strip()
    done = run("start", "--folder", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"kafka: runs already, process {pid}, on PLAINTEXT://{kafka.servers}, ")
    assert run("status", "--folder", folder).stdout.startswith(f"kafka: runs, process {pid}, on PLAINTEXT://")


def test_a_port_in_use_is_one_line_and_leaves_nothing_running(kafka: Broker, tmp_path):
    with socket.socket() as other, socket.socket() as another:
        for each in (other, another):
            each.bind(("127.0.0.1", 0))
        ports = ("--controller-port", str(other.getsockname()[1]), "--sasl-port", str(another.getsockname()[1]))
        done = run("start", "--folder", str(tmp_path), "--port", str(kafka.ports["PLAINTEXT"]), *ports)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("kafka: does not start: ")
    assert "in use" in line
    assert run("status", "--folder", str(tmp_path)).returncode == 1


def test_what_does_not_run_is_stopped_already(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        done = run("stop", "--folder", str(folder))
        assert (done.returncode, done.stdout, done.stderr) == (0, f"kafka: does not run in {folder}\n", "")
        assert run("status", "--folder", str(folder)).returncode == 1
    assert not (tmp_path / "none").exists()


def test_another_process_that_got_the_number_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "pid").write_text(f"{other.pid}\n")
        assert run("status", "--folder", str(tmp_path)).returncode == 1
        assert run("stop", "--folder", str(tmp_path)).returncode == 0
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_messages_outlive_a_stop_and_a_power_cut(own_kafka: Broker):
    topic = own_kafka.create_topic(partitions=2)
    own_kafka.produce(topic, ["a"], partition=0)
    own_kafka.restart()
    own_kafka.produce(topic, ["b"], partition=1)
    own_kafka.kill()
    assert not own_kafka.is_running()
    own_kafka.start()
    own_kafka.produce(topic, ["c"], partition=1)
    assert own_kafka.consume_all(topic) == [(0, 0, None, b"a"), (1, 0, None, b"b"), (1, 1, None, b"c")]


@pytest.mark.soak
def test_classes_are_kept_for_later_starts_and_damaged_ones_stop_none(kafka: Broker, tmp_path, monkeypatch):
    """The broker of the others shows that there is Java."""
    version = re.search("<kafka.version>(.*)<", (SCRIPT.parent / "kafka" / "pom.xml").read_text())
    assert version
    jars = Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "transaction-streams", f"kafka-{version[1]}"
    )
    cache = tmp_path / "cache" / "transaction-streams" / jars.name
    shutil.copytree(jars, cache, ignore=shutil.ignore_patterns("*.jsa"), copy_function=os.symlink)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with running_broker() as broker:
        broker.stop()
        (kept,) = cache.glob("*.jsa")
        whole = kept.stat().st_size
        assert not list(broker.folder.glob("*.jsa"))
        kept.chmod(0o600)
        os.truncate(kept, whole // 2)
        broker.start()
        broker.produce(broker.create_topic(), ["a"])
        broker.stop()
        assert kept.stat().st_size > whole // 2
        assert [path.name for path in cache.iterdir() if path.suffix not in (".jar", ".xml")] == [kept.name]


def test_topics_are_listed_described_and_deleted(kafka: Broker):
    def topics(*arguments: str) -> subprocess.CompletedProcess[str]:
        asked = [sys.executable, str(SCRIPT.parent / "kafka_topics.py"), "--brokers", kafka.servers, *arguments]
        return subprocess.run(asked, capture_output=True, text=True, check=False)

    name = kafka.create_topic(partitions=2)
    kafka.produce(name, ["a", "b", "c"], partition=1)
    assert f"{name}: 2 partitions, 3 messages\n" in topics().stdout
    described = topics(name).stdout
    assert described == f"{name}: 2 partitions, 3 messages\n  [0] offsets 0 to 0\n  [1] offsets 0 to 3\n"
    assert topics("--delete", name).stdout == f"deleted {name}\n"
    missing = topics(name)
    assert (missing.returncode, missing.stderr.startswith(f"kafka: no topic {name!r}, only ")) == (1, True)
