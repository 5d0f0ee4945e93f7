"""Who may come in while a pipeline runs: nobody from elsewhere, and no other user of this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.testing.util import assert_that, equal_to

from tests.pipelines.tools import Program, doors_of, listeners_of, run, started, wait_for
from tests.ports import free_port
from tests.simulators.tools import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows who listens where")

NOBODY = 65_534
LIVE = "exec:sleep 1000"


def _is_loopback(door: str) -> bool:
    return ipaddress.ip_address(door.rpartition(":")[0]).is_loopback


def _ports(program: Program) -> list[str]:
    return [door for door in listeners_of(program.mark) if not door.startswith("/")]


def _sockets(program: Program) -> list[str]:
    return [door for door in listeners_of(program.mark) if door.startswith("/")]


def _await_doors(program: Program) -> list[str]:
    """Waits until there are Prism's socket and that of the worker pool, which is opened last."""
    wait_for(lambda: len(_sockets(program)) >= 2, lambda: listeners_of(program.mark))
    return [f"unix:{path}" for path in _sockets(program)]


def attack(user: int, *doors: str) -> dict[str, dict[str, str]]:
    """Tries to get in as another user."""
    command = [sys.executable, "-m", "tests.pipelines.attack", str(user), *doors]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("program", ["produce", "credit", "errors", "sales", "relay", "totals"])
def test_a_live_run_has_no_port_at_all(program, prism, tmp_path):
    out = tmp_path / ("out.txt" if program == "relay" else "out.jsonl")
    more = ["--names", "a,b"] if program == "totals" else []
    with started("--input", LIVE, "--output", out, *more, program=f"pipelines.{program}") as running:
        doors = _await_doors(running)
        assert _ports(running) == []
        for door in doors:
            assert Path(door.removeprefix("unix:")).parent.stat().st_mode & 0o077 == 0


def test_a_replay_on_fn_api_runner_opens_no_door(fn_api, monkeypatch):
    def open_door(*_: object, **__: object) -> None:
        raise AssertionError("a server was made")

    monkeypatch.setattr(grpc, "server", open_door)
    with beam.Pipeline(options=fn_api) as pipeline:
        counts = pipeline | beam.Create([("a", 1), ("a", 2)]) | beam.GroupByKey() | beam.MapTuple(lambda _, v: sum(v))
        assert_that(counts, equal_to([3]))


@pytest.mark.parametrize("scheme", ["tcp-listen", "udp-listen"])
def test_an_input_without_a_host_listens_on_loopback(scheme, prism, tmp_path):
    with started("--input", f"{scheme}://:0", "--output", tmp_path / "out.jsonl") as running:
        wait_for(lambda: _ports(running), lambda: listeners_of(running.mark))
        assert all(map(_is_loopback, _ports(running)))


def test_a_simulator_without_a_host_listens_on_loopback():
    with started("--output", "tcp-listen://:0", program="simulators.bank") as running:
        wait_for(lambda: _ports(running))
        assert all(map(_is_loopback, _ports(running)))


def test_the_broker_of_make_kafka_listens_on_loopback(kafka):
    number = int((kafka.folder / "pid").read_text())
    doors = doors_of({number: "broker"})
    assert len(doors) >= len(kafka.ports)
    assert all(map(_is_loopback, doors))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_neither_fetch_nor_submit_a_job_nor_start_a_worker(prism, tmp_path):
    with started("--input", LIVE, "--output", tmp_path / "out.jsonl") as running:
        doors = _await_doors(running)
        for answers in attack(NOBODY, *doors).values():
            assert set(answers.values()) == {"UNAVAILABLE"}
        # The user whose run it is has a way in, or the attack would prove nothing.
        own = attack(0, *doors)
        assert sorted(answers["fetch"] for answers in own.values()) == ["OK", "UNIMPLEMENTED"]
        assert sorted(answers["submit"] for answers in own.values()) == ["OK", "UNIMPLEMENTED"]
        assert {answers["start a worker"] for answers in own.values()} == {"UNIMPLEMENTED", "PERMISSION_DENIED"}


@contextlib.contextmanager
def prism_on_a_port(prism):
    """Starts a Prism that any user of this machine can reach; gives where it is, and its process."""
    binary = re.sub("--prism_location=", "", next(text for text in prism._flags if "prism_location" in text))
    door = f"127.0.0.1:{free_port()}"
    command = [binary, f"--job_port={door.rpartition(':')[2]}", "--serve_http=false"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield door, process
        finally:
            process.kill()


def test_workers_for_a_job_server_elsewhere_are_started_for_it_alone(prism, tmp_path):
    out = tmp_path / "out.jsonl"
    server = ["--runner=PortableRunner", "--environment_type=LOOPBACK"]
    with (
        prism_on_a_port(prism) as (door, _),
        started("--input", LIVE, "--output", out, f"--job_endpoint={door}", *server) as running,
    ):
        wait_for(lambda: _ports(running), lambda: listeners_of(running.mark))
        (pool,) = _ports(running)
        assert _is_loopback(pool)
        assert attack(os.geteuid(), pool)[pool]["start a worker"] == "PERMISSION_DENIED"


def test_a_job_server_elsewhere_gets_its_workers(prism, short_tape, tmp_path):
    out = tmp_path / "out.jsonl"
    with prism_on_a_port(prism) as (door, _):
        done = run(
            "--input", short_tape, "--output", out, f"--job_endpoint={door}", "--runner=PortableRunner",
            "--environment_type=LOOPBACK",
        )  # fmt: skip
    assert done.status == 0, done.err
    assert done.balance.read == 1_000


@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_what_has_beam_open_ports_to_everybody_is_refused(mode, short_tape, tmp_path):
    done = run("--input", short_tape, "--output", tmp_path / "out.jsonl", f"--direct_running_mode={mode}")
    assert done.status == 2
    assert done.err.startswith(f"wrong usage: --direct_running_mode={mode} lets everybody who reaches this machine in")
