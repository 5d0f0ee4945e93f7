"""The board of the hours: what stands in it, what is marked, that it fits, and that it is drawn again in its place."""

from __future__ import annotations

import re

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from pipelines.runtime.progress_line import Progress
from pipelines.visitors.hour_board import PaintBoard, render_board
from schemas.elements.frames import Result
from sinks.console.screen import ShowLive
from tests.sinks.conftest import result
from tests.sinks.terminal import Emulation, on_terminal

TITLE = "all time, early · "
counts_by_hour = st.dictionaries(st.integers(0, 23), st.integers(0, 10**7))


def rows(counts: dict[int, int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"hour": list(counts), "visitors": list(counts.values())}, schema={"hour": pl.Int8, "visitors": pl.UInt32}
    )


def cells(board: str) -> list[tuple[int, int, bool]]:
    """The hour, the count and the mark of each cell of plain text."""
    found = re.findall(r"(\d\d) +([\d,]+)(\*?)", board)
    return [(int(hour), int(count.replace(",", "")), bool(mark)) for hour, count, mark in found]


def test_plain_text_has_four_rows_of_six_and_marks_what_has_changed():
    assert render_board({16: 1, 17: 4, 3: 1_200}, {17: 3, 3: 1_200}, 100, color=False) == (
        "00     0    01     0    02     0    03 1,200    04     0    05     0\n"
        "06     0    07     0    08     0    09     0    10     0    11     0\n"
        "12     0    13     0    14     0    15     0    16     1*   17     4*\n"
        "18     0    19     0    20     0    21     0    22     0    23     0\n"
    )


def test_a_terminal_gets_cells_and_the_changed_ones_in_bold_and_reverse():
    board = render_board({16: 1, 17: 4}, {17: 4}, 80, color=True)
    shown = Text.from_ansi(board).plain
    assert len(shown.splitlines()) == 9
    assert "│ 12 0 │ 13 0 │ 14 0 │ 15 0 │ 16 1 │ 17 4 │" in shown
    assert re.findall(r"\x1b\[1;7m(.*?)\x1b\[0m", board) == ["16 1"]


def test_the_first_board_marks_nothing_and_one_that_falls_is_marked():
    assert not any(mark for _, _, mark in cells(render_board({16: 1}, None, 80, color=False)))
    assert [cell for cell in cells(render_board({}, {16: 1}, 80, color=False)) if cell[2]] == [(16, 0, True)]


@given(counts_by_hour, st.none() | counts_by_hour, st.integers(1, 200))
def test_every_hour_stands_once_with_its_count_in_every_width(counts, before, width):
    expected = [
        (hour, counts.get(hour, 0), before is not None and counts.get(hour, 0) != before.get(hour, 0))
        for hour in range(24)
    ]
    assert cells(render_board(counts, before, width, color=False)) == expected
    in_color = Text.from_ansi(render_board(counts, before, width, color=True)).plain
    assert [cell[:2] for cell in cells(in_color)] == [cell[:2] for cell in expected]


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize(("width", "rows_of"), [(20, 1), (40, 3), (60, 4), (80, 6), (200, 6)])
def test_no_line_is_wider_than_the_terminal(width, rows_of, color):
    board = Text.from_ansi(render_board({5: 12_345}, None, width, color)).plain
    assert max(map(len, board.splitlines())) <= width
    assert len(cells(next(line for line in board.splitlines() if "00" in line))) == rows_of


def boards(*steps: dict[int, int]) -> list:
    return [result(rows(counts), pane=pane, final=pane == len(steps)) for pane, counts in enumerate(steps, 1)]


def test_elsewhere_each_change_is_a_block(fn_api, capsys):
    given_in_order = boards({16: 1}, {16: 1}, {16: 1, 17: 4}, {16: 1, 17: 4})
    with beam.Pipeline(options=fn_api) as pipeline:
        made = pipeline | beam.Create([0]) | beam.FlatMap(lambda _: given_in_order)
        handed_on = made | ShowLive(PaintBoard("Errors"))
        assert_that(handed_on | beam.Map(lambda one: one.pane), equal_to([1, 2, 3, 4]))
    blocks = capsys.readouterr().out.split("\n\n")
    assert blocks.pop() == ""
    assert [block.splitlines()[0] for block in blocks] == [
        "Errors · all time, early · 1 in all",
        "Errors · all time, early · 5 in all",
        "Errors · all time, final · 5 in all",
    ]
    assert [[hour for hour, _, mark in cells(block) if mark] for block in blocks] == [[], [17], [17]]


def test_the_title_stays_in_its_line(fn_api, capsys, monkeypatch):
    monkeypatch.setattr("sinks.console.screen.PLAIN_COLUMNS", 30)
    with beam.Pipeline(options=fn_api) as pipeline:
        (
            pipeline
            | beam.Create([0])
            | beam.Map(lambda _: boards({1: 2})[0])
            | ShowLive(PaintBoard("[bold]Errors[/] of the week"))
        )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "[bold]Errors[/] of the week ·…"
    assert lines[1].startswith("00 0")


def test_columns_that_are_not_there_are_named(fn_api):
    transform = ShowLive(PaintBoard())
    pipeline = beam.Pipeline(options=fn_api)
    wrong = result(pl.DataFrame({"hour": [1]}))
    pipeline | beam.Create([0]) | beam.Map(lambda _: wrong) | transform
    with pytest.raises(Exception, match="results have no column 'visitors'"):
        pipeline.run()


progresses: list[Progress] = []


def with_progress(board: Result) -> Result:
    """Draws the line of progress first. It is not in the program: of what is there, Beam makes a copy."""
    progresses[0].show()
    return board


PROGRAM = """
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pipelines.runtime.progress_line import Progress
from pipelines.visitors.hour_board import PaintBoard
from sinks.console.screen import ShowLive
from tests.pipelines.visitors.test_hour_board import boards, progresses, with_progress

progress = Progress(quiet=False, total_bytes=None)
progress._seconds = progress._due = 0
progresses.append(progress)
if __name__ == "__main__":
    print("before")
    made = boards({16: 1}, {16: 1, 17: 2}, {16: 1, 17: 4}, {16: 1, 17: 4})
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        pipeline | beam.Create([0]) | beam.FlatMap(lambda _: made) | beam.Map(with_progress) | ShowLive(PaintBoard())
    progress.show()
    progress.note("done")
"""


@pytest.mark.parametrize("columns", [40, 100])
def test_on_a_terminal_one_board_is_left_and_the_progress_does_not_disturb_it(columns):
    sent = on_terminal(PROGRAM, columns, lines=24)
    assert sent.count("in all") == 4
    assert sent.count(" rows/s · ") >= 4
    shown = Emulation(columns, 24).feed(sent).text
    board = shown[shown.index("before\n") + len("before\n") :]
    assert board.splitlines()[0] == "all time, final · 5 in all"
    assert board.splitlines()[-1] == "done"
    assert cells(board) == [(hour, {16: 1, 17: 4}.get(hour, 0), False) for hour in range(24)]
    assert re.findall(r"\x1b\[1;7m(.*?)\x1b\[0m", sent) == ["17 2", "17 4", "17 4"]
