"""How the table of a file is laid out: the window first, types that every format shares, rows in the order of the key.

The layout depends on the result alone, not on how its frame came about; that makes a second try write the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.datatypes import DataTypeClass

from schemas.elements.frames import Result

WINDOW_COLUMNS = ("window_start", "window_end")
#: The most digits that Arrow, Avro and Parquet share.
DECIMAL_DIGITS = 38
_TIME = pl.Datetime("us", "UTC")
_PLACE = "_place"


def lay_out(result: Result, key: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows of a result as they are to be written, sorted by ``key``, missing keys first.

    Decimals get 38 digits, times become microseconds of UTC (naive ones are read as they stand).

    Raises:
        ValueError: a key column is missing.
    """
    rows = result.rows
    require(rows, key)
    bounds = dict(zip(WINDOW_COLUMNS, (result.window_start, result.window_end), strict=True))
    if _is_laid_out(rows, bounds, key):
        return rows
    window = (_bound(name, micros) for name, micros in bounds.items())
    values = (pl.col(name).cast(portable(dtype)) for name, dtype in rows.schema.items() if name not in WINDOW_COLUMNS)
    laid_out = rows.select(*window, *values)
    return (laid_out.sort(key, maintain_order=True) if key else laid_out).rechunk()


def lay_out_all(results: Sequence[Result], key: tuple[str, ...]) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
    """Return the rows of several results, one after the other as :func:`lay_out` has them, and of which one each is.

    Raises:
        ValueError: a key column is missing, or the columns of two results do not go together.
    """
    place = np.repeat(np.arange(len(results)), [result.rows.height for result in results])
    first = results[0].rows
    if len(results) == 1 or any(result.rows.schema != first.schema for result in results[1:]):
        return concat_alike([lay_out(result, key) for result in results]), place
    require(first, key)
    rows = pl.concat([result.rows for result in results])
    window = (
        pl.Series(name, [result[at] for result in results], pl.Int64).gather(place).cast(_TIME)
        for at, name in enumerate(WINDOW_COLUMNS)
    )
    values = (pl.col(name).cast(portable(dtype)) for name, dtype in rows.schema.items() if name not in WINDOW_COLUMNS)
    laid_out = rows.select(*window, *values, pl.lit(pl.Series(_PLACE, place)))
    return laid_out.sort(_PLACE, *key, maintain_order=True).drop(_PLACE), place


def _is_laid_out(rows: pl.DataFrame, bounds: dict[str, int | None], key: tuple[str, ...]) -> bool:
    """Return whether there is nothing to do, as with most results: finding out is cheaper than doing it again."""
    names = (*WINDOW_COLUMNS, *(name for name in rows.columns if name not in WINDOW_COLUMNS))
    return (
        len(key) == 1
        and rows.columns == [*names]
        and all(rows.schema[name] == _TIME for name in WINDOW_COLUMNS)
        and all(rows[name].to_physical().first() == micros for name, micros in bounds.items())
        and all(portable(dtype) == dtype for dtype in rows.schema.values())
        and rows[key[0]].is_sorted()
    )


def require(rows: pl.DataFrame, names: Iterable[str]) -> None:
    """Check that the columns are there.

    Raises:
        ValueError: one is not.
    """
    for name in names:
        if name not in rows.columns:
            raise ValueError(f"results have no column {name!r}, only {', '.join(rows.columns)}")


def concat_alike(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of several frames with the same columns; where one has no values its type does not matter.

    Raises:
        ValueError: the columns do not go together.
    """
    kinds = [{_kind(frame.schema[name]) for frame in frames if name in frame.columns} for name in frames[0].columns]
    if any(frame.columns != frames[0].columns for frame in frames) or any(len(kind - {pl.Null}) > 1 for kind in kinds):
        schemas = dict.fromkeys(", ".join(f"{name} {of}" for name, of in frame.schema.items()) for frame in frames)
        raise ValueError(f"results of one table have different columns: {'; '.join(list(schemas)[:2])}")
    return pl.concat(frames, how="vertical_relaxed")


def _kind(dtype: pl.DataType) -> DataTypeClass | str:
    """Return what types have to have in common."""
    return "number" if dtype.is_numeric() else dtype.base_type()


def portable(dtype: pl.DataType) -> pl.DataType:
    """Return the type under which values of ``dtype`` are written."""
    if isinstance(dtype, pl.Decimal):
        return pl.Decimal(DECIMAL_DIGITS, dtype.scale)
    if isinstance(dtype, pl.Datetime):
        return _TIME
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return pl.String()
    if isinstance(dtype, (pl.List, pl.Array)):
        return pl.List(portable(instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: portable(instance(field.dtype)) for field in dtype.fields})
    return dtype


def instance(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    """Return the type as an object; polars names those without parameters by their class as well."""
    return dtype if isinstance(dtype, pl.DataType) else dtype()


def _bound(name: str, micros: int | None) -> pl.Expr:
    # From the number: a literal of Python's datetime costs half a millisecond.
    return pl.lit(micros, pl.Int64).cast(_TIME).alias(name)
