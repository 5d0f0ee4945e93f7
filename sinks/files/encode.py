"""Tables into the bytes of files, part by part: the bytes depend on the parts alone, so a second try gives the same."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import IO

import polars as pl
import pyarrow.parquet as pq

from sinks.files.avro import write_avro
from sinks.files.formats import Format
from sinks.files.json_text import json_lines


def write_table(kind: Format, columns: pl.DataFrame, parts: Iterable[pl.DataFrame], sink: IO[bytes]) -> None:
    """Write a table, of which one part at a time is in memory.

    Args:
        kind: the format.
        columns: a frame with the columns of all parts; its rows do not matter.
        parts: the rows, in order; of Parquet each becomes a row group.
        sink: takes the bytes.

    Raises:
        ValueError: the format has no type for a column, or cannot use its name.
        OSError: as writing does.
    """
    if kind == "parquet":
        _write_parquet(columns.clear(), parts, sink)
    elif kind == "avro":
        write_avro(columns.schema, parts, sink)
    else:
        for part in parts:
            sink.write(json_lines(part))


def encode_table(kind: Format, rows: pl.DataFrame) -> bytes:
    """Return the bytes of a table that is one part; see :func:`write_table`."""
    sink = io.BytesIO()
    write_table(kind, rows, [rows], sink)
    return sink.getvalue()


def _write_parquet(empty: pl.DataFrame, parts: Iterable[pl.DataFrame], sink: IO[bytes]) -> None:
    oldest = pl.CompatLevel.oldest()
    with pq.ParquetWriter(sink, empty.to_arrow(compat_level=oldest).schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part.to_arrow(compat_level=oldest), row_group_size=max(1, part.height))
