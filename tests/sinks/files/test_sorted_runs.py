from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.frames import Result
from sinks.files import sorted_runs
from sinks.files.sorted_runs import Merge, Run
from sinks.files.table_layout import WINDOW_COLUMNS, lay_out

HOUR = 3_600_000_000
KEYS = st.none() | st.sampled_from("abcdefgh")


@st.composite
def results(draw: st.DrawFn) -> list[Result]:
    """Final results of windows that overlap; some windows have several panes."""
    windows = st.none() | st.integers(-3, 3)
    bounds = draw(st.lists(st.tuples(windows, st.integers(0, 2)), max_size=12, unique=True))
    return [
        Result(*_edges(hour), pane, True, _rows(draw(st.lists(KEYS, max_size=5, unique=True)), pane))
        for hour, pane in bounds
    ]


def _edges(hour: int | None) -> tuple[int | None, int | None]:
    return (None, None) if hour is None else (hour * HOUR, (hour + 2) * HOUR)


def _rows(keys: list[str | None], number: int) -> pl.DataFrame:
    return pl.DataFrame({"upc": keys, "count": [number] * len(keys)}, schema={"upc": pl.String, "count": pl.Int64})


def expected(given: list[Result]) -> list[tuple]:
    """Return the rows of the newest result of each window, by a loop over all."""
    newest: dict = {}
    for result in given:
        if result[:2] not in newest or newest[result[:2]].pane < result.pane:
            newest[result[:2]] = result
    frames = [lay_out(result, ("upc",)) for result in newest.values()]
    rows = [row for frame in frames for row in frame.rows()]
    return sorted(rows, key=lambda row: [(value is not None, value) for value in row[:3]])


@settings(max_examples=200, deadline=None)
@given(results(), st.data(), st.integers(1, 4))
def test_runs_cut_anywhere_and_spilled_or_not_are_one_order(tmp_path_factory, given_results, data, part_rows):
    folder = tmp_path_factory.mktemp("runs")
    shuffled = data.draw(st.permutations(given_results))
    ends = sorted(data.draw(st.sets(st.integers(1, max(1, len(shuffled))), max_size=3)))
    pieces = [shuffled[start:end] for start, end in zip([0, *ends], [*ends, len(shuffled)], strict=True)]
    runs = [Run.of(piece, ("upc",)) for piece in pieces if piece]
    runs = [run.spilled(str(folder)) if data.draw(st.booleans()) else run for run in runs]
    if not runs:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_runs, "PART_ROWS", part_rows)
        merge = Merge(runs, ("upc",))
        parts = list(merge.parts())
        again = list(Merge([Run.of(given_results, ("upc",))], ("upc",)).parts())
    right = expected(given_results)
    assert [row for part in parts for row in part.rows()] == right
    assert merge.height == len(right)
    assert [part.rows() for part in parts] == [part.rows() for part in again]
    assert all(0 < part.height <= part_rows for part in parts)
    assert merge.columns.columns == [*WINDOW_COLUMNS, "upc", "count"]


def test_several_results_of_a_window_are_all_there_and_in_order():
    some = [Result(0, HOUR, 0, True, _rows(list(keys), 1)) for keys in ("ac", "b", "d")]
    for runs in ([some], [some[:2], some[2:]], [[each] for each in some]):
        (part,) = Merge([Run.of(run, ("upc",)) for run in runs], ("upc",)).parts()
        assert part["upc"].to_list() == ["a", "b", "c", "d"]


def test_a_column_without_any_value_takes_the_type_that_it_has_elsewhere():
    empty = Result(0, HOUR, 0, True, pl.DataFrame({"upc": ["a"], "note": [None]}))
    text = Result(HOUR, 2 * HOUR, 0, True, pl.DataFrame({"upc": ["a"], "note": ["x"]}))
    for runs in ([[empty, text]], [[empty], [text]]):
        merge = Merge([Run.of(run, ("upc",)) for run in runs], ("upc",))
        assert pl.concat(merge.parts())["note"].to_list() == [None, "x"]


@pytest.mark.parametrize("other", [{"upc": ["a"], "n": ["1"]}, {"upc": ["a"]}, {"n": [1], "upc": ["a"]}])
def test_columns_that_do_not_go_together_are_told(other):
    one, two = (Result(0, HOUR, 0, True, pl.DataFrame(rows)) for rows in ({"upc": ["a"], "n": [1]}, other))
    with pytest.raises(ValueError, match=r"^results of one table have different columns: window_start [^\n]*; window"):
        Run.of([one, two], ("upc",))
    with pytest.raises(ValueError, match="results of one table have different columns"):
        Merge([Run.of([one], ("upc",)), Run.of([two], ("upc",))], ("upc",))


def test_a_run_that_cannot_be_spilled_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    run = Run.of([Result(0, HOUR, 0, True, _rows(["a"], 1))], ("upc",))
    monkeypatch.setattr(pl.DataFrame, "write_ipc", fail)
    with pytest.raises(OSError, match="No space left"):
        run.spilled(str(tmp_path))
    assert list(Path(tmp_path).iterdir()) == []
