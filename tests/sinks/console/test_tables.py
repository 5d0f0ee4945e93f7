import io
import re
import sys
import threading
from decimal import Decimal
from types import SimpleNamespace

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sinks.console import tables as console
from sinks.console.tables import PrintResults, best_table, print_whole, render, title_of
from sinks.files.atomic import SinkError
from tests.sinks.conftest import HOUR, micros, result, totals

MINUTES = (micros(2011, 4, 1, 10), micros(2011, 4, 1, 10, 10))
ROWS = totals(
    ("94237", "O.LETTUCE, RED LEAF BUTTER [bold]AND[/bold] SOMETHING LONGER THAN A LINE", "12.5", "0", "1081.4"),
    ("4011", "BANANAS", "31", "102.66", "1081.40"),
    ("0000000004063", "TOMATO", "1", "1.23456", "7.005"),
    ("0002529300103", None, "-2", "0", "-3.99"),
)
LONG = totals(
    *((f"{key:013d}", "DESCRIPTION " * 9, f"{key}.5", f"-{key * 7}.125", f"{key * 999}") for key in range(30))
)


def test_plain_text_of_eighty_columns():
    assert render(result(ROWS, MINUTES), 20, "spend", 80, color=False) == (
        "2011-04-01 10:00 – 10:10 UTC, final · 4 rows by spend\n"
        "rank  upc            description                   quantity      scale     spend\n"
        "   1  4011           BANANAS                          31.00  102.66     1081.40\n"
        "   2  94237          O.LETTUCE, RED LEAF BUTTER …     12.50    0.00     1081.40\n"
        "   3  0000000004063  TOMATO                            1.00    1.23456     7.005\n"
        "   4  0002529300103                                   -2.00    0.00       -3.99\n"
    )


def test_a_terminal_gets_a_rule_and_bold_headings():
    shown = render(result(ROWS.tail(1), final=False), 20, "spend", 60, color=True)
    assert re.sub("\x1b\\[[0-9;]*m", "", shown) == (
        "all time, early · 1 row by spend                            \n"
        "rank  upc            description  quantity  scale  spend\n"
        "────────────────────────────────────────────────────────\n"
        "   1  0002529300103                  -2.00   0.00  -3.99\n"
    )
    assert shown.startswith("\x1b[1mall time")


def test_the_best_rows_are_shown_and_the_others_are_counted():
    shown = render(result(ROWS), 2, "quantity", 100, color=False).splitlines()
    assert shown[0] == "all time, final · best 2 of 4 by quantity"
    assert [line.split()[1] for line in shown[2:]] == ["4011", "94237"]


def test_missing_values_are_blank_and_last():
    rows = totals(("1", "A", "1", "1", "1"), ("2", "B", "1", "1", "1")).with_columns(
        spend=pl.when(pl.col("upc") != "1").then("spend")
    )
    assert [line.split() for line in render(result(rows), 5, "spend", 100, color=False).splitlines()[2:]] == [
        ["1", "2", "B", "1.00", "1.00", "1.00"],
        ["2", "1", "A", "1.00", "1.00"],
    ]


def test_a_rank_of_its_own_is_not_shown_twice():
    shown = render(result(ROWS.with_columns(rank=7)), 5, "spend", 100, color=False).splitlines()
    assert shown[1].split().count("rank") == 1
    assert shown[2].split()[0] == "1"


def test_a_name_goes_before_the_window_and_columns_are_chosen():
    shown = render(result(ROWS), 2, "spend", 100, color=False, name="last 5m", columns=("spend", "upc"))
    assert shown == (
        "last 5m · all time, final · best 2 of 4 by spend\n"
        "rank    spend  upc\n"
        "   1  1081.40  4011\n"
        "   2  1081.40  94237\n"
    )
    with pytest.raises(ValueError, match="results have no column 'profit'"):
        render(result(ROWS), 2, "spend", 100, color=False, columns=("profit",))


def test_a_result_without_rows_says_so():
    assert render(result(totals()), 5, "spend", 80, color=False) == (
        "all time, final · 0 rows by spend\nrank  upc  description  quantity  scale  spend\n"
    )


@pytest.mark.parametrize(
    ("window", "fields", "title"),
    [
        ((None, None), {}, "all time, final"),
        (MINUTES, {"final": False}, "2011-04-01 10:00 – 10:10 UTC, early"),
        ((micros(2011, 4, 1), micros(2011, 4, 2)), {}, "2011-04-01 00:00 – 2011-04-02 00:00 UTC, final"),
        ((0, 30_000_000), {}, "1970-01-01 00:00:00 – 00:00:30 UTC, final"),
        ((0, 500_000), {}, "1970-01-01 00:00:00.000000 – 00:00:00.500000 UTC, final"),
    ],
)
def test_the_title_tells_the_window(window, fields, title):
    assert title_of(result(ROWS, window, **fields)) == title


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width, color):
    shown = re.sub("\x1b\\[[0-9;]*m", "", render(result(LONG, MINUTES), 20, "spend", width, color))
    lines = shown.splitlines()
    assert len(lines) == 20 + (3 if color else 2)
    assert max(map(cell_len, lines)) <= width


def test_figures_are_never_cut():
    lines = render(result(LONG), 30, "spend", 10, color=False).splitlines()
    assert lines[1].startswith("no room f")
    assert lines[3].split()[-1] == "28971.00"


