"""What all parsers share: which columns they read and in which order, what they give, and the step that runs them."""

from __future__ import annotations

import json
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.pvalue import TaggedOutput

from schemas.elements.beam_patches import patch_beam
from schemas.elements.block import NOTHING_IS_LATE, Block, arrival_micros
from schemas.elements.frames import EVENT_TIME, RECORD, Batch
from schemas.elements.wiring import tell_rows
from schemas.record_type import Column, Dialect, RecordType, Rejected
from schemas.text.lines import Lines, find_lines
from schemas.times import to_datetime
from sources import progress as board
from sources.positions import delivery
from transforms.counting import FILTERED, READ, Tally, count, count_rejected, counting
from transforms.parse.lines_to_blocks import BlocksOfLines
from transforms.parse.values import POLARS_TYPES, shown
from transforms.threads import ThreadedFn
from transforms.untyped.column_counts import count_columns
from transforms.windows import Windows

#: In the plan of a parser, the column that tells which rows are read once more.
ODD = "_odd"
#: Before the names of columns, while they are texts: no column of anybody's is called so.
RAW = "\0raw "
#: From so many bytes on a block is parsed by a thread of its own.
_BIG_BYTES = 1 << 20


class Parsed(NamedTuple):
    """What becomes of a block: the rows that were wanted, those that could not be read, and how many records it had.

    ``columns`` counts what columns they turned out to have (see :mod:`transforms.untyped.column_counts`).
    """

    rows: pl.DataFrame
    rejected: list[Rejected]
    records: int
    columns: Mapping[str, int] = {}


