"""Conditions that a person has typed: SQL about the columns of records of which nobody knows the types."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from typing import Literal

import polars as pl

from transforms.untyped.sql_allowed import SQL_ERRORS, first_line, sql_expression

SqlType = Literal["text", "number", "boolean"]
_KINDS: tuple[SqlType, ...] = ("text", "number", "boolean")
#: So many columns change their kind at most, until a condition that fits none of them is given up.
_MOST_CHANGES = 4


class Condition:
    """A condition in SQL, as polars understands it, about single records: ``price > 3 AND item LIKE 'A%'``.

    It may call a list of functions, none of which opens files or addresses: see :mod:`transforms.untyped.sql_allowed`.

    A column is a number where ``numbers`` says so, else text; and it is read as a number, or as true and false, where
    the condition would make no sense otherwise, as in ``price > 3``. A value that cannot be read so is missing.

    Args:
        text: the condition.
        numbers: the columns that are known to be numbers.
        names: all columns; empty where nobody knows.

    Raises:
        ValueError: it is no condition, or about columns that are not there.
    """

    def __init__(self, text: str, numbers: Collection[str] = (), names: Collection[str] = ()) -> None:
        self.text = text
        self._expression = sql_expression(text)
        self.columns = tuple(dict.fromkeys(self._expression.meta.root_names()))
        unknown = [name for name in self.columns if names and name not in names]
        if unknown:
            raise ValueError(f"the condition {text!r} asks for {unknown[0]!r}, and there is only {', '.join(names)}")
        if not self.columns:
            raise ValueError(f"expected a condition about a column, got {text!r}")
        self.kinds = self._find_kinds(numbers)

    def keeps(self, texts: pl.DataFrame) -> pl.Series:
        """Tell for each row of texts whether it is wanted; null where that cannot be worked out."""
        try:
            return self._keeps(texts)
        except SQL_ERRORS:
            if texts.height == 1:
                return pl.Series([None], dtype=pl.Boolean)
            # One value spoils the whole: as with CAST(item AS DOUBLE).
            return pl.concat([self.keeps(texts.slice(row, 1)) for row in range(texts.height)])

    def _keeps(self, texts: pl.DataFrame) -> pl.Series:
        typed = texts.select(_typed(name, self.kinds[name]) for name in self.columns)
        return typed.select(self._expression.fill_null(value=False)).to_series()

    def _find_kinds(self, numbers: Collection[str]) -> dict[str, SqlType]:
        """Return the kinds of the columns with which the condition makes sense: the fewest others than expected."""
        reason = ""
        # With nothing but missing values more passes than does with values, and with these what is cast may not.
        for value, kinds in itertools.product(("1", None), self._guesses(numbers)):
            texts = pl.DataFrame({name: [value, None] for name in kinds}, schema=dict.fromkeys(kinds, pl.String))
            rows = texts.select(_typed(name, kind) for name, kind in kinds.items())
            try:
                told = rows.select(self._expression)
            except SQL_ERRORS as error:
                reason = reason or first_line(error)
                continue
            if not isinstance(told.dtypes[0], pl.Boolean):
                reason = reason or f"it is no condition, but gives {told.dtypes[0]}"
                continue
            if told.height != rows.height:
                raise ValueError(f"the condition {self.text!r} is not about single records")
            return kinds
        raise ValueError(f"the condition {self.text!r} makes no sense: {reason}")

    def _guesses(self, numbers: Collection[str]) -> Iterator[dict[str, SqlType]]:
        expected: dict[str, SqlType] = {name: "number" if name in numbers else "text" for name in self.columns}
        for changes in range(min(len(self.columns), _MOST_CHANGES) + 1):
            for names in itertools.combinations(self.columns, changes):
                others = [[kind for kind in _KINDS if kind != expected[name]] for name in names]
                for kinds in itertools.product(*others):
                    yield expected | dict(zip(names, kinds, strict=True))


def _typed(name: str, kind: SqlType) -> pl.Expr:
    text = pl.col(name)
    if kind == "number":
        return text.str.strip_chars(" ").cast(pl.Float64, strict=False).fill_nan(None)
    if kind == "boolean":
        return text.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    return text
