import json
from datetime import datetime, timezone
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings

from sinks.files.json_text import json_by_key, json_lines
from tests.sinks.frames import frames


def lines(encoded: bytes) -> list[dict]:
    assert encoded == b"" or encoded.endswith(b"\n")
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in encoded.split(b"\n")[:-1]]


def test_lines_keep_the_order_of_the_columns():
    assert json_lines(pl.DataFrame({"b": [1, 2], "a": [None, True]})) == b'{"b":1,"a":null}\n{"b":2,"a":true}\n'


@settings(max_examples=50)
@given(frames().filter(lambda rows: not ({None, ""} <= set(rows["upc"]))))
def test_a_document_by_key_reads_back_equal(rows):
    encoded = json_by_key(rows, "upc", ("description", "quantity"))
    assert encoded.count(b"\n") == 1
    found = json.loads(encoded, parse_float=Decimal, parse_int=Decimal)
    expected = {upc or "": [text, number] for upc, text, number in rows[:, :3].rows()}
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("2.6600", "2.66"),
        ("3.0000", "3"),
        ("-0.5000", "-0.5"),
        ("0.0000", "0"),
        ("100.0000", "100"),
        ("1000000000000000000000.0001", "1000000000000000000000.0001"),
        ("0.0001", "0.0001"),
    ],
)
def test_decimals_are_exact_plain_numbers_without_zeros_at_the_end(number, text):
    rows = pl.DataFrame({"n": [Decimal(number)]}, schema={"n": pl.Decimal(38, 4)})
    assert json_lines(rows) == f'{{"n":{text}}}\n'.encode()


def test_times_have_microseconds_only_where_there_are_any():
    rows = pl.DataFrame(
        {"t": [datetime(2011, 4, 1, tzinfo=timezone.utc), datetime(2011, 4, 1, 0, 0, 0, 50, timezone.utc)]},
        schema={"t": pl.Datetime("us", "UTC")},
    )
    assert json_lines(rows) == b'{"t":"2011-04-01T00:00:00Z"}\n{"t":"2011-04-01T00:00:00.000050Z"}\n'


def test_text_is_utf8_as_it_is():
    assert json_lines(pl.DataFrame({"é": ['CRÈME "A"\n']})) == '{"é":"CRÈME \\"A\\"\\n"}\n'.encode()


def test_what_json_cannot_write_as_a_number_is_null():
    rows = pl.DataFrame({"f": [float("nan"), float("inf"), -0.5]})
    assert json_lines(rows) == b'{"f":null}\n{"f":null}\n{"f":-0.5}\n'


def test_a_type_that_json_lacks_is_refused():
    with pytest.raises(ValueError, match="JSON has no type for Binary"):
        json_lines(pl.DataFrame({"b": [b"x"]}))


def test_a_key_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="needs one row for each upc, got several for '4011'"):
        json_by_key(pl.DataFrame({"upc": ["4011", "4011"], "n": [1, 2]}), "upc", ("n",))


def test_a_key_that_is_missing_is_an_empty_text():
    assert json_by_key(pl.DataFrame({"upc": [None, "1"], "n": [1, 2]}), "upc", ("n",)) == b'{"":[1],"1":[2]}\n'