class BlockParser(ABC):
    """Parse one block after the other; a pure function with its options, which pickles.

    A subclass has a fast way, and ``read_record``, the slow rule, record by record, that the fast way has to equal.

    Raises:
        ValueError: the record type has no such column.
    """

    def __init__(
        self,
        record_type: RecordType,
        columns: tuple[str, ...] = (),
        where: pl.Expr | None = None,
        windows: Sequence[Windows] = (),
    ) -> None:
        time = record_type.event_time
        wanted = columns or tuple(column.name for column in record_type.columns)
        reads = where.meta.root_names() if where is not None else []
        known = {*record_type.names, EVENT_TIME}
        for name in (*columns, *reads):
            if name not in known:
                raise ValueError(f"{record_type.name} has no column {name!r}, only {', '.join(record_type.names)}")
        check_names((*wanted, *reads), record_type)
        first = dict.fromkeys((*([time] if time else []), *(name for name in reads if name != EVENT_TIME)))
        then = (name for name in dict.fromkeys(wanted) if name not in first and name != EVENT_TIME)
        self._type = record_type
        self._windows = tuple(windows)
        self._is_guarded = False
        self._where = pl.lit(value=True) if where is None else where.fill_null(value=False)
        #: The event time and what the filter reads; the other columns are read of the records that stay.
        typed = record_type.typed  # made once: tables may be wide
        self._first = tuple(typed.get(name, Column(name)) for name in first)
        self._then = tuple(typed.get(name, Column(name)) for name in then)
        self._output = (RECORD, *dict.fromkeys((EVENT_TIME, *(self._name(name) for name in wanted))))

    def __call__(self, block: Block) -> Parsed:
        """Parse the records of the block."""
        if block.fault:
            return Parsed(pl.DataFrame(), [block.rejected(0, len(block.data), block.fault)], 1)
        block = block if block.arrival else block._replace(arrival=arrival_micros())
        try:
            parsed = self.parse(block)
        except pl.exceptions.PolarsError:
            if self._is_guarded or not self._where.meta.root_names():
                raise
            # A value spoils the condition for all, as with CAST(item AS INT); from now on each is asked by itself.
            self._where, self._is_guarded = guarded(self._where), True
            parsed = self.parse(block)
        return self._in_windows(parsed, block)

    def _in_windows(self, parsed: Parsed, block: Block) -> Parsed:
        """Reject the records of which a window begins before the year 1 or ends after 9999, so that it is no result."""
        for windows in self._windows:
            is_out = ~parsed.rows[EVENT_TIME].to_physical().is_between(*windows.range)
            if not is_out.any():
                continue
            starts, stops = find_lines(block.data)
            rejected = list(parsed.rejected)
            for number, time in parsed.rows.filter(is_out).select(RECORD, EVENT_TIME).rows():
                reason = f"event time {time} is in a window of {windows} that is not within the years 1 to 9999"
                rejected.append(block.rejected(int(starts[number]), int(stops[number]), reason))
            parsed = parsed._replace(rows=parsed.rows.filter(~is_out), rejected=sorted(rejected))
        return parsed

    @abstractmethod
    def parse(self, block: Block) -> Parsed:
        """Parse the records of a block that has no fault."""

    @abstractmethod
    def read_record(self, raw: bytes, dialect: Dialect) -> tuple[dict[str, Any], str]:
        """Return the values of a record, and why one that the filter does not need cannot be read.

        Raises:
            ValueError: the record cannot be read at all.
        """

    def no_rows(self) -> pl.DataFrame:
        """Return the columns of all that is given, without rows."""
        kinds = {self._name(column.name): column.kind for column in (*self._first, *self._then)}
        types = {RECORD: pl.get_index_type(), EVENT_TIME: POLARS_TYPES["time"]}
        return pl.DataFrame(schema={name: types.get(name) or POLARS_TYPES[kinds[name]] for name in self._output})

    def _name(self, column: str) -> str:
        return EVENT_TIME if column == self._type.event_time else column

    def _arrived(self, block: Block) -> list[pl.Expr]:
        """Return the column of the event time where the record type has none."""
        return [] if self._type.event_time else [self._untimed(block).alias(EVENT_TIME)]

    def _or_arrival(self, column: Column, typed: pl.Expr, is_missing: pl.Expr, block: Block) -> pl.Expr:
        """Return the typed column; of the event time, that of the arrival where it is missing and may be."""
        if column.name != self._type.event_time or column.required:
            return typed
        return pl.when(is_missing).then(self._untimed(block)).otherwise(typed)

    def _untimed(self, block: Block) -> pl.Expr:
        """Return when records happened that do not tell."""
        moment = self._type.untimed or to_datetime(block.arrival).replace(tzinfo=None)
        return pl.lit(moment, pl.Datetime("us"))

    def _read_values(self, read: Any) -> tuple[dict[str, Any], str]:
        """Call ``read`` for each column; give the values, and what it said of the first one that is not needed yet.

        Raises:
            ValueError: a column that decides cannot be read.
        """
        values = {self._name(column.name): read(column) for column in self._first}
        fault = ""
        for column in self._then:
            try:
                values[column.name] = read(column)
            except ValueError as error:
                values[column.name] = None
                fault = fault or str(error)
        return values, fault

    def _parse_slowly(self, block: Block, lines: Lines, numbers: list[int], rejected: list[Rejected]) -> pl.DataFrame:
        """Parse records one by one; those that cannot be used are added to ``rejected``."""
        rows = []
        faults: dict[int, str] = {}
        for number in numbers:
            start, stop = int(lines.starts[number]), int(lines.stops[number])
            try:
                row, fault = self.read_record(block.data[start:stop], block.dialect)
            except ValueError as error:
                rejected.append(block.rejected(start, stop, str(error)))
                continue
            rows.append({RECORD: number, **row})
            if fault:
                faults[number] = fault
        schema: dict[str, Any] = {RECORD: pl.get_index_type()}
        schema |= {self._name(c.name): POLARS_TYPES[c.kind] for c in (*self._first, *self._then)}
        time = pl.col(EVENT_TIME)
        timed = [
            self._or_arrival(c, time, time.is_null(), block).alias(EVENT_TIME)
            for c in self._first
            if c.name == self._type.event_time
        ]
        frame = pl.DataFrame(rows, schema, orient="row").with_columns(timed or self._arrived(block)).filter(self._where)
        wanted_faults = [number for number in frame[RECORD].to_list() if number in faults]
        for number in wanted_faults:
            start, stop = int(lines.starts[number]), int(lines.stops[number])
            rejected.append(block.rejected(start, stop, faults[number]))
        return frame.filter(~pl.col(RECORD).is_in(wanted_faults)).select(self._output)


def check_names(names: Iterable[str], record_type: RecordType) -> None:
    """See that no column has the name of one that frames have for themselves.

    Raises:
        ValueError: one has, and is not the event time.
    """
    for name in names:
        if name in (EVENT_TIME, RECORD, ODD) and name in record_type.names and name != record_type.event_time:
            cure = "make it the event time, or " if name == EVENT_TIME else ""
            raise ValueError(f"{name!r} is a column that every frame has: {cure}name the columns otherwise")


def guarded(where: pl.Expr) -> pl.Expr:
    """Return a condition that does not hold where it cannot be worked out, and spoils no other row."""
    names = list(dict.fromkeys(where.meta.root_names()))
    return pl.struct(names).map_batches(partial(_holds, where), return_dtype=pl.Boolean)


def _holds(where: pl.Expr, values: pl.Series) -> pl.Series:
    try:
        return values.struct.unnest().select(where).to_series()
    except pl.exceptions.PolarsError:
        if len(values) == 1:
            return pl.Series([False])
        half = len(values) // 2
        return pl.concat([_holds(where, values[:half]), _holds(where, values[half:])])


