"""The law: the hours that stand out are those that a slow count finds, week by week, however the totals come."""

from __future__ import annotations

import statistics
from datetime import datetime, timedelta
from math import sqrt

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from pipelines.smoothies.anomalies import WHOLE_SHOP, FindAnomalies, FoldExpected, hours_of
from schemas.elements.block import Block, Span
from schemas.elements.frames import EVENT_TIME, Batch, Result, edges
from schemas.times import to_micros
from tests.transforms.ordering import SECOND, Worker
from tests.transforms.tools import as_known
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Count, Sum
from transforms.windows import Windows

START = datetime(2022, 8, 29)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
HOURS = Windows.parse("1h")
BY = ("product_id",)
randoms = st.randoms(use_true_random=False)
#: Two hours of a week, for ten weeks, some of them missing, and one far away.
hours = st.builds(
    lambda week, hour: START + week * WEEK + hour * HOUR, st.integers(0, 9) | st.just(60), st.integers(0, 1)
)
sold = st.dictionaries(st.tuples(hours, st.sampled_from("ab")), st.integers(0, 9) | st.integers(0, 200), max_size=40)


def frame_of(seen: dict) -> pl.DataFrame:
    schema = {EVENT_TIME: pl.Datetime("us"), "product_id": pl.String, "seen": pl.Int64}
    return pl.DataFrame([(hour + HOUR, key, count) for (hour, key), count in seen.items()], schema, orient="row")


def by_hand(seen: dict, least=3, threshold=2.0) -> list[tuple]:
    seen = dict(seen)
    for hour, _ in list(seen):
        seen[hour, WHOLE_SHOP] = sum(count for (at, key), count in seen.items() if at == hour and key != WHOLE_SHOP)
    open_hours = sorted({hour for hour, _ in seen})
    found = []
    for key in {key for _, key in seen}:
        for first in {min(h for h, k in seen if k == key and (h - hour) % WEEK == timedelta(0)) for hour, _ in seen
                      if any(k == key and (h - hour) % WEEK == timedelta(0) for h, k in seen)}:  # fmt: skip
            weeks, mean, squares = 0, 0.0, 0.0
            hour = first
            while hour <= open_hours[-1]:
                last = max(at for at in open_hours if at <= hour)
                if hour - last <= WEEK:
                    count = seen.get((hour, key), 0)
                    learnt: float = count
                    if weeks >= least:
                        variance = max(squares / (weeks - 1), mean, 1.0)
                        deviation = sqrt(variance * (1 + 1 / weeks))
                        score = (count - mean) / deviation
                        if abs(score) >= threshold:
                            found.append((hour, key, count, mean, deviation, score))
                        learnt = min(max(count, mean - threshold * deviation), mean + threshold * deviation)
                    weeks += 1
                    away = learnt - mean
                    mean += away / weeks
                    squares += away * (learnt - mean)
                hour += WEEK
    return sorted(found)


def found_by(worker: Worker) -> list[tuple]:
    rows = []
    for _, result in worker.results:
        assert result.final
        assert result.window_end - result.window_start == 3_600 * SECOND
        assert result.rows.height
        hour = result.rows["window_start"].dt.replace_time_zone(None).to_list()
        rows += [(at, *row) for at, row in zip(hour, result.rows.drop("window_start", "window_end").rows())]
    return sorted(rows)


def assert_same(found: list[tuple], expected: list[tuple]) -> None:
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    for row, right in zip(found, expected):
        assert row[3:] == pytest.approx(right[3:], abs=0.000_6)


@given(sold, randoms, st.sampled_from([0, 600 * SECOND]), st.integers(1, 3), st.sampled_from([1, SECOND]))
def test_what_stands_out_is_what_a_slow_count_finds(seen, random, lateness, instances, settle):
    worker = Worker(FoldExpected(BY, 3, 2.0), lateness, settle=settle, instances=instances)
    worker.play(frame_of(seen), random)
    for each in (worker, Worker(FoldExpected(BY, 3, 2.0)).play_bounded(frame_of(seen), random)):
        assert_same(found_by(each), by_hand(seen))


def weeks_of(*counts: int | None, key: str = "a", hour: int = 10) -> dict:
    given = {(START + week * WEEK + hour * HOUR, key): count for week, count in enumerate(counts) if count is not None}
    return {**given, **{(START + week * WEEK, "other"): 1 for week in range(len(counts) + 1)}}


def anomalies(seen: dict) -> list[tuple]:
    worker = Worker(FoldExpected(BY))
    worker.add(frame_of(seen))
    worker.finish()
    return found_by(worker)


def test_a_promotion_stands_out_and_so_does_the_shop():
    (shop, product) = anomalies(weeks_of(20, 22, 18, 20, 60))
    assert product[1:4] == ("a", 60, 20.0)
    assert shop[1:4] == (WHOLE_SHOP, 60, 20.0)
    assert product[5] > 7


