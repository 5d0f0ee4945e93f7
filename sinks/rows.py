"""Single records into a table of a database, each once, from however many writers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import polars as pl
import sqlalchemy as sa
from apache_beam.transforms.window import GlobalWindows
from sqlalchemy.dialects import postgresql, sqlite

from sinks.database import RETRY_SECONDS, Database, borrow, give_back
from sinks.files import Written
from sinks.sql import POSTGRESQL, SQLITE, check_table, make_table, parse_sql, shown
from sources.block import Block
from sources.scan import find_lines
from transforms.fields import FIELD
from transforms.frames import RECORD, Batch

#: What the table has besides the fields: together they tell the records apart.
RELAY, ARRIVAL, ORIGIN, POSITION = KEY = ("relay", "arrival", "origin", "position")
#: The column of records of which no field is known.
LINE = "line"
#: A bundle of more rows is written in several transactions.
MOST_ROWS = 50_000
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class InsertRecords(beam.PTransform):
    """Writes each record into a row of its own, and gives a :class:`Written` per transaction.

    The table is made when it is missing. It has the fields as text (in SQLite those in ``numbers`` as numbers), and
    what tells the records apart: ``origin`` and ``position``, where the record was; and for live input, which can be
    read but once, ``relay``, a name that each run makes up, and ``arrival``, when its block was received, in
    microseconds. Of files the former is empty and the latter 0, and the origin is the whole path: so to relay a file
    again changes the rows that are there, and adds none.

    The records of a bundle are written in one transaction, which is tried again while the database is away or busy.

    Attributes:
        address: where the database is; made from the argument ``url``, as that of :class:`sinks.table.WriteTable`.
        table: the name of the table.
        columns: the fields to write; none for the whole record, as ``line``.
        numbers: those of them that are numbers.
        is_live: whether the records come from live input.
        retry_seconds: for how long to try again.
        relay: names this run; for live input only.

    Raises:
        ValueError: when made, the address or a name is wrong.
        SinkError: when run, it cannot be written; the message is one line, and without the password.
    """

    url: InitVar[str | sa.URL]
    table: str
    columns: tuple[str, ...] = ()
    numbers: Collection[str] = ()
    is_live: bool = True
    retry_seconds: float = RETRY_SECONDS
    relay: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    address: sa.URL = field(init=False)

    def __post_init__(self, url: str | sa.URL) -> None:
        """Checks the fields."""
        super().__init__()
        self.address = parse_sql(url)[0] if isinstance(url, str) else url
        check_table(self.table)
        names = [name.lower() for name in (*KEY, *self.columns)]
        again = next((name for name in names if names.count(name) > 1), None)
        if again is not None:
            raise ValueError(f"the table would have the column {again!r} twice: name the others with --columns")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Wires the one step."""
        return pcoll | "InsertRows" >> beam.ParDo(_InsertFn(self))


def table_rows(batch: Batch, columns: Sequence[str], relay: str) -> pl.DataFrame:
    """Gives the rows of a batch: KEY, and the fields, or the whole LINE.

    Args:
        batch: the records.
        columns: the fields; none for the whole record.
        relay: names the run, where the input is live; empty for files.
    """
    lines = find_lines(batch.block.data)
    records = batch.rows[RECORD].to_numpy()
    origins, positions = _places(batch.block, lines.starts[records], is_file=not relay)
    rows = pl.DataFrame({ORIGIN: origins, POSITION: positions}).with_columns(
        pl.lit(relay).alias(RELAY), pl.lit(batch.block.arrival if relay else 0, pl.Int64).alias(ARRIVAL)
    )
    if columns:
        fields = batch.rows.select(pl.col(FIELD + name).alias(name) for name in columns)
    else:
        data, ends = batch.block.data, zip(lines.starts[records].tolist(), lines.stops[records].tolist(), strict=True)
        fields = pl.DataFrame({LINE: [data[start:stop].decode(errors="replace") for start, stop in ends]})
    return pl.concat([rows.select(KEY), fields], how="horizontal")


