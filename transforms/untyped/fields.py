"""Fields of records of which nobody knows the types: as text, just as they were written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import polars as pl

from schemas.elements.block import Block, Span
from schemas.elements.frames import RECORD, Batch
from schemas.record_type import Column, RecordType, Rejected
from schemas.text.lines import Lines, are_records
from schemas.text.records import find_records
from transforms.counting import USED, count, counting
from transforms.parse.delimited import Parser
from transforms.parse.parser import RAW, Parsed, ParseRecords, decoded
from transforms.parse.patterns import Pattern, read_alike
from transforms.untyped.column_counts import FOUND, LEFT_OUT, LOOKED_FOR, ColumnWatch
from transforms.untyped.infer_schema import Shape, head_of
from transforms.untyped.json_fields import FIELD, JSON, find_pattern, read_fields
from transforms.untyped.numbers import columns_of, is_native, is_number
from transforms.untyped.sql_condition import Condition

#: The numbers of records by a column that they have.
_Others = dict[str, list[int]]


@dataclass
class ReadFields(ParseRecords):
    """Parse blocks into frames that have the fields as text, and keep the records that meet a condition.

    The columns of the frames are ``.NAME`` (text; null where it is missing, that is blank or ``NULL`` in a delimited
    record, null or not there in JSON), and for JSON ``:NAME``, the same as it is written in JSON. Where neither columns
    nor a condition are given, records are not looked into: none is rejected but those that a source found faulty.

    Gives what :class:`transforms.parse.parser.ParseRecords` gives. Records that were kept count as used: this is for
    pipelines that do no more than write them.

    Attributes:
        record_type: what the records are: that of ``shape``.
        columns: the columns that somebody needs.
        shape: how the records are written.
        condition: which ones to keep.
        watch: which columns to count.
    """

    shape: Shape = Shape()
    condition: Condition | None = None
    watch: ColumnWatch = field(default_factory=ColumnWatch)

    def __post_init__(self) -> None:
        """Let Beam set up what it needs."""
        super(ParseRecords, self).__init__()

    def expand(self, pcoll: beam.PCollection) -> dict[str, beam.PCollection]:
        """Parse, and count what is left."""
        outputs = super().expand(pcoll)
        counted = counting(outputs["records"], "CountUsed", _CountUsedFn(), {"records": Batch})
        outputs["records"] = counted["records"]
        return outputs

    def parser(self) -> Callable[[Block], Parsed]:
        """Return the function that does the work."""
        return FieldParser(self.shape, self.columns, self.condition, self.watch)


class FieldParser:
    """Parse one block after the other; a pure function with its options, which pickles."""

    def __init__(
        self,
        shape: Shape,
        columns: tuple[str, ...] = (),
        condition: Condition | None = None,
        watch: ColumnWatch | None = None,
    ) -> None:
        self._watch = watch or ColumnWatch()
        needed = dict.fromkeys((*columns, *(condition.columns if condition else ())))
        self._shape = shape
        self._condition = condition
        self._columns = tuple(needed)
        self._parser: Parser | None = None
        if needed and shape.form == "csv":
            names = tuple(FIELD + name for name in shape.names)
            record_type = RecordType("record", names, tuple(map(Column, names)), event_time="", separator=",")
            self._parser = Parser(record_type, tuple(FIELD + name for name in needed))

    def __call__(self, block: Block) -> Parsed:
        """Parse the records of the block."""
        if block.fault:
            return Parsed(pl.DataFrame(), [block.rejected(0, len(block.data), block.fault)], 1)
        lines = find_records(block.data, block.dialect)
        parsed, others = self._read(block, lines)
        parsed = self._keep(parsed, block, lines)
        return parsed._replace(columns=self._columns_of(parsed, block, others))

    def _keep(self, parsed: Parsed, block: Block, lines: Lines) -> Parsed:
        """Take the records out that the condition does not want."""
        if self._condition is None or not parsed.rows.height:
            return parsed
        names = self._condition.columns
        kept = self._condition.keeps(parsed.rows.select(pl.col(FIELD + name).alias(name) for name in names))
        rejected = list(parsed.rejected)
        for record in parsed.rows[RECORD].filter(kept.is_null()).to_list():
            place = int(lines.starts[record]), int(lines.stops[record])
            rejected.append(block.rejected(*place, f"cannot work out {self._condition.text}"))
        return parsed._replace(rows=parsed.rows.filter(kept.fill_null(value=False)), rejected=rejected)

    def _columns_of(self, parsed: Parsed, block: Block, others: _Others) -> Counter[str]:
        """Count the columns of the records that were kept, and those that were asked for of all."""
        counts = Counter({FOUND + name: len(records) for name, records in others.items() if name in self._watch.asked})
        if self._parser is None and self._columns:
            counts |= dict.fromkeys((LOOKED_FOR + name for name in self._watch.asked), parsed.records)
        if not parsed.rows.height:
            return counts
        kept = parsed.rows[RECORD]
        for name in self._watch.left_out(block.dialect.header if self._columns else ()):
            counts[LEFT_OUT + name] += len(kept)
        for name, records in others.items():
            for told in self._watch.left_out([name]):
                counts[LEFT_OUT + told] += int(kept.is_in(records).sum())
        return +counts

    def _read(self, block: Block, lines: Lines) -> tuple[Parsed, _Others]:
        number = len(lines.starts)
        if not self._columns:
            records = np.flatnonzero(are_records(block.data, lines, block.dialect)).astype(np.uint32)
            return Parsed(pl.DataFrame({RECORD: records}), [], number), {}
        if self._parser is None:
            return self._read_json(block, lines)
        header = tuple(FIELD + name for name in block.dialect.header)
        parsed = self._parser(block._replace(dialect=block.dialect._replace(header=header)))
        return parsed._replace(rows=parsed.rows.select(RECORD, *(FIELD + name for name in self._columns))), {}

    def _read_json(self, block: Block, lines: Lines) -> tuple[Parsed, _Others]:
        """Read JSON objects: their values keep every digit, and their types.

        Most lines have the same keys in the same order, and are read at once; the others one by one.

        Gives the numbers of the records that have a column that was asked for, or a value in one that is left out, too.
        """
        others: _Others = {}
        columns = self._columns

        def match(pattern: Pattern, texts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
            found, rest = read_fields(pattern, texts, columns)
            for name in pattern.columns:
                has_it = pl.lit(value=True) if name in self._watch.asked else pl.col(RAW + name) != "null"
                if self._is_watched(name):
                    others.setdefault(name, []).extend(found.filter(has_it)[RECORD].to_list())
            return found.select(RECORD, *(mark + name for name in columns for mark in (FIELD, JSON))), rest

        read = (*columns, *self._watch.asked)
        frames, slow = read_alike(block.data, lines, lambda line: find_pattern(line, read, self._watch.taken), match)
        rejected: list[Rejected] = []
        if slow or not frames:
            frames.append(self._read_slowly(block, lines, slow, rejected, others))
        rows = frames[0] if len(frames) == 1 else pl.concat(frames).sort(RECORD)
        return Parsed(rows, rejected, len(lines.starts)), others

    def _is_watched(self, name: str) -> bool:
        """Return whether it is told which records have this column."""
        return name in self._watch.asked or (self._watch.taken is not None and name not in self._watch.taken)

    def _read_slowly(
        self, block: Block, lines: Lines, numbers: list[int], rejected: list[Rejected], others: _Others
    ) -> pl.DataFrame:
        """Read JSON objects one by one."""
        records = []
        watched = frozenset(self._watch.asked)
        values: list[list[Any]] = []
        for record in numbers:
            start, stop = int(lines.starts[record]), int(lines.stops[record])
            try:
                fields = read_object(block.data[start:stop])
            except ValueError as error:
                rejected.append(block.rejected(start, stop, str(error)))
                continue
            values.append([fields.get(name) for name in self._columns])
            records.append(record)
            for name, value in fields.items():
                if name in watched or (value is not None and self._is_watched(name)):
                    others.setdefault(name, []).append(record)
        columns = list(zip(*values, strict=True)) or [()] * len(self._columns)
        frame: dict[str, pl.Series] = {RECORD: pl.Series(records, dtype=pl.get_index_type())}
        for name, column in zip(self._columns, columns, strict=True):
            frame[FIELD + name] = pl.Series([value and value[0] for value in column], dtype=pl.String)
            frame[JSON + name] = pl.Series(["null" if v is None else v[1] for v in column], dtype=pl.String)
        return pl.DataFrame(frame)


class _Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


def read_object(raw: bytes) -> dict[str, tuple[str, str] | None]:
    r"""Return the fields of a JSON object: each as text and as JSON, None where it is null.

    >>> read_object(b'{"item": "apple", "price": 3.10, "left": null}')
    {'item': ('apple', '"apple"'), 'price': ('3.10', '3.10'), 'left': None}

    Raises:
        ValueError: it is none.
    """
    text = decoded(raw)
    try:
        fields = _DECODER.decode(text)
        if not isinstance(fields, dict):
            raise ValueError("no JSON object")  # noqa: TRY004 - the record is wrong, not the caller
        found = {name: None if value is None else _texts(value) for name, value in fields.items()}
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text has half a character") from None
    return found


def _texts(value: Any) -> tuple[str, str]:
    written = _json(value)
    written.encode()
    return (value if type(value) is str else written), written


def _json(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(name)}:{_json(item)}" for name, item in value.items()) + "}"
    return _encode(value)


def _refuse(constant: str) -> Any:
    raise ValueError(f"not JSON: {constant} is no number")


_encode = json.JSONEncoder(ensure_ascii=False).encode
_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse)


def with_numbers(shape: Shape, *paths: str) -> Shape:
    """Return the shape with the columns that are numbers, as the head of the files shows; a JSON string is none.

    Raises:
        OSError: a file cannot be read.
    """
    chunk = head_of(paths, shape)
    if chunk is None or chunk.fault or not shape.names:
        return shape
    block = Block(chunk.data, (Span(0, paths[chunk.piece], 0),), chunk.dialect)
    rows = FieldParser(shape, shape.names)(block).rows
    # With its quotes a JSON string is no number.
    written = (pl.col(JSON + name if shape.form == "jsonl" else FIELD + name).alias(name) for name in shape.names)
    texts = rows.select(written).select(pl.when(pl.all() != "null").then(pl.all()))
    numbers = columns_of(texts, is_number)
    return shape._replace(numbers=numbers, native=numbers & columns_of(texts, is_native))


def unquoted(name: str, columns: Collection[str]) -> pl.Expr:
    """Return the texts of a field that are not JSON strings, which are no numbers, whatever is in them; others as null.

    Args:
        name: of the field.
        columns: those of the frame of :class:`FieldParser`.
    """
    text = pl.col(FIELD + name)
    return pl.when(pl.col(JSON + name) == text).then(text) if JSON + name in columns else text


@beam.typehints.with_output_types(Batch)
class _CountUsedFn(beam.DoFn):
    def process(self, batch: Batch) -> Iterator[Any]:
        yield from count(USED, batch.rows.height)
        yield batch
