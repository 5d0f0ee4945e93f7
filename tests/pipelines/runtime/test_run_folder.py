"""The folder of a run: closed to others, gone after the run, and after a run that was killed, at the next one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipelines.runtime.run_folder import PREFIX, run_folder
from tests.pipelines.tools import needs_proc, processes_of, run, started, wait_for
from tests.simulators.tools import ROOT

_HOLD = """\
import sys, time
from pipelines.runtime.run_folder import run_folder
with run_folder() as f:
    print(f, flush=True)
"""


@pytest.fixture
def place(monkeypatch):
    """A folder for temporary files with a short name: sockets cannot have a long one."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    shutil.rmtree(folder)


def _killed(place: Path) -> Path:
    """Returns the folder of a run that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", f"{_HOLD}    time.sleep(1000)"], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        process.kill()
    assert folder.parent == place
    return folder


def test_it_is_closed_to_others_and_takes_what_is_temporary(place):
    with run_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        Path(tempfile.mkdtemp()).joinpath("file").touch()
        assert len(list(folder.iterdir())) == 1
        assert list(place.iterdir()) == [folder]
    assert list(place.iterdir()) == []
    assert tempfile.gettempdir() == str(place)


def test_those_of_runs_that_were_killed_go_and_those_of_others_stay(place):
    dead = _killed(place)
    (dead / "more").mkdir()
    foreign = [place / "tmpabc", place / "beam-pipeline-temp", place / "a-file"]
    for path in foreign:
        path.mkdir()
    elsewhere = place / "a-file" / "kept"
    elsewhere.touch()
    (place / f"{PREFIX}1-link").symlink_to(place / "a-file")
    with run_folder() as first, run_folder() as second:
        assert not dead.exists()
        assert first.exists()
        assert second.exists()
    assert elsewhere.exists()
    assert all(path.exists() for path in foreign)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders to others")
def test_those_of_other_users_stay(place):
    theirs = place / f"{PREFIX}1-theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    with run_folder():
        assert theirs.exists()


def test_a_place_with_a_long_name_is_not_for_sockets(place, monkeypatch):
    long = place / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    with run_folder() as folder:
        assert folder.parent == place


@needs_proc
@pytest.mark.parametrize("runner", ["FnApiRunner", "PrismRunner"])
def test_nothing_is_left_in_the_folder_for_temporary_files(runner, short_tape, tmp_path, place, prism):
    done = run("--runner", runner, "--input", short_tape, "--output", tmp_path / "totals.jsonl")
    assert done.status == 0, done.err
    assert list(place.iterdir()) == []


@needs_proc
def test_what_a_killed_run_left_is_gone_after_the_next_one(short_tape, tmp_path, place, prism):
    with started("--input", "tcp-listen://:0", "--output", tmp_path / "totals.jsonl") as program:
        wait_for(lambda: len(processes_of(program.mark)) >= 2, lambda: processes_of(program.mark))
        program.process.send_signal(signal.SIGKILL)
        program.process.communicate()
    assert len(list(place.iterdir())) == 1
    assert run("--input", short_tape, "--output", tmp_path / "totals.jsonl").status == 0
    assert list(place.iterdir()) == []