@example(["a\u2028b\x85\tc\n\x1b[31m"], 40)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=4), st.sampled_from([40, 80]))
def test_strange_texts_stay_in_their_line(texts, width):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    rows = totals(*((str(place), text, "1", "1", "1") for place, text in enumerate(texts)))
    shown = render(result(rows), 20, "spend", width, color=False)
    is_narrow = "\nno room for " in shown
    assert len(shown.splitlines()) == shown.count("\n") == 2 + is_narrow + len(texts)
    assert "\x1b" not in shown


@given(st.lists(st.decimals(-(10**9), 10**9, allow_nan=False, places=9), min_size=1, max_size=5))
def test_points_stand_under_each_other_and_no_digit_is_lost(numbers):
    rows = totals(*((str(place), "X", "1", "1", str(number)) for place, number in enumerate(numbers)))
    lines = render(result(rows), 20, "spend", 100, color=False).splitlines()[2:]
    assert len({line.rindex(".") for line in lines}) == 1
    shown = [line.split()[-1] for line in lines]
    assert [Decimal(text) for text in shown] == sorted(numbers, reverse=True)
    assert all(re.fullmatch(r"-?\d+\.(\d\d|\d{2,8}[1-9])", text) for text in shown)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="results have no column 'profit'"):
        render(result(ROWS), 5, "profit", 80, color=False)


def test_top_must_be_positive():
    with pytest.raises(ValueError, match="top must be positive, got 0"):
        PrintResults(top=0)


def test_rows_may_be_dicts_of_any_values():
    sink = io.StringIO()
    rows = [
        {"region": "Berlin", "flow": Decimal("-3.5"), "count": 12, "top": [{"who": "a", "sum": Decimal(2)}]},
        {"region": "Paris", "flow": Decimal(10), "count": 3, "top": []},
        {"region": "never shown", "flow": None, "count": 0, "top": []},
    ]
    table = best_table(rows, ["region", "flow", "count", "top"], "Credit", top=2, plain=True)
    Console(file=sink, width=80).print(table)
    assert [line.rstrip() for line in sink.getvalue().splitlines()] == [
        "Credit",
        "region   flow  count  top",
        "Berlin  -3.50     12  a 2.00",
        "Paris   10.00      3",
    ]


class _Pieces(io.StringIO):
    """A stream that keeps what it was given, piece by piece, and says what it is."""

    def __init__(self, encoding="utf-8", terminal=False):
        super().__init__()
        self.pieces = []
        self._encoding = encoding
        self._terminal = terminal

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self._terminal

    def write(self, text):
        self.pieces.append(text)
        return len(text)


def test_a_table_is_printed_in_one_piece(monkeypatch):
    stream = _Pieces()
    monkeypatch.setattr(sys, "stdout", stream)
    list(console._PrintFn(20, "spend").process(result(ROWS)))
    assert stream.pieces == [render(result(ROWS), 20, "spend", 100, color=False) + "\n"]


def test_a_terminal_is_filled_as_wide_as_it_is(monkeypatch):
    stream = _Pieces(terminal=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "72")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    list(console._PrintFn(20, "spend").process(result(LONG)))
    assert stream.pieces == [render(result(LONG), 20, "spend", 72, color=True) + "\n"]


@pytest.mark.parametrize(
    ("environment", "terminal", "expected"),
    [
        ({"TERM": "xterm"}, True, (True, True, 72)),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, (True, False, 72)),
        ({"TERM": "dumb"}, True, (False, False, 72)),
        ({"TERM": "xterm"}, False, (False, False, 100)),
    ],
)
def test_the_output_tells_what_it_can_show(environment, terminal, expected, monkeypatch):
    monkeypatch.setattr(console, "sys", SimpleNamespace(stdout=_Pieces(terminal=terminal)))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "72")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (console.is_terminal(), console.has_color(), console.width_to_fill()) == expected


def test_what_was_printed_last_is_known(monkeypatch):
    monkeypatch.setattr(console, "sys", SimpleNamespace(stdout=_Pieces()))
    first = print_whole("a\n")
    assert console.is_last(first)
    second = print_whole("b\n")
    assert (console.is_last(first), console.is_last(second)) == (False, True)
    console.something_stays()
    assert not console.is_last(second)


def test_what_the_terminal_cannot_show_is_replaced(monkeypatch):
    stream = _Pieces(encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    print_whole("10:00 – 10:10 …\n")
    assert stream.pieces == ["10:00 ? 10:10 ?\n"]


def test_a_reader_that_has_gone_is_one_line(monkeypatch):
    class Gone(_Pieces):
        def flush(self):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(SinkError, match=r"^cannot write to the console: Broken pipe$"):
        print_whole("x\n")


def test_threads_do_not_mix_their_tables(monkeypatch):
    stream = _Pieces()
    monkeypatch.setattr(sys, "stdout", stream)
    threads = [threading.Thread(target=print_whole, args=(f"{number}\n" * 50,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stream.pieces) == [f"{number}\n" * 50 for number in range(8)]


def test_results_are_printed_and_handed_on(fn_api, capsys):
    results = [result(ROWS, (hour * HOUR, (hour + 1) * HOUR), final=hour > 0) for hour in range(3)]
    with beam.Pipeline(options=fn_api) as pipeline:
        handed_on = pipeline | beam.Create(results) | PrintResults(top=1)
        assert_that(
            handed_on | beam.Map(lambda one: (one.window_start, one.final)),
            equal_to([(hour * HOUR, hour > 0) for hour in range(3)]),
        )
    titles = [line for line in capsys.readouterr().out.splitlines() if "UTC" in line]
    assert sorted(titles) == [
        f"1970-01-01 {hour:02}:00 – {hour + 1:02}:00 UTC, {'final' if hour else 'early'} · best 1 of 4 by spend"
        for hour in range(3)
    ]
