"""What is known of PCollections while a pipeline is built, so that wrong use is told then, in one line with the cure.

A transform that knows its columns leaves a frame of them, without rows, at what it gives. The next one does with it
what it will do with the rows: what fails then would fail for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.typehints import DictConstraint

from schemas.elements.block import Block
from schemas.elements.frames import Batch, Result

_ROWS = "_known_rows"
_NAMES: Mapping[Any, str] = {Batch: "frames (Batch)", Result: "totals (Result)", Block: "blocks", str: "str"}
#: How polars names a column that is not there.
_NAME = re.compile(r"[\"`']([^\"`']+)[\"`']")
#: What polars says of columns that are not there, or not of the kind that is wanted, whatever the rows are.
_WRONG = (
    pl.exceptions.ColumnNotFoundError,
    pl.exceptions.SchemaError,
    pl.exceptions.InvalidOperationError,
    pl.exceptions.StructFieldNotFoundError,
)


def check_elements(given: Any, user: str, *expected: type) -> None:
    """Check what a transform gets; PCollections of no known type are believed.

    Raises:
        TypeError: it is several PCollections, or one of other elements; the message has the cure.
    """
    what = " or ".join(_NAMES[each] for each in expected)
    if isinstance(given, dict):
        names = ", ".join(given)
        raise TypeError(
            f"{user} takes one PCollection of {what}, got the outputs {names}: take one, as in parsed['records']"
        )
    if isinstance(given, beam.PCollection) and given.element_type not in (Any, beam.typehints.Any, *expected):
        got = _NAMES.get(given.element_type, getattr(given.element_type, "__name__", str(given.element_type)))
        raise TypeError(f"{user} takes a PCollection of {what}, got one of {got}{_cure(given.element_type, expected)}")


def _cure(element_type: Any, expected: tuple[type, ...]) -> str:
    if Batch not in expected:
        return ": Aggregate makes totals of frames" if element_type == Batch else ""
    if isinstance(element_type, DictConstraint) or element_type is dict:
        return ": FromRows(columns=(Column('item'), ...)) makes frames of dicts"
    if isinstance(element_type, RowTypeConstraint) or hasattr(element_type, "_field_types"):
        return ": FromRows() makes frames of rows"
    if element_type in (str, bytes, Block):
        return ": a parser such as ParseDelimited(record_type) makes frames of them"
    return ""


def known_rows(pcoll: beam.PCollection) -> pl.DataFrame | None:
    """Return the columns of the rows of a PCollection, as a frame without rows; None where nobody knows them."""
    return getattr(pcoll, _ROWS, None)


def tell_rows(pcoll: beam.PCollection, rows: pl.DataFrame | None) -> beam.PCollection:
    """Leave the columns of a PCollection for who takes it, and return it."""
    setattr(pcoll, _ROWS, rows)
    return pcoll


def try_on(
    pcoll: beam.PCollection, user: str, work: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows
) -> pl.DataFrame | None:
    """Do with the columns of a PCollection what is done with its rows, and return what comes of it, if that is known.

    Raises:
        ValueError: a column is not there, or not of the kind that is wanted.
    """
    rows = known_rows(pcoll)
    if rows is None:
        return None
    try:
        return work(rows)
    except pl.exceptions.ColumnNotFoundError as error:
        name = _NAME.search(str(error))
        missing = f"no column {name[1]!r}" if name else str(error).splitlines()[0]
        raise ValueError(f"{user}: there is {missing}, only {_shown(rows)}") from None
    except pl.exceptions.PolarsError as error:
        if not isinstance(error, _WRONG) and "cannot compare" not in str(error):
            return None  # it wants rows
        raise ValueError(f"{user}: {str(error).splitlines()[0]}; the columns are {_shown(rows, kinds=True)}") from None
    except Exception:  # noqa: BLE001 - somebody's own function may want rows
        return None


def _shown(rows: pl.DataFrame, *, kinds: bool = False) -> str:
    names = [name for name in rows.columns if not name.startswith("_")]
    return ", ".join(f"{name} ({rows.schema[name]})" if kinds else name for name in names)
