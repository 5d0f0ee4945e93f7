"""Parsing delimited records: a block of bytes becomes a frame, and what does not parse leaves by another way."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from schemas.elements.block import Block
from schemas.elements.frames import EVENT_TIME, RECORD
from schemas.record_type import Dialect, Rejected
from schemas.text.dialect import split_record
from schemas.text.lines import (
    NEWLINE,
    RETURN,
    Flags,
    Lines,
    are_decodable,
    are_plain,
    are_records,
    count_in_lines,
    join_lines,
)
from schemas.text.records import find_records
from transforms.parse.parser import ODD, RAW, BlockParser, Parsed, ParseRecords, decoded
from transforms.parse.values import fast_type, is_missing, looks_odd, read_value


@dataclass
class ParseDelimited(ParseRecords):
    """Parse blocks (or single lines, as ``str`` or ``bytes``) of delimited records into frames.

    A record is checked in this order: the number of its fields, the event time and the columns that ``where`` reads;
    then ``where`` decides; then the other columns of those that stay. So a record that is not wanted is counted as
    filtered even if a column that nobody looked at holds nonsense.

    Text that is blank or ``NULL`` is missing; that rejects the record where the column is required. Decimals keep nine
    places: more (unless they are zeros) are rejected, never rounded.

    Gives a dict of two PCollections: ``records``, of :class:`schemas.elements.frames.Batch`, and ``rejected``, of
    :class:`schemas.record_type.Rejected`.

    Attributes:
        record_type: what the records are.
        columns: the columns to keep besides the event time; all typed ones if none are named.
        where: which records to keep, a polars expression over columns.
        dialect: how single lines are written, unquoted with the type's separator by default; blocks know their own.
    """

    dialect: Dialect | None = None

    def line_dialect(self) -> Dialect:
        """Return how single lines are written."""
        return self.dialect or super().line_dialect()


class _Plan(NamedTuple):
    """What polars is asked of any block: which columns as texts, by their names, and what to make of them."""

    raw: dict[str, str]
    first: list[pl.Expr]
    is_odd_first: pl.Expr
    then: list[pl.Expr]
    is_odd_then: pl.Expr


class Parser(BlockParser):
    """Parse one block after the other.

    Numpy finds the lines with the right number of fields, one lazy polars plan types and filters those, and what looks
    odd in either is read once more on its own, slowly, by the rule that decides: ``split_record`` and ``read_value``.
    """

    def parse(self, block: Block) -> Parsed:
        """Parse the records of the block."""
        missing = {column.name for column in (*self._first, *self._then)} - set(self._type.order(block.dialect))
        if missing:
            raise ValueError(f"{block.spans[0].origin} has no column {min(missing)!r}, by its header row")
        lines = find_records(block.data, block.dialect)
        is_record = are_records(block.data, lines, block.dialect)
        is_plain = is_record & self._are_plain(block, lines)
        try:
            rows = self._parse_plain(block, lines, is_plain)
        except (pl.exceptions.ComputeError, UnicodeDecodeError):  # no bytes are taken among which some are no text
            is_plain &= are_decodable(block.data, lines, block.dialect.encoding)
            rows = self._parse_plain(block, lines, is_plain)
        slow = np.flatnonzero(is_record & ~is_plain).tolist()
        frames = []
        if rows is not None:
            if not is_plain.all():
                numbers = pl.Series(np.flatnonzero(is_plain).astype(np.uint32))
                rows = rows.with_columns(numbers.gather(rows[RECORD]).alias(RECORD))
            odd = rows.filter(ODD)[RECORD].to_list()
            slow += odd
            frames.append((rows.filter(~pl.col(ODD)) if odd else rows).select(self._output))
        rejected: list[Rejected] = []
        if slow or not frames:
            frames.append(self._parse_slowly(block, lines, sorted(slow), rejected))
        rows = frames[0] if len(frames) == 1 else pl.concat(frames).sort(RECORD)
        return Parsed(rows, sorted(rejected), len(lines.starts))

    def _are_plain(self, block: Block, lines: Lines) -> Flags:
        """Return which lines the plan may have; whether they are UTF-8 is for polars to say."""
        data, dialect = block.data, block.dialect
        is_plain = are_plain(data, lines, dialect, len(self._type.order(dialect)))
        if b"\r" in data:  # polars drops one at the end of any field
            is_plain &= count_in_lines(data, RETURN, lines) == 0
        if dialect.width and not dialect.multiline:
            is_plain &= count_in_lines(data, NEWLINE, lines) == 0
        return is_plain

    def _parse_plain(self, block: Block, all_lines: Lines, is_plain: Flags) -> pl.DataFrame | None:
        """Types the columns that the filter needs, filters, types the others; rows that need a second look are ODD.

        None if there are no such lines. A line that polars would misread is taken out of ``is_plain``.
        """
        for number in np.flatnonzero(is_plain):
            if not block.data.startswith(codecs.BOM_UTF8, int(all_lines.starts[number])):
                break
            is_plain[number] = False  # at the beginning, polars would drop the byte order mark
        if not is_plain.any():
            return None
        dialect, order = block.dialect, self._type.order(block.dialect)
        data = join_lines(block.data, all_lines, is_plain)
        if dialect.encoding != "utf-8" and not data.isascii():
            data = data.decode(dialect.encoding).encode()
        lines = pl.scan_csv(
            data,
            has_header=False,
            separator=dialect.separator,
            quote_char=dialect.quote if dialect.quoted and dialect.quote.encode() in data else None,
            schema={str(place): pl.String for place in range(len(order))},  # whatever files call them
            empty_string_is_null=False,
            row_index_name=RECORD,
        )
        plan = self._plan
        places = {name: str(place) for place, name in reversed(list(enumerate(order)))}
        return (
            lines.select(RECORD, *(pl.col(places[name]).alias(alias) for name, alias in plan.raw.items()))
            .with_columns(plan.first)
            .with_columns(self._timed(block))
            .with_columns(plan.is_odd_first)
            .filter(pl.col(ODD) | self._where)
            .with_columns(plan.then)
            .with_columns(plan.is_odd_then)
            .select(*self._output, ODD)
            .collect()
        )

    def _timed(self, block: Block) -> list[pl.Expr]:
        """Return the column of the event time of records that may lack it."""
        raw = pl.col(f"{RAW}{self._type.event_time}")
        times = [column for column in self._first if column.name == self._type.event_time and not column.required]
        return self._arrived(block) + [
            self._or_arrival(column, pl.col(EVENT_TIME), is_missing(raw), block).alias(EVENT_TIME) for column in times
        ]

    @cached_property
    def _plan(self) -> _Plan:
        """Return the expressions that are the same for all blocks: to make them takes longer than to use them."""
        both = (*self._first, *self._then)
        raw = {column.name: f"{RAW}{column.name}" for column in both}
        typed = {c.name: fast_type(c, raw[c.name], self._type.times).alias(self._name(c.name)) for c in both}
        is_odd = {column.name: looks_odd(column, raw[column.name], self._name(column.name)) for column in both}
        return _Plan(
            raw,
            [typed[column.name] for column in self._first],
            pl.any_horizontal(pl.lit(value=False), *(is_odd[column.name] for column in self._first)).alias(ODD),
            [typed[column.name] for column in self._then],
            pl.any_horizontal(ODD, *(is_odd[column.name] for column in self._then)).alias(ODD),
        )

    def read_record(self, raw: bytes, dialect: Dialect) -> tuple[dict[str, Any], str]:
        """Return the values of a record, and why one that the filter does not need cannot be read.

        Raises:
            ValueError: the record cannot be read at all.
        """
        if dialect.width and not dialect.multiline and b"\n" in raw:
            raise ValueError("a line end in quotes: --multiline reads records of several lines")
        order = self._type.order(dialect)
        text = decoded(raw, dialect.encoding)
        fields = split_record(text, dialect.separator, dialect.quoted, dialect.quote, dialect.escape)
        if len(fields) != len(order):
            raise ValueError(f"expected {len(order)} fields, got {len(fields)}")
        texts = dict(zip(order, fields, strict=True))
        return self._read_values(lambda column: read_value(column, texts[column.name], self._type.times))
