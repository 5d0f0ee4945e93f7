import io
import json
from decimal import Decimal

import fastavro
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.files.encode import encode_table, write_table
from tests.sinks.frames import frames

READERS = {
    "avro": lambda data: list(fastavro.reader(io.BytesIO(data))),
    "parquet": lambda data: pl.read_parquet(data).to_dicts(),
}


def cut(rows: pl.DataFrame, places: list[int]) -> list[pl.DataFrame]:
    """Return the rows in pieces that end at some places, empty ones among them."""
    ends = sorted(min(place, rows.height) for place in places)
    return [rows[start:end] for start, end in zip([0, *ends], [*ends, rows.height], strict=True)]


@settings(max_examples=30, deadline=None)
@given(frames(), st.lists(st.integers(0, 6), max_size=3), st.sampled_from(["avro", "jsonl", "parquet"]))
def test_a_table_that_comes_in_parts_is_the_table(rows, places, kind):
    sink = io.BytesIO()
    write_table(kind, rows, cut(rows, places), sink)
    whole = encode_table(kind, rows)
    if kind == "parquet":  # each part is a row group
        assert READERS[kind](sink.getvalue()) == READERS[kind](whole) == rows.to_dicts()
    else:
        assert sink.getvalue() == whole


@pytest.mark.parametrize("kind", ["avro", "parquet"])
def test_a_table_without_rows_has_its_columns(kind):
    data = encode_table(kind, pl.DataFrame(schema={"upc": pl.String, "spend": pl.Decimal(38, 9)}))
    assert READERS[kind](data) == []
    assert b"spend" in data


def test_parts_are_row_groups_that_readers_can_skip():
    sink = io.BytesIO()
    parts = [pl.DataFrame({"n": range(start, start + 10)}) for start in (0, 10, 20)]
    write_table("parquet", parts[0], iter(parts), sink)
    groups = pq.ParquetFile(sink).metadata
    assert [groups.row_group(place).column(0).statistics.min for place in range(groups.num_row_groups)] == [0, 10, 20]


def test_each_row_is_one_line():
    rows = pl.DataFrame({"n": range(100_000), "text": [None, 'a"\n'] * 50_000})
    lines = encode_table("jsonl", rows).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line, parse_int=Decimal)["n"] for line in lines] == [*range(100_000)]
