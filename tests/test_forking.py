"""A forked program is a process like one that was started: it sees the same, and so does who has started it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forking
from tests.fork_server import IDLE
from tests.patience import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="programs are forked only on Linux")

#: Prints what a program can see of itself.
LOOK = """
import gc, json, os, signal, sys, tempfile, threading
from pathlib import Path
def shown(name):
    return os.fsdecode(Path("/proc/self", name).read_bytes()).rstrip("\\0").split("\\0")
stream = lambda s: (s.encoding, s.errors, s.line_buffering, s.write_through, type(s.buffer).__name__, s.fileno())
print(json.dumps({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "name": __name__, "file": __file__,
    "main": sys.modules["__main__"].__dict__ is globals(), "package": __package__, "environment": dict(os.environ),
    "command": shown("cmdline"), "shown": {"=".join(pair) for pair in os.environ.items()} <= {*shown("environ")},
    "cwd": os.getcwd(), "temporary": tempfile.gettempdir(), "files": sorted(os.listdir("/proc/self/fd")),
    "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "mask": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "threads": threading.active_count(),
    "streams": [stream(sys.stdin), stream(sys.stdout), stream(sys.stderr), stream(sys.__stdout__)],
    "input": sys.stdin.read(), "gc": gc.isenabled(), "umask": os.umask(0), "hook": sys.excepthook.__name__,
}))
"""
BEAM = "from apache_beam.runners.portability.prism_runner import PrismJobServer; CACHE = PrismJobServer.BIN_CACHE\n"


def program(folder: Path, code: str, *options: str) -> list[str]:
    (folder / "mine.py").write_text(code)
    return [sys.executable, "-m", "mine", *options]


def test_it_sees_what_a_started_one_sees(tmp_path, monkeypatch):
    command = program(tmp_path, LOOK, "--some", "\udcff word")
    environment = {**os.environ, "PYTHONPATH": "/somewhere", "TMPDIR": str(tmp_path), "NEW": "1"}
    del environment["PATH"]
    started = subprocess.run(command, input=b"given", capture_output=True, cwd=tmp_path, env=environment, check=True)
    forked = forking.run(command, b"given", cwd=tmp_path, env=environment)
    assert (forked.returncode, forked.stderr) == (0, started.stderr)
    assert json.loads(forked.stdout) == json.loads(started.stdout)
    # Without an environment and a folder of its own it has those of who starts it, as they are now.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEW", "2")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert json.loads(forking.run(command).stdout) == json.loads(
        subprocess.check_output(command, input=b"", env=dict(os.environ))
    )


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import os; os._exit(3)", 3, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt\n"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit; atexit.register(print, 'bye'); print('here')", 0, "here\nbye\n"),
    ],
)
def test_its_end_is_told(tmp_path, code, status, told):
    done = forking.run(program(tmp_path, code), cwd=tmp_path)
    assert done.returncode == status
    assert (done.stdout + done.stderr).decode().endswith(told)


def test_a_module_that_is_not_there_is_told_as_python_tells_it(tmp_path):
    done = forking.run([sys.executable, "-m", "nobody.has.this"], cwd=tmp_path)
    assert done.returncode == 1
    assert b"No module named 'nobody'" in done.stderr


def test_it_takes_signals_and_pipes_while_it_runs(tmp_path):
    echo = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with forking.Popen(program(tmp_path, echo), cwd=tmp_path, stdin=-1, stdout=-1) as process:
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == line
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == process.poll() == -signal.SIGTERM
        process.kill()  # which it no longer feels


def test_two_at_once_do_not_hold_each_others_pipes(tmp_path):
    command = program(tmp_path, "input()")
    with (
        forking.Popen(command, cwd=tmp_path, stdin=-1) as first,
        forking.Popen(command, cwd=tmp_path, stdin=-1) as second,
    ):
        first.stdin.close()
        assert first.wait(PATIENCE_SECONDS) == 1
        assert second.poll() is None
        second.communicate(b"\n", PATIENCE_SECONDS)
        assert second.returncode == 0


def test_a_new_session_takes_its_terminal(tmp_path):
    side, terminal = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    command = program(tmp_path, "import os, time; print(os.tcgetpgrp(0) == os.getpid()); time.sleep(1000)")
    process = forking.Popen(command, cwd=tmp_path, start_new_session=True, **streams)
    os.close(terminal)
    with process, os.fdopen(side, "r+b", buffering=0) as keyboard:
        try:
            assert keyboard.readline() == b"True\r\n"
            keyboard.write(b"\x03")
            assert process.wait(PATIENCE_SECONDS) == -signal.SIGINT
        finally:
            process.kill()


@pytest.mark.parametrize(("name", "code"), [("PYTHONHASHSEED", "print(hash('a'))"), ("HOME", f"{BEAM}print(CACHE)")])
def test_with_what_is_read_only_at_the_start_it_is_started(tmp_path, name, code):
    command, environment = program(tmp_path, code), {**os.environ, name: "7"}
    done = forking.run(command, cwd=tmp_path, env=environment)
    assert done.stdout == subprocess.check_output(command, cwd=tmp_path, env=environment)
    assert (name == "HOME") == done.stdout.startswith(b"7/")


def test_the_server_has_one_idle_thread_at_most_however_much_it_has_forked(tmp_path):
    forking.run(program(tmp_path, ""), cwd=tmp_path)
    server = Path("/proc", str(forking._server().process.pid))
    names = [path.read_text().strip() for path in server.glob("task/*/comm")]
    assert set(names[1:]) <= {IDLE}
    assert len(names) <= 2
    wait_for(lambda: len(list(server.glob("fd/*"))) == 4, lambda: list(server.glob("fd/*")))


def test_the_server_ends_with_who_has_started_it_also_when_that_is_killed():
    code = "from tests import forking; print(forking._server().process.pid, flush=True); input()"
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdin=-1, stdout=-1) as parent:
        server = Path("/proc", parent.stdout.readline().decode().strip())
        assert server.exists()
        parent.kill()
    wait_for(lambda: not server.exists() or (server / "stat").read_text().split()[2] == "Z")
