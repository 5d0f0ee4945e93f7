"""Files that are there whole or not at all, compressed by their ending; and reading them again."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from sinks.files.atomic import remove_left_behind, whole_file

_GZIP_LEVEL = 4


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing under a temporary name beside it; give it its name once all is written.

    Its folder is made where it is missing. A name that ends in ``.gz`` or ``.zst`` is compressed. What fails leaves no
    trace. A device or a pipe is written to as it is.

    Raises:
        OSError: as opening, writing and renaming do.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as raw, _compressed(raw, path.suffix) as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(path)
    with ExitStack() as stack:
        raw = stack.enter_context(os.fdopen(stack.enter_context(whole_file(path)), "wb", closefd=False))
        yield stack.enter_context(_compressed(raw, path.suffix))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a plain, ``.gz`` or ``.zst`` file for reading.

    Raises:
        OSError: as opening does.
    """
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        if path.suffix == ".gz":
            yield cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb")))
        elif path.suffix == ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
            yield cast("BinaryIO", stack.enter_context(io.BufferedReader(reader)))
        else:
            yield raw


@contextmanager
def _compressed(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix == ".gz":
        # No name and no time inside, so that the same bytes give the same file.
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as file:
            yield cast("BinaryIO", file)
    elif suffix == ".zst":
        with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as writer:
            yield cast("BinaryIO", writer)
    else:
        yield raw
