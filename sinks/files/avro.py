"""Avro container files of frames."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import chain
from typing import IO

import fastavro
import polars as pl

from schemas.avro.columns import avro_records, frame_schema

_SYNC_BYTES = 16


def write_avro(schema: pl.Schema, parts: Iterable[pl.DataFrame], sink: IO[bytes], name: str = "Result") -> None:
    """Write a container file, its blocks deflated; the same rows give the same bytes, in whatever parts they come.

    Raises:
        ValueError: Avro has no type for a column, or cannot use its name.
    """
    text = frame_schema(schema, name).text
    # The marker between blocks is random by custom; nothing asks more of it than to be rare in the data.
    marker = hashlib.blake2b(text.encode(), digest_size=_SYNC_BYTES).digest()
    records = chain.from_iterable(map(avro_records, parts))
    fastavro.writer(sink, json.loads(text), records, codec="deflate", sync_marker=marker, strict=True)
