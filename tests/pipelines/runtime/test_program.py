"""A pipeline in a process that has other things to do: it leaves everything there as it was."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from pipelines import relay
from pipelines.runtime.program import lean_beam, quiet_threads
from tests.pipelines.tools import PATIENCE_SECONDS
from tests.simulators.tools import ROOT

#: What a process has that an import, or a run, could change.
STATE = """
import gc, logging, signal, sys, threading
state = lambda: (gc.isenabled(), gc.get_freeze_count(), signal.getsignal(signal.SIGINT),
                 threading.excepthook, sys.unraisablehook, sys.excepthook, tuple(logging.getLogger().handlers))
"""


def test_a_program_that_imports_pipelines_and_runs_one_is_as_it_was_and_prints_nothing_more(short_tape, tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    imports = "\n".join(
        f"import pipelines.{name}" for name in ("credit", "errors", "produce", "relay", "sales", "totals")
    )
    package.joinpath("__init__.py").write_text(f"{STATE}\nbefore = state()\n{imports}\n")
    package.joinpath("__main__.py").write_text(
        "import mine, sys, threading\n"
        "assert mine.state() == mine.before\n"
        "argv = ['--input', sys.argv[1], '--output', 'x.jsonl', '--window', '1h']\n"
        "thread = threading.Thread(target=mine.pipelines.produce.main, args=[argv])\n"
        "thread.start()\n"
        "thread.join()\n"
        "assert mine.state() == mine.before\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mine", short_tape],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=PATIENCE_SECONDS,
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if " rows/s · " not in line]
    assert [line.split()[0] for line in lines] == ["1,000", "wrote"], done.stderr


def state() -> tuple[object, ...]:
    handlers = tuple(map(signal.getsignal, (signal.SIGINT, signal.SIGTERM)))
    hooks = threading.excepthook, sys.unraisablehook
    return gc.isenabled(), gc.get_freeze_count(), handlers, hooks, tuple(logging.getLogger().handlers)


def test_runs_in_this_thread_and_in_another_one_leave_the_process_as_it_was(tmp_path, prism, capsys):
    before, found = state(), []

    def run() -> None:
        options = ["--input", "exec:seq 3", "--output", str(tmp_path / f"{len(found)}.txt")]
        found.append(relay.main(options))

    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [0, 0]
    assert [(tmp_path / f"{number}.txt").read_text() for number in range(2)] == ["1\n2\n3\n"] * 2
    assert capsys.readouterr().err.count("3 read = 3 used") == 2
    assert state() == before


@pytest.mark.parametrize(("module", "is_told"), [("grpc._channel", False), ("mine", True)])
def test_only_what_ends_threads_of_a_runner_is_not_printed(monkeypatch, module, is_told):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with quiet_threads():
        try:
            exec("1 / 0", {"__name__": module})  # noqa: S102
        except ZeroDivisionError as error:
            failed = SimpleNamespace(exc_value=error, exc_traceback=error.__traceback__)
        threading.excepthook(failed)
        sys.unraisablehook(failed)
    assert told == [failed] * (2 * is_told)


@pytest.mark.parametrize(("program", "is_hidden"), [("pipelines.produce", True), ("pipelines.mine", False)])
def test_only_programs_of_this_project_keep_from_beam_what_they_do_without(program, is_hidden, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-m", "--help"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", program, "--help"])
    monkeypatch.delitem(sys.modules, "boto3", raising=False)
    before = dict(sys.modules)
    with lean_beam():
        assert ("boto3" in sys.modules) == is_hidden
        if is_hidden:
            with pytest.raises(ImportError):
                import boto3  # noqa: F401
    assert sys.modules == before
