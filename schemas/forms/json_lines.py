"""JSON lines: one object a line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from schemas.forms.form import SEQUENCE_NUMBER, Field, Form
from schemas.time_formats import ISO_TIMES

if TYPE_CHECKING:
    import polars as pl


class JsonLines(Form):
    """One JSON object a line."""

    name = "JSON lines"
    parser = "transforms.parse.json_lines:JsonParser"
    times = ISO_TIMES
    is_json = True

    def find_time(self, record: str, field: Field) -> str | None:
        """Return the text of the field, or of the first of the type's other times."""
        fields = json.loads(record, parse_int=str, parse_float=str)
        if not isinstance(fields, dict):
            raise ValueError("no object")  # noqa: TRY004 - the record is wrong, not the caller
        values = (fields.get(name) for name in field.names)
        value = next((value for value in values if value is not None), None)
        return None if value is None else str(value)

    def find_times(self, records: pl.Series, field: Field) -> pl.Series:
        """Return strings and numbers behind the names; one of that name in an object inside a record may spoil it."""
        names = "|".join(map(re.escape, field.names))
        before = rf'"(?:{names})"\s*:\s*'
        texts = records.str.extract(rf'{before}"([^"]*)"')
        if not texts.null_count():
            return texts
        return texts.zip_with(texts.is_not_null(), records.str.extract(rf"{before}(-?[0-9.]+)"))

    def sequence_pattern(self, field: Field) -> re.Pattern[bytes]:
        """Return what finds the number, or a string of it, behind that name."""
        return re.compile(rb'"%s"[ \t]*:[ \t]*"?%s\b' % (re.escape(field.names[0].encode()), SEQUENCE_NUMBER))


JSON_LINES = JsonLines()
