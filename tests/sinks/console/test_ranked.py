from __future__ import annotations

import pickle
from decimal import Decimal

import polars as pl
import pytest
from rich.cells import cell_len

from schemas.elements.frames import Result
from sinks.console.ranked import PaintRanked
from transforms.rank import Ranking

RANKINGS = (Ranking("count", "count"), Ranking("mean", "mean", 3))
MEANS = [Decimal("5033.754321"), Decimal("4928.7"), Decimal(5105)]
NAMES = ["North American Trade Zone", "East Asian Trade Zone", "Eurasia Trade Zone"]


def paint(width: int = 60, color: bool = False, names: list[str] = NAMES, rows: int = 3) -> str:
    frame = pl.DataFrame(
        {"region": names, "count": [7, 7, 6], "mean": MEANS},
        {"region": pl.String, "count": pl.Int64, "mean": pl.Decimal(38, 9)},
    ).head(rows)
    options = PaintRanked("now", key="region", rankings=RANKINGS, by="count", places={"mean": 2})
    painted = pickle.loads(pickle.dumps(options))
    return painted(Result(None, None, 0, False, frame), None, width, color)


def test_the_ranks_stand_below_the_table_and_go_on_in_the_next_line_where_there_is_no_room():
    assert paint() == (
        "now · all time, early · 3 rows by count\n"
        "rank  region                     count     mean\n"
        "   1  East Asian Trade Zone          7  4928.70\n"
        "   2  North American Trade Zone      7  5033.75\n"
        "   3  Eurasia Trade Zone             6  5105.00\n"
        "first by count  East Asian Trade Zone 7\n"
        "first by mean   1. Eurasia Trade Zone 5105.00\n"
        "                2. North American Trade Zone 5033.75\n"
        "                3. East Asian Trade Zone 4928.70\n"
    )
    assert paint(width=120).splitlines()[-1].count("Zone") == 3


def test_a_name_cannot_move_the_cursor_and_a_long_one_is_cut():
    text = paint(names=["\x1b[2J\n", "x" * 200, "c"], color=False)
    assert "\x1b" not in text
    assert max(map(cell_len, text.splitlines())) <= 60


def test_no_rows_have_no_ranks():
    assert paint(rows=0).splitlines()[-2:] == ["first by count", "first by mean"]


def test_a_table_without_rows_to_show_is_refused():
    with pytest.raises(ValueError, match="top must be positive, got 0"):
        PaintRanked("now", key="region", rankings=RANKINGS, top=0)
