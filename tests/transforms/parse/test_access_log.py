from __future__ import annotations

import pickle
from datetime import datetime

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.forms import access_log as forms
from schemas.http import ACCESS_LOG
from schemas.record_type import Column, RecordType, Rejected
from tests.strategies import log_data
from tests.transforms.tools import parse_both_ways
from transforms.parse.access_log import AccessLogParser, ParseAccessLog

#: Every part of the line, of the kinds that it may have, some of them required.
WHOLE = RecordType(
    "log",
    ACCESS_LOG.names,
    (
        *ACCESS_LOG.columns,
        Column("bytes", "integer"),
        Column("referer", "text"),
        Column("agent", "text", required=True),
        Column("request", "text"),
    ),
    "time",
    form=forms.ACCESS_LOG,
)
COMMON = b'10.0.186.98 - - [06/May/2019:17:24:53 +0200] "GET / HTTP/1.1" 202 17\n'
COMBINED = COMMON[:-1] + b' "http://example.com/" "curl/8"\n'


def block(data: bytes) -> Block:
    return Block(data, (Span(0, "access.log", 100),))


@given(log_data(), st.sampled_from([ACCESS_LOG, WHOLE]), st.sampled_from([None, pl.col("status_code") >= 400]))
def test_the_fast_way_equals_the_slow_way_on_arbitrary_bytes(data: bytes, record_type, where) -> None:
    fast, slow = parse_both_ways(AccessLogParser(record_type, (), where), block(data))
    assert fast.rejected == slow.rejected
    assert fast.records == slow.records
    assert fast.rows.equals(slow.rows, null_equal=True)
    assert fast.rows.schema == slow.rows.schema


def test_both_formats_are_read() -> None:
    parser = AccessLogParser(ACCESS_LOG, ("ip", "status_code", "request", "bytes", "referer", "agent"))
    for parsed in parse_both_ways(parser, block(COMMON + COMBINED)):
        assert not parsed.rejected
        when = datetime(2019, 5, 6, 15, 24, 53)
        assert parsed.rows.rows() == [
            (0, when, "10.0.186.98", 202, "GET / HTTP/1.1", "17", None, None),
            (1, when, "10.0.186.98", 202, "GET / HTTP/1.1", "17", "http://example.com/", "curl/8"),
        ]


def test_lines_that_look_usual_take_the_fast_way() -> None:
    parser = AccessLogParser(WHOLE)
    parser.read_record = None  # nothing may ask the slow rule
    escaped = (
        COMBINED.replace(b"GET /", rb"GET /\"x\\").replace(b"10.0.186.98", b"2001:db8::1").replace(b" 17 ", b" - ")
    )
    parsed = parser(block((COMBINED + escaped) * 100))
    assert parsed.rows.height == parsed.records == 200
    assert parsed.rows["bytes"][:2].to_list() == [17, None]
    assert parsed.rows["request"][1] == r"GET /\"x\\ HTTP/1.1"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"10.0.186.98", b"www.example.com", "ip is no IP address: 'www.example.com'"),
        (b"202", b"-", "status_code is missing"),
        (b"202", b"20", "no line of the common or combined log format: '10.0.186.98 - - [06/May/2019:17:24:53 +0...'"),
        (b"06/May", b"31/Apr", "time is no time such as 06/May/2019:17:24:53 +0200: '31/Apr/2019:17:24:53 +0200'"),
        (
            b"/ HTTP",
            b'/" HTTP',
            "no line of the common or combined log format: '10.0.186.98 - - [06/May/2019:17:24:53 +0...'",
        ),
        (b"GET", b"\xff", "not UTF-8 at byte 46 of the record"),
        (b"curl/8", b"-", "agent is missing"),
        (b" 17 ", b" 99999999999999999999 ", "bytes is no whole number: '99999999999999999999'"),
    ],
)
def test_a_line_that_cannot_be_used_is_rejected_with_its_reason(old: bytes, new: bytes, reason: str) -> None:
    bad = COMBINED.replace(old, new)
    for parsed in parse_both_ways(AccessLogParser(WHOLE), block(COMBINED + bad + COMBINED)):
        assert parsed.rejected == [Rejected("access.log", 100 + len(COMBINED), reason, bad.strip())]
        assert parsed.rows["_record"].to_list() == [0, 2]


def test_a_parser_pickles() -> None:
    parser = pickle.loads(pickle.dumps(AccessLogParser(ACCESS_LOG, (), pl.col("status_code") == 202)))
    assert parser(block(COMMON)).rows.height == 1


def test_a_column_that_no_log_has_is_refused() -> None:
    with pytest.raises(ValueError, match="an access log has no column 'cookie', only ip, time"):
        ParseAccessLog(RecordType("log", ("time", "cookie"), (), "time", form=forms.ACCESS_LOG))
    with pytest.raises(ValueError, match="no column of the kind decimal, as 'bytes' is"):
        ParseAccessLog(
            RecordType("log", ("time", "bytes"), (Column("bytes", "decimal"),), "time", form=forms.ACCESS_LOG)
        )


def test_single_lines_are_parsed_too(fn_api) -> None:
    with beam.Pipeline(options=fn_api) as pipeline:
        parsed = pipeline | beam.Create([COMMON.decode(), "oops"]) | ParseAccessLog(ACCESS_LOG)
        rows = parsed["records"] | beam.FlatMap(lambda batch: batch.rows["ip", "status_code"].rows())
        assert_that(rows, equal_to([("10.0.186.98", 202)]), label="Rows")
        assert_that(parsed["rejected"] | beam.Map(lambda bad: bad.raw), equal_to([b"oops"]), label="Rejected")
