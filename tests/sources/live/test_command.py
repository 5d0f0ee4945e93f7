"""Commands as a source: what they print, how they end, and that none of their processes stays behind."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.registers import write_tape
from sources import drain
from sources import progress as board
from sources.address import parse_address
from sources.live.command import CommandError, ProcessLines
from tests.fakes import Driver, FakeClock
from tests.pipelines.tools import (
    assert_nothing_left,
    needs_proc,
    right_totals,
    run,
    started,
    totals_of,
    wait_for,
)
from tests.sources.test_backlog import TICK, tick

#: Prints as text what follows, each line with its end.
ECHO = "printf '%s\\n' "


@pytest.fixture(autouse=True)
def _clean_board() -> Iterator[None]:
    board.reset()
    yield
    board.reset()
    drain.reset()


def source_of(command: str, **options: object) -> ProcessLines:
    return ProcessLines(parse_address(f"exec:{command}"), TICK, **options)  # type: ignore[arg-type]


def shell(script: str, **options: object) -> ProcessLines:
    return source_of(f"sh -c {shlex.quote(script)}", **options)


@contextlib.contextmanager
def driving(source: ProcessLines, mark: object = None) -> Iterator[Driver]:
    reader = source.create_reader(None, mark)  # type: ignore[arg-type]
    try:
        yield Driver(reader)
    finally:
        reader.close()


def is_running(pid: int) -> bool:
    """Whether the process is there, and not only waits to be asked after."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def pid_from(path: Path) -> int:
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_everything_that_is_printed_is_handed_out() -> None:
    with driving(source_of("seq 200000")) as driver:
        driver.until_end()
    assert driver.data == b"".join(b"%d\n" % n for n in range(1, 200_001))
    assert driver.blocks[0].locate(0) == ("exec:seq 200000", 0)
    assert not driver.reader.reading.receiver.is_alive()


def test_the_last_line_may_lack_its_end() -> None:
    with driving(source_of("printf 'one\\ntwo'")) as driver:
        assert driver.until_end().data == b"one\ntwo\n"


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    with driving(source_of(f"echo $HOME '*' ; > {tmp_path}/x")) as driver:
        assert driver.until_end().data == f"$HOME * ; > {tmp_path}/x\n".encode()
    assert not list(tmp_path.iterdir())


def test_the_watermark_follows_the_records_and_ends_at_the_end() -> None:
    with driving(shell(f"printf '{tick(5, 1).decode()}'; exec sleep 1000", disorder_micros=2_000_000)) as driver:
        driver.until_records(1)
        assert driver.watermark.micros == TICK.event_micros(tick(3), driver.blocks[0].dialect)
        assert not driver.is_ended
        drain.drain()
        driver.until_end()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo one; echo two; exit 3", "ended with status 3"),
        ("echo one; echo two; echo no disk >&2; exit 1", "ended with status 1: no disk"),
        ("echo one; echo two; kill -9 $$", "was ended by SIGKILL"),
    ],
)
def test_a_failure_is_told_when_all_was_handed_out(script: str, complaint: str) -> None:
    board.watch()
    with driving(shell(script)) as driver:
        driver.until_records(2)
        driver.until_end()
    assert driver.data == b"one\ntwo\n"
    (told,) = board.failures()
    assert told == f"command {driver.reader.reading._source.name!r} {complaint}"
    assert "\n" not in told


def test_where_nobody_looks_a_failure_is_raised_when_all_was_handed_out() -> None:
    with driving(shell("echo one; exit 3")) as driver, pytest.raises(CommandError, match="ended with status 3"):
        driver.until_end()
    assert driver.data == b"one\n"
    assert not driver.is_ended


def test_success_is_no_failure() -> None:
    board.watch()
    with driving(shell("echo one; echo two >&2")) as driver:
        driver.until_end()
    assert board.failures() == []
    assert board.take_notes() == ["sh: two"]


def test_a_flood_of_messages_holds_nothing_up_and_is_bounded() -> None:
    board.watch()
    with driving(shell("yes no | head -n 300000 >&2; printf '\\033[1mlong\\007 %5000s\\n' x >&2; exit 1")) as driver:
        driver.until_end()
    assert len(board.take_notes()) == 1_000
    assert len(board.failures()[0]) < 2_000
    assert board.failures()[0].isprintable()


def test_a_command_that_closes_its_output_is_waited_for() -> None:
    board.watch()
    with driving(shell("echo one; exec >&-; sleep 0.3; exit 4")) as driver:
        driver.until_end()
    assert "ended with status 4" in board.failures()[0]


def test_a_long_command_is_shown_in_one_short_line() -> None:
    source = shell("true\n" * 100)
    assert "\n" not in source.name
    assert len(source.name) == 80


@needs_proc
@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_a_drain_ends_the_command_and_its_children(trap: str, tmp_path: Path) -> None:
    board.watch()
    script = f"{trap}sleep 1000 & echo $! > {tmp_path}/pid; echo one; wait; sleep 1000"
    with driving(shell(script)) as driver:
        driver.until_records(1)
        child, parent = pid_from(tmp_path / "pid"), driver.reader.reading.receiver.pid
        began = time.monotonic()
        drain.drain()
        driver.until_end()
        assert not trap or time.monotonic() - began > 1.9  # it had its time to end by itself
    assert not is_running(child)
    assert not is_running(parent)
    assert board.failures() == []


@needs_proc
def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path) -> None:
    with driving(shell(f"sleep 1000 >/dev/null 2>&1 & echo $! > {tmp_path}/pid; echo one")) as driver:
        driver.until_end()
    assert not is_running(pid_from(tmp_path / "pid"))


