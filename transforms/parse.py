"""Parsing delimited records: a block of bytes becomes a frame, and what does not parse leaves by another way."""

from __future__ import annotations

import codecs
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import polars as pl
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

from schemas.records import Dialect, RecordType, Rejected
from sources import board
from sources.block import NOTHING_IS_LATE, Block
from sources.dialect import split_record
from sources.scan import (
    RETURN,
    Flags,
    Lines,
    are_plain,
    are_utf8,
    count_in_lines,
    find_lines,
    join_lines,
)
from transforms.columns import EVENT_TIME, POLARS_TYPES, fast_type, looks_odd, read_value
from transforms.counting import FILTERED, READ, REJECTED, count
from transforms.frames import RECORD, Batch
from transforms.lines import BlocksOfLines

_ODD = "_odd"
#: From so many bytes on a block is parsed by a thread of its own.
_BIG_BYTES = 1 << 20


class Parsed(NamedTuple):
    """What becomes of a block: the rows that were wanted, those that could not be read, and how many records it had."""

    rows: pl.DataFrame
    rejected: list[Rejected]
    records: int


@dataclass
class ParseDelimited(beam.PTransform):
    """Parses blocks (or single lines, as ``str`` or ``bytes``) of delimited records into frames.

    A record is checked in this order: the number of its fields, the event time and the columns that ``where`` reads;
    then ``where`` decides; then the other columns of those that stay. So a record that is not wanted is counted as
    filtered even if a column that nobody looked at holds nonsense.

    Text that is blank or ``NULL`` is missing; that rejects the record where the column is required. Decimals keep nine
    places: more (unless they are zeros) are rejected, never rounded.

    Gives a dict of two PCollections: ``records``, of :class:`Batch`, and ``rejected``, of :class:`Rejected`.

    Attributes:
        record_type: what the records are.
        columns: the columns to keep besides the event time; all typed ones if none are named.
        where: which records to keep, a polars expression over columns.
        dialect: how single lines are written, unquoted with the type's separator by default; blocks know their own.
    """

    record_type: RecordType
    columns: tuple[str, ...] = ()
    where: pl.Expr | None = None
    dialect: Dialect | None = None

    def __post_init__(self) -> None:
        """Checks the names of the columns.

        Raises:
            ValueError: the record type has no such column.
        """
        super().__init__()
        for name in (*self.columns, *(self.where.meta.root_names() if self.where is not None else ())):
            if name not in self.record_type.names and name != EVENT_TIME:
                raise ValueError(f"{self.record_type.name} has no column {name!r}")

    def expand(self, pcoll: beam.PCollection) -> dict[str, beam.PCollection]:
        """Gathers single lines into blocks, and parses blocks."""
        if pcoll.element_type in (str, bytes):
            dialect = self.dialect or Dialect(self.record_type.separator)
            pcoll = pcoll | "GatherLines" >> BlocksOfLines(dialect)
        outputs = pcoll | "ParseBlocks" >> beam.ParDo(_ParseFn(self.parser())).with_outputs("rejected", main="records")
        outputs.records.element_type = Batch
        outputs.rejected.element_type = Rejected
        return {"records": outputs.records, "rejected": outputs.rejected}

    def parser(self) -> Parser:
        """Gives the function that does the work."""
        return Parser(self.record_type, self.columns, self.where)


