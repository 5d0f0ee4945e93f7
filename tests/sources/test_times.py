from __future__ import annotations

from datetime import datetime, timedelta, timezone

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.times import read_iso_time, read_log_time
from sources.times import iso_of_log_times, read_iso_times
from tests.strategies import iso_times

logged = st.datetimes(
    datetime(1000, 1, 2),
    datetime(9999, 12, 29),
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
).map("{:%d/%b/%Y:%H:%M:%S %z}".format)


@settings(deadline=None)
@given(st.lists(st.none() | iso_times, max_size=5))
def test_many_iso_times_are_read_as_each_is(texts: list[str | None]) -> None:
    times = read_iso_times(pl.Series(texts, dtype=pl.String))
    assert times.dtype == pl.Datetime("us")
    assert times.to_list() == [text and read_iso_time(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.none() | logged, max_size=5))
def test_many_log_times_are_read_as_each_is(texts: list[str | None]) -> None:
    times = read_iso_times(iso_of_log_times(pl.Series(texts, dtype=pl.String)))
    assert times.to_list() == [text and read_log_time(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_garbage_never_raises(texts: list[str]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    assert len(read_iso_times(series)) == len(read_iso_times(iso_of_log_times(series))) == len(texts)
