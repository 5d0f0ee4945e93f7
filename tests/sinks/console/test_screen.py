"""Areas that are redrawn in place: which result is shown, where, and what is left on the terminal."""

from __future__ import annotations

import itertools
import pickle
import threading
from types import SimpleNamespace

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from pipelines.runtime import progress_line as progress
from schemas.elements.frames import Result
from sinks.console import tables as console
from sinks.console.screen import Area, PaintTable, Screen, ShowLive, screen_token
from sinks.files.atomic import SinkError
from tests.sinks.conftest import result
from tests.sinks.terminal import Emulation, on_terminal

FINAL = 1 << 40
MINUTE = 60_000_000


def counted(
    number: int, pane: int = 0, window: tuple[int | None, int | None] = (None, None), **fields: object
) -> Result:
    rows = pl.DataFrame({"region": ["East", "West"], "sum": [number, 2 * number], "count": [1, 2]})
    return result(rows, window, pane=pane, final=pane == FINAL, **fields)


def paint(shown: Result, before: Result | None, width: int, color: bool) -> str:
    old = "" if before is None else f" was {before.rows['sum'][0]}"
    return f"{shown.rows['sum'][0]}{old}\n"


def taken(results: list[Result]) -> Area:
    area = Area(paint)
    for one in results:
        area.offer(one)
    return area


def test_of_a_window_a_higher_pane_replaces_a_lower_one():
    area = Area(paint)
    assert area.offer(counted(1, 0)) == (True, True)
    assert area.offer(counted(3, 2)) == (True, True)
    assert area.offer(counted(2, 1)) == (False, False)
    assert area.text(80, False) == "3 was 1\n"


def test_what_is_the_same_again_is_no_change_but_the_last_word_is():
    area = taken([counted(1, 0), counted(3, 1)])
    assert area.offer(counted(3, 2)) == (True, False)
    assert area.offer(counted(3, FINAL)) == (True, True)
    assert area.text(80, False) == "3 was 1\n"
    assert area.offer(counted(9, 3)) == (False, False)


@given(st.permutations([counted(number, pane) for number, pane in enumerate((0, 1, 2, FINAL))]))
def test_panes_in_any_order_end_with_the_last_word(results):
    assert taken(results).shown.pane == FINAL


def windows(closed: int) -> list[Result]:
    """Sliding windows of five minutes, one a minute: those that have closed, and the early results of the open ones."""
    ends = range(5, 15)
    bounds = [((end - 5) * MINUTE, end * MINUTE) for end in ends]
    return [counted(end, 0, window) for end, window in zip(ends, bounds)] + [
        counted(end, FINAL, window) for end, window in zip(ends, bounds) if end <= closed
    ]


@pytest.mark.parametrize("closed", range(4, 15))
def test_of_sliding_windows_the_one_that_closes_next_is_shown(closed):
    expected = min(closed + 1, 14)

    @given(st.permutations(windows(closed)))
    def check(results):
        assert taken(results + windows(closed)[:10]).shown.window_end == expected * MINUTE

    check()


def test_without_early_results_the_window_that_closed_last_is_shown():
    finals = windows(9)[10:]
    for order in itertools.permutations(finals):
        assert taken(list(order)).shown.window_end == 9 * MINUTE


@given(st.permutations(range(5, 15)))
def test_at_the_end_of_a_replay_the_window_that_ends_at_the_last_record_is_shown(ends):
    # The last record came in the tenth minute: those that end later are all of a time that has not come.
    results = [
        counted(end, FINAL, ((end - 5) * MINUTE, end * MINUTE), times=(end - 5, min(end, 10) * MINUTE - 1))
        for end in ends
    ]
    assert taken(results).shown.window_end == 10 * MINUTE
    early = counted(1, 3, (5 * MINUTE, 10 * MINUTE), times=(5 * MINUTE, 10 * MINUTE - 1))
    assert taken([early, *results]).shown == taken(results).shown
    # One from a far future, of which nobody believes the time, is none.
    far = counted(1, FINAL, (95 * MINUTE, 99 * MINUTE))
    for order in ([far, *results], [*results, far]):
        assert taken(order).shown.window_end == 10 * MINUTE


