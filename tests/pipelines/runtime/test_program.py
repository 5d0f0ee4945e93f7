"""A pipeline in a process that has other things to do: it leaves everything there as it was."""

from __future__ import annotations

import gc
import logging
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from pipelines import relay
from pipelines.runtime.program import quiet_threads
from tests.simulators.tools import ROOT

#: What a process has that an import, or a run, could change.
STATE = """
import gc, logging, signal, sys, threading
state = lambda: (gc.isenabled(), gc.get_freeze_count(), signal.getsignal(signal.SIGINT),
                 threading.excepthook, sys.unraisablehook, sys.excepthook, tuple(logging.getLogger().handlers))
"""


def test_an_import_changes_nothing_not_even_that_of_a_program_whose_package_imports_pipelines(tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    imports = "\n".join(f"import pipelines.{name}" for name in ("credit", "errors", "produce", "relay", "sales"))
    # Beam sets up logging while it is imported; that is not ours to undo.
    package.joinpath("__init__.py").write_text(f"import apache_beam\n{STATE}\nbefore = state()\n{imports}\n")
    package.joinpath("__main__.py").write_text("import mine\nassert mine.state() == mine.before\n")
    subprocess.run([sys.executable, "-m", "mine"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=60)


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
