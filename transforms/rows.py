"""Leaving the world of frames: rows as NamedTuples or beam.Row, or tables of Arrow, for ordinary Beam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_type_hints

import apache_beam as beam
import polars as pl
import pyarrow as pa
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp

from schemas.elements.coders import register_row
from schemas.elements.frames import Batch, Result
from schemas.elements.wiring import check_elements, try_on


@dataclass
class ToRows(beam.PTransform):
    """Give a NamedTuple per row of each Batch or Result, its fields being the columns of the same names.

    The type is registered for Beam's row coder. A field hinted as Timestamp (or optional Timestamp) gets one from a
    column of times.

    Attributes:
        row_type: a NamedTuple type.
    """

    row_type: type

    def __post_init__(self) -> None:
        """Registers the type."""
        super().__init__()
        register_row(self.row_type)

    def expand(self, frames: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        _check(frames, "ToRows", get_type_hints(self.row_type))
        return frames | "ToRows" >> beam.ParDo(_ToRowsFn(self.row_type)).with_output_types(self.row_type)


@dataclass
class ToBeamRows(beam.PTransform):
    """Give a ``beam.Row`` per row of each Batch or Result: a PCollection with a schema, and no type to declare.

    Beam YAML, SqlTransform and whatever else goes by schemas take it. For example::

        totals | ToBeamRows({"item": str, "turnover": Decimal}) | YamlTransform(...)

    Of Beam's file formats, those in Arrow's types (WriteToParquet) take no row with a Decimal or a Timestamp in Beam
    2.77: see :class:`ToArrow`.

    Attributes:
        fields: the names of the columns, and the types of their fields, as for the fields of a NamedTuple.
    """

    fields: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Make the row type.

        Raises:
            ValueError: there is no field.
        """
        super().__init__()
        if not self.fields:
            raise ValueError("expected the fields of the rows, such as {'item': str}, got none")

    def expand(self, frames: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        _check(frames, "ToBeamRows", self.fields)
        row_type = RowTypeConstraint.from_fields([(name, _known(hint)) for name, hint in self.fields.items()])
        return frames | "ToBeamRows" >> beam.ParDo(_ToRowsFn(beam.Row, self.fields)).with_output_types(row_type)


@dataclass
class ToArrow(beam.PTransform):
    """Give a ``pyarrow.Table`` per Batch or Result, as WriteToParquetBatched takes them, with exact decimals.

    For example::

        schema = pa.schema({"item": pa.string(), "turnover": pa.decimal128(38, 9)})
        totals | ToArrow(schema) | WriteToParquetBatched("totals", schema)

    Attributes:
        schema: the columns and their types; when run, a value that does not fit is an error.
    """

    schema: pa.Schema

    def __post_init__(self) -> None:
        """Check the schema.

        Raises:
            TypeError: it is none.
        """
        super().__init__()
        if not isinstance(self.schema, pa.Schema):
            raise TypeError(f"expected a schema such as pa.schema({{'item': pa.string()}}), got {self.schema!r}")

    def expand(self, frames: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        _check(frames, "ToArrow", self.schema.names)
        return frames | "ToArrow" >> beam.Map(_to_arrow, self.schema).with_output_types(pa.Table)


def _to_arrow(element: Any, schema: pa.Schema) -> pa.Table:
    return element.rows.select(schema.names).to_arrow().cast(schema)


def _check(frames: beam.PCollection, user: str, fields: Iterable[str]) -> None:
    check_elements(frames, user, Batch, Result)
    try_on(frames, user, lambda rows: rows.select(*fields))


def _known(hint: Any) -> Any:
    """Return a type as Beam knows it, which takes no ``X | None``."""
    return Union[hint.__args__] if isinstance(hint, UnionType) else hint  # noqa: UP007 - the other form is unknown


class _ToRowsFn(beam.DoFn):
    def __init__(self, row_type: Any, fields: Mapping[str, Any] | None = None) -> None:
        self._row_type = row_type
        self._fields = fields

    def setup(self) -> None:
        hints = self._fields or get_type_hints(self._row_type)
        self._names = [*hints]
        self._times = [name for name, hint in hints.items() if Timestamp in (hint, *getattr(hint, "__args__", ()))]

    def process(self, element: Any) -> Iterator[Any]:
        rows: pl.DataFrame = element.rows.select(self._names)
        for row in rows.with_columns(pl.col(self._times).dt.epoch("us")).iter_rows(named=True):
            for name in self._times:
                row[name] = None if row[name] is None else Timestamp(micros=row[name])
            yield self._row_type(**row)
