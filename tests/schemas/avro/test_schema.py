import json
import re

import fastavro
import pytest
from fastavro.schema import to_parsing_canonical_form

from schemas.avro.schema import AvroSchema, read_schema, schema_of, shown_fingerprint
from schemas.avro.wire_format import own_schemas
from schemas.bank import TRANSFERS
from schemas.smoothies import PURCHASES
from tests.strategies import SALE, VISIT

_EMPTY = 0xC15D213AA4D7A795


def crc_64_avro(data: bytes) -> int:
    """The algorithm of the specification, as it stands there."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_EMPTY & -(value & 1))
        table.append(value)
    found = _EMPTY
    for byte in data:
        found = (found >> 8) ^ table[(found ^ byte) & 0xFF]
    return found


@pytest.mark.parametrize(
    ("schema", "fingerprint"),
    # From the shared tests of Avro itself (share/test/data/schema-tests.txt).
    [
        ('"int"', 0x7275D51A3F395C8F),
        ('"null"', 0x63DD24E7CC258F8A),
        ('"boolean"', 0x9F42FC78A4D4F764),
        ('"string"', 0x8F014872634503C7),
        ('{"type":"fixed","name":"foo","size":15}', 1756455273707447556),
    ],
)
def test_fingerprints_are_those_of_avro_itself(schema: str, fingerprint: int) -> None:
    assert AvroSchema(schema).fingerprint == fingerprint.to_bytes(8, "little")
    assert shown_fingerprint(AvroSchema(schema).fingerprint) == f"{fingerprint:016x}"


@pytest.mark.parametrize("schema", [*own_schemas(), *map(schema_of, (SALE, VISIT))], ids=lambda of: of.name)
def test_fingerprints_are_those_of_the_algorithm_in_the_specification(schema: AvroSchema) -> None:
    canonical = to_parsing_canonical_form(fastavro.parse_schema(json.loads(schema.text)))
    assert schema.fingerprint == crc_64_avro(canonical.encode()).to_bytes(8, "little")
    assert "logicalType" not in canonical


def test_fingerprints_of_our_own_types_never_change() -> None:
    # Messages that are in topics already name them; one that has to change needs another name.
    found = {of.name: shown_fingerprint(of.fingerprint) for of in own_schemas()}
    assert found == FINGERPRINTS


FINGERPRINTS = {
    "bank_transfer": "91c4e5508e2cb7f9",
    "HTTP_response": "9d0abbc9f46bdd91",
    "sale": "078bdd3ae97ed454",
    "GPS_fix": "e8852fdacc2d2ded",
    "product": "8acfa67aabb088b5",
    "purchase": "95f6a1aa6537fdf7",
    "restocking": "f9af728784a2ac8f",
    "lost_sale": "73d74fff8af4a0bc",
    "event": "58e03451694018dd",
}


def test_each_of_our_types_has_a_fingerprint_of_its_own() -> None:
    assert len({of.fingerprint for of in own_schemas()}) == len(own_schemas())


def test_the_schema_follows_from_the_record_type() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}
    moment = {"type": "long", "logicalType": "timestamp-micros"}
    assert json.loads(schema_of(TRANSFERS).text) == {
        "type": "record",
        "name": "bank_transfer",
        "fields": [
            {"name": "account_id", "type": "long"},
            {"name": "account_region", "type": "string"},
            {"name": "transaction_value", "type": decimal},
            {"name": "transfer_time", "type": ["null", moment], "default": None},
        ],
    }
    assert schema_of(TRANSFERS).name == "bank_transfer"
    assert json.loads(schema_of(VISIT).text)["fields"][1] == {"name": "ip", "type": "string"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("oops", "no Avro schema: Expecting value"),
        ("{}", "no Avro schema: 'type' is missing"),
        ("5", "no Avro schema: "),
        ('{"type":"record"}', 'no Avro schema: "name" is a required field'),
        ('{"type":"enum","name":"e"}', "no Avro schema: 'symbols' is missing"),
        ('{"type":"record","name":"a","fields":[{"name":"b","type":"nope"}]}', "no Avro schema: nope"),
        ("[" * 100_000, "no Avro schema: "),
    ],
)
def test_what_is_no_schema_is_refused_in_one_line(text: str, message: str, tmp_path) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        AvroSchema(text)
    assert "\n" not in str(caught.value)
    file = tmp_path / "a.avsc"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(f"{file} has {message}")):
        read_schema(str(file))


def test_a_schema_is_read_from_a_file(tmp_path) -> None:
    file = tmp_path / "a.avsc"
    file.write_text(schema_of(PURCHASES).text)
    assert read_schema(str(file)) == schema_of(PURCHASES)
    with pytest.raises(ValueError, match=r"cannot read .*missing\.avsc: No such file"):
        read_schema(str(tmp_path / "missing.avsc"))
    file.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"cannot read .*a\.avsc: it is not UTF-8"):
        read_schema(str(file))
