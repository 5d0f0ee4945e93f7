from __future__ import annotations

import contextlib
import json
import pickle
from datetime import datetime
from decimal import Context, Decimal, localcontext

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.bank import TRANSFERS
from schemas.elements.block import Block, Span, arrival_micros
from schemas.http import RESPONSES
from schemas.record_type import DECIMAL_PLACES, Rejected
from schemas.times import to_micros
from tests.strategies import VISIT, json_numbers, visit_data
from tests.transforms.tools import parse_both_ways
from transforms.parse import patterns
from transforms.parse.json_lines import JsonParser, ParseJson
from transforms.parse.values import WHOLE_DIGITS

ARRIVAL = 1_557_163_493_000_000
ARRIVED = datetime(2019, 5, 6, 17, 24, 53)


def block(data: bytes) -> Block:
    return Block(data, (Span(0, "test", 100),), arrival=ARRIVAL)


def visit(**fields: str) -> bytes:
    """A line of a visit, whose fields are given as JSON."""
    fields = {"ip": '"10.0.0.1"', "code": "200", **fields}
    return ("{" + ",".join(f'"{key}":{value}' for key, value in fields.items() if value) + "}\n").encode()


FILTERS = [
    None,
    pl.col("code") < 400,
    pl.col("page").str.len_chars() > 0,
    pl.col("event_time").dt.hour() > 11,
    pl.col("known"),
]


@given(visit_data(), st.sampled_from(FILTERS), st.sampled_from([(), ("page", "extra"), ("value",)]))
@example(b"\xef\xbb\xbf" + visit(), None, ())
@example(visit() + b"\x01" + visit(), None, ())
@example(b"\r\n\n\r\r\n" + visit(), None, ())
def test_the_fast_way_equals_the_slow_way_on_arbitrary_bytes(data: bytes, where, columns) -> None:
    columns = tuple(name for name in columns if name in VISIT.names)
    fast, slow = parse_both_ways(JsonParser(VISIT, columns, where), block(data))
    assert fast.rejected == slow.rejected
    assert fast.records == slow.records == sum(bool(line.removesuffix(b"\r")) for line in data.split(b"\n"))
    assert fast.rows.equals(slow.rows, null_equal=True)
    assert fast.rows.schema == slow.rows.schema


@given(st.lists(st.binary(max_size=40), max_size=4).map(b"\n".join))
def test_garbage_is_rejected_and_never_raises(data: bytes) -> None:
    fast, slow = parse_both_ways(JsonParser(RESPONSES), block(data))
    assert fast.rejected == slow.rejected
    assert len(fast.rejected) == fast.records