class _Stream:
    """A standard output that says what it is, and keeps what it was given."""

    encoding = "utf-8"

    def __init__(self, terminal: bool) -> None:
        self.sent = ""
        self.isatty = lambda: terminal
        self.flush = lambda: None

    def write(self, text: str) -> None:
        self.sent += text


@pytest.fixture
def stream(monkeypatch, request):
    stream = _Stream(request.param)
    monkeypatch.setattr(console, "sys", SimpleNamespace(stdout=stream))
    monkeypatch.setattr(console, "_erasers", [])
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    return stream


terminal = pytest.mark.parametrize("stream", [True], indirect=True)
elsewhere = pytest.mark.parametrize("stream", [False], indirect=True)


def shown(stream: _Stream, columns: int = 40, lines: int = 10) -> str:
    return Emulation(columns, lines).feed(stream.sent.replace("\n", "\r\n")).text


@terminal
def test_areas_stand_below_each_other_in_their_order(stream):
    drawn = Screen()
    drawn.show("last 5m", counted(5), paint, place=1)
    drawn.show("since the start", counted(1), paint)
    for pane in range(1, 4):
        drawn.show("last 5m", counted(5 + pane, pane), paint, place=1)
    assert shown(stream) == "1\n\n8 was 7\n"


@terminal
def test_what_is_printed_in_between_stays_and_the_areas_come_again_below(stream):
    drawn = Screen()
    drawn.show("a", counted(1), paint)
    console.print_whole("a table\n")
    drawn.show("a", counted(2, 1), paint)
    drawn.show("a", counted(3, 2), paint)
    assert shown(stream) == "1\na table\n3 was 2\n"


@terminal
def test_a_note_of_the_progress_stays_and_its_line_does_not(stream, monkeypatch):
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setattr(progress, "_columns", lambda: 40)
    shows = progress.Progress(quiet=False, total_bytes=None)
    drawn = Screen()
    for pane in range(4):
        shows._due = 0
        shows.show()
        drawn.show("a", counted(pane, pane), paint)
        if pane == 1:
            shows.note("no connection")
    assert stream.sent.count(" rows/s ") == 4
    assert shown(stream) == "1 was 0\nno connection\n3 was 2\n"


@terminal
def test_two_screens_do_not_draw_over_each_other(stream):
    one, other = Screen(), Screen()
    one.show("a", counted(1), paint)
    other.show("a", counted(2), paint)
    other.show("a", counted(3, 1), paint)
    assert shown(stream) == "1\n3 was 2\n"


@terminal
def test_lines_that_are_too_long_go_on_in_the_next_and_are_taken_away_with_it(stream):
    drawn = Screen()
    for pane in range(3):
        drawn.show("a", counted(1, pane), lambda *_: "\x1b[1m" + "x" * 95 + "\x1b[0m\n" + "y" * 40 + "\n")
    assert shown(stream) == f"{'x' * 40}\n{'x' * 40}\n{'x' * 15}\n{'y' * 40}\n"


@terminal
def test_what_does_not_fit_the_terminal_is_counted(stream):
    drawn = Screen()
    for pane in range(3):
        drawn.show("a", counted(1, pane), lambda *_: "".join(f"{number}\n" for number in range(30)))
    assert shown(stream) == "\n".join([*map(str, range(8)), "… 22 more lines", ""])


@terminal
def test_of_several_areas_without_room_each_is_seen_and_at_the_end_all_is_drawn(stream):
    drawn = Screen()
    texts = {name: [f"{name}{number}" for number in range(size)] for name, size in (("a", 12), ("b", 2), ("c", 12))}
    for place, (name, lines) in enumerate(texts.items()):
        drawn.show(name, counted(1), lambda *_, lines=lines: "".join(f"{line}\n" for line in lines), place)
    # What has no room at all is cut at the end, while more is to come; the last drawing scrolls.
    assert shown(stream).splitlines()[:5] == ["a0", "a1", "a2", "… 9 more lines", ""]
    drawn.finish()
    whole = "\n\n".join("\n".join(lines) for lines in texts.values()).splitlines()
    assert stream.sent.split("\x1b[J")[-1].splitlines() == whole
    sent = len(stream.sent)
    drawn.finish()
    assert len(stream.sent) == sent


