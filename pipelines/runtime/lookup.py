"""Small tables to join: read whole from a file or a database, every value as text."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from schemas.record_type import RecordType
from sinks.address import parse_output
from sinks.sql.output import SqlOutput
from sinks.sql.url import shown
from sources.files.chunks import file_dialect, find_files
from sources.files.opening import open_file
from storage.place import size_of

#: A table goes to every worker.
MOST_BYTES = 256 << 20


def read_lookup(address: str) -> pl.DataFrame:
    """Return the table of a file (.parquet, .jsonl, or delimited with a header row) or database, as texts.

    >>> read_lookup("customers.xlsx")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no file at 'customers.xlsx': expected a path, a glob or a folder with files in it

    Raises:
        ValueError: it is no table, is too big, is several files, or the address of a database names no table.
        OSError: the file cannot be read.
    """
    output = parse_output(address) if "sql" in address.partition("://")[0] else None
    if isinstance(output, SqlOutput):
        return _of_database(output)
    path, *others = find_files([address])
    if others:
        raise ValueError(f"expected one file to join, got {len(others) + 1} at {address!r}")
    if size_of(path) > MOST_BYTES:
        raise ValueError(f"{address!r} is too big to join: expected {MOST_BYTES >> 20} MiB at most")
    try:
        with open_file(path) as file:
            data = file.read(MOST_BYTES) or b""
        if path.endswith(".parquet"):
            return _as_text(pl.read_parquet(data))
        if path.endswith((".jsonl", ".ndjson")):
            return _as_text(pl.read_ndjson(data, infer_schema_length=None))
        dialect = file_dialect(path, RecordType("row", (), (), "", separator=","))
        return pl.read_csv(data, separator=dialect.separator, infer_schema=False, encoding="utf8")
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"cannot read {address!r} as a table: {str(error).splitlines()[0]}") from None


def _of_database(output: SqlOutput) -> pl.DataFrame:
    if not output.table:
        raise ValueError(f"expected a table such as sqlite:///shop.db?table=customers, got {output.path!r}")
    if output.shared_file and not Path(output.shared_file).is_file():
        raise FileNotFoundError(f"no file at {output.shared_file!r}")
    engine = sa.create_engine(output.url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(sa.select("*").select_from(sa.table(output.table)))
            names = [*rows.keys()]
            return _as_text(pl.DataFrame([tuple(row) for row in rows], names, orient="row", infer_schema_length=None))
    except SQLAlchemyError as error:
        raise ValueError(f"cannot read {shown(output.url)}: {str(error).splitlines()[0]}") from None
    finally:
        engine.dispose()


def _as_text(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(pl.all().cast(pl.String))
