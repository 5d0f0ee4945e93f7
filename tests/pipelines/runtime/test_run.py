"""How a run ends: well, by a failure, by Ctrl-C; each with its exit status, its words, and no process left."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from apache_beam.metrics.execution import MetricKey, MetricResult
from apache_beam.metrics.metricbase import MetricName

from pipelines.runtime.failures import explain
from pipelines.runtime.job import Job
from pipelines.runtime.signals import Signals
from sources import progress as board
from tests.fakes import FakeClock, listening
from tests.patience import PATIENCE_SECONDS
from tests.pipelines.tools import (
    ROOT,
    Terminal,
    command,
    environment,
    needs_proc,
    processes_of,
    right_totals,
    run,
    started,
    totals_of,
    wait_for,
)

pytestmark = needs_proc


def assert_failed(done, reason: str) -> None:
    """The summary, one line that says why, and nothing else."""
    assert done.status == 1, done.err
    assert done.balance
    assert len(done.lines) == 2, done.err
    assert done.lines[1].startswith("failed: ")
    assert reason in done.lines[1]


@pytest.mark.parametrize("runner", ["FnApiRunner", "PrismRunner"])
def test_a_file_that_was_cut_off_fails_the_run(runner, short_tape, tmp_path, request):
    if runner == "PrismRunner":
        request.getfixturevalue("prism")
    whole = gzip.compress(short_tape.read_bytes())
    path = tmp_path / "tape.tsv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "totals.jsonl"
    assert_failed(run("--runner", runner, "--input", path, "--output", out), f"cannot read '{path}' to its end")
    assert not out.exists()


@pytest.mark.parametrize("is_in_place", [False, True])
def test_a_file_that_can_no_longer_be_written_fails_the_run(is_in_place, short_tape, prism, tmp_path):
    folder = tmp_path / "out"
    out = folder / "totals.jsonl"
    with started("--input", short_tape, "--rate", 500, "--output", out) as program:
        wait_for(lambda: len(processes_of(program.mark)) >= 2, lambda: processes_of(program.mark))
        if is_in_place:
            out.mkdir()
        else:
            folder.rmdir()
            folder.write_text("in the way")
        done = program.finish()
    assert_failed(done, f"cannot write {out}: {'Is a directory' if is_in_place else 'Not a directory'}")
    assert not list(tmp_path.rglob(".*"))


def test_a_folder_that_was_removed_is_made_again(short_tape, prism, tmp_path):
    out = tmp_path / "out" / "totals.jsonl"
    with started("--input", short_tape, "--rate", 500, "--output", out) as program:
        wait_for(lambda: len(processes_of(program.mark)) >= 2, lambda: processes_of(program.mark))
        out.parent.rmdir()
        done = program.finish()
    assert done.status == 0, done.err
    assert totals_of([out]) == right_totals(short_tape.read_bytes())


def test_a_full_disk_fails_the_run_and_leaves_nothing(tape, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk], check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        out = disk / "totals.jsonl"
        assert_failed(run("--input", tape, "--output", out), f"cannot write {out}: No space left on device")
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_closed_pipe_fails_the_run_in_one_line(short_tape):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with started("--input", short_tape, "--output", "-", stdout=writing) as program:
            out, err = program.process.communicate(timeout=PATIENCE_SECONDS)
    finally:
        os.close(writing)
    assert program.process.returncode == 1
    assert out is None
    assert len(err.decode().splitlines()) == 2, err.decode()
    assert err.decode().endswith("failed: cannot write to the console: Broken pipe\n")


@pytest.mark.skipif(shutil.which("head") is None, reason="needs head")
def test_the_reader_of_a_pipe_may_leave_early(short_tape):
    program = " ".join(command("--input", short_tape, "--output", "-"))
    pipe = f"{program} | head -1"
    done = subprocess.run(
        ["sh", "-c", pipe],
        cwd=ROOT,
        env=environment("head"),
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.stdout.decode().startswith("all time, final")
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@contextlib.contextmanager
def register(data: bytes):
    """Serves the data to everybody who connects, and keeps the connections."""
    with listening() as server, contextlib.ExitStack() as peers:
        is_over = threading.Event()

        def serve() -> None:
            server.settimeout(0.05)
            while not is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    peer, _ = server.accept()
                    peers.enter_context(peer)
                    peer.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join()


def test_ctrl_c_drains_a_live_input(short_tape, prism, tmp_path):
    data = short_tape.read_bytes()
    options = ("--window", "1h", "--output", tmp_path / "totals.jsonl")
    with register(data) as address, Terminal("--input", address, *options) as terminal:
        terminal.wait_for("1,000 rows")
        terminal.press(b"\x03")
        shown = terminal.finish()
        assert terminal.status == 130
    assert "1,000 read = " in shown
    assert "wrote " in shown
    # What the terminal makes of Ctrl-C and the line of progress are gone, as both stood in the same place.
    assert "^C" not in shown
    assert totals_of(sorted(tmp_path.glob("*.jsonl"))) == right_totals(data, "1h")


def test_ctrl_c_drains_a_file(tape, prism, tmp_path):
    out = tmp_path / "totals.jsonl"
    with Terminal("--input", tape, "--rate", 2_000, "--output", out) as terminal:
        terminal.wait_for("watermark")
        terminal.press(b"\x03")
        shown = terminal.finish()
        assert terminal.status == 130
    read = int(shown.partition(" read = ")[0].split("\n")[-1].replace(",", ""))
    assert 0 < read < 20_000
    assert totals_of([out]) == right_totals(b"".join(tape.read_bytes().splitlines(keepends=True)[:read]))


def signals_at(*moments: float) -> tuple[int, bool]:
    """Gives how many Ctrl-C count that come at these seconds, and whether one stops at once."""
    clock = FakeClock()
    signals, stopped = Signals(clock), False
    signals.on_first = lambda: None
    for moment in moments:
        clock.now = moment
        try:
            signals._notice(signal.SIGINT, None)
        except KeyboardInterrupt:
            stopped = True
    return signals.count, stopped


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ((7.0,), (1, False)),
        ((7.0, 7.0), (1, False)),
        ((7.0, 7.1, 7.49), (1, False)),
        ((7.0, 7.5), (2, True)),
        ((7.0, 7.0, 9.0, 9.0), (2, True)),
    ],
)
def test_a_signal_within_half_a_second_is_the_same_and_a_later_one_stops_at_once(moments, expected):
    assert signals_at(*moments) == expected


def test_a_second_ctrl_c_stops_a_drain_that_hangs(short_tape, prism, tmp_path):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:  # until the pipe is full, so that the table finds no room in it
            os.write(writing, bytes(1 << 12))
    os.set_blocking(writing, True)
    late = tmp_path / "rejected.jsonl"
    try:
        with (
            register(short_tape.read_bytes() + b"no record\n") as address,
            started("--input", address, "--output", "-", "--rejected", late, stdout=writing) as program,
        ):
            wait_for(lambda: late.exists() and late.stat().st_size)
            program.process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                program.process.wait(2)
            program.process.send_signal(signal.SIGINT)
            program.process.wait(PATIENCE_SECONDS)
            assert program.process.returncode == 130
            assert program.process.stderr.read().decode().splitlines() == [
                "draining: open windows are being written; again to stop at once",
                (
                    "stopped at once: 1,001 records were read; thrown away is what is in open windows or was not "
                    "written yet; written so far: nothing"
                ),
            ]
            assert not processes_of(program.mark)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
def test_ctrl_c_ends_the_start_up_without_a_word(share, prism, tmp_path, start_up_seconds):
    with Terminal("--input", "tcp://127.0.0.1:9", "--output", tmp_path / "totals.jsonl") as terminal:
        time.sleep(share * start_up_seconds)  # anywhere: what is right does not depend on it
        terminal.press(b"\x03")
        terminal.finish()
        assert terminal.status in (130, -signal.SIGINT)  # which a shell tells as 130 as well
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def start_up_seconds():
    """How long the imports take here."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import pipelines.produce"], cwd=ROOT, check=True, timeout=PATIENCE_SECONDS)
    return time.monotonic() - began


