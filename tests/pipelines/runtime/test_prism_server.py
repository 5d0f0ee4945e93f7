"""Prism as a process: where it listens, how it ends, and what is told of its death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from pipelines.runtime import prism_server as module
from pipelines.runtime.options import UsageError
from pipelines.runtime.prism import private_name
from pipelines.runtime.prism_server import running_prism
from tests.pipelines.tools import (
    PATIENCE_SECONDS,
    assert_nothing_left,
    needs_proc,
    processes_of,
    started,
    wait_for,
)

#: Listens on the socket that it is told of, as Prism does, and goes on as it is told.
_STAND_IN = """#!{python}
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["PRISM_SOCKET"])
server.listen()
server.accept()
{rest}
"""


def _stand_in(folder: Path, rest: str) -> Path:
    """Makes a program that looks like the Prism of scripts/get_prism.sh."""
    path = folder / private_name()
    path.write_text(_STAND_IN.format(python=sys.executable, rest=rest))
    path.chmod(0o755)
    return path


@pytest.fixture
def notes() -> list[str]:
    return []


def test_a_program_that_is_not_prism_is_told(tmp_path, notes):
    path = tmp_path / "mine"
    path.write_text("#!/bin/sh\necho this is mine >&2\n")
    path.chmod(0o755)
    told = r"Prism ended with status 0; the end of its log: this is mine; get Prism with"
    with pytest.raises(RuntimeError, match=told), running_prism(path, tmp_path, notes.append):
        pass


def test_no_program_at_all_is_wrong_usage(tmp_path, notes):
    path = tmp_path / "mine"
    path.write_text("hello")
    with pytest.raises(UsageError, match=r"cannot run '.*/mine' as Prism"), running_prism(path, tmp_path, notes.append):
        pass


@pytest.mark.parametrize("is_private", [False, True])
def test_one_that_others_can_reach_is_told_in_one_line(is_private, tmp_path, notes):
    name = private_name() if is_private else "prism"
    path = tmp_path / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    with pytest.raises(RuntimeError, match="ended"), running_prism(path, None, notes.append):
        pass
    who = "every user of this machine" if is_private else "everybody who reaches this machine"
    assert len(notes) == 1
    assert notes[0].startswith(f"warning: {who} can run code as you by port ")
    assert "docs/security.md" in notes[0]


def test_the_one_of_make_prism_is_on_a_socket_and_nothing_is_told(tmp_path, notes):
    with running_prism(_stand_in(tmp_path, "time.sleep(1000)"), tmp_path, notes.append) as prism:
        assert prism.endpoint == f"unix:{tmp_path}/prism.sock"
        assert prism.death() is None
    assert notes == []
    assert prism.death() == "Prism ended by SIGKILL; it logged nothing"


def test_of_a_panic_the_reason_is_told_and_not_the_stack(tmp_path, notes):
    rest = (
        "sys.stderr.write('time=1 level=WARN msg=early\\npanic: assignment to entry in nil map\\n\\n'"
        " + 'goroutine 1 [running]:\\nmain.main()\\n' * 50); sys.exit(2)"
    )
    with running_prism(_stand_in(tmp_path, rest), tmp_path, notes.append) as prism:
        told = prism.death(PATIENCE_SECONDS)
    assert told == "Prism ended with status 2; the end of its log: panic: assignment to entry in nil map"


def test_a_log_that_nobody_stops_is_kept_in_part_and_holds_up_nobody(tmp_path, notes):
    rest = "sys.stderr.write('x' * 5_000_000 + '\\n' + 'line\\n' * 100_000 + 'last\\n'); sys.exit(3)"
    with running_prism(_stand_in(tmp_path, rest), tmp_path, notes.append) as prism:
        told = prism.death(PATIENCE_SECONDS)
    assert told == "Prism ended with status 3; the end of its log: line | line | line | line | last"
    assert len(prism._log) <= module._LOG_LINES


def test_no_thread_and_no_process_is_left(tmp_path, notes):
    before = set(threading.enumerate())
    with running_prism(_stand_in(tmp_path, "time.sleep(1000)"), tmp_path, notes.append) as prism:
        process = prism._process
    assert process.returncode == -signal.SIGKILL
    prism._reading.join(PATIENCE_SECONDS)
    assert set(threading.enumerate()) <= before


@needs_proc
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_prism_ends_when_the_program_is_killed(prism, tmp_path):
    with started("--input", "tcp://127.0.0.1:9", "--output", tmp_path / "totals.jsonl") as program:
        wait_for(lambda: len(processes_of(program.mark)) >= 2, lambda: processes_of(program.mark))
        program.process.kill()
        program.process.communicate(timeout=PATIENCE_SECONDS)
        assert_nothing_left(program.mark)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
@pytest.mark.parametrize(("parent", "status"), [(os.getpid, 0), (os.getppid, -signal.SIGKILL)])
def test_what_was_started_by_a_program_that_is_gone_already_ends_at_once(parent, status):
    done = subprocess.run(["true"], preexec_fn=partial(module.die_with, parent()), check=False)
    assert done.returncode == status
