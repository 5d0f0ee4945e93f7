"""Looking over the lines of a block with numpy: where they begin and end, what is in them, when they happened."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.records import Dialect, RecordType

Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEWLINE, RETURN, QUOTE = 0x0A, 0x0D, 0x22
#: Comparing piece by piece keeps the result in the processor's cache: 2 ms for 16 MB, against 15 ms in one piece.
_PIECE_BYTES = 1 << 18
_WORD_BITS = 64


class Ranks:
    """Tells how often a byte occurs before any offset: a bit a byte, and a count every 64 of them."""

    def __init__(self, data: bytes, byte: int) -> None:
        """Looks through the bytes once: some 3 ms for 16 MB, without the interpreter's lock."""
        view = np.frombuffer(data, np.uint8)
        bits = np.zeros((len(view) // _WORD_BITS + 1) * (_WORD_BITS // 8), np.uint8)
        for start in range(0, len(view), _PIECE_BYTES):
            packed = np.packbits(view[start : start + _PIECE_BYTES] == byte, bitorder="little")
            bits[start // 8 : start // 8 + len(packed)] = packed
        self._words = bits.view(np.dtype("<u8"))
        counts = np.bitwise_count(self._words)
        self._before_word = np.cumsum(counts, dtype=np.int64) - counts

    def before(self, offsets: Offsets) -> Offsets:
        """Gives the count of the byte before each offset."""
        word, bit = offsets // _WORD_BITS, (offsets % _WORD_BITS).astype(np.uint64)
        below = (np.uint64(1) << bit) - np.uint64(1)
        return self._before_word[word] + np.bitwise_count(self._words[word] & below)


class Lines(NamedTuple):
    """Where lines begin, and where they end without their line end."""

    starts: Offsets
    stops: Offsets

    def only(self, which: Flags) -> Lines:
        """Gives some of the lines."""
        return Lines(self.starts[which], self.stops[which])


def find_byte(data: bytes, byte: int) -> Offsets:
    """Gives the offsets of a byte."""
    view = np.frombuffer(data, np.uint8)
    found = [
        np.flatnonzero(view[start : start + _PIECE_BYTES] == byte) + start
        for start in range(0, len(view), _PIECE_BYTES)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def find_lines(data: bytes) -> Lines:
    r"""Finds the lines that have something in them. One ``\r`` before the ``\n`` belongs to the line end."""
    view = np.frombuffer(data, np.uint8)
    ends = find_byte(data, NEWLINE)
    if data and not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    stops = ends - ((ends > starts) & (view[np.maximum(ends - 1, 0)] == RETURN)) if data else ends
    lines = Lines(starts, stops)
    filled = stops > starts
    return lines if filled.all() else lines.only(filled)


def count_in_lines(data: bytes, byte: int, lines: Lines) -> Offsets:
    """Counts a byte in each line, its line end left out."""
    ranks = Ranks(data, byte)
    return ranks.before(lines.stops) - ranks.before(lines.starts)


def are_plain(data: bytes, lines: Lines, dialect: Dialect, width: int) -> Flags:
    """Tells which lines have the right number of fields, beyond doubt, and so may go to a fast parser.

    Without quotes in the line the separators settle it. A line with quotes is plain if its quotes are, in turn, right
    after and right before a separator or the line's border, which rules out doubled and stray ones.
    """
    separators = Ranks(data, ord(dialect.separator))
    counts = separators.before(lines.stops) - separators.before(lines.starts)
    quotes = find_byte(data, QUOTE) if dialect.quoted else np.zeros(0, np.int64)
    if not len(quotes):
        return np.asarray(counts == width - 1)
    line_of = np.searchsorted(lines.starts, quotes, side="right") - 1
    per_line = np.bincount(line_of, minlength=len(lines.starts))
    nth = np.arange(len(quotes)) - (np.cumsum(per_line) - per_line)[line_of]
    view = np.frombuffer(data, np.uint8)
    mark = ord(dialect.separator)
    opens = (quotes == lines.starts[line_of]) | (view[np.maximum(quotes - 1, 0)] == mark)
    closes = (quotes + 1 == lines.stops[line_of]) | (view[np.minimum(quotes + 1, len(view) - 1)] == mark)
    is_opening = nth % 2 == 0
    strays = np.bincount(line_of[~np.where(is_opening, opens, closes)], minlength=len(lines.starts))
    within = separators.before(quotes) * np.where(is_opening, -1, 1)
    hidden = np.bincount(line_of, weights=within, minlength=len(lines.starts)).astype(np.int64)
    return np.asarray((strays == 0) & (per_line % 2 == 0) & (counts - hidden == width - 1))


def lines_beyond_ascii(data: bytes, lines: Lines) -> Offsets:
    """Gives the numbers of the lines that have bytes beyond ASCII in them."""
    if data.isascii():
        return np.zeros(0, np.int64)
    found = np.flatnonzero(np.frombuffer(data, np.uint8) > 0x7F)  # noqa: PLR2004
    return np.unique(np.searchsorted(lines.starts, found, side="right") - 1)


def join_lines(data: bytes, lines: Lines, which: Flags) -> bytes:
    """Gives the bytes of some of the lines with their line ends, copying runs of them; nothing is copied for all."""
    starts, stops = lines.only(which)
    view = np.frombuffer(data, np.uint8)
    has_return = view[np.minimum(stops, len(data) - 1)] == RETURN
    ends = stops + has_return + 1
    breaks = np.flatnonzero(ends[:-1] != starts[1:])
    firsts = np.concatenate(([0], breaks + 1))
    lasts = np.concatenate((breaks, [len(starts) - 1]))
    runs = [data[first:last] for first, last in zip(starts[firsts].tolist(), ends[lasts].tolist(), strict=True)]
    return runs[0] if len(runs) == 1 else b"".join(runs)


def event_times(data: bytes, lines: Lines, record_type: RecordType, dialect: Dialect) -> Offsets:
    """Gives the event time of each line in microseconds; a line without a readable one has that of the line before.

    Good enough for watermarks and pacing, at a million lines a second: a separator inside quotes may spoil a time.
    """
    place = record_type.order(dialect).index(record_type.event_time)
    texts = [data[start:stop].decode("latin-1") for start, stop in zip(*map(np.ndarray.tolist, lines), strict=True)]
    times = (
        pl.Series(texts, dtype=pl.String)
        .str.splitn(dialect.separator, place + 2)
        .struct[place]
        .str.strip_chars('"')
        .str.to_datetime(record_type.time_format, time_unit="us", strict=False, cache=False)
        .fill_null(strategy="forward")
        .fill_null(strategy="backward")
        .to_physical()
        .fill_null(0)
    )
    return times.to_numpy().astype(np.int64)
