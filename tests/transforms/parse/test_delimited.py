from __future__ import annotations

import pickle
from datetime import datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.http import ACCESS_LOG, RESPONSES
from schemas.record_type import Column, Dialect, RecordType, Rejected
from schemas.tape import TAPE
from schemas.text.lines import are_records, find_lines
from schemas.text.records import find_records
from tests import oracle
from tests.strategies import SALE, dialects, ips, many_line_dialects, odd_ips, odd_times, sale_data, times
from transforms.parse.access_log import AccessLogParser
from transforms.parse.delimited import ParseDelimited, Parser
from transforms.parse.json_lines import JsonParser
from transforms.parse.parser import parse_as


def block(data: bytes, dialect: Dialect = Dialect()) -> Block:
    return Block(data, (Span(0, "test", 100),), dialect)


def values(parsed, names):
    rows = parsed.rows.select(
        "_record", *(name if name != "when" else pl.col("event_time").alias("when") for name in names)
    )
    return [(row.pop("_record"), row) for row in rows.to_dicts()]


NAMES = [column.name for column in SALE.columns]


@given(st.data(), dialects)
def test_the_fast_way_equals_the_slow_way_on_arbitrary_bytes(data, dialect):
    raw = data.draw(sale_data(dialect))
    check_against_oracle(raw, dialect)


@given(st.binary(max_size=60), dialects)
@example(b"\xef\xbb\xbf\n", Dialect())
@example(b"\r", Dialect())
@example(b"\r\r\n\n\r\n", Dialect())
def test_garbage_is_rejected_and_never_raises(raw, dialect):
    check_against_oracle(raw, dialect)


@given(st.data(), many_line_dialects, st.lists(st.sampled_from([b"\n", b"\n\n", b"#", b"--", b"a\n"]), max_size=3))
@example(None, Dialect(",", quoted=True, width=6, multiline=True), [])
def test_the_fast_way_equals_the_slow_way_where_not_every_line_is_a_record(data, dialect, breaks):
    if data is None:
        raw = b'k,2011-04-01 10:00:00,1.5,2,"a\n\nb","c\nd"\n#,x\nk,2011-04-01 10:00:00,1.5,2,"a,b",\n'
    else:
        raw = data.draw(sale_data(dialect))
        for each in breaks:
            place = data.draw(st.integers(0, len(raw)))
            raw = raw[:place] + each + raw[place:]
    parser = Parser(SALE)
    lines = find_records(raw, dialect)
    numbers = np.flatnonzero(are_records(raw, lines, dialect)).tolist()
    rejected: list[Rejected] = []
    slow = parser._parse_slowly(block(raw, dialect), lines, numbers, rejected)
    fast = parser(block(raw, dialect))
    assert fast.rows.equals(slow, null_equal=True)
    assert fast.rejected == sorted(rejected)
    assert fast.records == len(lines.starts)
    if data is None:
        assert (fast.rows.height, len(fast.rejected)) == (2, 1)


def check_against_oracle(raw: bytes, dialect: Dialect) -> None:
    for wanted, where in ((None, None), ((["pieces"], lambda v: (v["pieces"] or 0) > 0), pl.col("pieces") > 0)):
        rows, rejected, records = oracle.parse(raw, SALE, dialect, wanted)
        parsed = Parser(SALE, where=where)(block(raw, dialect))
        assert parsed.records == records
        assert values(parsed, NAMES) == [(number, {n: v[n] for n in NAMES}) for number, v in rows]
        lines = [line.removesuffix(b"\r") for line in raw.split(b"\n")]
        lines = [line for line in lines if line]
        assert sorted(r.raw for r in parsed.rejected) == sorted(lines[n].rstrip(b"\r") for n in rejected)


