"""Delimited records: fields with a separator between them, maybe in quotes, maybe below a header row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.forms.form import SEQUENCE_NUMBER, Field, Form
from schemas.time_formats import IsoTimes

if TYPE_CHECKING:
    import polars as pl

#: The texts, blanks around them left out, that mean that there is no value.
MISSING = ("", "NULL")


class Delimited(Form):
    """Fields with a separator between them."""

    name = "delimited records"
    parser = "transforms.parse.delimited:Parser"
    times = IsoTimes("2011-04-01 10:40:23")
    has_dialects = True

    def find_time(self, record: str, field: Field) -> str | None:
        """Return the text of the field, without quotes."""
        found = re.match(_pattern(field), record)
        if found is None:
            raise ValueError("no such field")
        return None if found[1].strip(" ") in MISSING else found[1]

    def find_times(self, records: pl.Series, field: Field) -> pl.Series:
        """Return the texts of the fields, without quotes."""
        if field.quoted and records.str.contains('"', literal=True).any():
            return records.str.extract(_pattern(field))
        _before(field)
        found = records.str.splitn(field.separator, field.place + 2).struct[field.place]
        return found.str.extract(r"^[\"']?([^\"'\r]*)")

    def sequence_pattern(self, field: Field) -> re.Pattern[bytes]:
        """Return what finds the field at the place of that column.

        Raises:
            ValueError: there is no such column.
        """
        if field.place < 0:
            raise ValueError(f"no column {field.names[0]!r} for the sequence number")
        before = _before(field).encode()
        return re.compile(rb'%s"?%s\b' % (before, SEQUENCE_NUMBER), re.MULTILINE)


def _before(field: Field) -> str:
    """Return the pattern of all that stands before a field.

    Raises:
        ValueError: there is no such field.
    """
    if field.place < 0:
        raise ValueError(f"no column {field.names[0]!r}")
    separator = re.escape(field.separator)
    other = rf"[^{separator}\n]*"
    if field.quoted:
        # In one way only: else what has too few fields would be tried in all of them.
        other = rf'(?:"(?:[^"\n]|"")*"|[^"{separator}\n]{other}|)'
    return rf"^(?:{other}{separator}){{{field.place}}}"


def _pattern(field: Field) -> str:
    return rf"{_before(field)}[\"']?([^\"'{re.escape(field.separator)}\r\n]*)"


DELIMITED = Delimited()