def decoded(raw: bytes, encoding: str = "utf-8") -> str:
    """Return the text of a record.

    Raises:
        ValueError: it is not in that encoding.
    """
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().replace("LATIN", "Latin").replace("CP", "cp")
        raise ValueError(f"not {name} at byte {error.start} of the record") from None


def read_json_object(text: str, decode: Callable[[str], Any] = json.loads) -> dict[str, Any]:
    """Return the fields of a JSON object, by a decoder of the caller's own.

    Raises:
        ValueError: it is none.
    """
    try:
        fields = decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError(f"no JSON object: {shown(text)}")  # noqa: TRY004 - the record is wrong, not the caller
    return fields


@dataclass
class ParseRecords(beam.PTransform):
    """Parse blocks, or single lines as ``str`` or ``bytes``, into frames, whatever the form of the records.

    A record is checked in this order: its form, the event time and the columns that ``where`` reads; then ``where``
    decides; then the other columns of those that stay. So a record that is not wanted is counted as filtered even if a
    column that nobody looked at holds nonsense.

    Gives a dict of PCollections: ``records``, of :class:`Batch`, ``rejected``, of :class:`Rejected`, and ``tallies``,
    of :class:`Tally`, for what has to know that records were read although none of them comes.

    Attributes:
        record_type: what the records are.
        columns: the columns to keep besides the event time; all typed ones if none are named.
        where: which records to keep, a polars expression over columns.
        windows: the windows that records are going to be put in: one of whose windows begins or ends where there are no
            dates, before the year 1 or after 9999, is rejected.
    """

    record_type: RecordType
    columns: tuple[str, ...] = ()
    where: pl.Expr | None = None
    windows: Sequence[Windows] = field(default=(), kw_only=True)
    #: What parses a block; None for the parser of the record type's form.
    block_parser: ClassVar[type[BlockParser] | None] = None

    def __post_init__(self) -> None:
        """Check the columns.

        Raises:
            ValueError: the record type, or its form, has no such column.
        """
        super().__init__()
        self.parser()

    def expand(self, pcoll: beam.PCollection) -> dict[str, beam.PCollection]:
        """Gather single lines into blocks, and parse blocks."""
        patch_beam()
        if pcoll.element_type in (str, bytes):
            pcoll = pcoll | "GatherLines" >> BlocksOfLines(self.line_dialect())
        elif pcoll.element_type != Block:
            raise TypeError(
                f"{type(self).__name__} takes lines (str or bytes) or blocks, got a PCollection of "
                f"{pcoll.element_type}: if these are lines, say so by .with_output_types(str)"
            )
        parser = self.parser()
        given = {"records": Batch, "rejected": Rejected, "tallies": Tally}
        outputs = counting(pcoll, "ParseBlocks", _ParseFn(parser), given)
        tell_rows(outputs["records"], parser.no_rows() if isinstance(parser, BlockParser) else None)
        return {name: outputs[name] for name in given}

    def line_dialect(self) -> Dialect:
        """Return how single lines are written; blocks know their own."""
        return Dialect(self.record_type.separator)

    def parser(self) -> Callable[[Block], Parsed]:
        """Return the function that does the work."""
        parser: type[BlockParser] = self.block_parser or pkgutil.resolve_name(self.record_type.form.parser)
        return parser(self.record_type, self.columns, self.where, self.windows)


#: Parses records of any type: ``parse_as(TAPE, ("upc",), where=pl.col("department") == 2)``.
parse_as = ParseRecords


class _ParseFn(ThreadedFn[Block, Parsed]):
    """Parse small blocks at once, and big ones in threads, since numpy and polars let go of the interpreter."""

    def __init__(self, parser: Callable[[Block], Parsed]) -> None:
        self._parser = parser

    def is_long(self, element: Block) -> bool:
        return len(element.data) >= _BIG_BYTES

    def work(self, element: Block) -> Parsed:
        return self._parser(element)

    def outputs(self, done: Parsed, element: Block) -> Iterator[Any]:
        if element.watermark != NOTHING_IS_LATE:
            board.set_watermark(element.watermark)
        tally = Tally(done.records, done.records - len(done.rejected) - done.rows.height)
        yield from count(READ, tally.read)
        yield from count_rejected(done.rejected, element)
        yield from count(FILTERED, tally.filtered)
        count_columns(done.columns)
        delivery.sort_out(element.receipt, int(done.rows.height > 0), len(done.rejected))
        yield TaggedOutput("tallies", tally)
        for rejected in done.rejected:
            yield TaggedOutput("rejected", rejected)
        if done.rows.height:
            yield Batch(done.rows, element)
