import io
import json
import math
import pickle
import re
import struct
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import fastavro
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.avro.reader import BodyReader
from schemas.avro.schema import AvroSchema, schema_of, shown_fingerprint
from schemas.avro.wire_format import Fault, ValueFormat, make_decoder, make_encoder, own_schemas
from schemas.avro.writer import BodyWriter, read_line
from schemas.bank import TRANSFERS
from schemas.elements.block import Block, Span
from schemas.record_type import RecordType
from schemas.smoothies import INVENTORIES, LOST_SALES, MESSAGES, PRODUCTS, PURCHASES, TOPICS
from tests.strategies import VISIT, json_records
from transforms.parse.json_lines import ParseJson

AVRO = ValueFormat("avro")
SHOP = [PRODUCTS, PURCHASES, INVENTORIES, LOST_SALES]
#: Every type that Avro has, and every meaning that we know of them.
EVERYTHING = {
    "type": "record",
    "name": "shop.Everything",
    "fields": [
        {"name": "nothing", "type": "null"},
        {"name": "flag", "type": "boolean"},
        {"name": "small", "type": "int"},
        {"name": "large", "type": "long"},
        {"name": "single", "type": "float"},
        {"name": "double", "type": "double"},
        {"name": "raw", "type": "bytes"},
        {"name": "text", "type": "string"},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "map", "type": {"type": "map", "values": "string"}},
        {"name": "size", "type": {"type": "enum", "name": "Size", "symbols": ["SMALL", "LARGE"]}},
        {"name": "again", "type": "shop.Size"},
        {"name": "four", "type": {"type": "fixed", "name": "Four", "size": 4}},
        {"name": "cents", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {
            "name": "fixed_cents",
            "type": {
                "type": "fixed",
                "name": "Six",
                "size": 5,
                "logicalType": "decimal",
                "precision": 11,
                "scale": 2,
            },
        },
        {"name": "whole", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "millis", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "micros", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "next", "type": ["null", "shop.Everything"], "default": None},
    ],
}
_UTC = timezone.utc
_MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))


def _everything(rest: st.SearchStrategy) -> st.SearchStrategy:
    texts = st.text(st.characters(codec="utf-8"), max_size=5)
    return st.fixed_dictionaries(
        {
            "nothing": st.none(),
            "flag": st.booleans(),
            "small": st.integers(-(2**31), 2**31 - 1),
            "large": st.integers(-(2**63), 2**63 - 1),
            "single": st.floats(width=32, allow_nan=False, allow_infinity=False),
            "double": st.floats(allow_nan=False, allow_infinity=False),
            "raw": st.binary(max_size=5),
            "text": texts,
            "list": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3),
            "map": st.dictionaries(texts, texts, max_size=2),
            "size": st.sampled_from(["SMALL", "LARGE"]),
            "again": st.sampled_from(["SMALL", "LARGE"]),
            "four": st.binary(min_size=4, max_size=4),
            "cents": st.decimals(-9999999, 9999999, places=2),
            "fixed_cents": st.decimals(-(10**9) + 1, 10**9 - 1, places=2),
            "whole": st.decimals(-99999, 99999, places=0),
            "day": st.dates(),
            "millis": _MOMENTS.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=_UTC)),
            "micros": _MOMENTS.map(lambda at: at.replace(tzinfo=_UTC)),
            "local": _MOMENTS,
            "next": rest,
        }
    )


everything = _everything(st.none() | _everything(st.none()))


