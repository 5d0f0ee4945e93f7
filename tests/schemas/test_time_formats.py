"""Times as files have them: the rule for each way to write them, and that many are read as each one is."""

from __future__ import annotations

import pickle
from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.time_formats import (
    COMMON_TIMES,
    ISO_TIMES,
    LOG_TIMES,
    EpochTimes,
    StrptimeTimes,
    TimeFormat,
    parse_time_format,
)

FORMATS = [
    "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%y", "%Y%m%d%H%M%S", "%Y%m%d", "%d%m/%Y",
    "%a, %d %b %Y %H:%M:%S %z", "%A %d. %B %Y", "%Y-%m-%dT%H:%M:%S.%f%z", "%d-%b-%Y %H:%M", "%j %Y", "%Y年%m月%d日",
    "%c", "%I%p %d %m %Y", "%H h %d(%m)%Y", "%d/%m/%Y %I", "%S%f %d %m %Y", "%G-W%V-%u", "%d1%m1%Y",
]  # fmt: skip
EVERY: list[TimeFormat] = [
    ISO_TIMES, LOG_TIMES, COMMON_TIMES, *map(parse_time_format, ["s", "ms", "us", "ns", *FORMATS])
]  # fmt: skip
moments = st.datetimes(timezones=st.none() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))))
#: Some are nearly right: a character more, less, or another one.
edges = st.sampled_from(
    ["", " ", "0", "9" * 10, "9" * 13, "9" * 16, "9" * 19, "8" * 19, "1" * 12, "20110401", "201104011040",
     "20110401104023", "-1", "-0.5", "1e9", "1700000000.123456789", "1700000000.", "170000000", "0170000000", "+5",
     "2024-05-06", "2024-05-06T17:24", "2024-05-06 17:24:53,5", "2024-05-06t17:24:53.1234567z", "2024-05-06 17:24 UTC",
     "2024-05-06 17:24:53 +0200", "2024-05-06T17:24:53+02", "2024-05-06T17:24:53+02:0", "2024-02-30", "2024-05-06T",
     "2024-05-06T24:00", "2024-05-06 17:24:60", "0000-01-01", "0001-01-01 00:00:00+01:00", "9999-12-31T23:59:59-01",
     "9999-12-31", "0999-01-01", "2024-05-06\n", "２024-05-06", "2024-05-06Z", "1/2/2024 1:2", "31/04/2024 10:00",
     "1/13/2024 12:00 am", "12/31/2024 12:30 PM", "29.2.23", "1112024", "311/2024", "411/2024", "12 02 2024"]
)  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> list[str | None]:
    """Some texts, mostly times of one format, of which some are spoilt."""
    form = draw(st.sampled_from([*FORMATS, "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M", "%d/%b/%Y:%H:%M:%S +0000"]))

    def spoil(text: str) -> str:
        place = draw(st.integers(0, len(text)))
        return text[:place] + draw(st.sampled_from(["", " ", "0", "1", ":", "-", "Z", "é"])) + text[place + 1 :]

    written = moments.map(lambda moment: moment.strftime(form))
    numbers = st.tuples(
        moments.map(lambda m: m.replace(tzinfo=timezone.utc).timestamp()), st.sampled_from([1, 10**3, 10**6, 10**9])
    ).map(lambda pair: str(int(pair[0] * pair[1])))
    one = written | written.map(spoil) | numbers | numbers.map(lambda n: f"{n}.25") | edges | st.text(max_size=6)
    return draw(st.lists(st.none() | one, max_size=8))


@given(st.sampled_from(EVERY), texts())
@example(COMMON_TIMES, ["2024-05-06T17:24:53Z", "1715009093", "2024-05-06", None])
@example(COMMON_TIMES, ["1715009093.5", "1715009093500", "1715009093500000", "1715009093500000000"])
def test_many_times_are_read_as_each_one_is(times: TimeFormat, many: list[str | None]) -> None:
    expected = []
    for text in many:
        try:
            expected.append(None if text is None else times.read(text))
        except ValueError:
            expected.append(None)
    series = pl.Series(many, dtype=pl.String)
    assert times.read_all(series).to_list() == expected
    fast = times.read_many(series)
    assert fast.dtype == pl.Datetime("us")
    # What the fast way reads, it reads right; the rest it leaves to the rule.
    assert all(found is None or found == exact for found, exact in zip(fast.to_list(), expected, strict=True))


@pytest.mark.parametrize(
    "form", [form for form in FORMATS if form not in ("%j %Y", "%c", "%S%f %d %m %Y", "%G-W%V-%u")]
)
def test_times_of_a_usual_format_are_read_fast(form: str) -> None:
    known = [datetime(2024, month, day, 14, 5, 7) for month, day in ((1, 2), (2, 29), (12, 31))]
    written = [moment.replace(tzinfo=timezone.utc).strftime(form) for moment in known]
    found = StrptimeTimes(form).read_many(pl.Series(written))
    assert [moment and moment.date() for moment in found] == [moment.date() for moment in known]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-06", datetime(2024, 5, 6)),
        ("2024-05-06T17:24", datetime(2024, 5, 6, 17, 24)),
        ("2024-05-06T17:24:53.1234567+02:00", datetime(2024, 5, 6, 15, 24, 53, 123456)),
        ("2024-05-06 17:24:53,25 UTC", datetime(2024, 5, 6, 17, 24, 53, 250000)),
        ("2024-05-06T17:24:53-05", datetime(2024, 5, 6, 22, 24, 53)),
        ("999999999", datetime(2001, 9, 9, 1, 46, 39)),
        ("1715009093", datetime(2024, 5, 6, 15, 24, 53)),
        ("1715009093.25", datetime(2024, 5, 6, 15, 24, 53, 250000)),
        ("1715009093250", datetime(2024, 5, 6, 15, 24, 53, 250000)),
        ("1715009093250001", datetime(2024, 5, 6, 15, 24, 53, 250001)),
        ("1715009093250001999", datetime(2024, 5, 6, 15, 24, 53, 250001)),
    ],
)
def test_what_records_commonly_have_is_read_and_read_fast(text: str, moment: datetime) -> None:
    assert COMMON_TIMES.read(text) == moment
    assert COMMON_TIMES.read_many(pl.Series([text])).to_list() == [moment]


@pytest.mark.parametrize(
    "text", ["20240506", "202405061724", "20240506172453", "20240506172453123", "06/05/2024", "now"]
)
def test_what_may_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time such as 2024-05-06T17:24:53"):
        COMMON_TIMES.read(text)


def test_a_number_before_1970_is_one_too_where_its_unit_was_said() -> None:
    assert EpochTimes(1).read("-1.5") == datetime(1969, 12, 31, 23, 59, 58, 500000)
    assert EpochTimes(10**3).read_many(pl.Series(["-1500"])).to_list() == [datetime(1969, 12, 31, 23, 59, 58, 500000)]


@pytest.mark.parametrize("text", ["", "day first", "%H:%M", "%Y-%m", "%s", "%q", "%", "%d/%d/%Y", "%d %b %Y %Z", "%\n"])
def test_what_is_no_format_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a format of strptime with day, month and year such as") as error:
        parse_time_format(text)
    assert "\n" not in str(error.value)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("times", EVERY)
def test_a_format_pickles_and_reads_its_own_example(times: TimeFormat) -> None:
    again = pickle.loads(pickle.dumps(times))
    assert again == times
    again.read(times.example.split(",")[0] if times == COMMON_TIMES else times.example)