@elsewhere
def test_elsewhere_only_what_has_changed_is_printed(stream):
    drawn = Screen()
    drawn.show("a", counted(1), paint)
    drawn.show("b", counted(2), paint)
    drawn.show("a", counted(1, 1), paint)
    drawn.show("a", counted(4, 2), paint)
    assert stream.sent == "1\n\n2\n\n4 was 1\n\n"


@terminal
def test_a_terminal_that_can_do_nothing_gets_plain_blocks(stream, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    drawn = Screen()
    drawn.show("a", counted(1), paint)
    drawn.show("a", counted(2, 1), paint)
    assert stream.sent == "1\n\n2 was 1\n\n"


@terminal
def test_threads_may_draw_at_once(stream):
    drawn = Screen()

    def draw(name: str) -> None:
        for pane in range(50):
            drawn.show(name, counted(pane, pane), paint, place=int(name))

    threads = [threading.Thread(target=draw, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown(stream) == "\n".join(["49 was 48\n"] * 4)


@elsewhere
def test_a_reader_that_has_gone_is_one_line(stream):
    def flush() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    stream.flush = flush
    with pytest.raises(SinkError, match=r"^cannot write to the console: Broken pipe$"):
        Screen().show("a", counted(1), paint)


def test_the_steps_of_a_pipeline_share_a_screen_and_pipelines_do_not():
    one, other = beam.Pipeline(), beam.Pipeline()
    assert screen_token(one) == screen_token(one) != screen_token(other)


def test_results_are_printed_as_tables_and_handed_on(fn_api, capsys):
    results = [counted(1, 0), counted(1, 1), counted(5, 2), counted(5, FINAL)]
    with beam.Pipeline(options=fn_api) as pipeline:
        made = pipeline | beam.Create([0]) | beam.FlatMap(lambda _: results)
        handed_on = made | ShowLive(PaintTable("since the start", top=1, by="sum", columns=("region", "sum")))
        assert_that(handed_on | beam.Map(lambda one: one.pane), equal_to([0, 1, 2, FINAL]))
    text = "since the start · all time, {} · best 1 of 2 by sum\nrank  region  sum\n   1  West    {:>3}\n\n"
    assert capsys.readouterr().out == text.format("early", 2) + text.format("early", 10) + text.format("final", 10)


def test_top_must_be_positive_and_columns_must_be_there(fn_api):
    with pytest.raises(ValueError, match="top must be positive, got 0"):
        PaintTable("x", top=0)
    pipeline = beam.Pipeline(options=fn_api)
    (
        pipeline
        | beam.Create([0])
        | beam.Map(lambda _: counted(1))
        | ShowLive(PaintTable("x", by="sum", columns=("flow",)))
    )
    with pytest.raises(Exception, match="results have no column 'flow'"):
        pipeline.run()


def test_what_is_shown_travels():
    shown = pickle.loads(pickle.dumps(ShowLive(PaintTable("x", 3, "sum"), 1)))
    assert (shown.paint, shown.place) == (PaintTable("x", 3, "sum"), 1)


PROGRAM = """
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from sinks.console.screen import PaintTable, ShowLive
from tests.sinks.console.test_screen import FINAL, counted

def results(first):
    return [counted(first + pane, pane) for pane in range(4)] + [counted(first + 3, FINAL)]
if __name__ == "__main__":
    print("before")
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        for place, (name, first) in enumerate([("since the start", 100), ("last 5m", 10)]):
            made = pipeline | f"Make{place}" >> beam.Create([first]) | f"Results{place}" >> beam.FlatMap(results)
            made | f"Print{place}" >> ShowLive(PaintTable(name, by="sum", columns=("region", "sum")), place)
"""


def test_on_a_terminal_one_table_of_each_name_is_left():
    sent = on_terminal(PROGRAM, 60, lines=24, NO_COLOR="1")
    assert sent.count("since the start") >= 5
    assert Emulation(60, 24).feed(sent).text.partition("before\n")[2] == (
        "since the start · all time, final · 2 rows by sum\n"
        "rank  region  sum\n"
        "   1  West    206\n"
        "   2  East    103\n"
        "\n"
        "last 5m · all time, final · 2 rows by sum\n"
        "rank  region  sum\n"
        "   1  West     26\n"
        "   2  East     13\n"
    )
