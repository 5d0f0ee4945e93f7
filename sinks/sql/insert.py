"""Single records into a table of a database, each once, from however many writers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import apache_beam as beam
import polars as pl
import sqlalchemy as sa
from apache_beam.transforms.window import GlobalWindows
from sqlalchemy.dialects import postgresql, sqlite

from schemas.elements.frames import RECORD, Batch, Written
from schemas.text.records import find_records
from sinks.sql.database import DATABASES, RETRY_SECONDS, Database
from sinks.sql.url import POSTGRESQL, SQLITE, address_of, check_table, make_table, shown
from sources.positions import delivery
from transforms.untyped.fields import unquoted
from transforms.untyped.json_fields import FIELD
from transforms.untyped.numbers import as_double, as_integer

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
    """Write each record into a row of its own, and yield a :class:`Written` per transaction.

    The table is made when it is missing. It has the fields as text, and the identity of the record as its key (see
    :class:`schemas.elements.block.Block`): ``origin`` and ``position``, where it was, and ``relay``, the scope of
    these. What is read again, by the same run or by another, has the same: it changes the rows that are there, and adds
    none. Input that can be read but once has a ``relay`` that each reading makes up;
    its rows tell in ``arrival`` when they were received, in microseconds. That is 0 for all that can be read again.

    In SQLite the fields in ``numbers`` have columns without a type: a value is a number there if it is one that SQLite
    keeps (see :mod:`transforms.untyped.numbers`), and else the text that it was, as in all other columns.

    The records of a bundle are written in one transaction, which is tried again while the database is away or busy.
    Two records of a bundle that have the same identity and are not the same end the run, and neither is written.

    Attributes:
        address: where the database is; made from the argument ``url``, as that of :class:`sinks.sql.write.WriteTable`.
        table: the name of the table.
        columns: the fields to write; none for the whole record, as ``line``.
        numbers: those of them that are numbers.
        declared: whether somebody said so: then ``1.10`` may be kept as 1.1, and ``1e3`` is a number.
        retry_seconds: for how long to try again.

    Raises:
        ValueError: when made, the address or a name is wrong.
        SinkError: when run, it cannot be written; the message is one line, and without the password.
    """

    url: InitVar[str | sa.URL]
    table: str
    columns: tuple[str, ...] = ()
    numbers: Collection[str] = ()
    declared: bool = False
    retry_seconds: float = RETRY_SECONDS
    address: sa.URL = field(init=False)

    def __post_init__(self, url: str | sa.URL) -> None:
        """Check the fields."""
        super().__init__()
        self.address = address_of(url)
        check_table(self.table)
        names = [name.lower() for name in (*KEY, *self.columns)]
        again = next((name for name in names if names.count(name) > 1), None)
        if again is not None:
            raise ValueError(f"the table would have the column {again!r} twice: name the others with --columns")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return pcoll | "InsertRows" >> beam.ParDo(_InsertFn(self))

    @property
    def kept_as_numbers(self) -> frozenset[str]:
        """The fields whose values are numbers in the table, where they can be."""
        is_sqlite = self.address.get_backend_name() == SQLITE
        return frozenset(self.numbers if is_sqlite else ()).intersection(self.columns)

    def make_table(self) -> None:
        """Make the table, if it is not there, so that who asks it gets no rows rather than an error.

        Raises:
            SinkError: it cannot be made, or there is another one of that name.
        """
        columns = (*KEY, *(self.columns or (LINE,)))
        table = _Table(self.address.get_backend_name(), self.table, columns, self.kept_as_numbers)
        database = DATABASES.borrow(self.address)
        try:
            database.transact(lambda connection: table.require(connection, database), self.retry_seconds)
        finally:
            DATABASES.give_back(self.address, database)


def table_rows(
    batch: Batch, columns: Sequence[str], numbers: Collection[str] = (), *, declared: bool = False
) -> pl.DataFrame:
    """Return the rows of a batch: KEY, and the fields, or the whole LINE.

    Args:
        batch: the records.
        columns: the fields; none for the whole record.
        numbers: those of them of which each value is a struct: the value as a whole number, as a double and as a text,
            all but one of them missing.
        declared: whether somebody said that these are numbers.
    """
    block = batch.block
    lines = find_records(block.data, block.dialect)
    records = batch.rows[RECORD].to_numpy()
    origins, positions = block.locate_all(lines.starts[records])
    # A message that has a number can be read again, and its time of arrival depends on the others of its block.
    is_read_once = bool(block.scope) and not any(span.numbered for span in block.spans)
    rows = pl.DataFrame({ORIGIN: origins, POSITION: positions}).with_columns(
        pl.lit(block.scope).alias(RELAY), pl.lit(block.arrival if is_read_once else 0, pl.Int64).alias(ARRIVAL)
    )
    if columns:
        of = batch.rows.columns
        fields = batch.rows.select(
            (_number(name, of, declared=declared) if name in numbers else pl.col(FIELD + name)).alias(name)
            for name in columns
        )
    else:
        ends = zip(lines.starts[records].tolist(), lines.stops[records].tolist(), strict=True)
        fields = pl.DataFrame(
            {LINE: [block.data[start:stop].decode(errors="replace") for start, stop in ends]}, {LINE: pl.String}
        )
    return pl.concat([rows.select(KEY), fields], how="horizontal")


def _number(name: str, columns: Collection[str], *, declared: bool) -> pl.Expr:
    text = unquoted(name, columns)
    integer, double = as_integer(text), as_double(text, declared=declared)
    is_text = integer.is_null() & double.is_null()
    return pl.struct(
        integer.alias("integer"),
        pl.when(integer.is_null()).then(double).alias("double"),
        pl.when(is_text).then(pl.col(FIELD + name)).alias("text"),
    )


def once_each(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each row once.

    Raises:
        ValueError: rows that are not the same have the same KEY; one of them would be lost.
    """
    if rows.select(KEY).n_unique() == rows.height:
        return rows
    rows = rows.unique(maintain_order=True)
    twice = rows.filter(pl.struct(KEY).is_duplicated())
    if twice.height:
        raise ValueError(f"two records have the place {twice[ORIGIN][0]}:{twice[POSITION][0]}")
    return rows


