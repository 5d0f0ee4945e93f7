from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.times import FIRST_MICROS, LAST_MICROS, to_micros
from tests import oracle
from tests.strategies import microseconds, windows
from transforms.windows import Windows

SECOND = 10**6
MINUTE = 60 * SECOND
small_windows = st.integers(1, 12).flatmap(lambda length: st.builds(Windows, st.just(length), st.integers(1, length)))


def moment(micros: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=micros)


def values(expression: pl.Expr, *moments: datetime) -> list[int]:
    """What an expression over the column ``t`` gives for some event times."""
    frame = pl.DataFrame({"t": moments}, {"t": pl.Datetime("us")})
    return frame.with_columns(value=expression)["value"].to_list()


@given(windows())
def test_the_text_of_windows_reads_back(some):
    assert Windows.parse(str(some)) == some


@pytest.mark.parametrize(
    ("text", "length", "step"),
    [
        ("all", 0, 0),
        (" all ", 0, 0),
        ("10m", 10 * MINUTE, 10 * MINUTE),
        ("10m/5m", 10 * MINUTE, 5 * MINUTE),
        ("1d", 1440 * MINUTE, 1440 * MINUTE),
        ("90", 90 * SECOND, 90 * SECOND),
        ("0.5s", SECOND // 2, SECOND // 2),
        ("10m/10m", 10 * MINUTE, 10 * MINUTE),
        ("1h/7m", 60 * MINUTE, 7 * MINUTE),
    ],
)
def test_windows_are_written_as_people_name_them(text, length, step):
    assert Windows.parse(text) == Windows(length, step)


@pytest.mark.parametrize("text", ["", "-5m", "0s", "/5m", "10m/", "10m/0s", "5m/10m", "1y", "all/5m", "0.1us"])
def test_what_is_no_window_is_named(text):
    with pytest.raises(ValueError, match="window") as error:
        Windows.parse(text)
    assert repr(text) in str(error.value)


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.booleans())
@example(1000, 1, False)
@example(1001, 1, False)
@example(86_400 * SECOND, SECOND, True)
def test_a_record_is_in_a_thousand_windows_at_most_unless_more_are_asked_for(length, step, many):
    length = max(length, step)
    if many or math.ceil(Fraction(length, step)) <= 1_000:
        assert Windows(length, step, many) == Windows.parse(str(Windows(length, step, True)), many=True)
    else:
        with pytest.raises(ValueError, match=r"each record would be in .* windows of .*, expected 1,000 at most"):
            Windows(length, step)


def test_a_step_longer_than_the_window_is_refused_by_its_lengths():
    with pytest.raises(ValueError, match="got 5m/10m"):
        Windows(5 * MINUTE, 10 * MINUTE)
    with pytest.raises(ValueError, match="window must be positive, got -1 us"):
        Windows(-1)


@given(small_windows, st.integers(-60, 60))
def test_the_last_end_is_that_of_the_last_window(some, micros):
    ends = [
        n * some.step + some.length for n in range(-100, 100) if n * some.step <= micros < n * some.step + some.length
    ]
    assert values(some.last_end(pl.col("t")), moment(micros)) == [max(ends)]


@given(small_windows, st.integers(-60, 60))
def test_the_first_end_is_that_of_the_first_window_that_has_the_bucket(some, micros):
    bucket = micros // some.bucket * some.bucket
    ends = [
        n * some.step + some.length for n in range(-100, 100) if n * some.step <= bucket < n * some.step + some.length
    ]
    assert values(some.first_end(pl.col("t").to_physical()), moment(bucket)) == [min(ends)]


@given(small_windows, st.integers(-60, 60))
def test_the_next_end_is_the_first_one_after_a_time(some, micros):
    ends = [n * some.step + some.length for n in range(-100, 100)]
    assert some.end_after(micros) == min(end for end in ends if end > micros)


@given(small_windows, st.integers(-60, 60))
def test_a_bucket_lies_wholly_inside_or_outside_of_every_window(some, micros):
    (start,) = values(some.bucket_start(pl.col("t")), moment(micros))
    assert start <= micros < start + some.bucket
    expected = oracle.windows_of(moment(micros), some.length, some.step)
    for other in range(start, start + some.bucket):
        assert oracle.windows_of(moment(other), some.length, some.step) == expected


@given(small_windows)
def test_a_bucket_is_as_long_as_can_be(some):
    edges = {edge for n in range(-30, 30) for edge in (n * some.step, n * some.step + some.length)}
    assert some.bucket == math.gcd(*edges)


@given(windows(), st.lists(microseconds, max_size=9))
def test_buckets_start_before_and_after_1970_alike(some, moments):
    starts = values(some.bucket_start(pl.col("t")), *moments)
    bucket = some.bucket
    assert starts == [to_micros(when) // bucket * bucket if bucket else 0 for when in moments]


def test_all_time_is_one_bucket():
    assert Windows().bucket == 0
    assert values(Windows().bucket_start(pl.col("t")), moment(-1), moment(5)) == [0, 0]


@given(windows(), microseconds)
def test_a_bucket_lies_in_the_windows_that_its_moments_lie_in(some, time):
    (starts,) = values(some.starts(some.bucket_start(pl.col("t"))), time)
    if not some.length:
        assert starts == [0]
    else:
        assert sorted(starts) == sorted(start for start, _ in oracle.windows_of(time, some.length, some.step))


lengths = st.integers(1, 400 * 366 * 86_400 * 10**6) | st.sampled_from([10**6, 3_600 * 10**6, 86_400 * 10**6])
any_windows = st.tuples(lengths, st.integers(1, 12)).map(lambda pair: Windows(pair[0], max(1, pair[0] // pair[1])))
near_an_end = st.builds(
    lambda end, micros: end + micros if end < 0 else end - micros,
    st.sampled_from([FIRST_MICROS, LAST_MICROS]),
    st.integers(0, 10**6) | lengths,
)


@given(any_windows, near_an_end | st.integers(FIRST_MICROS, LAST_MICROS))
def test_the_range_has_just_the_times_whose_every_window_has_dates(windows: Windows, time: int) -> None:
    first, last = windows.range
    starts = []
    start = time - time % windows.step
    while start > time - windows.length:
        starts.append(start)
        start -= windows.step
    fits = all(start >= FIRST_MICROS and start + windows.length <= LAST_MICROS for start in starts)
    assert (first <= time <= last) == fits


def test_all_time_has_every_time_and_a_window_of_more_than_all_years_is_refused() -> None:
    assert Windows().range == (FIRST_MICROS, LAST_MICROS)
    with pytest.raises(ValueError, match="expected a duration of at most 3652058d, got '9999999d'"):
        Windows.parse("9999999d")
    with pytest.raises(ValueError, match="window must fit into the years 1 to 9999, got 3652058d"):
        Windows.parse("3652058d")
