"""Delimited records: fields with a separator between them, maybe in quotes, maybe below a header row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from schemas.forms.form import SEQUENCE_NUMBER, Field, Form
from schemas.time_formats import PLAIN_TIMES

if TYPE_CHECKING:
    import polars as pl

#: The texts, blanks around them left out, that mean that there is no value.
MISSING = ("", "NULL")


class Delimited(Form):
    """Fields with a separator between them."""

    name = "delimited records"
    parser = "transforms.parse.delimited:Parser"
    times = PLAIN_TIMES
    has_dialects = True

    def find_time(self, record: bytes, field: Field) -> str | None:
        """Return the text of the field, without quotes."""
        fields = record.split(field.separator.encode(), field.place + 1)
        if not 0 <= field.place < len(fields):
            raise ValueError("too few fields")
        text = fields[field.place].strip(b'"\r\n').decode("ascii", "replace")
        return None if text.strip(" ") in MISSING else text

    def find_times(self, records: pl.Series, field: Field) -> pl.Series:
        """Return the texts of the fields; a separator inside quotes before it spoils one."""
        if field.place < 0:
            raise ValueError(f"no column {field.names[0]!r}")
        return records.str.splitn(field.separator, field.place + 2).struct[field.place].str.strip_chars('"')

    def sequence_pattern(self, field: Field) -> re.Pattern[bytes]:
        """Return what finds the field at the place of that column.

        Raises:
            ValueError: there is no such column.
        """
        if field.place < 0:
            raise ValueError(f"no column {field.names[0]!r} for the sequence number")
        separator = re.escape(field.separator.encode())
        other = rb"[^%s\n]*" % separator
        if field.quoted:
            other = rb'(?:"(?:[^"\n]|"")*"|%s)' % other
        return re.compile(rb'^(?:%s%s){%d}"?%s\b' % (other, separator, field.place, SEQUENCE_NUMBER), re.MULTILINE)


DELIMITED = Delimited()
