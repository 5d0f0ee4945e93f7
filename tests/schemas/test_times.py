from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import read_iso_time, read_log_time

zoned = st.datetimes(
    datetime(1, 1, 3),
    datetime(9999, 12, 29),
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def in_utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


@given(zoned, st.sampled_from("T "))
def test_any_iso_time_is_exact(moment: datetime, mark: str) -> None:
    assert read_iso_time(moment.isoformat(mark)) == in_utc(moment)


@given(zoned)
def test_any_log_time_is_exact(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    text = f"{moment:%d/%b/}{moment.year:04}{moment:%H:%M:%S %z}".replace(f"{moment.year:04}", f"{moment.year:04}:", 1)
    assert read_log_time(text) == in_utc(moment)


@pytest.mark.parametrize(
    "text",
    [
        "", "2019-05-06", "2019-05-06t17:24:53", "2019-05-06 17:24:53.", "2019-05-06 17:24:53.1234567",
        "2019-02-29 00:00:00",
        "2019-05-06 24:00:00", "2019-05-06 23:59:60", "2019-05-06 17:24:53+24:00", "2019-05-06 17:24:53+02:60",
        "9999-12-31 23:59:59-00:01", "0001-01-01 00:00:00+00:01", "2019-05-06 17:24:53Z ", "２019-05-06 17:24:53",
    ],
)  # fmt: skip
def test_what_is_no_iso_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|no offset|day|hour|second"):
        read_iso_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6/May/2019:17:24:53 +0200",
        "06/Mai/2019:17:24:53 +0200",
        "06/May/2019:17:24:53",
        "31/Apr/2019:00:00:00 +0000",
    ],
)
def test_what_is_no_log_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|day"):
        read_log_time(text)
