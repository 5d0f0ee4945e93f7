import io

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings

from sinks.files.avro import write_avro
from tests.sinks.frames import SCHEMA, frames


def encode_avro(rows):
    sink = io.BytesIO()
    write_avro(rows.schema, [rows], sink)
    return sink.getvalue()


@settings(max_examples=25)
@given(frames())
def test_the_same_rows_give_the_same_bytes(rows):
    assert encode_avro(rows) == encode_avro(pl.DataFrame(rows.to_dicts(), schema=SCHEMA, orient="row"))


def test_blocks_are_deflated():
    assert fastavro.reader(io.BytesIO(encode_avro(pl.DataFrame({"a": [1]})))).codec == "deflate"


def test_a_type_that_avro_lacks_is_refused():
    with pytest.raises(ValueError, match="Avro has no type for UInt64, of Result_big"):
        encode_avro(pl.DataFrame({"big": [1]}, schema={"big": pl.UInt64}))


def test_a_name_that_avro_cannot_use_is_refused():
    with pytest.raises(ValueError, match="letters, digits and _ only, got 'net weight'"):
        encode_avro(pl.DataFrame({"net weight": [1]}))
