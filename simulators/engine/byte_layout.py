"""Layout: columns of whole numbers become the bytes of records, with no work per record in Python.

A record is pieces of fixed width (numpy ``S`` fields) that are looked up in tables; the zero bytes that pad them are
deleted from thousands of records at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.bytes_]
#: A piece of a record: always the same, or looked up in a table for each record.
Piece = str | tuple[Texts, Ints]

_BLOCK_ROWS = 2_048


def table(texts: Iterable[str]) -> Texts:
    """Return a table of texts, which must have no zero bytes."""
    return np.array([text.encode() for text in texts])


_MINUTES = table(f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60))
#: ``00:00:00`` to ``23:59:59``.
SECONDS_OF_DAY = np.char.add(_MINUTES[:, np.newaxis], table(f":{second:02}" for second in range(60))).ravel()


def lay_out(pieces: list[Piece], rows: int) -> bytes:
    """Put the pieces of every row next to each other, some thousand rows at a time so that they stay in the cache."""
    pieces = [piece for piece in pieces if piece]
    kinds = [f"S{len(piece)}" if isinstance(piece, str) else piece[0].dtype.str for piece in pieces]
    layout = np.dtype([(f"f{place}", kind) for place, kind in enumerate(kinds)])
    template = np.zeros(1, layout)
    looked_up = []
    for place, piece in enumerate(pieces):
        if isinstance(piece, str):
            template[f"f{place}"] = piece.encode()
        else:
            looked_up.append((f"f{place}", *piece))
    buffer = bytearray(template.tobytes() * min(rows, _BLOCK_ROWS))
    records = np.frombuffer(buffer, layout)
    done = []
    for start in range(0, rows, _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, rows - start)
        for name, table, index in looked_up:
            records[name][:count] = table.take(index[start : start + count])
        done.append(buffer[: count * layout.itemsize].translate(None, b"\0"))
    return b"".join(done)