def as_json(value):
    """What JSON has of a value of fastavro's."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat("T", "microseconds") + ("Z" if value.tzinfo else "")
    return value.isoformat() if isinstance(value, date) else value


def body(schema, value) -> bytes:
    """What fastavro writes."""
    file = io.BytesIO()
    fastavro.schemaless_writer(file, schema, value)
    return file.getvalue()


def parsed(record_type: RecordType, lines: list[bytes]) -> pl.DataFrame:
    block = Block(b"".join(line + b"\n" for line in lines), (Span(0, "test", 0),), arrival=1)
    found = ParseJson(record_type).parser()(block)
    assert not found.rejected
    return found.rows


@given(
    st.sampled_from([*SHOP, TRANSFERS, VISIT]).flatmap(lambda of: st.tuples(st.just(of), st.lists(json_records(of))))
)
def test_lines_that_go_through_avro_parse_to_the_same_values(given_lines) -> None:
    record_type, lines = given_lines
    values = make_encoder(AVRO, "topic", [record_type])(lines)
    back = make_decoder(ValueFormat("avro", (schema_of(record_type).text,)))(values)
    assert not any(isinstance(line, Fault) or b"\n" in line for line in back)
    assert_frame_equal(parsed(record_type, back), parsed(record_type, lines))


@settings(max_examples=50)
@given(st.sampled_from(SHOP), st.data())
def test_every_reader_knows_our_own_types(record_type: RecordType, data) -> None:
    line = data.draw(json_records(record_type))
    (value,) = make_encoder(AVRO, "topic", [record_type])([line])
    (back,) = make_decoder(AVRO)([value])
    assert_frame_equal(parsed(record_type, [back]), parsed(record_type, [line]))
    assert make_encoder(AVRO, "topic", [record_type])([back]) == [value]


def test_a_transfer_is_these_bytes() -> None:
    line = b'{"account_id":-2,"account_region":"\xc3\xa4","transaction_value":4310.27,"transfer_time":null}\n'
    (value,) = make_encoder(AVRO, "topic", [TRANSFERS])([line])
    # The mark, the fingerprint, -2 in zigzag, two bytes of text, 4310.27 x 10^9 in six bytes, branch 0.
    units = 4_310_270_000_000
    head = bytes.fromhex("c301") + int("91c4e5508e2cb7f9", 16).to_bytes(8, "little")
    assert value == head + b"\x03" + b"\x04\xc3\xa4" + b"\x0c" + units.to_bytes(6, "big") + b"\x00"
    assert make_decoder(AVRO)([value]) == [line.rstrip()]


def test_the_values_of_json_are_what_they_are() -> None:
    values = [b'{"a": 1.50}', b"", b"garbage\n\xff"]
    assert make_decoder(ValueFormat())(values) == values
    assert make_encoder(ValueFormat(), "topic")([b'{"a": 1.50}\r\n', b"x"]) == [b'{"a": 1.50}', b"x"]


@given(everything)
def test_whatever_fastavro_writes_is_read_as_it_reads_it(value) -> None:
    schema = AvroSchema(json.dumps(EVERYTHING))
    data = body(schema.parsed, value)
    text = BodyReader(schema)(data)
    expected = as_json(fastavro.schemaless_reader(io.BytesIO(data), schema.parsed))
    assert _plain(json.loads(text, parse_float=Decimal)) == _plain(expected)


def _plain(value):
    """Gives what can be compared: numbers by their value alone, those of 32 bits as they are stored."""
    if isinstance(value, dict):
        return {name: struct.pack("<f", each) if name == "single" else _plain(each) for name, each in value.items()}
    return Decimal(repr(value)) if isinstance(value, float) else value


@given(everything)
def test_whatever_is_written_fastavro_reads(value) -> None:
    schema = AvroSchema(json.dumps(EVERYTHING))
    line = BodyReader(schema)(body(schema.parsed, value)).encode()
    assert fastavro.schemaless_reader(io.BytesIO(BodyWriter(schema)(read_line(line))), schema.parsed) == value


@given(
    st.sampled_from([*own_schemas(), AvroSchema(json.dumps(EVERYTHING))]), st.binary(max_size=80), st.integers(0, 10)
)
def test_garbage_is_a_line_or_a_fault_and_never_raises(schema: AvroSchema, data: bytes, cut: int) -> None:
    decode = make_decoder(ValueFormat("avro", (schema.text,)))
    head = b"\xc3\x01" + schema.fingerprint
    for value in (data, head + data, head[:cut], head[:cut] + data):
        (found,) = decode([value])
        assert isinstance(found, Fault) or json.loads(found) is not None


@given(st.sampled_from(SHOP), st.data())
def test_a_value_that_was_cut_short_or_goes_on_is_a_fault(record_type: RecordType, data) -> None:
    line = data.draw(json_records(record_type))
    (value,) = make_encoder(AVRO, "topic", [record_type])([line])
    decode = make_decoder(AVRO)
    cut = data.draw(st.integers(0, len(value) - 1))
    short, long = decode([value[:cut], value + data.draw(st.binary(min_size=1, max_size=3))])
    assert isinstance(short, Fault)
    assert isinstance(long, Fault)
    assert "bytes too many" in long


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "no Avro single object: it begins with nothing"),
        (b'{"a":1}', "no Avro single object: it begins with 7b226122"),
        (b"\xc3\x01\x00", "no Avro single object: it begins with c30100"),
        (
            b"\xc3\x01" + (0x7275D51A3F395C8F).to_bytes(8, "little") + b"\0",
            "unknown Avro schema with the fingerprint 7275d51a3f395c8f: give it with --avro-schema FILE.avsc",
        ),
    ],
)
def test_a_value_that_is_no_single_object_of_a_known_schema_is_a_fault(value: bytes, reason: str) -> None:
    assert make_decoder(AVRO)([value]) == [reason]


@pytest.mark.parametrize(
    ("schema", "data", "reason"),
    [
        ('"string"', b"\x02", "ends too early"),
        ('"string"', b"\x01", "is -1 bytes long"),
        ('"string"', b"\x02\xff", "is not UTF-8"),
        ('"boolean"', b"\x02", "is neither true nor false: 2"),
        ('"int"', b"\x80\x80\x80\x80\x10", "is a number of more than 32 bits"),
        ('"long"', b"\xff" * 9 + b"\x02", "is a number of more than 64 bits"),
        ('"long"', b"\xff" * 30, "is a number of more than 64 bits"),
        ('["null","long"]', b"\x04", "is branch 2 of a union of 2"),
        ('["null","long"]', b"\x01", "is branch -1 of a union of 2"),
        ('{"type":"array","items":"null"}', b"\xfe\xff\xff\xff\x0f\0", "has 2147483647 items in 16 bytes"),
        ('{"type":"enum","name":"e","symbols":["A"]}', b"\x02", "is number 1 of 1 symbols"),
        ('{"type":"long","logicalType":"timestamp-micros"}', b"\xff" * 9 + b"\x01", "is no time that can be written"),
        ('{"type":"int","logicalType":"date"}', b"\xff\xff\xff\xff\x0f", "is no day that can be written"),
        ('{"type":"record","name":"r","fields":[{"name":"a","type":"double"}]}', b"\0", "a ends too early"),
        ('{"type":"record","name":"r","fields":[{"name":"a","type":"r"}]}', b"", "nested too deeply"),
        ('"long"', b"\0\0\0", "2 bytes too many"),
    ],
)
def test_a_fault_says_what_is_wrong(schema: str, data: bytes, reason: str) -> None:
    of = AvroSchema(schema)
    (found,) = make_decoder(ValueFormat("avro", (schema,)))([b"\xc3\x01" + of.fingerprint + data])
    assert isinstance(found, Fault)
    assert found.startswith(f"no Avro of its schema: {reason}")


def test_items_may_come_in_several_blocks_with_or_without_their_size() -> None:
    read = BodyReader(AvroSchema('{"type":"array","items":"long"}'))
    assert read(b"\x02\x02\x03\x04\x04\x06\0") == "[1,2,3]"


def test_floats_that_json_lacks_are_null_and_small_ones_show_no_more_digits_than_they_have() -> None:
    schema = AvroSchema('{"type":"array","items":["float","double"]}')
    values = [math.nan, -math.inf, 0.1]
    data = body({"type": "array", "items": "float"}, values)
    assert BodyReader(AvroSchema('{"type":"array","items":"float"}'))(data) == "[null,null,0.1]"
    assert BodyReader(schema)(body(schema.parsed, [1e300])) == "[1e+300]"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": '"5"'}, 'price is no number: "5"'),
        ({"price": "true"}, "price is no number: true"),
        ({"price": "0.0000000001"}, "price has more than 9 decimals: 1E-10"),
        ({"price": "1e29"}, "price has more than 29 digits before the point: 1E+29"),
        ({"price": "1e999999999"}, "price has more than 29 digits before the point: 1E+999999999"),
        ({"price": "-1e-999999999"}, "price has more than 9 decimals: -1E-999999999"),
        ({"price": "123456789012345678901234567890.5"}, "price has more than 29 digits before the point"),
        ({"price": "12345678901234567890123456789.1234567891"}, "price has more than 9 decimals"),
        ({"price": "null"}, "price is no number: null"),
        ({"price": ""}, "price is missing"),
        ({"price": "NaN"}, "no JSON: NaN is no number"),
        ({"quantity": "1.0"}, "quantity is no whole number: 1.0"),
        ({"quantity": "9223372036854775808"}, "quantity is a number of more than 64 bits: 9223372036854775808"),
        ({"quantity": "9" * 5000}, "no JSON: "),
        ({"is_member": "1"}, "is_member is neither true nor false: 1"),
        ({"product_id": "{}"}, "product_id is no text: an object"),
        ({"product_id": "[]"}, "product_id is no text: a list"),
        ({"product_id": '"\\ud800"'}, 'product_id has half a character: "\\ud800"'),
        ({"transaction_time": '"soon"'}, "transaction_time is no time such as 2019-05-06T17:24:53Z: 'soon'"),
        ({"transaction_time": "7"}, "transaction_time is no time: 7"),
        ({"discount": "1"}, "discount is not in the schema"),
        ({"quantity": "[" * 100_000}, "no JSON that can be read: nested too deeply"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_with_the_name_of_the_field(change: dict, reason: str) -> None:
    fields = {"transaction_time": '"2022-08-30 12:57:07.942191"', "product_id": '"SF07"', "price": "5.99"}
    fields |= {"quantity": "2", "total_purchase": "11.98", **change}
    line = "{" + ",".join(f'"{name}":{value}' for name, value in fields.items() if value) + "}"
    with pytest.raises(ValueError, match=re.escape(f"a record does not fit the Avro schema purchase: {reason}")):
        make_encoder(AVRO, "topic", [PURCHASES])([line.encode()])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[]", "is no object: a list"),
        (b"oops", "no JSON: Expecting value at character 0"),
        (b"\xff", "no JSON: not UTF-8"),
        (b"", "no JSON: Expecting value at character 0"),
    ],
)
def test_a_line_that_is_no_record_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"the Avro schema purchase: {reason}")):
        make_encoder(AVRO, "topic", [PURCHASES])([line])


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ({"type": {"type": "enum", "name": "e", "symbols": ["A", "B"]}}, '"C"', 'x is none of A, B: "C"'),
        ({"type": {"type": "fixed", "name": "f", "size": 2}}, '"abc"', "x has 3 bytes, not 2"),
        ({"type": "bytes"}, '"\u20ac"', "x is no text with a character for each byte"),
        ({"type": "bytes"}, "1", "x is no text with a character for each byte: 1"),
        ({"type": "null"}, "1", "x is not null: 1"),
        ({"type": "float"}, "1e39", "x is too big: 1E+39"),
        ({"type": "double"}, "1" + "0" * 400, "x is too big: 1000"),
        ({"type": "double"}, "true", "x is no number: true"),
        ({"type": ["null", "long", "string"]}, "true", "x fits nothing in its union: true"),
        ({"type": {"type": "array", "items": "long"}}, "{}", "x is no list: an object"),
        ({"type": {"type": "map", "values": "long"}}, "[]", "x is no object: a list"),
        ({"type": {"type": "int", "logicalType": "date"}}, '"soon"', 'x is no day such as 2019-05-06: "soon"'),
        ({"type": {"type": "int", "logicalType": "date"}}, "1", "x is no day: 1"),
        (
            {"type": {"type": "long", "logicalType": "timestamp-millis"}},
            '"2019-05-06 17:24:53.1234"',
            'x has more than milliseconds: "2019',
        ),
        (
            {"type": {"type": "fixed", "name": "f", "size": 1, "logicalType": "decimal", "precision": 2, "scale": 0}},
            "200",
            "x has more than 2 digits before the point: 200",
        ),
    ],
)
def test_what_does_not_fit_a_type_of_a_given_schema_is_refused(field: dict, value: str, reason: str) -> None:
    schema = json.dumps({"type": "record", "name": "r", "fields": [{"name": "x", **field}]})
    with pytest.raises(ValueError, match=re.escape(f"a record does not fit the Avro schema r: {reason}")):
        make_encoder(ValueFormat("avro", (schema,)), "topic")([f'{{"x":{value}}}'.encode()])


def test_a_union_that_fastavro_could_not_tell_apart_is_refused() -> None:
    cents = {"type": "bytes", "logicalType": "decimal", "precision": 9}
    schema = json.dumps({"type": "record", "name": "r", "fields": [{"name": "x", "type": ["bytes", cents]}]})
    with pytest.raises(ValueError, match="a union has two of one type, which Avro does not allow: bytes, bytes"):
        make_encoder(ValueFormat("avro", (schema,)), "topic")([b'{"x":1}'])


def test_a_field_that_is_not_there_has_its_default() -> None:
    fields = [
        {"name": "a", "type": "long", "default": 7},
        {"name": "b", "type": "bytes", "default": "\u00ff"},
        {"name": "c", "type": {"type": "bytes", "logicalType": "decimal", "precision": 3}, "default": "\u0001"},
        {"name": "d", "type": ["string", "null"], "default": "x"},
        {"name": "e", "type": ["null", "string"], "default": None},
    ]
    values = ValueFormat("avro", (json.dumps({"type": "record", "name": "r", "fields": fields}),))
    (value,) = make_encoder(values, "topic")([b"{}"])
    assert make_decoder(values)([value]) == ['{"a":7,"b":"\u00ff","c":1,"d":"x","e":null}'.encode()]


def test_of_several_schemas_a_writer_takes_the_first_that_a_record_fits() -> None:
    values = ValueFormat("avro", tuple(schema_of(of).text for of in SHOP))
    encode = make_encoder(values, "topic")
    line = b'{"event_time":"2022-08-30 12:57:07","product_id":"SF07","stock_quantity":15,"new_level":17}'
    (value,) = encode([line])
    assert value[2:10] == schema_of(INVENTORIES).fingerprint
    with pytest.raises(ValueError, match="a record fits none of the Avro schemas: product: event_time is missing; pur"):
        encode([b"{}"])


@settings(max_examples=50)
@given(st.sampled_from(sorted(TOPICS)), st.data())
def test_a_generic_event_has_the_payload_of_its_kind(kind: str, data) -> None:
    _, record_type = TOPICS[kind]
    line = data.draw(json_records(record_type))
    event = b'{"type":"%s","time":"2022-08-30 12:57:07.942191","key":"SF07","payload":%s}' % (kind.encode(), line)
    alone, (value,) = make_encoder(AVRO, "t", [record_type])([line]), make_encoder(AVRO, "t", [MESSAGES])([event])
    decode = make_decoder(AVRO)
    head = b'{"type":"%s","time":"2022-08-30T12:57:07.942191Z","key":"SF07","payload":' % kind.encode()
    assert decode([value]) == [head + decode(alone)[0] + b"}"]


def test_a_given_schema_takes_the_place_of_ours_with_the_same_fingerprint() -> None:
    cents = schema_of(TRANSFERS).text.replace('"scale": 9', '"scale": 2')
    assert AvroSchema(cents).fingerprint == schema_of(TRANSFERS).fingerprint
    line = b'{"account_id":1,"account_region":"x","transaction_value":1.25,"transfer_time":null}'
    values = ValueFormat("avro", (cents,))
    assert make_decoder(values)(make_encoder(values, "topic")([line])) == [line]
    with pytest.raises(ValueError, match="two Avro schemas of bank_transfer differ and have the same fingerprint"):
        ValueFormat("avro", (cents, schema_of(TRANSFERS).text))
    assert ValueFormat("avro", (cents, cents)).schemas == (cents, cents)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "xml"}, "expected a value format of json, avro, registry, got 'xml'"),
        ({"form": "registry"}, "a schema registry and the value format registry need each other"),
        ({"schemas": ('"int"',)}, "Avro schemas are for the value formats avro and registry, got json"),
        ({"form": "avro", "schemas": ("oops",)}, "no Avro schema: "),
    ],
)
def test_formats_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ValueFormat(**options)


def test_a_writer_without_a_schema_takes_one_of_ours_that_fits() -> None:
    encode = make_encoder(AVRO, "topic")
    (value,) = encode([b'{"account_id":1,"account_region":"x","transaction_value":1.25}'])
    assert value[2:10] == schema_of(TRANSFERS).fingerprint
    with pytest.raises(ValueError, match="fits none of our own Avro schemas: give its schema with --avro-schema"):
        encode([b'{"account_id":1}'])


def test_readers_and_writers_pickle() -> None:
    encode, decode = (
        pickle.loads(pickle.dumps(of)) for of in (make_encoder(AVRO, "t", [TRANSFERS]), make_decoder(AVRO))
    )
    line = b'{"account_id":1,"account_region":"x","transaction_value":1.25,"transfer_time":null}'
    assert decode(encode([line])) == [line]
    assert decode == make_decoder(AVRO)


@example(0)
@given(st.integers(0, 2 * 10**15))
def test_times_have_microseconds_and_say_that_they_are_utc(micros: int) -> None:
    schema = AvroSchema('{"type":"long","logicalType":"timestamp-micros"}')
    moment = datetime(1970, 1, 1) + timedelta(microseconds=micros)
    assert BodyReader(schema)(body("long", micros)) == f'"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"'
    assert shown_fingerprint(schema.fingerprint) == shown_fingerprint(AvroSchema('"long"').fingerprint)