def test_most_lines_take_the_fast_way(monkeypatch) -> None:
    seen: list[bytes] = []
    parser = JsonParser(VISIT)
    read_record = parser.read_record
    parser.read_record = lambda raw, dialect: (seen.append(raw), read_record(raw, dialect))[1]
    usual = visit(when='"2019-05-06T17:24:53Z"', value="1.5", known="true", page='"\\u00e9"', extra='["x"]')
    usual = usual.replace(b'["x"]', b'"x"')
    other = visit(page="null", value="-12")
    odd = visit(value="1e3")
    monkeypatch.setattr(patterns, "FEW_LINES", 2)
    parsed = parser(block(usual * 50 + odd + other * 50 + b"{}\n"))
    assert (parsed.rows.height, parsed.records) == (101, 102)
    assert seen == [odd.strip(), b"{}"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello", "not JSON: Expecting value at character 0"),
        (b'{"ip":"10.0.0.1","code":200', "not JSON: Expecting ',' delimiter at character 27"),
        (b'{"ip":"10.0.0.1","code":200} {}', "not JSON: Extra data at character 29"),
        (b"[1, 2]", "no JSON object: '[1, 2]'"),
        (b"\xff{}", "not UTF-8 at byte 0 of the record"),
        (b'{"x":' + b"[" * 100_000, "not JSON that can be read: nested too deeply"),
        (b'{"x":' * 100_000, "not JSON that can be read: nested too deeply"),
        (visit(ip=""), "ip is missing"),
        (visit(ip="null"), "ip is missing"),
        (visit(ip='"10.0.0.01"'), "ip is no IP address: '10.0.0.01'"),
        (visit(ip='"example.com"'), "ip is no IP address: 'example.com'"),
        (visit(ip="10"), "ip is no text: '10'"),
        (visit(code="5.0"), "code is no whole number: '5.0'"),
        (visit(code="5e0"), "code is no whole number: '5e0'"),
        (visit(code="true"), "code is no whole number: true"),
        (visit(code='"200"'), "code is no whole number: '200'"),
        (visit(code="9" * 5000), f"code is no whole number: '{'9' * 40}...'"),
        (visit(code="{}"), "code is no whole number: an object"),
        (visit(value="NaN"), "not JSON: NaN is no number"),
        (visit(extra="-Infinity"), "not JSON: -Infinity is no number"),
        (visit(value='"1.5"'), "value is no number: '1.5'"),
        (visit(value="1e18"), "value is too big: '1e18'"),
        (visit(value="1e999999999999"), "value cannot be kept: '1e999999999999'"),
        (visit(value="0.0000000001"), "value has more than 9 decimals: '0.0000000001'"),
        (visit(value="1e-10"), "value has more than 9 decimals: '1e-10'"),
        (visit(known="1"), "known is no boolean: '1'"),
        (visit(page="[]"), "page is no text: a list"),
        (visit(page='"\\ud800"'), "page has half a character: '\\ud800'"),
        (visit(when='"2019-02-29 00:00:00"'), "when is no time such as 2019-05-06T17:24:53Z: '2019-02-29 00:00:00'"),
        (visit(when="1557163493"), "when is no time such as 2019-05-06T17:24:53Z: '1557163493'"),
    ],
)
def test_a_line_that_cannot_be_used_is_rejected_with_its_reason(line: bytes, reason: str) -> None:
    line = line.strip()
    good = visit()
    for parsed in parse_both_ways(JsonParser(VISIT), block(good + line + b"\n" + good)):
        assert parsed.rejected == [Rejected("test", 100 + len(good), reason, line)]
        assert parsed.rows["_record"].to_list() == [0, 2]


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [
        (visit(page='"\\u00e9 \\" \\\\ \\ud83e\\udd54 \\/"'), "page", 'é " \\ 🥔 /'),
        (visit(page='"NULL"'), "page", "NULL"),
        (visit(page='""'), "page", ""),
        (visit(page="null"), "page", None),
        (visit(), "page", None),
        (visit(code="-0"), "code", 0),
        (visit(code="-9223372036854775808"), "code", -(2**63)),
        (visit(known="false"), "known", False),
        (visit(value="-1.5e2"), "value", Decimal(-150)),
        (visit(value="1.50000000000"), "value", Decimal("1.5")),
        (visit(value="999999999999999999.999999999"), "value", Decimal("999999999999999999.999999999")),
        (visit(ip='"::FFFF:10.0.0.1"'), "ip", "10.0.0.1"),
        (visit(ip='"2001:DB8:0:0::1"'), "ip", "2001:db8::1"),
        (visit(when='"2019-05-06T17:24:53.25+02:00"'), "event_time", datetime(2019, 5, 6, 15, 24, 53, 250_000)),
        (visit(when='"2020-02-29 23:59:59-0030"'), "event_time", datetime(2020, 3, 1, 0, 29, 59)),
        (visit(), "event_time", ARRIVED),
        (visit(when="null"), "event_time", ARRIVED),
        (b'{"code":1,"ip":"10.0.0.1","code":2}', "code", 2),
        (b'{"c\\u006fde":7,"ip":"10.0.0.1","deep":{"code":[1]}}', "code", 7),
    ],
)
def test_a_value_is_read_as_it_is_meant(line: bytes, column: str, value: object) -> None:
    for parsed in parse_both_ways(JsonParser(VISIT), block(line)):
        assert not parsed.rejected
        assert parsed.rows[column].to_list() == [value]


