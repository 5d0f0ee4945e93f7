"""Totals over time do not depend on how rows come, and never have too many stretches."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME, NO_BLOCK, Batch
from schemas.times import to_micros
from tests.strategies import merged_by_any_tree
from transforms.aggregate.aggregations import Count
from transforms.aggregate.over_time import _ORIGIN, START, WIDTH, WIDTHS, AggregateOverTime, StretchCombine
from transforms.windows import Windows

MOST = 5
NEAR = st.integers(0, 400).map(lambda seconds: datetime(2024, 1, 1) + timedelta(seconds=seconds))
ANY = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
ROWS = st.lists(st.tuples(NEAR | ANY, st.sampled_from("ab")), min_size=1, max_size=30)
COMBINE = StretchCombine((START, WIDTH, "key"), {"rows": Count()}, most=MOST)


def frame(rows) -> pl.DataFrame:
    times, keys = zip(*rows)
    return pl.DataFrame({EVENT_TIME: times, "key": keys}, {EVENT_TIME: pl.Datetime("us"), "key": pl.String()})


def right(rows, finest: int = WIDTHS[0]) -> tuple[int, Counter]:
    """Return the width and the totals as somebody would work them out who has all rows."""
    for width in WIDTHS:
        found = Counter()
        for time, key in rows:
            micros = to_micros(time)
            found[micros - (micros - _ORIGIN) % width, key] += 1
        if width >= finest and (len({start for start, _ in found}) <= MOST or width == WIDTHS[-1]):
            return width, found
    raise AssertionError


def totals(results: pl.DataFrame) -> tuple[int, dict]:
    assert results[WIDTH].n_unique() == 1
    return results[WIDTH][0], {
        (start, key): rows for start, key, rows in results.select(START, "key", "rows").iter_rows()
    }


@given(ROWS, st.data())
def test_any_cut_and_any_tree_of_merges_give_the_totals_of_all_rows(rows, data):
    places = sorted(data.draw(st.sets(st.integers(1, len(rows)))))
    parts = [rows[begin:end] for begin, end in zip([0, *places], [*places, len(rows)]) if begin < end]
    reduced = [COMBINE.reduce(frame(part)) for part in data.draw(st.permutations(parts))]
    merged = merged_by_any_tree(data.draw(st.randoms(use_true_random=False)), reduced, COMBINE.merge)
    assert totals(COMBINE.results(merged)) == right(rows)


@settings(max_examples=5, deadline=None)
@given(ROWS)
def test_a_pipeline_gives_them_once(rows):
    batches = [Batch(frame([row]), NO_BLOCK) for row in rows]

    def check(results):
        (result,) = results
        assert result.final
        assert totals(result.rows) == right(rows, WIDTHS[2])

    with beam.Pipeline("FnApiRunner") as pipeline:
        over_time = AggregateOverTime(("key",), {"rows": Count()}, finest=WIDTHS[2], most=MOST)
        assert_that(pipeline | beam.Create(batches).with_output_types(Batch) | over_time, check)


def test_each_width_is_a_multiple_of_the_one_before_and_weeks_begin_on_mondays():
    assert all(after % before == 0 for before, after in pairwise(WIDTHS))
    assert datetime(1970, 1, 1) + timedelta(microseconds=_ORIGIN) == datetime(1969, 12, 29)
    assert datetime(1969, 12, 29).weekday() == 0


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"finest": 2}, "finest must be one of"),
        ({"most": 0}, "most must be positive, got 0"),
        ({"windows": Windows.parse("1h")}, "since the start, got windows of 1h"),
        ({"values": {}}, "expected at least one value"),
    ],
)
def test_fields_are_checked(fields, why):
    with pytest.raises(ValueError, match=why):
        AggregateOverTime(**{"by": ("key",), "values": {"rows": Count()}, **fields})
