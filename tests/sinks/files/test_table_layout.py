from datetime import datetime, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from sinks.files.table_layout import WINDOW_COLUMNS, lay_out, lay_out_all
from tests.sinks.conftest import HOUR, TIME, result, totals
from tests.sinks.frames import frames


@settings(max_examples=50)
@given(frames(), st.randoms(use_true_random=False))
def test_rows_stand_in_the_order_of_the_key_however_they_came(rows, random):
    order = list(range(rows.height))
    random.shuffle(order)
    shuffled = pl.concat([rows.clear(), *(rows[place] for place in order)], rechunk=False)
    laid = lay_out(result(shuffled), ("upc",))
    assert laid["upc"].to_list() == sorted(rows["upc"], key=lambda upc: (upc is not None, (upc or "").encode()))
    assert_frame_equal(laid, lay_out(result(rows), ("upc",)))
    assert laid.n_chunks() == 1


def test_the_window_comes_first_and_is_that_of_the_result():
    laid = lay_out(result(totals(("1", "A", "1", "0", "1")), (0, HOUR)), ("upc",))
    assert laid.columns[:3] == [*WINDOW_COLUMNS, "upc"]
    assert laid.row(0)[:2] == (
        datetime(1970, 1, 1, tzinfo=timezone.utc),
        datetime(1970, 1, 1, 1, tzinfo=timezone.utc),
    )


def test_the_window_of_all_time_is_null_even_without_rows():
    assert lay_out(result(totals()), ("upc",)).schema["window_start"] == TIME
    assert lay_out(result(totals(("1", "A", "1", "0", "1"))), ("upc",)).row(0)[:2] == (None, None)


def test_types_become_those_that_every_format_has():
    rows = pl.DataFrame(
        {"upc": ["1"], "n": ["1.5"], "t": [datetime(2011, 4, 1)], "c": ["a"], "l": [[datetime(2011, 4, 1)]]},
    ).with_columns(
        pl.col("n").cast(pl.Decimal(10, 2)), pl.col("c").cast(pl.Categorical), pl.col("t").cast(pl.Datetime("ms"))
    )
    laid = lay_out(result(rows), ("upc",))
    assert list(laid.schema.values())[2:] == [pl.String, pl.Decimal(38, 2), TIME, pl.String, pl.List(TIME)]
    assert laid["t"][0] == datetime(2011, 4, 1, tzinfo=timezone.utc)


def test_a_key_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="results have no column 'region', only window_start, window_end, upc"):
        lay_out(result(totals()), ("region",))


@settings(max_examples=50)
@given(st.lists(st.tuples(frames(), st.none() | st.integers(0, 9)), min_size=1, max_size=4), st.booleans())
def test_several_results_are_laid_out_as_each_of_them(parts, has_window):
    results = [
        result(
            rows.select(pl.lit(None, pl.Int8).alias("window_end"), pl.all()) if has_window else rows,
            window or (None, None),
        )
        for rows, hour in parts
        for window in [None if hour is None else (hour * HOUR, (hour + 1) * HOUR)]
    ]
    laid, place = lay_out_all(results, ("upc",))
    assert place.tolist() == [number for number, one in enumerate(results) for _ in range(one.rows.height)]
    assert_frame_equal(laid, pl.concat([lay_out(one, ("upc",)) for one in results]))
