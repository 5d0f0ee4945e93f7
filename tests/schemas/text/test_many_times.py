from __future__ import annotations

from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text.many_times import iso_of_log_times, read_iso_times
from schemas.time_formats import ISO_TIMES, LOG_TIMES
from schemas.times import read_iso_time, read_log_time
from tests.strategies import iso_times

logged = st.datetimes(
    datetime(1000, 1, 2),
    datetime(9999, 12, 29),
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
).map("{:%d/%b/%Y:%H:%M:%S %z}".format)


@given(st.lists(st.none() | iso_times, max_size=5))
def test_many_iso_times_are_read_as_each_is(texts: list[str | None]) -> None:
    times = ISO_TIMES.read_all(pl.Series(texts, dtype=pl.String))
    assert times.dtype == pl.Datetime("us")
    assert times.to_list() == [text and read_iso_time(text) for text in texts]


@given(st.lists(st.none() | logged, max_size=5))
def test_many_log_times_are_read_as_each_is(texts: list[str | None]) -> None:
    times = LOG_TIMES.read_all(pl.Series(texts, dtype=pl.String))
    assert times.to_list() == [text and read_log_time(text) for text in texts]


@given(st.lists(st.text(max_size=30), max_size=5))
def test_garbage_never_raises(texts: list[str]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    assert len(read_iso_times(series)) == len(read_iso_times(iso_of_log_times(series))) == len(texts)


@given(
    st.lists(st.datetimes(datetime(1000, 1, 1), datetime(9899, 12, 31)), min_size=1, max_size=20),
    st.sampled_from(" T"),
    st.integers(0, 6),
    st.sampled_from(["", "Z", "+02:00", "-0330", "+0000", "-23:59"]),
)
def test_times_that_are_written_alike_are_read_as_single_ones(moments, middle, places, zone):
    texts = []
    for moment in moments:
        fraction = f".{moment.microsecond:06d}"[: places + 1] if places else ""
        texts.append(f"{moment:%Y-%m-%d}{middle}{moment:%H:%M:%S}{fraction}{zone}")
    alone = [read_iso_times(pl.Series([text, None]))[0] for text in texts]
    assert read_iso_times(pl.Series(texts)).to_list() == alone == [read_iso_time(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    ["2024-02-30 00:00:00", "2023-02-29 00:00:00", "2024-00-01 00:00:00", "2024-01-01 24:00:00", "2024/01/01 00:00:00"],
)
def test_what_is_no_time_is_missing_among_others_that_are_written_alike(text):
    times = read_iso_times(pl.Series(["2024-02-29 23:59:59", text]))
    assert times.to_list() == [datetime(2024, 2, 29, 23, 59, 59), None]