def test_sigterm_drains_and_is_told_by_the_exit_status(short_tape, prism, tmp_path):
    data = short_tape.read_bytes()
    out = tmp_path / "totals.jsonl"
    rejected = tmp_path / "rejected.jsonl"
    with (
        register(data + b"no record\n") as address,
        started("--input", address, "--output", out, "--rejected", rejected) as program,
    ):
        wait_for(lambda: rejected.exists() and rejected.stat().st_size)
        program.process.send_signal(signal.SIGTERM)
        done = program.finish()
    assert done.status == 128 + signal.SIGTERM
    assert done.lines[0].startswith("draining: ") or " read = " in done.lines[0]
    assert done.balance.read == 1_001
    assert totals_of([out]) == right_totals(data)


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (ValueError("no such thing"), "no such thing"),
        (
            RuntimeError("Traceback ...\nsinks.disk.SinkError: cannot write x: full [while running 'W/x']\n"),
            "cannot write x: full",
        ),
        (OSError("cannot write x [while running 'Write/ParDo']"), "cannot write x"),
        (RuntimeError("first\n\nlast"), "last"),
        (KeyError(), "KeyError"),
        (
            RuntimeError(
                "Pipeline job-001 failed in state FAILED: panic in stage.Execute bundle processing goroutine: send on "
                "closed channel, stage: &{ID:stage-002 transforms:[a b]}\ngoroutine 47 [running]:\n\tstack.go:26 +0x5e"
            ),
            "Prism: panic in stage.Execute bundle processing goroutine: send on closed channel",
        ),
        (
            RuntimeError("pipeline panicked: nil map\nStacktrace: goroutine 1 [running]:\n\tx.go:1 +0x1"),
            "Prism: pipeline panicked: nil map",
        ),
    ],
)
def test_a_failure_is_explained_in_one_line(failure, line):
    assert explain(failure) == line


def test_a_transform_that_cannot_be_translated_says_why():
    failure = RuntimeError("Unable to translate Sum")
    failure.__cause__ = TypeError("no integer")
    assert explain(failure) == "Unable to translate Sum: no integer"


class Metrics:
    """A job whose metrics are these."""

    def __init__(self, **counts: int) -> None:
        self._counts = counts

    def metrics(self) -> Metrics:
        return self

    def query(self, _) -> dict[str, list[MetricResult]]:
        keys = {name: MetricKey("step", MetricName("records", name)) for name in self._counts}
        return {"counters": [MetricResult(keys[name], number, number) for name, number in self._counts.items()]}


@pytest.mark.parametrize(
    ("job", "here", "expected"),
    [
        (Metrics(read=22, used=20), {"read": 50, "used": 50}, {"read": 50, "used": 50}),  # Prism has left some out
        (Metrics(read=22, used=22), {}, {"read": 22, "used": 22}),  # the workers are elsewhere
        (None, {"read": 3, "bytes": 9}, {"read": 3}),  # the job has failed
    ],
)
def test_what_was_counted_here_is_not_less_because_a_runner_says_so(job, here, expected):
    board.reset()
    for name, number in here.items():
        board.add(name, number)
    run = object.__new__(Job)
    run._result = job
    assert +run._counters("records", ["read", "used"]) == expected
    board.reset()