@given(json_numbers)
def test_a_decimal_is_exact_or_rejected(number: str) -> None:
    exact = None
    with contextlib.suppress(ValueError, ArithmeticError):  # no JSON, or an exponent that no Decimal has
        exact = json.loads(number, parse_int=Decimal, parse_float=Decimal)
    if isinstance(exact, Decimal) and exact.adjusted() < 100:
        with localcontext(Context(prec=6000)):
            fits = abs(exact) < 10**WHOLE_DIGITS and exact % Decimal(1).scaleb(-DECIMAL_PLACES) == 0
    else:
        fits = exact == 0
    for parsed in parse_both_ways(JsonParser(VISIT), block(visit(value=number))):
        assert parsed.rows.height == fits
        assert parsed.rows["value"].to_list() == [exact] * fits


def test_what_is_not_wanted_is_filtered_before_the_rest_is_looked_at() -> None:
    data = visit(code="200", value='"nonsense"') + visit(code="500", value='"nonsense"') + visit(code="500", value="1")
    for parsed in parse_both_ways(JsonParser(VISIT, ("value",), pl.col("code") >= 500), block(data)):
        assert parsed.rows["_record"].to_list() == [2]
        assert [bad.reason for bad in parsed.rejected] == ["value is no number: 'nonsense'"]


def test_records_with_more_fields_than_a_pattern_takes_are_read_too() -> None:
    extra = {f"f{number}": str(number) for number in range(100)}
    for parsed in parse_both_ways(JsonParser(VISIT), block(visit(**extra) * 3)):
        assert parsed.rows.height == 3


def test_records_of_many_shapes_are_all_read() -> None:
    lines = [visit(**{f"extra{number}": "1"}) for number in range(20)] * 20
    for parsed in parse_both_ways(JsonParser(VISIT), block(b"".join(lines))):
        assert parsed.rows["_record"].to_list() == list(range(400))


def test_a_block_that_does_not_know_its_arrival_arrives_now() -> None:
    before = arrival_micros()
    parsed = JsonParser(VISIT)(block(visit())._replace(arrival=0))
    assert before <= to_micros(parsed.rows["event_time"][0]) <= arrival_micros()


def test_a_required_time_is_not_made_up() -> None:
    parsed = JsonParser(RESPONSES)(block(b'{"ip":"10.0.0.1","status_code":200}\n'))
    assert [bad.reason for bad in parsed.rejected] == ["time is missing"]


def test_a_parser_pickles() -> None:
    parser = pickle.loads(pickle.dumps(JsonParser(TRANSFERS, ("account_id",), pl.col("account_region") == "x")))
    assert parser(block(b"x\n")).records == 1


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(ValueError, match="bank transfer has no column 'prize'"):
        ParseJson(TRANSFERS, ("prize",))


@pytest.mark.parametrize("kind", [str, bytes])
def test_single_lines_are_parsed_too(fn_api, kind: type) -> None:
    lines = ['{"account_id": 1, "account_region": "é", "transaction_value": 0.1}', "oops"]
    elements = lines if kind is str else [line.encode() for line in lines]
    with beam.Pipeline(options=fn_api) as pipeline:
        parsed = pipeline | beam.Create(elements) | ParseJson(TRANSFERS)
        rows = parsed["records"] | beam.FlatMap(lambda batch: batch.rows["account_region", "transaction_value"].rows())
        assert_that(rows, equal_to([("é", Decimal("0.100000000"))]), label="Rows")
        assert_that(parsed["rejected"] | beam.Map(lambda bad: bad.raw), equal_to([b"oops"]), label="Rejected")
