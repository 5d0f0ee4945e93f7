"""Looking over lines with numpy equals looking at them one by one, wherever the borders of its pieces and words are."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.http import ACCESS_LOG, RESPONSES
from schemas.record_type import Column, Dialect, RecordType
from schemas.text import lines as scan
from schemas.text.dialect import split_record
from schemas.text.lines import (
    Lines,
    Ranks,
    are_plain,
    are_utf8,
    count_in_lines,
    event_times,
    find_bits,
    find_byte,
    find_lines,
    join_lines,
)
from schemas.time_formats import COMMON_TIMES, EpochTimes, StrptimeTimes, TimeFormat
from tests.sources.test_backlog import TICK, micros
from tests.strategies import SALE, dialects, iso_times, sale_data, times

blobs = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b",", b'"', b'"a"', b',"b,c",', b'""', b"\xff", b"x" * 61]),
    max_size=60,
).map(b"".join) | st.binary(max_size=300)
COMMA = ord(",")


@pytest.fixture(scope="module", autouse=True)
def _tiny_pieces():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_PIECE_BYTES", 64)
        yield


def lines_of(data: bytes) -> list[tuple[int, int]]:
    """Start and stop of each line that has something in it, a return at its end not counted."""
    found = []
    for line in re.finditer(rb"[^\n]+", data):
        stop = line.end() - line[0].endswith(b"\r")
        if stop > line.start():
            found.append((line.start(), stop))
    return found


def is_plain(line: bytes, dialect: Dialect, width: int) -> bool:
    mark = dialect.separator.encode()
    if not dialect.quoted or b'"' not in line:
        return line.count(mark) == width - 1
    places = [place for place, byte in enumerate(line) if byte == ord('"')]
    opening, closing = places[::2], places[1::2]
    return (
        len(opening) == len(closing)
        and all(place == 0 or line[place - 1 : place] == mark for place in opening)
        and all(place + 1 == len(line) or line[place + 1 : place + 2] == mark for place in closing)
        and len(re.sub(rb'"[^"]*"', b"", line).split(mark)) == width
    )


@given(blobs)
@example(b"")
@example(b"\n" * 200)
@example(b"x" * 64 + b"\n" + b"y" * 64)
def test_bytes_are_found_and_ranked_at_every_offset(data: bytes) -> None:
    assert find_byte(data, COMMA).tolist() == [place for place, byte in enumerate(data) if byte == COMMA]
    offsets = np.arange(len(data) + 1)
    expected = [data.count(b",", 0, offset) for offset in offsets.tolist()]
    assert Ranks(find_bits(data, COMMA)).before(offsets).tolist() == expected


@given(blobs)
@example(b"")
@example(b"\r")
@example(b"a\r\r\n\r\r\nb\r")
def test_lines_are_those_of_the_bytes(data: bytes) -> None:
    lines = find_lines(data)
    assert list(zip(lines.starts.tolist(), lines.stops.tolist())) == lines_of(data)


@given(blobs, st.sampled_from(b',"a\r'))
def test_a_byte_is_counted_line_by_line(data: bytes, byte: int) -> None:
    counts = count_in_lines(data, byte, find_lines(data)).tolist()
    assert counts == [data[start:stop].count(byte) for start, stop in lines_of(data)]


@given(blobs)
def test_lines_that_are_no_utf8_are_found(data: bytes) -> None:
    texts = [data[start:stop].decode("utf-8", "replace") for start, stop in lines_of(data)]
    again = [text.encode() == data[start:stop] for text, (start, stop) in zip(texts, lines_of(data))]
    assert are_utf8(data, find_lines(data)).tolist() == again


@given(blobs, st.integers(1, 4), st.booleans())
@example(b'"\n"a","b"\n', 2, True)
@example(b'a"\n\r\n"b",c\r\n""', 2, True)
@example(b"x" * 63 + b'\n"' + b"y" * 62 + b'","' + b"z" * 62 + b'"', 2, True)
@example(b'"' + b"," * 200 + b'"', 1, True)
@example(b'",","\n","\n', 2, True)
def test_a_line_is_plain_if_its_separators_and_quotes_are_in_place(data: bytes, width: int, quoted: bool) -> None:
    dialect = Dialect(",", quoted)
    flags = are_plain(data, find_lines(data), dialect, width).tolist()
    assert flags == [is_plain(data[start:stop], dialect, width) for start, stop in lines_of(data)]


@given(st.data(), dialects)
def test_a_plain_line_has_the_right_number_of_fields_by_the_rule(data, dialect: Dialect) -> None:
    raw = data.draw(sale_data(dialect))
    lines = find_lines(raw)
    plain = lines.only(are_plain(raw, lines, dialect, len(SALE.names)))
    for start, stop in zip(*map(np.ndarray.tolist, plain)):
        fields = split_record(raw[start:stop].decode("latin-1"), *dialect[:2], dialect.quote, dialect.escape)
        assert len(fields) == len(SALE.names)


@given(blobs, st.data())
def test_joining_lines_gives_them_with_their_line_ends(data: bytes, draws) -> None:
    lines = find_lines(data)
    which = np.array(draws.draw(st.lists(st.booleans(), min_size=len(lines.starts), max_size=len(lines.starts))), bool)
    if not which.any():
        return
    ends = [data.find(b"\n", stop) + 1 or len(data) for stop in lines.stops.tolist()]
    chosen = [data[start:end] for start, end, taken in zip(lines.starts.tolist(), ends, which) if taken]
    assert join_lines(data, lines, which) == b"".join(chosen)


def test_joining_all_lines_copies_nothing() -> None:
    data = b"a\nb\r\nc"
    lines = find_lines(data)
    assert join_lines(data, lines, np.ones(len(lines.starts), bool)) is data


@given(st.lists(times | st.sampled_from(["garbage", "NULL", "", "2011-04-31 10:40:23"]), max_size=8), st.booleans())
def test_event_times_are_those_of_the_records_one_by_one(moments: list[str], quoted: bool) -> None:
    quote = '"' if quoted else ""
    data = "".join(f"key,{quote}{moment}{quote},1,2,,\n" for moment in moments).encode()
    dialect = Dialect(",", quoted)
    known = [SALE.event_micros(line, dialect) for line in data.splitlines()]
    expected: list[int] = []
    for micros_found in known:
        expected.append(micros_found if micros_found is not None else expected[-1] if expected else -1)
    first = next((moment for moment in known if moment is not None), 7)
    expected = [first if moment == -1 else moment for moment in expected]
    assert event_times(data, find_lines(data), SALE, dialect, otherwise=7).tolist() == expected


def test_event_times_of_lines_with_too_few_fields_are_those_of_their_neighbours() -> None:
    data = b"x\n\n2020-01-01 00:00:01\n\xff\t\n2020-01-01 00:00:03\tx\ty\n"
    found = event_times(data, find_lines(data), TICK, Dialect()).tolist()
    assert found == [micros(1), micros(1), micros(1), micros(3)]
    nothing = Lines(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert event_times(b"", nothing, TICK, Dialect()).tolist() == []


@given(st.lists(times | iso_times | st.sampled_from(["garbage", ""]), max_size=8))
def test_event_times_of_json_lines_are_those_of_the_records_one_by_one(moments: list[str]) -> None:
    data = "".join(f'{{"ip":"::1", "time" : "{moment}", "status_code":200}}\n' for moment in moments).encode()
    known = [RESPONSES.event_micros(line, Dialect()) for line in data.splitlines()]
    found = event_times(data, find_lines(data), RESPONSES, Dialect(), otherwise=7).tolist()
    assert [moment for moment, exact in zip(found, known) if exact is not None] == [m for m in known if m is not None]
    assert len(found) == len(moments)
    if not any(known):
        assert set(found) <= {7}


def test_event_times_of_an_access_log_are_in_utc() -> None:
    data = (
        b'oops\n::1 - - [01/Jan/2020:02:00:01 +0200] "GET /[x]" 200 1\n::1 - - [01/Jan/2020:00:00:02 +0000] "x" 200 1\n'
    )
    assert event_times(data, find_lines(data), ACCESS_LOG, Dialect()).tolist() == [micros(1), micros(1), micros(2)]


def test_records_of_a_type_without_a_time_have_none() -> None:
    data = b"a\nb\n"
    assert event_times(data, find_lines(data), replace(SALE, event_time=""), Dialect(), otherwise=7).tolist() == [7, 7]


#: Times as anybody's files have them, one of which most records have; and what spoils a record.
common = st.sampled_from(
    ["2024-05-06T17:24:53.5+02:00", "1715009093", "1715009093250", "2024-05-06", "06/05/2024 17:24"]
)
names_before = st.sampled_from(["a", '"a, b"', '"a""b"', '"', "é", "", "x,y"])


@st.composite
def anybodys_lines(draw: st.DrawFn) -> bytes:
    """Lines of two fields, the second of which is a time, of one dialect or none."""
    one = st.builds(
        "{},{},3".format, names_before, common | common.map('"{}"'.format) | st.sampled_from(["", "NULL", "x"])
    )
    raw = one.map(str.encode) | st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))
    return b"\n".join(draw(st.lists(raw, max_size=8)))


@given(
    anybodys_lines(),
    dialects.map(lambda dialect: dialect._replace(separator=",")),
    st.sampled_from([COMMON_TIMES, StrptimeTimes("%d/%m/%Y %H:%M"), EpochTimes(1_000)]),
)
def test_event_times_of_anybodys_records_are_read_fast_as_they_are_one_by_one(
    data: bytes, dialect: Dialect, times: TimeFormat
) -> None:
    columns = (Column("when", "time", required=True),)
    record_type = RecordType("record", ("item", "when", "n"), columns, "when", time_format=times)
    lines = find_lines(data)
    known = [record_type.event_micros(data[start:stop], dialect) for start, stop in zip(*lines, strict=True)]
    found = event_times(data, lines, record_type, dialect, otherwise=7).tolist()
    readable = [moment for moment in known if moment is not None]
    before = readable[0] if readable else 7
    for moment, exact in zip(found, known, strict=True):
        before = before if exact is None else exact
        assert moment == before


def test_a_separator_in_quotes_before_the_time_does_not_spoil_it() -> None:
    data = b'"Smith, John",2024-05-06T17:24:53Z\n'
    record_type = RecordType("record", ("name", "when"), (Column("when", "time"),), "when", time_format=COMMON_TIMES)
    found = event_times(data, find_lines(data), record_type, Dialect(",", quoted=True))
    assert found.tolist() == [record_type.event_micros(data, Dialect(",", quoted=True))] == [1_715_016_293_000_000]
