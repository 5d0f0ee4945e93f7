"""The schema of frames, and bodies of their rows as fastavro reads them."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import polars as pl
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from schemas.avro.columns import encode_bodies, frame_schema
from tests.sinks.frames import SCHEMA, frames


@settings(max_examples=50)
@given(frames())
def test_bodies_of_every_kind_of_column_read_back_equal(rows: pl.DataFrame) -> None:
    schema = frame_schema(rows.schema, "Totals")
    found = [fastavro.schemaless_reader(io.BytesIO(body), schema.parsed) for body in encode_bodies(rows, schema)]
    assert_frame_equal(pl.DataFrame(found, schema=SCHEMA, orient="row"), rows)


def test_the_schema_follows_from_the_types_alone() -> None:
    assert json.loads(frame_schema(SCHEMA, "Totals").text) == {
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


def decimal_type(scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale}


def top_type() -> dict[str, Any]:
    fields = [{"name": "by", "type": ["null", decimal_type(9)]}, {"name": "value", "type": ["null", "string"]}]
    return {"type": "record", "name": "Totals_top", "fields": fields}
