"""Finding records whose quoted fields have line ends in them: lines that belong together, in a block or at its end.

A record of several lines begins with a line in which a quoted field is not closed, and ends with the line where it is,
if that gives as many fields as a record has. So a quote that nobody has closed takes no other record with it. What
belongs together does not depend on how a file is cut, as no record of several lines is longer than MAX_JOINED_BYTES.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from schemas.record_type import Dialect
from schemas.text.lines import NEWLINE, RETURN, Lines, count_in_lines, find_lines, has_odd_quotes, have_odd_quotes

#: A record of several lines has so many bytes at most.
MAX_JOINED_BYTES = 1 << 20


class _End(NamedTuple):
    """Where a record ends that was read from its first byte on, and how many fields it has; -1 where that is open."""

    stop: int
    fields: int


def find_records(data: bytes, dialect: Dialect) -> Lines:
    """Return where records begin and end, without their line ends; lines that have nothing in them are none."""
    lines = find_lines(data)
    return lines if not dialect.width else _joined(data, lines, dialect)[0]


def may_have_joined(data: bytes, dialect: Dialect) -> bool:
    """Return whether some lines of a block that begins with a record may belong together; quick, and False is sure."""
    if not dialect.quoted or dialect.quote.encode() not in data:
        return False
    return (bool(dialect.escape) and dialect.escape.encode() in data) or has_odd_quotes(data, dialect)


def last_record_end(data: bytes, end: int, dialect: Dialect, limit: int, *, is_last: bool) -> int:
    """Return where the last record ends that begins before ``end``, with its line end.

    Where its end is not in the data, that is where it begins. It may be 0, then, if the data are less than a record of
    several lines may have.

    Args:
        data: bytes that begin with a record.
        end: behind some line end.
        dialect: has the fields of a record.
        limit: the most bytes of a record of several lines.
        is_last: whether nothing follows the data.
    """
    lines, open_from = _joined(data, find_lines(data), dialect, limit, is_last=is_last)
    if 0 <= open_from < end:
        return open_from
    count = int(np.searchsorted(lines.starts, end))
    if not count:  # there are lines with nothing in them only
        return end
    behind = data.find(b"\n", int(lines.stops[count - 1])) + 1
    return max(end, behind or len(data))


def has_open_line(data: bytes, dialect: Dialect) -> bool:
    """Return whether a quoted field is not closed at the end of some line, each looked at by itself."""
    lines = find_lines(data)
    for number in _candidates(data, lines, dialect):
        start = int(lines.starts[number])
        stop = _end_of_record(data, start, min(len(data), start + MAX_JOINED_BYTES), dialect).stop
        if stop < 0 or stop > int(lines.stops[number]) + 1:
            return True
    return False


def _joined(
    data: bytes, lines: Lines, dialect: Dialect, limit: int = MAX_JOINED_BYTES, *, is_last: bool = True
) -> tuple[Lines, int]:
    """Return the records, and where one begins that may go on behind the data; -1 for none."""
    starts, stops = lines
    stops = stops.copy()
    is_first = np.ones(len(starts), bool)
    free = 0
    open_from = -1
    for number in _candidates(data, lines, dialect):
        start = int(starts[number])
        if start < free:
            continue
        end = _end_of_record(data, start, min(len(data), start + limit), dialect, is_last=is_last)
        if end.stop < 0:
            if start + limit > len(data) and not is_last:
                # Whether it is closed is not known here, and so nothing is known of what is behind it.
                open_from = start
                break
            continue
        if end.stop <= int(stops[number]) or end.fields != dialect.width:
            continue
        free = end.stop + 1
        last = int(np.searchsorted(starts, end.stop, side="right"))
        is_first[number + 1 : last] = False
        stops[number] = end.stop - (data[end.stop - 1] == RETURN)
    return Lines(starts, stops).only(is_first) if not is_first.all() else Lines(starts, stops), open_from


def _candidates(data: bytes, lines: Lines, dialect: Dialect) -> list[int]:
    """Return the numbers of lines that may have a quoted field that is not closed."""
    if not dialect.quoted or not len(lines.starts):
        return []
    is_odd = have_odd_quotes(data, lines, dialect)
    if dialect.escape and dialect.escape.encode() in data:
        is_odd |= count_in_lines(data, ord(dialect.escape), lines) > 0
    return [int(number) for number in np.flatnonzero(is_odd)]


def _end_of_record(data: bytes, start: int, limit: int, dialect: Dialect, *, is_last: bool = True) -> _End:
    """Read a record from its first byte to the line end that is in no quoted field.

    Gives -1 for its end where it is open at the limit, and the line's own end, with no fields, where it breaks the
    rules of quoting.
    """
    quote, separator, escape = ord(dialect.quote), ord(dialect.separator), ord(dialect.escape or dialect.quote)
    special = (quote, separator, escape)
    marks = re.compile(b"[\n" + re.escape(bytes({quote, separator, escape})) + b"]")
    fields, field_start, behind, is_inside = 1, start, start, False
    for found in marks.finditer(data, start, limit):
        at = found.start()
        if at < behind:
            continue
        mark = data[at]
        after = data[at + 1] if at + 1 < len(data) else NEWLINE
        if dialect.escape and mark == escape and after in special:
            behind = at + 2
        elif is_inside:
            if mark == quote and after == quote:
                behind = at + 2
            elif mark == quote:
                is_inside = False
                is_end = after == NEWLINE or (after == RETURN and data[at + 2 : at + 3] in (b"", b"\n"))
                if after != separator and not is_end:
                    return _End(start, 0)
        elif mark == NEWLINE:
            return _End(at, fields)
        elif mark == separator:
            fields, field_start = fields + 1, at + 1
        elif mark == quote and at == field_start:
            is_inside = True
    return _End(limit, fields) if is_last and not is_inside and limit == len(data) else _End(-1, 0)
