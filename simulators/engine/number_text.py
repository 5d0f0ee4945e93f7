"""Figures: whole numbers, exact decimals and times as pieces of records, with no work per record in Python.

A decimal is a whole number of its smallest part (cents, millionths), so nothing is ever rounded.
"""

from __future__ import annotations

import numpy as np

from schemas.times import MICROS_PER_SECOND
from simulators.engine.byte_layout import SECONDS_OF_DAY, Ints, Piece, Texts, table

#: Digits are looked up in groups.
_GROUP, _GROUP_DIGITS = 10**4, 4
_SECONDS_PER_DAY = 86_400
_THOUSAND = 1_000

_SIGNS = table(["", "-"])
_ZEROS_BEFORE = [f"{number:0{_GROUP_DIGITS}}" for number in range(_GROUP)]
#: A group of digits behind no other ones, then the same behind others; only in the last group a 0 alone is a digit.
_LAST = table([*map(str, range(_GROUP)), *_ZEROS_BEFORE])
_FURTHER = table(["", *map(str, range(1, _GROUP)), *_ZEROS_BEFORE])
_PADDED = {digits: table(f"{number:0{digits}}" for number in range(10**digits)) for digits in (1, 2, 3, 4)}
_POINT = {digits: np.char.add(b".", texts) for digits, texts in _PADDED.items()}


def whole(values: Ints) -> list[Piece]:
    """Print whole numbers from 0 up."""
    groups: list[Ints] = []
    rest = values
    while not groups or rest.any():
        rest, group = np.divmod(rest, _GROUP)
        groups.append(group)
    pieces: list[Piece] = []
    has_begun = np.zeros(len(values), np.int64)
    while groups:
        group = groups.pop()
        pieces.append((_FURTHER if groups else _LAST, group + _GROUP * has_begun))
        has_begun |= group > 0
    return pieces


def padded(values: Ints, digits: int) -> list[Piece]:
    """Print whole numbers that have no more than so many digits, with zeros before them."""
    if digits <= _GROUP_DIGITS:
        return [(_PADDED[digits], values)]
    high, low = np.divmod(values, _GROUP)
    return [*padded(high, digits - _GROUP_DIGITS), (_PADDED[_GROUP_DIGITS], low)]


def fixed(units: Ints, places: int) -> list[Piece]:
    """Print decimals with that many digits behind the point: 1250 units of 3 places are ``1.250``."""
    part, fraction = np.divmod(np.abs(units), 10**places)
    pieces = [*_sign(units), *whole(part)]
    if places <= _GROUP_DIGITS:
        return [*pieces, (_POINT[places], fraction)]
    high, low = np.divmod(fraction, _GROUP)
    return [*pieces, (_POINT[places - _GROUP_DIGITS], high), (_PADDED[_GROUP_DIGITS], low)]


def cents_as_json(cents: Ints) -> list[Piece]:
    """Print hundredths the way that ``json.dumps`` does: ``4310.27``, ``4310.2``, ``4310.0``."""
    part, fraction = np.divmod(np.abs(cents), 100)
    return [*_sign(cents), *whole(part), (_CENTS_AS_JSON, fraction)]


def millionths(values: Ints) -> list[Piece]:
    """Print millionths with as many digits behind the point as they need: ``2.66``, ``1``, ``-0.729614``."""
    part, fraction = np.divmod(np.abs(values), 10**6)
    high, low = np.divmod(fraction, _THOUSAND)
    pieces = [*_sign(values), *whole(part)]
    if not low.any():
        return [*pieces, (_TRIMMED_OR_NOT, high)]
    return [*pieces, (_TRIMMED_OR_NOT, high + _THOUSAND * (low > 0)), (_LOW_TRIMMED, low)]


def utc(times: Ints) -> list[Piece]:
    """Print times in microseconds, none before 1970, as ``2024-01-01T12:30:00.250000Z``."""
    return [*stamps(times, "T"), "Z"]


def stamps(times: Ints, between: str = " ") -> list[Piece]:
    """Print times in microseconds, none before 1970, as ``2024-01-01 12:30:00.250000``."""
    seconds, micros = np.divmod(times, MICROS_PER_SECOND)
    days, second = np.divmod(seconds, _SECONDS_PER_DAY)
    dates, day = np.unique(days, return_inverse=True)
    texts = np.datetime_as_string(dates.astype("datetime64[D]")).astype("S10")
    return [(texts, day), between, (SECONDS_OF_DAY, second), ".", *padded(micros, 6)]


def _trimmed(fraction: str) -> str:
    return fraction.rstrip("0").rstrip(".")


def _sign(values: Ints) -> list[Piece]:
    negative = values < 0
    return [(_SIGNS, negative.astype(np.int64))] if negative.any() else []


_CENTS_AS_JSON: Texts = table([_trimmed(f".{part:02}") or ".0" for part in range(100)])
_TRIMMED_OR_NOT: Texts = table(
    [*(_trimmed(f".{part:03}") for part in range(_THOUSAND)), *(f".{part:03}" for part in range(_THOUSAND))]
)
_LOW_TRIMMED: Texts = table([f"{part:03}".rstrip("0") for part in range(_THOUSAND)])
