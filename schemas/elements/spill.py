"""Frames in temporary files, for what is more than memory has room for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl


def spill(rows: pl.DataFrame, folder: str | None = None, batch_rows: int = 25_000) -> str:
    """Write a frame into a new file of Arrow IPC, and return its path; whoever has the folder removes it.

    Args:
        rows: the frame.
        folder: where; by default where this process has its temporary files.
        batch_rows: so many rows are read at a time, at least.

    Raises:
        OSError: it cannot be written, and is not there then; the message says where.
    """
    folder, oldest = folder or tempfile.gettempdir(), pl.CompatLevel.oldest()
    try:
        with tempfile.NamedTemporaryFile(suffix=".arrow", dir=folder, delete=False) as file:
            try:
                rows.write_ipc(file, compression="lz4", record_batch_size=batch_rows, compat_level=oldest)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise OSError(f"cannot write a temporary file in {folder}: {error.strerror or error}") from error
    return file.name


def read_slice(path: str, offset: int, rows: int) -> pl.DataFrame:
    """Return some rows of a file of :func:`spill`, which is not read whole."""
    return pl.scan_ipc(path, glob=False).slice(offset, rows).collect()
