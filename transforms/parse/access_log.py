"""Parsing access logs of web servers, in the common and the combined format."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from schemas.record_type import Column, Dialect, RecordType
from schemas.time_formats import TimeFormat
from transforms.parse.parser import ParseRecords, decoded
from transforms.parse.patterns import Pattern, PatternParser
from transforms.parse.values import read_integer, read_ip, read_time, shown

_QUOTED = r'(?:[^"\\]|\\.)*'
#: A line, cut in parts: what stands before, in and behind each column. A dash alone means that there is nothing.
_PARTS = (
    ("^", "ip", "[^ ]+", ""),
    (r" (?:[^ \[]+ )+\[", "time", r"[^\]]*", r"\]"),
    (' "', "request", _QUOTED, '"'),
    (" (?:-|", "status_code", "[0-9]{3}", ")"),
    (" (?:-|", "bytes", "[0-9]+", ")"),
    ('(?: "', "referer", _QUOTED, '"'),
    (' "', "agent", _QUOTED, '")?$'),
)
_IN_QUOTES = frozenset(name for _, name, inside, _ in _PARTS if inside == _QUOTED)
LOG_LINE = re.compile("".join(f"{before}(?P<{name}>{inside}){behind}" for before, name, inside, behind in _PARTS))
#: Numbers of more digits are read one by one.
_FEW_DIGITS = "[0-9]{1,18}"


class AccessLogParser(PatternParser):
    """Parse one block after the other: one pattern for all lines, and Python's for what looks unusual in those."""

    def __init__(self, record_type: RecordType, *wanted: Any) -> None:
        """Check the columns.

        Raises:
            ValueError: the record type, or an access log, has no such column.
        """
        super().__init__(record_type, *wanted)
        for column in record_type.columns:
            if column.kind in ("decimal", "boolean"):
                raise ValueError(f"an access log has no column of the kind {column.kind}, as {column.name!r} is")
        for name in record_type.names:
            if name not in LOG_LINE.groupindex:
                raise ValueError(f"an access log has no column {name!r}, only {', '.join(LOG_LINE.groupindex)}")

    def find_pattern(self, line: str) -> Pattern | None:  # noqa: ARG002 - all lines are alike
        """Return the pattern of access logs, in which only the wanted columns are groups."""
        wanted = {column.name for column in (*self._first, *self._then)}
        regex = ""
        for before, name, inside, behind in _PARTS:
            cut = _FEW_DIGITS if name == "bytes" and name in wanted else inside
            regex += f"{before}{'(' if name in wanted else '(?:'}{cut}){behind}"
        columns = tuple(name for _, name, _, _ in _PARTS if name in wanted)
        return Pattern(regex.removesuffix("$") + "()$", columns)

    def cut(self, column: str, group: pl.Expr) -> pl.Expr:
        """Return the text of a column; in quotes, a dash alone is none."""
        return pl.when(group != "-").then(group) if column in _IN_QUOTES else group

    def read_texts(self, texts: pl.Series) -> pl.Series:
        """Return them as they are."""
        return texts

    def read_record(self, raw: bytes, dialect: Dialect) -> tuple[dict[str, Any], str]:
        """Return the values of a record, and why one that the filter does not need cannot be read.

        Raises:
            ValueError: the record cannot be read at all.
        """
        text = decoded(raw, dialect.encoding)
        match = LOG_LINE.fullmatch(text)
        if match is None:
            raise ValueError(f"no line of the common or combined log format: {shown(text)}")
        return self._read_values(lambda column: _read_value(column, match[column.name], self._type.times))


class ParseAccessLog(ParseRecords):
    r"""Parse blocks (or single lines) of an access log, in the common or the combined log format, into frames.

    ``host ident user [06/May/2019:17:24:53 +0200] "request" status bytes``, and maybe ``"referer" "agent"``. The
    columns are ``time``, ``ip``, ``status_code``, ``request``, ``bytes``, ``referer`` and ``agent``; each of the record
    type's has to be one of them. The time is turned into UTC. The host has to be an address: a name is rejected. What a
    server wrote in quotes is kept as it wrote it, escapes such as ``\"`` too; a dash alone is a missing value.

    The order of the checks, the outputs, and the attributes are those of :class:`transforms.parse.parser.ParseRecords`.

    >>> from schemas.http import ACCESS_LOG
    >>> errors = ParseAccessLog(ACCESS_LOG, where=pl.col("status_code").is_between(500, 599))
    """

    block_parser = AccessLogParser


def _read_value(column: Column, text: str | None, times: TimeFormat) -> Any:
    """Return the value of a part of the line; None where it is missing.

    Raises:
        ValueError: it cannot be read, or is missing where it must not be.
    """
    name = column.name
    if text is None or (text == "-" and name in _IN_QUOTES):
        if column.required:
            raise ValueError(f"{name} is missing")
        return None
    if column.kind == "integer":
        return read_integer(name, text)
    if column.kind == "ip":
        return read_ip(name, text)
    if column.kind == "time":
        return read_time(name, text, times)
    return text