class _ParseFn(beam.DoFn):
    """Parses small blocks at once, and big ones in threads, since numpy and polars let go of the interpreter."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    def setup(self) -> None:
        self._threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, "parse")

    def teardown(self) -> None:
        self._pool.shutdown()

    def start_bundle(self) -> None:
        self._pending: deque[_Pending] = deque()

    def process(
        self, block: Block, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[Any]:
        if len(block.data) < _BIG_BYTES:
            parsed: Future[Parsed] = Future()
            parsed.set_result(self._parser(block))
        else:
            parsed = self._pool.submit(self._parser, block)
        self._pending.append(_Pending(parsed, block, timestamp, window))
        while self._pending and (self._pending[0].parsed.done() or len(self._pending) > self._threads):
            yield from self._outputs(self._pending.popleft())

    def finish_bundle(self) -> Iterator[Any]:
        while self._pending:
            yield from self._outputs(self._pending.popleft())

    @staticmethod
    def _outputs(pending: _Pending) -> Iterator[Any]:
        parsed, block = pending.parsed.result(), pending.block
        if block.watermark != NOTHING_IS_LATE:
            board.set_watermark(block.watermark)
        count(READ, parsed.records)
        count(REJECTED, len(parsed.rejected))
        count(FILTERED, parsed.records - len(parsed.rejected) - parsed.rows.height)
        for rejected in parsed.rejected:
            yield TaggedOutput("rejected", WindowedValue(rejected, pending.timestamp, (pending.window,)))
        if parsed.rows.height:
            yield WindowedValue(Batch(parsed.rows, block), pending.timestamp, (pending.window,))


class _Pending(NamedTuple):
    """A block that is being parsed, and where its outputs belong."""

    parsed: Future[Parsed]
    block: Block
    timestamp: Any
    window: Any


class Parser:
    """Parses one block after the other; a pure function with its options, which pickles.

    Numpy finds the lines with the right number of fields, one lazy polars plan types and filters those, and what looks
    odd in either is read once more on its own, slowly, by the rule that decides: ``split_record`` and ``read_value``.
    """

    def __init__(self, record_type: RecordType, columns: tuple[str, ...] = (), where: pl.Expr | None = None) -> None:
        wanted = columns or tuple(column.name for column in record_type.columns)
        reads = where.meta.root_names() if where is not None else []
        first = dict.fromkeys((record_type.event_time, *(name for name in reads if name != EVENT_TIME)))
        then = (name for name in dict.fromkeys(wanted) if name not in first and name != EVENT_TIME)
        self._type = record_type
        self._reads = frozenset(reads)
        self._where = pl.lit(value=True) if where is None else where.fill_null(value=False)
        self._first = tuple(map(record_type.column, first))
        self._then = tuple(map(record_type.column, then))
        self._columns = {column.name for column in (*self._first, *self._then)}
        kept = dict.fromkeys(self._name(name) for name in (record_type.event_time, *wanted))
        self._output = (RECORD, *kept)

    def __call__(self, block: Block) -> Parsed:
        """Parses the records of the block."""
        if block.fault:
            return Parsed(pl.DataFrame(), [block.rejected(0, len(block.data), block.fault)], 1)
        missing = self._columns - set(self._type.order(block.dialect))
        if missing:
            raise ValueError(f"{block.spans[0].origin} has no column {min(missing)!r}, by its header row")
        lines = find_lines(block.data)
        is_plain = self._are_plain(block, lines)
        try:
            rows = self._parse_plain(block, lines, is_plain)
        except pl.exceptions.ComputeError:  # polars takes no bytes among which some are not UTF-8
            is_plain &= are_utf8(block.data, lines)
            rows = self._parse_plain(block, lines, is_plain)
        slow = np.flatnonzero(~is_plain).tolist()
        frames = []
        if rows is not None:
            if slow:
                numbers = pl.Series(np.flatnonzero(is_plain).astype(np.uint32))
                rows = rows.with_columns(numbers.gather(rows[RECORD]).alias(RECORD))
            odd = rows.filter(_ODD)[RECORD].to_list()
            slow += odd
            frames.append((rows.filter(~pl.col(_ODD)) if odd else rows).select(self._output))
        rejected: list[Rejected] = []
        if slow or not frames:
            frames.append(self._parse_slowly(block, lines, sorted(slow), rejected))
        rows = frames[0] if len(frames) == 1 else pl.concat(frames).sort(RECORD)
        return Parsed(rows, sorted(rejected), len(lines.starts))

    def _name(self, column: str) -> str:
        return EVENT_TIME if column == self._type.event_time else column

    def _are_plain(self, block: Block, lines: Lines) -> Flags:
        """Tells which lines the plan may have; whether they are UTF-8 is for polars to say."""
        data, dialect = block.data, block.dialect
        is_plain = are_plain(data, lines, dialect, len(self._type.order(dialect)))
        if b"\r" in data:  # polars drops one at the end of any field
            is_plain &= count_in_lines(data, RETURN, lines) == 0
        return is_plain

    def _parse_plain(self, block: Block, all_lines: Lines, is_plain: Flags) -> pl.DataFrame | None:
        """Types the columns that the filter needs, filters, types the others; rows that need a second look are _ODD.

        None if there are no such lines. A line that polars would misread is taken out of ``is_plain``.
        """
        for number in np.flatnonzero(is_plain):
            if not block.data.startswith(codecs.BOM_UTF8, int(all_lines.starts[number])):
                break
            is_plain[number] = False  # at the beginning, polars would drop the byte order mark
        if not is_plain.any():
            return None
        dialect = block.dialect
        data = join_lines(block.data, all_lines, is_plain)
        if dialect.encoding != "utf-8" and not data.isascii():
            data = data.decode(dialect.encoding).encode()
        lines = pl.scan_csv(
            data,
            has_header=False,
            separator=dialect.separator,
            quote_char='"' if dialect.quoted and b'"' in data else None,
            schema=dict.fromkeys(self._type.order(dialect), pl.String),
            empty_string_is_null=False,
            row_index_name=RECORD,
        )
        raw = {column.name: f"_raw_{column.name}" for column in (*self._first, *self._then)}
        typed = {c.name: fast_type(c, raw[c.name]).alias(self._name(c.name)) for c in (*self._first, *self._then)}
        first = [typed.pop(column.name) for column in self._first if self._name(column.name) in self._reads]
        then = typed.values()
        is_odd_first = [looks_odd(column, raw[column.name], self._name(column.name)) for column in self._first]
        is_odd_then = [looks_odd(column, raw[column.name], column.name) for column in self._then]
        return (
            lines.select(RECORD, *(pl.col(name).alias(alias) for name, alias in raw.items()))
            .with_columns(first)
            .with_columns(pl.any_horizontal(is_odd_first).alias(_ODD))
            .filter(pl.col(_ODD) | self._where)
            .with_columns(then)
            .with_columns(pl.any_horizontal(_ODD, *is_odd_then).alias(_ODD))
            .select(*self._output, _ODD)
            .collect()
        )

    def _parse_slowly(self, block: Block, lines: Lines, numbers: list[int], rejected: list[Rejected]) -> pl.DataFrame:
        """Parses records one by one; those that cannot be used are added to ``rejected``."""
        rows = []
        faults: dict[int, str] = {}
        for number in numbers:
            start, stop = int(lines.starts[number]), int(lines.stops[number])
            try:
                row, fault = self._read_record(block.data[start:stop], block.dialect)
            except ValueError as error:
                rejected.append(block.rejected(start, stop, str(error)))
                continue
            rows.append({RECORD: number, **row})
            if fault:
                faults[number] = fault
        schema: dict[str, Any] = {RECORD: pl.get_index_type()}
        schema |= {self._name(c.name): POLARS_TYPES[c.kind] for c in (*self._first, *self._then)}
        frame = pl.DataFrame(rows, schema, orient="row").filter(self._where)
        wanted_faults = [number for number in frame[RECORD].to_list() if number in faults]
        for number in wanted_faults:
            start, stop = int(lines.starts[number]), int(lines.stops[number])
            rejected.append(block.rejected(start, stop, faults[number]))
        return frame.filter(~pl.col(RECORD).is_in(wanted_faults)).select(self._output)

    def _read_record(self, raw: bytes, dialect: Dialect) -> tuple[dict[str, Any], str]:
        """Gives the values of a record, and why one that the filter does not need cannot be read.

        Raises:
            ValueError: the record cannot be read at all.
        """
        try:
            text = raw.decode(dialect.encoding)
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8 at byte {error.start} of the record") from None
        order = self._type.order(dialect)
        fields = split_record(text, dialect.separator, dialect.quoted)
        if len(fields) != len(order):
            raise ValueError(f"expected {len(order)} fields, got {len(fields)}")
        texts = dict(zip(order, fields, strict=True))
        values = {self._name(c.name): read_value(c, texts[c.name], self._type.time_format) for c in self._first}
        fault = ""
        for column in self._then:
            try:
                values[column.name] = read_value(column, texts[column.name], self._type.time_format)
            except ValueError as error:
                values[column.name] = None
                fault = fault or str(error)
        return values, fault
