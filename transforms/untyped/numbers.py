"""Which texts are numbers, so that what is written as a number is read back as the same one."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

#: What JSON calls a number, of no more digits than a decimal of Arrow has; ``007`` is a code, not one.
_PLAIN = r"-?(?:0|[1-9][0-9]{0,37})(?:\.[0-9]{1,38})?"
_PLAIN_NUMBER = f"^{_PLAIN}$"
_NUMBER = rf"^{_PLAIN}(?:[eE][+-]?[0-9]{{1,4}})?$"
_ZERO = r"^-?[0.]+(?:[eE].*)?$"
_NEGATIVE_ZERO = r"^-[0.]+(?:[eE].*)?$"
_EXPONENT = r"[eE].*$"
_INTEGER = r"^(?:0|-?[1-9][0-9]*)$"
#: So many significant digits of any decimal survive as a double, also where a program prints no more of them.
_SURE_DIGITS = 15
#: Programs print smaller ones with an exponent, and doubles that are smaller still have fewer digits.
_LEAST_PLAIN, _LEAST = 1e-4, 1e-300


def is_number(text: pl.Expr, *, declared: bool = False) -> pl.Expr:
    """Return whether each text is a number; one with an exponent only in a column that was declared to have numbers.

    A serial such as ``15E2621`` is none, and neither is what a double would take for infinite or zero: ``1e999``.

    Args:
        text: the texts; a missing one is no number.
        declared: whether somebody said that these are numbers.
    """
    if not declared:
        return text.str.contains(_PLAIN_NUMBER).fill_null(value=False)
    double = text.cast(pl.Float64, strict=False)
    keeps_its_size = double.is_finite() & ((double != 0) | text.str.contains(_ZERO))
    return (text.str.contains(_NUMBER) & keeps_its_size).fill_null(value=False)


def is_native(text: pl.Expr) -> pl.Expr:
    """Return whether a whole number of 64 bits or a double keeps each text just as it is written."""
    return pl.coalesce(as_integer(text), as_double(text, declared=False)).is_not_null()


def as_integer(text: pl.Expr) -> pl.Expr:
    """Return the texts that are just how a whole number of 64 bits is written as that number, others as null."""
    number = text.cast(pl.Int64, strict=False)
    return pl.when(text.str.contains(_INTEGER)).then(number)


def as_double(text: pl.Expr, *, declared: bool) -> pl.Expr:
    """Return the texts that a double keeps as doubles, others as null.

    Of a column that was declared to have numbers, a double keeps those of up to 15 significant digits; of another one,
    only those of them that are printed again just as they are written, so not ``1.10`` and not ``-0``.
    """
    digits = text.str.replace(_EXPONENT, "").str.replace_all(r"[-.]", "").str.strip_chars_start("0").str.len_bytes()
    double = text.cast(pl.Float64, strict=False)
    least = _LEAST if declared else _LEAST_PLAIN
    same = ~text.str.contains(_NEGATIVE_ZERO) & ((double.abs() >= least) | (double == 0))
    if not declared:
        same &= double.cast(pl.String) == text
    return pl.when(is_number(text, declared=declared) & (digits <= _SURE_DIGITS) & same).then(double)


def columns_of(texts: pl.DataFrame, test: Callable[[pl.Expr], pl.Expr]) -> frozenset[str]:
    """Return the columns of texts in which there is a value and every one passes.

    Args:
        texts: the values as texts.
        test: says of texts which ones pass.
    """
    if not texts.height:
        return frozenset()
    columns = (pl.col(name) for name in texts.columns)
    passed = texts.select(text.is_not_null().any() & (test(text) | text.is_null()).all() for text in columns)
    return frozenset(name for name in passed.columns if passed[name][0])
