"""Avro container files of frames."""

from __future__ import annotations

import hashlib
import io
import json

import fastavro
import polars as pl

from schemas.avro.columns import avro_records, frame_schema

_SYNC_BYTES = 16


def encode_avro(rows: pl.DataFrame, name: str = "Result") -> bytes:
    """Return the container file, its blocks deflated; the same rows give the same bytes.

    Raises:
        ValueError: Avro has no type for a column, or cannot use its name.
    """
    schema = frame_schema(rows.schema, name).text
    # The marker between blocks is random by custom; nothing asks more of it than to be rare in the data.
    marker = hashlib.blake2b(schema.encode(), digest_size=_SYNC_BYTES).digest()
    sink = io.BytesIO()
    records = avro_records(rows)
    fastavro.writer(sink, json.loads(schema), records, codec="deflate", sync_marker=marker, strict=True)
    return sink.getvalue()
