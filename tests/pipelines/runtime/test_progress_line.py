"""What is shown on a terminal and elsewhere, while a job runs and after it."""

from __future__ import annotations

import io
import logging
from collections import Counter
from types import SimpleNamespace

import pytest

from pipelines.runtime import progress_line as module
from pipelines.runtime.logs import showing_messages
from pipelines.runtime.progress_line import Progress, summary
from sinks.console import tables as console
from sinks.console.tables import print_whole
from sources import progress as board
from tests.fakes import FakeClock
from tests.pipelines.tools import Feed, Terminal, run, screen


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock(1_000.0)
    monkeypatch.setattr(module.time, "monotonic", clock)
    board.reset()
    yield clock
    board.reset()


@pytest.fixture
def terminal(monkeypatch):
    """A terminal that both standard streams go to."""
    terminal = Screen()
    monkeypatch.setenv("TERM", "xterm")
    for each in (module, console):
        monkeypatch.setattr(each, "sys", SimpleNamespace(stderr=terminal, stdout=terminal))
    return terminal


def test_the_line_tells_rows_rate_share_watermark_and_what_was_not_used(clock, terminal):
    progress = Progress(quiet=False, total_bytes=2_000)
    board.add("read", 1_500)
    board.add("bytes", 1_000)
    board.add("rejected", 1_234)
    board.set_watermark(1_301_652_000_000_000)
    clock.pass_seconds(0.5)
    progress.show()
    assert screen(terminal.getvalue(), 120) == (
        "1,500 rows · 3,000 rows/s · 50 % · watermark 2011-04-01 10:00:00 · 1,234 reje"
    )


def test_the_line_is_drawn_again_in_its_place(clock, terminal):
    progress = Progress(quiet=False, total_bytes=None)
    for _ in range(3):
        board.add("read", 10)
        clock.pass_seconds(1)
        progress.show()
        progress.show()  # it is not time yet
    assert terminal.getvalue().count("\r") == 3
    assert screen(terminal.getvalue(), 80) == "30 rows · 10 rows/s · 0 rejected, 0 late"
    progress.clear()
    assert screen(terminal.getvalue(), 80) == ""


def test_the_line_never_fills_a_narrow_terminal(clock, terminal, monkeypatch):
    monkeypatch.setattr(module, "_columns", lambda: 30)
    progress = Progress(quiet=False, total_bytes=None)
    for _ in range(3):
        clock.pass_seconds(1)
        progress.show()
    assert screen(terminal.getvalue(), 30) == "0 rows · 0 rows/s · 0 rejec"


def test_a_table_stands_where_the_line_stood(clock, terminal):
    progress = Progress(quiet=False, total_bytes=None)
    clock.pass_seconds(1)
    progress.show()
    print_whole("a\nb\n")
    clock.pass_seconds(1)
    progress.show()
    progress.note("done")
    assert screen(terminal.getvalue().replace("\n", "\r\n"), 80) == "a\nb\ndone\n"


def test_elsewhere_plain_lines_come_every_few_seconds(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=log))
    progress = Progress(quiet=False, total_bytes=None)
    for _ in range(120):
        clock.pass_seconds(0.1)
        progress.show()
    assert log.getvalue() == "0 rows · 0 rows/s · 0 rejected, 0 late\n" * 2


def test_a_terminal_that_can_do_nothing_gets_plain_lines(clock, terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    progress = Progress(quiet=False, total_bytes=None)
    clock.pass_seconds(6)
    progress.show()
    assert terminal.getvalue() == "0 rows · 0 rows/s · 0 rejected, 0 late\n"


def test_quiet_is_quiet(clock, terminal):
    progress = Progress(quiet=True, total_bytes=None)
    with showing_messages(progress.note):
        clock.pass_seconds(9)
        progress.show()
        progress.note("note")
        progress.clear()
        logging.getLogger("sources.live.tcp").warning("no connection")
    assert terminal.getvalue() == ""


def test_a_reader_that_has_gone_does_not_end_the_job(clock, monkeypatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=Gone()))
    progress = Progress(quiet=False, total_bytes=None)
    clock.pass_seconds(9)
    progress.show()
    progress.note("note")


def test_our_warnings_are_shown_and_those_of_others_only_if_asked_for():
    shown: list[str] = []
    for level in (None, "error"):
        with showing_messages(shown.append, level):
            logging.getLogger("sources.live.tcp").warning("no connection to %s", "x")
            logging.getLogger("sources.live.tcp").info("listening")
            logging.getLogger("apache_beam.runners.common").error("hundreds of lines")
            logging.getLogger("apache_beam.runners.common").warning("more lines")
    ours = "warning: no connection to x"
    assert shown == [ours, ours, "ERROR apache_beam.runners.common: hundreds of lines"]


def test_the_summary_is_a_sum():
    counts = Counter({"read": 1_100, "used": 1_000, "filtered": 70, "rejected": 20, "late": 10})
    text = "1,100 read = 1,000 used + 70 filtered + 20 rejected + 10 late, in 0.5 s (2,200 rows/s)"
    assert summary(counts, 0.5) == text
    text = "1,100 read = 995 used + 70 filtered + 5 duplicate + 20 rejected + 10 late, in 0.5 s (2,200 rows/s)"
    assert summary(counts | {"used": 995, "duplicate": 5}, 0.5) == text


#: COLUMNS is wrong: the cursor moves on the terminal that is there.
SAID = {"NO_COLOR": "1", "COLUMNS": "100"}


@pytest.mark.parametrize("columns", [60, 132])
def test_a_terminal_shows_tables_and_nothing_of_the_progress(columns, short_tape, prism):
    first, _, rest = short_tape.read_bytes().partition(b"\n")
    options = ("--max-records", 1_000, "--emit", "200ms", "--output", "-")
    with Feed() as feed, Terminal("--input", feed.address, *options, columns=columns, **SAID) as terminal:
        feed.send(first + b"\n")
        terminal.wait_for(" rows/s ", times=3)
        feed.send_in_parts(rest, 4, lambda number: terminal.has_shown("all time, early", number))
        shown = terminal.finish()
        assert terminal.status == 0, shown
    lines = [line for line in shown.splitlines() if line]
    assert " read = " in "".join(lines[-2:])
    assert not any(" rows/s · " in line for line in lines)
    assert shown.startswith("sold · all time, final ")  # which was drawn over the early ones
    assert shown.count("all time, ") == 1


def test_quiet_says_nothing_at_all(short_tape, tmp_path):
    done = run("--input", short_tape, "--quiet", "--output", tmp_path / "totals.jsonl", "--late", tmp_path / "late")
    assert done == type(done)(0, "", "")


def test_tables_go_to_the_standard_output_and_all_else_to_the_standard_error(short_tape, tmp_path):
    done = run("--input", short_tape, cwd=tmp_path)
    assert done.out.startswith("all time, final · ")
    assert len(done.out.splitlines()) == 23
    assert len(done.lines) == 2
    assert " read = " in done.lines[0]
    assert done.lines[1] == "wrote out/produce.jsonl"
