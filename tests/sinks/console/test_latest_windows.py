from __future__ import annotations

import apache_beam as beam
import polars as pl
import pytest

from schemas.elements.frames import FINAL_PANE, Result, edges
from sinks.console.latest_windows import Newest, PrintNewest

MINUTE = 60 * 10**6


def result(minute: int, pane: int = FINAL_PANE, spend: int = 1) -> Result:
    bounds = (minute * MINUTE, (minute + 10) * MINUTE)
    rows = pl.DataFrame({"key": ["a", "b", "c"], "spend": [spend, spend + 2, spend + 1]})
    return Result(*bounds, pane, pane == FINAL_PANE, rows.select(*edges(*map(pl.lit, bounds)), pl.all()))


def starts(results: list[Result]) -> list[int]:
    return [(found.window_start or 0) // MINUTE for found in results]


def test_only_the_newest_windows_are_shown_the_newest_first():
    newest = Newest(PrintNewest("sold", windows=2))
    assert starts(newest.take([result(5), result(20), result(0), result(15)])) == [20, 15]
    assert starts(newest.take([result(10)])) == []
    assert starts(newest.take([result(25, pane=0)])) == [25]
    assert newest.whole().rows.height == 6


def test_a_window_is_shown_again_when_it_changes():
    newest = Newest(PrintNewest("sold"))
    assert starts(newest.take([result(0, pane=1)])) == [0]
    assert starts(newest.take([result(0, pane=2)])) == []  # it says the same
    assert starts(newest.take([result(0, pane=3, spend=2)])) == [0]
    assert starts(newest.take([result(0, pane=1)])) == []
    assert starts(newest.take([result(0, spend=2)])) == [0]  # its last word


def test_a_replay_prints_the_newest_windows_with_their_best_rows(fn_api, capsys):
    with beam.Pipeline(options=fn_api) as pipeline:
        given = pipeline | beam.Create([result(minute) for minute in range(0, 200, 5)], reshuffle=False)
        assert given | PrintNewest("sold", windows=2, top=2)
    printed = capsys.readouterr().out
    first, second = printed.index("sold · 1970-01-01 03:15"), printed.index("sold · 1970-01-01 03:10")
    assert first < second
    assert printed.count("sold · ") == 2
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("   ")] == ["b", "c", "b", "c"]


def test_numbers_have_to_be_positive():
    for wrong in ({"windows": 0}, {"top": 0}):
        with pytest.raises(ValueError, match="must be positive, got 0"):
            PrintNewest("sold", **wrong)
