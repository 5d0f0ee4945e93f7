"""The law: what is read many at once is what is read one by one, or is left to that."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from decimal import Decimal
from functools import cache

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro import wire_format as module
from schemas.avro.batch_reader import BlockReader, block_reader
from schemas.avro.reader import BodyReader
from schemas.avro.schema import AvroSchema, schema_of
from schemas.avro.wire_format import Fault, ValueFormat, make_decoder
from schemas.bank import TRANSFERS
from schemas.smoothies import TOPICS

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}
WHOLE = {"type": "bytes", "logicalType": "decimal", "precision": 38}
TIME = {"type": "long", "logicalType": "timestamp-micros"}
FIELDS = {"t": "string", "n": "long", "b": "boolean", "d": DECIMAL, "w": WHOLE, "m": TIME}
SCHEMA = AvroSchema(
    json.dumps(
        {
            "type": "record",
            "name": "of_all",
            "fields": [
                *({"name": name, "type": of} for name, of in FIELDS.items()),
                *({"name": f"{name}_null", "type": ["null", of]} for name, of in FIELDS.items()),
                *({"name": f"null_{name}", "type": [of, "null"]} for name, of in FIELDS.items()),
            ],
        }
    )
)
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(timezone.utc))
VALUES = {
    "t": st.text(max_size=8) | st.sampled_from(['"', "\\", "\n", "ü", "plain"]),
    "n": st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70),
    "b": st.booleans(),
    "d": st.decimals(-(10**11), 10**11, places=9) | st.sampled_from([Decimal(0), Decimal("4.79"), Decimal("-0.5")]),
    "w": st.integers(-(10**30), 10**30).map(Decimal) | st.integers(-300, 300).map(Decimal),
    "m": moments,
}
ORDINARY = {"t": st.sampled_from(["", "plain", "ü"]), "w": st.integers(-300, 300).map(Decimal)}
ORDINARY |= {"n": st.integers(-(2**62), 2**62 - 1), "d": st.decimals(-(9 * 10**9), 9 * 10**9, places=9)}


def records(values: dict[str, st.SearchStrategy]) -> st.SearchStrategy[dict]:
    nullable = {name: value | st.none() for name, value in values.items()}
    return st.fixed_dictionaries(
        values
        | {f"{name}_null": value for name, value in nullable.items()}
        | {f"null_{name}": value for name, value in nullable.items()}
    )


def body(record: dict, schema: AvroSchema = SCHEMA) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, schema.parsed, record)
    return sink.getvalue()


@cache
def body_reader(schema: AvroSchema) -> BodyReader:
    return BodyReader(schema)


def one_by_one(data: bytes, schema: AvroSchema = SCHEMA) -> bytes | None:
    try:
        return body_reader(schema)(data).encode()
    except ValueError:
        return None


@cache
def reader(schema: AvroSchema = SCHEMA) -> BlockReader:
    read = block_reader(schema)
    assert read is not None
    return read


@settings(max_examples=80)
@given(st.lists(records(VALUES), min_size=1, max_size=6))
def test_what_is_read_at_once_is_what_is_read_one_by_one(found: list[dict]) -> None:
    bodies = [body(record) for record in found]
    for line, data in zip(reader()(bodies), bodies, strict=True):
        assert line in {None, one_by_one(data)}


@settings(max_examples=50)
@given(st.lists(records(VALUES | ORDINARY), min_size=1, max_size=6))
def test_what_is_ordinary_is_read_at_once(found: list[dict]) -> None:
    bodies = [body(record) for record in found]
    assert reader()([b"head" + data for data in bodies], 4) == [one_by_one(data) for data in bodies]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    hurt = bytearray(whole)
    where = draw(st.integers(0, max(0, len(hurt) - 1)))
    hurt[where : where + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(hurt)


@given(
    st.lists(records(VALUES), min_size=1, max_size=4).map(lambda found: [body(record) for record in found]),
    st.data(),
)
def test_damage_is_never_taken_for_a_record(bodies: list[bytes], data: st.DataObject) -> None:
    """Neither that body's own nor, read beyond its end, that of its neighbours."""
    place = data.draw(st.integers(0, len(bodies) - 1))
    bodies[place] = data.draw(damaged(bodies[place]))
    for line, each in zip(reader()(bodies), bodies, strict=True):
        assert line in {None, one_by_one(each)}


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=8), st.sampled_from([SCHEMA, schema_of(TRANSFERS)]))
def test_garbage_is_what_it_is_one_by_one(bodies: list[bytes], schema: AvroSchema) -> None:
    for line, data in zip(reader(schema)(bodies), bodies, strict=True):
        assert line in {None, one_by_one(data, schema)}


