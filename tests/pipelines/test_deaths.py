"""A runner that dies takes the run with it, at once and with its reason, whenever that is."""

from __future__ import annotations

import os
import signal

import pytest

from pipelines.runtime import job_server
from pipelines.runtime.options import UsageError
from tests.pipelines.test_doors import prism_on_a_port
from tests.pipelines.tools import Finished, listeners_of, needs_proc, processes_of, run, started, wait_for

pytestmark = needs_proc

LIVE = ("--input", "exec:sleep 1000", "--output")


def _prism_of(mark: str) -> list[int]:
    return [number for number, command in processes_of(mark).items() if "--job_port=" in command]


def _sockets_of(mark: str) -> int:
    return sum(door.startswith("/") for door in listeners_of(mark))


def assert_died(done: Finished, reason: str) -> None:
    assert done.status == 1, done.err
    assert done.lines[-1].startswith(f"failed: {reason}"), done.err
    assert done.balance.read == 0


def _is_reading(mark: str) -> bool:
    return any("sleep 1000" in command and "pipelines" not in command for command in processes_of(mark).values())


@pytest.mark.parametrize(
    "is_time",
    [_prism_of, lambda mark: _sockets_of(mark) >= 1, lambda mark: _sockets_of(mark) >= 2, _is_reading],
    ids=["has just begun", "takes jobs", "has a job to submit", "works"],
)
def test_a_prism_that_is_killed_ends_the_run(is_time, prism, tmp_path):
    with started(*LIVE, tmp_path / "x.jsonl") as program:
        wait_for(lambda: is_time(program.mark))
        for number in _prism_of(program.mark):
            os.kill(number, signal.SIGKILL)
        done = program.finish()
    assert done.status == 1, done.err
    assert done.lines[-1].startswith("failed: Prism ended by SIGKILL; it logged nothing"), done.err


def test_a_prism_that_panics_says_why(prism, tmp_path):
    gone = ("--runner=PrismRunner", "--environment_type=EXTERNAL", "--environment_config=127.0.0.1:1")
    done = run(*LIVE, tmp_path / "x.jsonl", *gone)
    assert_died(done, "Prism ended with status 2; the end of its log: panic: unable to start sdk worker 127.0.0.1:1")
    assert done.lines[0].startswith("warning: every user of this machine can run code as you")


@pytest.mark.parametrize("is_early", [True, False])
def test_a_job_server_that_dies_ends_the_run(is_early, prism, tmp_path):
    server = ("--runner=PortableRunner", "--environment_type=LOOPBACK")
    with (
        prism_on_a_port(prism) as (door, process),
        started(*LIVE, tmp_path / "x.jsonl", f"--job_endpoint={door}", *server) as program,
    ):
        # Its worker pool is there as soon as the pipeline is made, before the job is submitted.
        wait_for(lambda: listeners_of(program.mark) if is_early else _is_reading(program.mark))
        process.kill()
        done = program.finish()
    assert_died(done, f"the job server at {door} no longer answers; see its log")


def test_a_job_server_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(job_server, "_START_SECONDS", 0.1)
    with (
        pytest.raises(UsageError, match=r"no job server answers at --job_endpoint 127\.0\.0\.1:1"),
        job_server.watched_job_server("127.0.0.1:1"),
    ):
        pass
