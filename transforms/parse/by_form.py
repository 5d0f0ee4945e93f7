"""Which parser a form of records has."""

from __future__ import annotations

import polars as pl

from schemas.record_type import RecordType
from transforms.parse.parser import ParseRecords


def parse_as(record_type: RecordType, columns: tuple[str, ...] = (), where: pl.Expr | None = None) -> ParseRecords:
    """Return the parser of a record type, by the form of its records."""
    # These import this module.
    from transforms.parse.access_log import ParseAccessLog  # noqa: PLC0415
    from transforms.parse.delimited import ParseDelimited  # noqa: PLC0415
    from transforms.parse.json_lines import ParseJson  # noqa: PLC0415

    parsers: dict[str, type[ParseRecords]] = {"delimited": ParseDelimited, "json": ParseJson, "clf": ParseAccessLog}
    return parsers[record_type.form](record_type, columns, where)
