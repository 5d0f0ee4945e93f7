"""Results into a table of a database: the newest of each window and key, whatever the order they come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Any

import apache_beam as beam
import polars as pl
import sqlalchemy as sa
from apache_beam.transforms.window import GlobalWindows

from schemas.elements.frames import Result, Written
from schemas.times import to_datetime
from sinks.files.table_layout import WINDOW_COLUMNS, lay_out_all
from sinks.sql.database import DATABASES, RETRY_SECONDS, Database
from sinks.sql.upsert import FINAL, OWN_COLUMNS, PANE, RUN, Upsert, Window
from sinks.sql.url import address_of, check_table, shown

#: A bundle of more rows is written in several transactions.
MOST_ROWS = 50_000


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteTable(beam.PTransform):
    """Write each result into one table, a row per window and key, and yield a :class:`Written` per transaction.

    For example::

        results | WriteTable("sqlite:///credit.db", "regions", key=("account_region",))

    The table has the columns of the results and ``run``, ``pane`` and ``final``, and is made when it is missing. There
    is one row per (``window_start``, ``window_end``, key), where missing values count as equal: a result replaces
    what an older one has left, and never what a newer one has, in whatever order and however often they come, from
    however many writers. The results of a bundle are written in one transaction, which is tried again while the
    database is away or busy.

    Attributes:
        address: where the database is. It is made from the argument ``url``: ``sqlite:///PATH`` or
            ``postgresql://...`` as text, or SQLAlchemy's URL; it does not show its password.
        table: the name of the table.
        key: the columns that tell the rows of a window apart; none where a window has one row.
        early: whether to write early results, too.
        replace_window: take rows out that a newer result of their window no longer has, as with the best three.
        run: results of a higher run replace those of a lower one, whatever their panes: a second run of a pipeline,
            which counts its panes from 0 again, gives the time of its start.
        retry_seconds: for how long to try again.

    Raises:
        ValueError: when made, the address or the table's name is wrong, or the key is no tuple; when run, a column is
            missing or has a type that no table has.
        SinkError: when run, it cannot be written; the message is one line, and without the password.
    """

    url: InitVar[str | sa.URL]
    table: str
    key: tuple[str, ...] = ("upc",)
    early: bool = True
    replace_window: bool = False
    run: int = 0
    retry_seconds: float = RETRY_SECONDS
    address: sa.URL = field(init=False)

    def __post_init__(self, url: str | sa.URL) -> None:
        """Check the fields."""
        super().__init__()
        self.address = address_of(url)
        check_table(self.table)
        if isinstance(self.key, str):
            raise ValueError(f"expected a tuple of key columns, got {self.key!r}")  # noqa: TRY004
        if self.retry_seconds < 0:
            raise ValueError(f"retry_seconds must not be negative, got {self.retry_seconds}")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Wire the steps; what is given belongs to transactions, so to no window."""
        results = pcoll if self.early else pcoll | "KeepFinal" >> beam.Filter(_is_final)
        return results | "AllTime" >> beam.WindowInto(GlobalWindows()) | "UpsertRows" >> beam.ParDo(_UpsertFn(self))


def newest_rows(results: Sequence[Result], key: tuple[str, ...], run: int, *, whole_windows: bool) -> pl.DataFrame:
    """Return the rows of several results, with OWN_COLUMNS, in the order of window and key.

    Of the rows of one window and key, the newest; with ``whole_windows``, only those of a window's newest result.

    Raises:
        ValueError: a column is missing, or is there under a name of OWN_COLUMNS.
    """
    for name in OWN_COLUMNS:
        if name in results[0].rows.columns:
            raise ValueError(f"{name!r} is a column that every table has, so results cannot have one")
    rows, place = lay_out_all(results, key)
    rows = rows.with_columns(
        pl.lit(run, pl.Int64).alias(RUN),
        pl.Series(PANE, [result.pane for result in results], pl.Int64).gather(place),
        pl.Series(FINAL, [result.final for result in results], pl.Boolean).gather(place),
        pl.Series("_at", place, pl.Int64),
    )
    if whole_windows:
        last = _newest_of_windows(results)
        rows = rows.filter(pl.col("_at").is_in(list(last.values())))
    together = (*WINDOW_COLUMNS, *key)
    rows = rows.sort(PANE, "_at").unique(together, keep="last")
    # Writers that take the rows in the same order do not wait for each other in a circle.
    return rows.drop("_at").sort(together)


def _newest_of_windows(results: Sequence[Result]) -> dict[tuple[int | None, int | None], int]:
    """Return, by window, the place of its newest result; of equally new ones the last."""
    newest: dict[tuple[int | None, int | None], int] = {}
    for place, result in enumerate(results):
        window = result[:2]
        if window not in newest or results[newest[window]].pane <= result.pane:
            newest[window] = place
    return newest


def _is_final(result: Result) -> bool:
    return result.final


def _text(micros: int | None) -> str | None:
    return None if micros is None else to_datetime(micros).isoformat()


class _UpsertFn(beam.DoFn):
    """Gather the results of a bundle, and write them when it ends, or when there are many."""

    def __init__(self, options: WriteTable) -> None:
        self._options = options
        self._path = shown(options.address)
        self._results: list[Result] = []
        self._rows = 0
        self._database: Database | None = None
        self._upsert: tuple[pl.Schema, Upsert] | None = None

    def start_bundle(self) -> None:
        self._results, self._rows = [], 0

    def process(self, element: Result) -> Iterator[Written]:
        self._results.append(element)
        self._rows += element.rows.height
        if self._rows >= MOST_ROWS:
            yield self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        if self._results:
            yield GlobalWindows.windowed_value(self._flush())

    def teardown(self) -> None:
        if self._database is not None:
            DATABASES.give_back(self._options.address, self._database)
        self._database = None

    def _flush(self) -> Written:
        """Write what has gathered; return how many rows are final."""
        options, results = self._options, self._results
        self._results, self._rows = [], 0
        if self._database is None:
            self._database = DATABASES.borrow(options.address)
        database = self._database
        rows = newest_rows(results, options.key, options.run, whole_windows=options.replace_window)
        is_new = self._upsert is None or self._upsert[0] != rows.schema
        if self._upsert is None or is_new:
            backend = options.address.get_backend_name()
            self._upsert = rows.schema, Upsert(backend, options.table, rows.schema, options.key)
        upsert = self._upsert[1]
        texts = upsert.in_sql(rows)
        windows = [
            Window(_text(start), _text(end), options.run, results[place].pane)
            for (start, end), place in _newest_of_windows(results).items()
        ]

        def work(connection: sa.Connection) -> None:
            problem = upsert.prepare(connection) if is_new else ""
            if problem:
                raise database.error(problem)
            if options.replace_window:
                upsert.replace(connection, texts, windows)
            else:
                upsert.write(connection, texts)

        try:
            database.transact(work, options.retry_seconds)
        except BaseException:
            self._upsert = None
            raise
        return Written(f"{self._path}, table {options.table}", int(rows[FINAL].sum()))