class _InsertFn(beam.DoFn):
    """Gather the rows of a bundle, and write them when it ends, or when there are many."""

    def __init__(self, options: InsertRecords) -> None:
        self._options = options
        self._path = shown(options.address)
        self._frames: list[pl.DataFrame] = []
        self._receipts: list[str] = []
        self._rows = 0
        self._database: Database | None = None
        self._table: _Table | None = None
        self._numbers = options.kept_as_numbers

    def start_bundle(self) -> None:
        self._frames, self._receipts, self._rows = [], [], 0

    def process(self, batch: Batch) -> Iterator[Written]:
        options = self._options
        frame = table_rows(batch, options.columns, self._numbers, declared=options.declared)
        self._frames.append(frame)
        self._receipts.append(batch.block.receipt)
        self._rows += frame.height
        if self._rows >= MOST_ROWS:
            yield self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        if self._frames:
            yield GlobalWindows.windowed_value(self._flush())

    def teardown(self) -> None:
        if self._database is not None:
            DATABASES.give_back(self._options.address, self._database)
        self._database = None

    def _flush(self) -> Written:
        options, gathered = self._options, pl.concat(self._frames)
        self._frames, self._rows = [], 0
        if self._database is None:
            self._database = DATABASES.borrow(options.address)
        is_new = self._table is None
        backend = options.address.get_backend_name()
        table = self._table or _Table(backend, options.table, gathered.columns, self._numbers)
        database = self._database
        try:
            rows = once_each(gathered)
        except ValueError as error:
            raise database.error(f"{error}: table {options.table} could have but one of them") from None

        def work(connection: sa.Connection) -> None:
            if is_new:
                table.require(connection, database)
            table.write(connection, rows)

        database.transact(work, options.retry_seconds)
        self._table = table
        for receipt in self._receipts:
            delivery.deliver(receipt)
        self._receipts = []
        return Written(f"{self._path}, table {options.table}", rows.height)