def _places(block: Block, starts: Any, *, is_file: bool) -> tuple[list[str], Any]:
    """Gives the origins of the records that start there, and their positions in these."""
    spans = block.spans
    of = np.searchsorted([span.start for span in spans], starts, side="right") - 1
    names = [os.path.abspath(span.origin) if is_file else span.origin for span in spans]  # noqa: PTH100
    safe = [name.encode(errors="replace").decode() for name in names]
    shift = np.array([span.position - span.start for span in spans], np.int64)
    return [safe[at] for at in of.tolist()], starts + shift[of]


class _InsertFn(beam.DoFn):
    """Gathers the rows of a bundle, and writes them when it ends, or when there are many."""

    def __init__(self, options: InsertRecords) -> None:
        self._options = options
        self._relay = options.relay if options.is_live else ""
        self._path = shown(options.address)
        self._frames: list[pl.DataFrame] = []
        self._rows = 0
        self._database: Database | None = None
        self._table: _Table | None = None

    def start_bundle(self) -> None:
        self._frames, self._rows = [], 0

    def process(self, batch: Batch) -> Iterator[Written]:
        frame = table_rows(batch, self._options.columns, self._relay)
        self._frames.append(frame)
        self._rows += frame.height
        if self._rows >= MOST_ROWS:
            yield self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        if self._frames:
            yield GlobalWindows.windowed_value(self._flush())

    def teardown(self) -> None:
        if self._database is not None:
            give_back(self._database)
        self._database = None

    def _flush(self) -> Written:
        options, rows = self._options, pl.concat(self._frames)
        self._frames, self._rows = [], 0
        if self._database is None:
            self._database = borrow(options.address)
        is_new = self._table is None
        table = self._table or _Table(options.address.get_backend_name(), options.table, rows.columns, options.numbers)
        database = self._database

        def work(connection: sa.Connection) -> None:
            problem = table.prepare(connection) if is_new else ""
            if problem:
                raise database.error(problem)
            table.write(connection, rows)

        database.transact(work, options.retry_seconds)
        self._table = table
        return Written(f"{self._path}, table {options.table}", rows.height)


class _Table:
    """The statements for one table."""

    def __init__(self, backend: str, name: str, columns: Sequence[str], numbers: Collection[str]) -> None:
        self._backend = backend
        kinds: dict[str, sa.types.TypeEngine[Any]] = {ARRIVAL: sa.BigInteger(), POSITION: sa.BigInteger()}
        self.table = sa.Table(
            name,
            sa.MetaData(),
            *(
                sa.Column(
                    column, kinds.get(column, _Number() if column in numbers and backend == SQLITE else sa.Text())
                )
                for column in columns
            ),
            sa.PrimaryKeyConstraint(*KEY),
        )
        insert = (sqlite.insert if backend == SQLITE else postgresql.insert)(self.table)
        newer = {column: insert.excluded[column] for column in columns if column not in KEY}
        self._insert = insert.on_conflict_do_update(index_elements=list(KEY), set_=newer)

    def prepare(self, connection: sa.Connection) -> str:
        """Makes the table, if it is not there; gives what is wrong with it, or an empty text."""
        inspector = make_table(connection, self.table)
        if inspector is None:
            return ""
        found = {column["name"] for column in inspector.get_columns(self.table.name)}
        missing = [column.name for column in self.table.columns if column.name not in found]
        key = inspector.get_pk_constraint(self.table.name)["constrained_columns"]
        if missing or key != list(KEY):
            lacks = f"it has no column {missing[0]}" if missing else f"its key is not {', '.join(KEY)}"
            return f"table {self.table.name} is another one: {lacks}"
        return ""

    def write(self, connection: sa.Connection, rows: pl.DataFrame) -> None:
        """Writes the rows; those that are there already are changed."""
        if self._backend == POSTGRESQL:  # it has no texts with this character
            rows = rows.with_columns(pl.col(pl.String).str.replace_all("\0", _UNREADABLE, literal=True))
        connection.execute(self._insert, rows.to_dicts())


class _Number(sa.types.UserDefinedType[Any]):
    """A column of SQLite that makes numbers of the texts that are some, and keeps the others."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "NUMERIC"