def test_a_quiet_command_ends_after_the_idle_timeout() -> None:
    board.watch()
    clock = FakeClock()
    script = "printf 'one\\nfragm'; sleep 1000"
    with driving(shell(script, idle_timeout_seconds=30, clock=clock)) as driver:
        driver.until_records(1)
        wait_for(lambda: any(stream.cutter.is_in_record for stream in driver.reader.reading._backlog.open_streams()))
        driver.until(lambda driver: clock.pass_seconds(5) or driver.is_ended)
    assert driver.data == b"one\n"
    assert driver.faults == [(b"fragm", "stopped in mid-record")]
    assert board.failures() == []


@needs_proc
def test_enough_records_end_the_command() -> None:
    board.watch()
    with driving(source_of("yes", max_records=1_000)) as driver:
        driver.until_end()
        pid = driver.reader.reading.receiver.pid
        wait_for(lambda: not is_running(pid))
    assert driver.data == b"y\n" * 1_000
    assert board.failures() == []


def test_what_waits_of_a_command_that_has_ended_is_resumed_and_so_is_its_failure() -> None:
    source = shell("echo one; echo two; exit 5", max_block_bytes=4)
    board.watch()
    with driving(source) as first:
        first.until_records(1)
        wait_for(lambda: first.reader.reading.receiver.is_finished)
    with driving(source, first.reader.get_checkpoint_mark()) as second:
        second.until_end()
    assert (first.data, second.data) == (b"one\n", b"two\n")
    assert len(board.failures()) == 1


def test_a_command_is_not_run_twice_where_it_is_gone() -> None:
    source = source_of("echo one")
    with driving(source) as first:
        first.until_end()
    again = driving(source, first.reader.get_checkpoint_mark())
    with again as second, pytest.raises(CommandError, match="would print all again"):
        second.step()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-thing --x", "cannot run 'no-such-thing --x': no such command"),
        ("./no/such/thing", "cannot run './no/such/thing': no file at './no/such/thing'"),
        ("/usr/", "cannot run '/usr/': '/usr/' is a folder"),
        (f"{__file__} 1", f"cannot run '{__file__} 1': '{__file__}' is not executable; chmod +x makes it so"),
    ],
)
def test_a_command_that_cannot_run_is_one_line(command: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        source_of(command).check()
    assert str(caught.value)[:60] == message[:60]
    assert "\n" not in str(caught.value)


def test_a_script_that_no_system_can_run_is_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo one\n")
    script.chmod(0o755)
    source = source_of(str(script))
    source.check()
    with driving(source) as driver, pytest.raises(CommandError, match="Exec format error; a script begins with"):
        driver.step()


def test_only_commands_are_run() -> None:
    with pytest.raises(ValueError, match=r"expected exec:COMMAND, got 'x\.txt'"):
        ProcessLines(parse_address("x.txt"), TICK)


@needs_proc
def test_the_command_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from sources.address import parse_address\n"
        "from sources.live.command import ProcessLines\n"
        "from tests.sources.test_backlog import TICK\n"
        "reader = ProcessLines(parse_address(sys.argv[1]), TICK).create_reader(None, None)\n"
        "reader.start()\n"
        "time.sleep(1000)\n"
    )
    address = f"exec:sh -c 'trap \"\" TERM; sleep 1000 & echo $! > {tmp_path}/pid; wait'"
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", code, address], env={**os.environ, "PYTHONPATH": str(root)})
    try:
        child = pid_from(tmp_path / "pid")
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not is_running(child))


def test_a_command_is_totalled_to_its_end_and_its_failure_is_told(prism, tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.tsv", 3_000, seed=8)
    script = tmp_path / "script.sh"
    script.write_text(f"#!/bin/sh\ncat {tape}\necho warming up >&2\nsleep 0.5\necho gone wrong >&2\nexit 3\n")
    script.chmod(0o755)
    out = tmp_path / "totals.jsonl"
    done = run("--input", f"exec:{script} a", "--window", "1h", "--output", out)
    assert done.status == 1, done.err
    assert done.balance.read == 3_000
    assert totals_of(sorted(tmp_path.glob("totals-*.jsonl"))) == right_totals(tape.read_bytes(), "1h")
    assert "script.sh: warming up" in done.lines
    assert done.lines[-1].startswith("failed: command '")
    assert done.lines[-1].endswith("ended with status 3: gone wrong")


def test_a_command_that_is_not_there_is_refused_before_the_run(tmp_path: Path) -> None:
    done = run("--input", "exec:./no-such-script", "--output", tmp_path / "totals.jsonl")
    assert (done.status, done.out) == (2, "")
    assert done.err == "wrong usage: cannot run './no-such-script': no file at './no-such-script'\n"


@needs_proc
def test_ctrl_c_ends_the_command_and_what_it_printed_is_counted(prism, tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "tape.tsv", 1_000, seed=6)
    script, rejected = f"cat {tape}; echo no record; sleep 1000", tmp_path / "rejected.jsonl"
    outputs = ("--output", tmp_path / "totals.jsonl", "--rejected", rejected)
    with started("--input", f"exec:sh -c '{script}'", *outputs) as program:
        wait_for(lambda: rejected.exists() and rejected.stat().st_size)
        program.process.send_signal(signal.SIGINT)
        done = program.finish()
        assert_nothing_left(program.mark)
    assert done.status == 130, done.err
    assert totals_of([tmp_path / "totals.jsonl"]) == right_totals(tape.read_bytes())
