"""The arguments of options: texts that are checked where they are given."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from schemas.times import parse_duration
from sources.pacing import Pace

_T = TypeVar("_T")
#: The period of results that are not wanted before the end.
NEVER = "never"


def checked(parse: Callable[[str], _T]) -> Callable[[str], str]:
    """Gives an argument type that checks the text and keeps it as it is, so that options travel as plain text."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return check


def period(text: str) -> int:
    """Gives the microseconds of a time, 0 for never."""
    return 0 if text == NEVER else positive_duration(text)


def positive_duration(text: str) -> int:
    """Gives the microseconds of a time that is longer than none."""
    micros = parse_duration(text)
    if not micros:
        raise ValueError(f"expected a time longer than none, got {text!r}")
    return micros


def positive(text: str) -> int:
    """Reads a whole number from 1 up."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)


def positive_number(text: str) -> float:
    """Reads a number greater than 0."""
    try:
        value = float(text)
        Pace(rate=value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number greater than 0, got {text!r}") from None
    return value
