import io

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from sinks.files.avro import avro_schema, encode_avro
from tests.sinks.frames import SCHEMA, frames


@settings(max_examples=50)
@given(frames())
def test_rows_read_back_equal(rows):
    found = list(fastavro.reader(io.BytesIO(encode_avro(rows))))
    assert_frame_equal(pl.DataFrame(found, schema=SCHEMA, orient="row"), rows)


@settings(max_examples=25)
@given(frames())
def test_the_same_rows_give_the_same_bytes(rows):
    assert encode_avro(rows) == encode_avro(pl.DataFrame(rows.to_dicts(), schema=SCHEMA, orient="row"))


def test_the_schema_follows_from_the_types_alone():
    assert avro_schema(SCHEMA, "Totals") == {
        "type": "record",
        "name": "Totals",
        "fields": [
            {"name": "upc", "type": ["null", "string"]},
            {"name": "description", "type": ["null", "string"]},
            {"name": "quantity", "type": ["null", decimal_type(9)]},
            {"name": "whole", "type": ["null", decimal_type(0)]},
            {"name": "count", "type": ["null", "long"]},
            {"name": "small", "type": ["null", "int"]},
            {"name": "ratio", "type": ["null", "double"]},
            {"name": "local", "type": ["null", "boolean"]},
            {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
            {"name": "seen", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
            {"name": "top", "type": ["null", {"type": "array", "items": ["null", top_type()]}]},
        ],
    }


def decimal_type(scale):
    return {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale}


def top_type():
    fields = [{"name": "by", "type": ["null", decimal_type(9)]}, {"name": "value", "type": ["null", "string"]}]
    return {"type": "record", "name": "Totals_top", "fields": fields}


def test_blocks_are_deflated():
    assert fastavro.reader(io.BytesIO(encode_avro(pl.DataFrame({"a": [1]})))).codec == "deflate"


def test_a_type_that_avro_lacks_is_refused():
    with pytest.raises(ValueError, match="Avro has no type for UInt64, of Result_big"):
        encode_avro(pl.DataFrame({"big": [1]}, schema={"big": pl.UInt64}))


def test_a_name_that_avro_cannot_use_is_refused():
    with pytest.raises(ValueError, match="letters, digits and _ only, got 'net weight'"):
        encode_avro(pl.DataFrame({"net weight": [1]}))