def test_an_hour_in_which_nothing_was_sold_stands_out():
    found = anomalies(weeks_of(20, 22, 18, 20, None))
    assert [row[:4] for row in found] == [(START + 4 * WEEK + 10 * HOUR, key, 0, 20.0) for key in (WHOLE_SHOP, "a")]


def test_hours_in_which_a_shop_is_always_closed_do_not():
    assert anomalies(weeks_of(20, 22, 18, 20, 21)) == []


def test_small_numbers_do_not_shout():
    assert anomalies(weeks_of(1, 0, 1, 1, 3)) == []


def test_mean_and_deviation_are_those_of_statistics():
    counts = (31, 22, 12, 27, 25)
    (_, found) = anomalies(weeks_of(*counts, 90))
    deviation = sqrt(statistics.variance(counts) * (1 + 1 / 5))
    assert found[3:] == pytest.approx((23.4, deviation, (90 - 23.4) / deviation), abs=0.000_6)


def test_what_stood_out_does_not_hide_what_comes_after_it():
    assert [row[2] for row in anomalies(weeks_of(20, 22, 18, 20, 60, None)) if row[1] == "a"] == [60, 0]


def test_what_lasts_is_the_rule_after_some_weeks():
    found = [row[0] for row in anomalies(weeks_of(*[20] * 8, *[60] * 30)) if row[1] == "a"]
    assert found[0] == START + 8 * WEEK + 10 * HOUR
    assert 2 <= len(found) <= 6


def test_too_few_weeks_expect_nothing():
    assert anomalies(weeks_of(20, 22, 18, 600)) == []


def test_after_a_long_silence_nothing_is_missed():
    seen = weeks_of(20, 22, 18, 20)
    seen[START + 5_000 * WEEK, "a"] = 1
    assert len(anomalies(seen)) <= 2


def test_each_product_of_each_shop_is_compared_with_itself():
    by = ("store_id", "product_id")
    worker = Worker(FoldExpected(by))
    rows = []
    for store, factor in (("S1", 1), ("S2", 10)):
        for week, count in enumerate((20, 22, 18, 20, 21 if store == "S1" else 2)):
            rows.append((START + week * WEEK + HOUR, store, "a", count * factor))
    schema = {EVENT_TIME: pl.Datetime("us"), "store_id": pl.String, "product_id": pl.String, "seen": pl.Int64}
    worker.add(pl.DataFrame(rows, schema, orient="row"))
    worker.finish()
    assert [row[1:3] for row in found_by(worker)] == [("S2", WHOLE_SHOP), ("S2", "a")]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"by": ()}, "expected the key columns of the totals, got none"),
        ({"least": 1}, "a deviation needs 2 weeks or more, got least=1"),
        ({"threshold": 0}, "threshold must be positive, got 0"),
    ],
)
def test_fields_out_of_range_are_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        FindAnomalies(**fields)


def result_of(window: str, rows: pl.DataFrame) -> Result:
    start, end = to_micros(START), to_micros(START) + Windows.parse(window).length
    return Result(start, end, 0, True, rows.select(*edges(pl.lit(start), pl.lit(end)), pl.all()))


def test_totals_that_are_not_of_an_hour_or_not_of_whole_numbers_are_refused():
    rows = pl.DataFrame({"product_id": ["a"], "drinks": [1]})
    assert hours_of(result_of("1h", rows), BY, "drinks").height == 1
    with pytest.raises(ValueError, match="expected the totals of an hour, got those of 20220829T000000Z-"):
        hours_of(result_of("2h", rows), BY, "drinks")
    with pytest.raises(ValueError, match="expected whole numbers in 'drinks', got Float64"):
        hours_of(result_of("1h", rows.with_columns(pl.col("drinks").cast(pl.Float64))), BY, "drinks")


@pytest.mark.parametrize("is_bounded", [True, False])
def test_from_purchases_to_anomalies_on_runners(options, is_bounded):
    seen = weeks_of(20, 22, 18, 20, 60, None, 20)
    rows = [(hour + timedelta(seconds=n), key, 1) for (hour, key), count in seen.items() for n in range(count)]
    schema = {EVENT_TIME: pl.Datetime("us"), "product_id": pl.String, "quantity": pl.Int64}
    whole = pl.DataFrame(rows, schema, orient="row").sort(pl.col(EVENT_TIME).hash(seed=1))
    block = Block(b"", (Span(0, "sales.jsonl", 0),))
    batches = [Batch(whole[start : start + 9], block) for start in range(0, whole.height, 9)]
    expected = by_hand(seen, 4, 3.0)

    def are_right(results) -> None:
        found = [(r.rows["window_start"][0].replace(tzinfo=None), *row[2:]) for r in results for row in r.rows.rows()]
        assert_same(sorted(found), expected)

    with beam.Pipeline(options=options) as pipeline:
        sold = as_known(pipeline | beam.Create(batches), is_bounded=is_bounded)
        totals = sold | Aggregate(BY, {"drinks": Sum("quantity"), "rows": Count()}, HOURS, lateness_micros=SECOND)
        found = totals | FindAnomalies(lateness_micros=SECOND)
        assert_that(found, are_right)
    assert len(expected) == 4
