"""Entering the world of frames: rows of ordinary Beam, dicts and Arrow tables become batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import apache_beam as beam
import numpy as np
import polars as pl
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.beam_patches import patch_beam
from schemas.elements.frames import EVENT_TIME, NO_BLOCK, RECORD, Batch
from schemas.elements.wiring import tell_rows
from schemas.record_type import DECIMAL_PLACES, Column, ColumnKind
from schemas.times import to_micros
from transforms.counting import READ, count, counting
from transforms.parse.values import POLARS_TYPES

#: So many rows make a frame at most; a small one costs as much as a big one.
MOST_ROWS = 10_000
_SHOWN = 200
_KINDS: dict[Any, ColumnKind] = {
    str: "text", int: "integer", Decimal: "decimal", bool: "boolean", datetime: "time", Timestamp: "time",
}  # fmt: skip
_TABLES = (pa.Table, pa.RecordBatch, pl.DataFrame)


@beam.typehints.with_output_types(Batch)
@dataclass
class FromRows(beam.PTransform):
    """Gather rows into frames: NamedTuples, ``beam.Row``, dicts, or tables of Arrow or polars.

    For example::

        sales | FromRows(time="sold_at") | Aggregate(("item",), {"turnover": Sum("price")}, Windows.parse("1h"))

    The columns are those of the PCollection's row type, or ``columns``, which dicts and tables need. Floats are
    refused: their sums depend on the order; give Decimals. Times without a zone are in UTC.

    Attributes:
        columns: the columns to take, and their kinds; none for all that the row type has.
        time: the column with the event time; where there is none, a row happened at its timestamp.

    Raises:
        ValueError: when applied, nobody knows the columns, one is of a type that no frame has, or there is no column
            ``time``; when run, a value is not of its kind.
    """

    columns: Sequence[Column] = ()
    time: str = ""

    def __post_init__(self) -> None:
        """Let Beam set up what it needs."""
        super().__init__()

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        patch_beam()
        columns = tuple(self.columns) or _columns_of(rows.element_type)
        fields = getattr(rows.element_type, "_fields", ())  # of beam.Row pairs, of a NamedTuple names
        known = [field if isinstance(field, str) else field[0] for field in fields]
        for column in columns:
            if known and column.name not in known:
                raise ValueError(f"rows have no column {column.name!r}, only {', '.join(known)}")
        names = [column.name for column in columns]
        if self.time and self.time not in names:
            raise ValueError(f"no column {self.time!r} for the event time, only {', '.join(names)}")
        kinds = {column.name: "time" if column.name == self.time else column.kind for column in columns}
        gathered = counting(rows, "GatherRows", _GatherFn(kinds, self.time), {"records": Batch})
        types = {EVENT_TIME if name == self.time else name: POLARS_TYPES[kind] for name, kind in kinds.items()}
        schema: dict[str, Any] = {RECORD: pl.get_index_type(), **types, EVENT_TIME: POLARS_TYPES["time"]}
        return tell_rows(gathered["records"], pl.DataFrame(schema=schema))


def _columns_of(element_type: Any) -> tuple[Column, ...]:
    """Return the columns of a row type.

    Raises:
        ValueError: it is none, or has a field that no frame has.
    """
    if isinstance(element_type, RowTypeConstraint):
        fields = dict(element_type._fields)
    elif isinstance(element_type, type) and hasattr(element_type, "_fields"):
        fields = get_type_hints(element_type)
    else:
        raise ValueError(
            f"expected a PCollection of a NamedTuple or of beam.Row, got one of {element_type}: give it a type by "
            "with_output_types, or say FromRows(columns=(Column('item'), Column('price', 'decimal')))"
        )
    return tuple(Column(name, _kind(name, hint)) for name, hint in fields.items())


def _kind(name: str, hint: Any) -> ColumnKind:
    known = [each for each in get_args(hint) if each is not NoneType]
    if get_origin(hint) in (Union, UnionType) and len(known) == 1:
        hint = known[0]
    if isinstance(hint, type) and issubclass(hint, (np.integer, np.bool_)):  # as Beam types the columns of Parquet
        hint = int if issubclass(hint, np.integer) else bool
    if hint not in _KINDS:
        is_float = isinstance(hint, type) and issubclass(hint, (float, np.floating))
        more = ": sums of floats depend on the order, make it a Decimal" if is_float else ""
        raise ValueError(f"the field {name!r} is {hint}, expected {', '.join(kind.__name__ for kind in _KINDS)}{more}")
    return _KINDS[hint]


class _GatherFn(beam.DoFn):
    """Gather the rows of a bundle into frames of MOST_ROWS."""

    def __init__(self, kinds: Mapping[str, ColumnKind], time: str) -> None:
        self._kinds = kinds
        self._time = time

    def start_bundle(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._earliest = MAX_TIMESTAMP

    def process(self, row: Any, timestamp: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        if isinstance(row, _TABLES):
            table = cast(pl.DataFrame, pl.from_arrow(row)) if not isinstance(row, pl.DataFrame) else row
            if missing := [name for name in self._kinds if name not in table.columns]:
                raise ValueError(f"a table lacks {missing[0]!r}, it has only {', '.join(table.columns)}")
            for values in table.select(*self._kinds).iter_slices(MOST_ROWS):
                yield self._batch([*values.iter_rows()], [timestamp] * values.height)
            yield from count(READ, table.height)
            return
        self._rows.append((timestamp, *_values(row, self._kinds)))
        self._earliest = min(self._earliest, timestamp)
        if len(self._rows) >= MOST_ROWS:
            yield from count(READ, len(self._rows))
            yield self._gathered()

    def finish_bundle(self) -> Iterator[Any]:
        for counted in count(READ, len(self._rows)):
            yield TaggedOutput(counted.tag, WindowedValue(counted.value, self._earliest, [GlobalWindow()]))
        if self._rows:
            # Not later than any of its rows, or the watermark might pass them.
            yield WindowedValue(self._gathered(), self._earliest, [GlobalWindow()])

    def _gathered(self) -> Batch:
        rows, self._rows = self._rows, []
        return self._batch([row[1:] for row in rows], [row[0] for row in rows])

    def _batch(self, rows: Sequence[tuple[Any, ...]], timestamps: Sequence[Timestamp]) -> Batch:
        columns = zip(self._kinds.items(), zip(*rows, strict=True), strict=True)
        series = [_series(EVENT_TIME if name == self._time else name, values, kind) for (name, kind), values in columns]
        if not self._time:
            series.append(_series(EVENT_TIME, timestamps, "time"))
        numbers = pl.Series(RECORD, range(len(rows)), pl.get_index_type())
        return Batch(pl.DataFrame([numbers, *series]), NO_BLOCK)


def _values(row: Any, names: Iterable[str]) -> list[Any]:
    """Return the values of a row.

    Raises:
        ValueError: it lacks one.
    """
    try:
        return [row[name] for name in names] if isinstance(row, Mapping) else [getattr(row, name) for name in names]
    except (KeyError, AttributeError) as error:
        raise ValueError(f"a row lacks {error}, got {str(row)[:_SHOWN]}") from None


def _series(name: str, values: Sequence[Any], kind: ColumnKind) -> pl.Series:
    """Return the column of these values.

    Raises:
        ValueError: one is not of the kind.
    """
    dtype = POLARS_TYPES[kind]
    try:
        if kind == "time":
            return pl.Series(name, [None if v is None else _micros(v) for v in values], pl.Int64).cast(dtype)
        if kind == "decimal" and any(
            isinstance(v, float) or (v is not None and round(v, DECIMAL_PLACES) != v) for v in values
        ):
            raise TypeError(f"expected decimals of {DECIMAL_PLACES} places at most")
        return pl.Series(name, values, dtype, strict=True)
    except (TypeError, OverflowError, ArithmeticError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"the column {name!r} is no {kind}: {str(error).splitlines()[0]}") from None


def _micros(moment: Any) -> int:
    if isinstance(moment, datetime):
        return to_micros(moment)
    return int(Timestamp.of(moment).micros)