class _Table:
    """The statements for one table."""

    def __init__(self, backend: str, name: str, columns: Sequence[str], numbers: Collection[str]) -> None:
        self._backend = backend
        self._numbers = numbers
        kinds: dict[str, sa.types.TypeEngine[Any]] = dict.fromkeys(numbers, _AsItIs())
        kinds |= {ARRIVAL: sa.BigInteger(), POSITION: sa.BigInteger()}
        made = (sa.Column(column, kinds.get(column, sa.Text())) for column in columns)
        self.table = sa.Table(name, sa.MetaData(), *made, sa.PrimaryKeyConstraint(*KEY))
        insert = (sqlite.insert if backend == SQLITE else postgresql.insert)(self.table)
        newer = {column: insert.excluded[column] for column in columns if column not in KEY}
        self._insert = insert.on_conflict_do_update(index_elements=list(KEY), set_=newer)

    def require(self, connection: sa.Connection, database: Database) -> None:
        """Make the table, if it is not there.

        Raises:
            SinkError: there is another one of that name.
        """
        problem = self._prepare(connection)
        if problem:
            raise database.error(problem)

    def _prepare(self, connection: sa.Connection) -> str:
        """Make the table, if it is not there; return what is wrong with it, or an empty text."""
        inspector = make_table(connection, self.table)
        if inspector is None:
            return ""
        found = {column["name"]: column["type"] for column in inspector.get_columns(self.table.name)}
        for column in self.table.columns:
            if column.name not in found:
                return f"table {self.table.name} is another one: it has no column {column.name}"
            of = found[column.name]
            if column.name not in (ARRIVAL, POSITION) and not keeps_texts(of, self._backend):
                got = of.compile(connection.dialect)
                return f"table {self.table.name} is another one: expected column {column.name} TEXT, got {got}"
        key = inspector.get_pk_constraint(self.table.name)["constrained_columns"]
        return "" if key == list(KEY) else f"table {self.table.name} is another one: its key is not {', '.join(KEY)}"

    def write(self, connection: sa.Connection, rows: pl.DataFrame) -> None:
        """Write the rows; those that are there already are changed."""
        if self._backend == POSTGRESQL:  # it has no texts with this character
            rows = rows.with_columns(pl.col(pl.String).str.replace_all("\0", _UNREADABLE, literal=True))
        values = {name: _merged(rows[name]) if name in self._numbers else rows[name].to_list() for name in rows.columns}
        connection.execute(
            self._insert, [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        )


def keeps_texts(of: sa.types.TypeEngine[Any], backend: str) -> bool:
    """Return whether a column of a table that somebody else made keeps every text that it is given as it is."""
    if backend == POSTGRESQL:  # which refuses a text that is too long for the column
        return isinstance(of, sa.String) and not isinstance(of, sa.CHAR)
    # SQLite makes numbers of texts by the name of the type, where that is neither empty nor says TEXT, CHAR or BLOB.
    return isinstance(of, (sa.String, sa.types.NullType, sa.LargeBinary))


def _merged(structs: pl.Series) -> list[int | float | str | None]:
    """Return the values of :func:`_number`, each of its own type."""
    parts = (structs.struct.field(name).to_list() for name in ("integer", "double", "text"))
    return [
        integer if integer is not None else text if double is None else double
        for integer, double, text in zip(*parts, strict=True)
    ]


class _AsItIs(sa.types.UserDefinedType[Any]):
    """A column of SQLite without a type: it makes no numbers of texts, and no texts of numbers."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return ""
