from __future__ import annotations

from pathlib import Path

import pytest

from simulators.registers import COMMAND
from tests.simulators.tools import assert_help_is_whole, assert_refused, run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", "many"], "argument --rows: expected a whole number, 0 or more, got 'many'"),
        (["--rows", "-5"], "argument --rows"),
        (["--registers", "0"], "registers must be 1 to 99, got 0"),
        (["--start", "april"], "expected a date such as 2011-04-01, got 'april'"),
        (["--output", "ftp://x"], "unknown scheme in 'ftp://x'"),
        (["--output", "tcp://localhost:99999"], "with a port up to 65535"),
        (["--speed", "0"], "speed must be positive, got 0.0"),
        (["--rate", "fast"], "expected a number, got 'fast'"),
        (["--rate", "5", "--speed", "2"], "give one of speed, rate and interval, got speed and rate"),
        (["--interval", "3..1"], "expected the shorter interval first, got '3..1'"),
        (["--late", "2"], "late must be a share between 0 and 1, got 2.0"),
        (["--late-by", "soon"], "expected a duration"),
        (["--late", "0.7", "--garbage", "0.7"], "must not add up to more than 1, got 1.4"),
        (["--dialect", "runes"], "invalid choice: 'runes'"),
        (["--rows", "0", "--output", "x.txt"], "a file cannot hold a stream without end"),
        (["--per-connection", "3", "--output", "x.txt"], "per-connection is for tcp-listen://"),
        (["--per-connection", "0"], "per-connection must be 1 or more, got 0"),
        (["--once", "--output", "-"], "once is for tcp-listen://"),
        (["--roes", "5"], "unrecognized arguments: --roes 5"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(COMMAND, options, message, capsys)


def test_wrong_use_of_the_program_itself() -> None:
    done = run("--rows", "many")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""


def test_a_failure_is_one_line_and_exit_code_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("--rows", 10, "--output", tmp_path / "file" / "tape.txt")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"file" in done.stderr


def test_the_folder_of_a_tape_is_made(tmp_path: Path) -> None:
    assert run("--rows", 10, "--output", tmp_path / "new" / "folder" / "tape.txt").returncode == 0
    assert (tmp_path / "new" / "folder" / "tape.txt").read_bytes().count(b"\n") == 10


def test_help_is_complete_and_in_groups() -> None:
    text = assert_help_is_whole(COMMAND)
    for group in ("what is sent:", "where to:", "how fast", "faults", "what is told:"):
        assert group in text
