"""The formats of files by their endings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Format = Literal["jsonl", "json", "avro", "parquet", "ndjson", "txt", "csv"]

#: How results become files: all in one, one for each window, or those of windows in a folder that is read as a table.
Files = Literal["single", "per-window", "hive"]

#: The formats by ending; ``.json`` is for the ``by_key`` shape only, which is one document.
FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".json": "json", ".avro": "avro", ".parquet": "parquet"}
#: The formats that only single records are written in, as they come: results are not.
LINE_FORMATS: dict[str, Format] = {".txt": "txt", ".csv": "csv", ".ndjson": "ndjson"}
_EXPECTED = ".jsonl, .avro, .parquet"


def format_of(path: str) -> Format:
    """Return the format that the ending of a path stands for, in capitals or not.

    Raises:
        ValueError: no format is known by that ending.
    """
    found = FORMATS.get(Path(path).suffix.lower())
    if found is None:
        raise ValueError(f"unknown ending in {path!r}: expected {_EXPECTED}")
    return found