@st.composite
def schemas_with_records(draw: st.DrawFn) -> tuple[AvroSchema, list[dict]]:
    """Draws any schema that is read at once, and records of it."""
    fields, values = [], {}
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=6))):
        null = draw(st.sampled_from([None, 0, 1]))
        of = FIELDS[kind] if null is None else [FIELDS[kind]]
        if null is not None:
            of.insert(null, "null")
        fields.append({"name": f"f{number}", "type": of})
        values[f"f{number}"] = VALUES[kind] if null is None else VALUES[kind] | st.none()
    schema = AvroSchema(json.dumps({"type": "record", "name": "any", "fields": fields}))
    return schema, draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=5))


def by_fastavro(data: bytes, schema: AvroSchema) -> dict | None:
    file = io.BytesIO(data)
    try:
        found = fastavro.schemaless_reader(file, schema.parsed)
    except (EOFError, ValueError, IndexError, OverflowError):
        return None
    return found if file.tell() == len(data) else None


@given(schemas_with_records(), st.data())
def test_what_is_read_at_once_is_what_fastavro_reads_whatever_the_schema_and_the_damage(
    of: tuple[AvroSchema, list[dict]], data: st.DataObject
) -> None:
    schema, found = of
    bodies = [body(record, schema) for record in found]
    for place in data.draw(st.sets(st.integers(0, len(bodies) - 1))):
        bodies[place] = data.draw(damaged(bodies[place]))
    read = block_reader(schema)
    assert read is not None
    rows, is_odd = read.columns(bodies)
    for record, odd, line, each in zip(rows.to_dicts(), is_odd, read(bodies), bodies, strict=True):
        assert odd or record == by_fastavro(each, schema)
        assert line == (None if odd else one_by_one(each, schema))


@pytest.mark.parametrize(
    "schema",
    [
        '"long"',
        '{"type":"record","name":"r","fields":[]}',
        '{"type":"record","name":"r","fields":[{"name":"x","type":"double"}]}',
        '{"type":"record","name":"r","fields":[{"name":"x","type":{"type":"array","items":"long"}}]}',
        '{"type":"record","name":"r","fields":[{"name":"x","type":["null","long","string"]}]}',
        '{"type":"record","name":"r","fields":[{"name":"x","type":["null"]}]}',
        '{"type":"record","name":"r","fields":[{"name":"x","type":{"type":"long","logicalType":"timestamp-millis"}}]}',
    ],
)
def test_other_schemas_are_read_one_by_one(schema: str) -> None:
    assert block_reader(AvroSchema(schema)) is None


def test_all_messages_of_the_shop_are_read_at_once() -> None:
    assert all(block_reader(schema_of(record_type)) for _, record_type in TOPICS.values())


def test_a_decoder_gives_the_same_whatever_there_is_between_many(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of(TRANSFERS)
    record = {
        "account_id": 1,
        "account_region": "North",
        "transaction_value": Decimal("4310.27"),
        "transfer_time": None,
    }
    value = module.SINGLE_OBJECT + schema.fingerprint + body(record, schema)
    values = [value, value[:-1], b"", value, b"oops", value + b"!", value]
    decode = make_decoder(ValueFormat("avro"))
    wanted = decode(values)
    assert [isinstance(line, Fault) for line in wanted] == [False, True, True, False, True, True, False]
    monkeypatch.setattr(module, "_LEAST_AT_ONCE", 2)
    assert decode(values) == wanted
    assert decode(values[1:]) == wanted[1:]
    assert decode(values[2:]) == wanted[2:]