@given(st.data(), dialects)
def test_what_was_rendered_parses_back(data, dialect):
    text = st.text(st.characters(codec=dialect.encoding, exclude_characters="\n\r\"'\\\t,;|"), min_size=1, max_size=8)
    text = text.filter(lambda t: t.strip(" ") not in ("", "NULL"))
    if dialect.quoted:
        text = text | st.sampled_from(['5" pot', "a,b", "a;b", "a\tb", "a|b", '"so"', '""', "it's"])
    row = {
        "key": data.draw(text),
        "when": data.draw(st.datetimes(datetime(1000, 1, 1)).map(lambda t: t.replace(microsecond=0))),
        "amount": data.draw(st.none() | st.decimals(-(10**17), 10**17, places=9)),
        "pieces": data.draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        "note": data.draw(st.none() | text),
    }
    fields = [
        row["key"],
        f"{row['when']:%Y-%m-%d %H:%M:%S}".rjust(19, "0"),
        row["amount"],
        row["pieces"],
        "",
        row["note"],
    ]
    fields = [
        "NULL" if field is None else str(field) if not isinstance(field, Decimal) else f"{field:f}" for field in fields
    ]
    if dialect.quoted:
        marks = dialect.quote, dialect.quote * 2
        fields = [dialect.quote + field.replace(*marks) + dialect.quote for field in fields]
    parsed = Parser(SALE)(block(dialect.separator.join(fields).encode(dialect.encoding) + b"\r\n", dialect))
    assert values(parsed, NAMES) == [(0, row)], parsed.rejected


def test_a_rejected_record_keeps_its_bytes_its_place_and_the_reason():
    raw = b"k\t2011-04-01 10:00:00\t1.5\t2\t\t\nbroken \xff\nk\t2011-04-01 10:00:00\tx\t2\t\t\n"
    parsed = Parser(SALE)(block(raw))
    assert parsed.rows.height == 1
    first, second = parsed.rejected
    assert first[:4] == ("test", 130, "not UTF-8 at byte 7 of the record", b"broken \xff")
    assert second.reason == "amount is no decimal number: 'x'"


def test_a_faulty_block_is_one_rejected_record():
    parsed = Parser(SALE)(block(b"torn\noff")._replace(fault="connection lost in mid-record"))
    assert [each[:4] for each in parsed.rejected] == [("test", 100, "connection lost in mid-record", b"torn\noff")]
    assert (parsed.records, parsed.rows.height) == (1, 0)


def test_a_header_tells_the_order_of_the_columns():
    dialect = Dialect(",", header=("extra", "when", "key", "note", "pieces", "amount"))
    parsed = Parser(SALE)(block(b"?,2011-04-01 10:00:00,k,n,3,1.25\n", dialect))
    assert parsed.rows.drop("_record").to_dicts() == [
        {"event_time": datetime(2011, 4, 1, 10), "key": "k", "note": "n", "pieces": 3, "amount": Decimal("1.25")}
    ]


def test_a_parser_pickles():
    parser = pickle.loads(pickle.dumps(Parser(TAPE, ("upc",), pl.col("department") == 2)))
    assert parser(block(b"x\n")).records == 1


def test_an_unknown_column_is_named():
    with pytest.raises(ValueError, match="sale has no column 'prize'"):
        ParseDelimited(SALE, ("prize",))


@given(
    st.lists(
        st.tuples(
            times | odd_times,
            ips | odd_ips | st.sampled_from([" ", "NULL", " 10.0.0.1 "]),
            st.sampled_from(["true", "false", "True", "1", "", " true", "NULL"]),
        ),
        max_size=6,
    ),
    st.sampled_from([None, pl.col("event_time").dt.hour() < 12, pl.col("known"), pl.col("ip") == "::1"]),
)
def test_records_that_may_lack_a_time_are_read_fast_as_they_are_slowly(records, where) -> None:
    names = ("when", "ip", "known")
    columns = (Column("when", "time"), Column("ip", "ip"), Column("known", "boolean"))
    data = "".join("\t".join(fields) + "\n" for fields in records).encode()
    for event_time in ("when", ""):
        parser = Parser(RecordType("hit", names, columns, event_time), (), where)
        blocks = block(data)._replace(arrival=1_557_163_493_000_000)
        fast = parser(blocks)
        rejected: list[Rejected] = []
        lines = find_lines(data)
        slow = parser._parse_slowly(blocks, lines, list(range(len(lines.starts))), rejected)
        assert fast.rows.equals(slow, null_equal=True)
        assert fast.rejected == sorted(rejected)
        if not event_time or all(when in ("", "NULL") for when, _, _ in records):
            assert set(fast.rows["event_time"]) <= {datetime(2019, 5, 6, 17, 24, 53)}


def test_the_form_of_the_records_says_which_parser_they_need() -> None:
    for record_type, kind in ((TAPE, Parser), (RESPONSES, JsonParser), (ACCESS_LOG, AccessLogParser)):
        where = pl.col(record_type.columns[-1].name).is_not_null()
        parse = parse_as(record_type, (record_type.names[1],), where)
        assert type(parse.parser()) is kind
        assert (parse.record_type, parse.columns, parse.where) == (record_type, (record_type.names[1],), where)
