import contextlib
import itertools
import re
from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.files.table_layout import lay_out
from sinks.sql.database import Database
from sinks.sql.upsert import Upsert, column_type, moment_text
from sinks.sql.url import POSTGRESQL, SQLITE, parse_sql
from sinks.sql.write import newest_rows
from tests.sinks.conftest import TIME, micros, result, totals

DAY = (micros(2011, 4, 1), micros(2011, 4, 2))
SHARED = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
_tables = (f"table_{number}" for number in itertools.count())


def stored(url: str, rows: pl.DataFrame, table: str) -> list[dict]:
    """Writes rows and reads them back by the driver alone."""
    address = parse_sql(url)[0]
    upsert = Upsert(address.get_backend_name(), table, rows.schema, ("upc",))
    everything = sa.select(sa.literal_column("*")).select_from(sa.table(table))
    with contextlib.closing(Database(address)) as database:
        for _ in range(2):  # it makes the table, and knows it again
            assert not database.transact(upsert.prepare)
        database.transact(lambda connection: upsert.write(connection, upsert.in_sql(rows)))
        return database.transact(lambda connection: [row._asdict() for row in connection.execute(everything)])


@given(st.lists(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), min_size=1))
def test_the_texts_of_times_have_the_order_of_the_times(times):
    texts = pl.DataFrame({"t": times}, schema={"t": pl.Datetime("us")}).select(moment_text(pl.col("t"))).to_series()
    assert sorted(texts) == [moment.replace(tzinfo=timezone.utc).isoformat() for moment in sorted(times)]


def test_a_table_is_made_with_exact_types():
    schema = pl.Schema({"spend": pl.Decimal(20, 4), "seen": TIME, "day": pl.Date, "rows": pl.UInt32, "ok": pl.Boolean})
    types = {
        backend: [str(column_type(dtype, backend, name)) for name, dtype in schema.items()]
        for backend in (SQLITE, POSTGRESQL)
    }
    assert types == {
        SQLITE: ["TEXT", "TEXT", "TEXT", "BIGINT", "BOOLEAN"],
        POSTGRESQL: ["NUMERIC(38, 4)", "DATETIME", "DATE", "BIGINT", "BOOLEAN"],
    }


def test_a_column_that_no_table_can_have_is_named():
    with pytest.raises(ValueError, match=r"^a table has no type for 'wait', which is Duration"):
        column_type(pl.Duration("us"), SQLITE, "wait")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("window_start {time}", r"expected column window_end .*, got none"),
        ("window_start {time}, window_end {time}, upc INTEGER", r"expected column upc TEXT, got INTEGER"),
    ],
)
def test_a_table_with_other_columns_is_left_alone(url, columns, expected):
    address = parse_sql(url)[0]
    rows = newest_rows([result(totals(("1", "A", "1", "0", "2")), DAY)], ("upc",), 0, whole_windows=False)
    upsert = Upsert(address.get_backend_name(), "t", rows.schema, ("upc",))
    made = columns.format(time="TEXT" if url.startswith("sqlite") else "TIMESTAMPTZ")
    with contextlib.closing(Database(address)) as database:
        database.transact(lambda connection: connection.exec_driver_sql(f"CREATE TABLE t ({made})") and None)
        assert re.fullmatch(f"table t is another one: {expected}", database.transact(upsert.prepare))


def test_a_table_of_ours_with_more_columns_is_good(url):
    address = parse_sql(url)[0]
    rows = newest_rows([result(totals(("1", "A", "1", "0", "2")), DAY)], ("upc",), 0, whole_windows=False)
    stored(url, rows, "t")
    with contextlib.closing(Database(address)) as database:
        database.transact(lambda connection: connection.execute(sa.text("ALTER TABLE t ADD COLUMN note TEXT")) and None)
    assert [row["note"] for row in stored(url, rows, "t")] == [None]


def test_rows_of_the_same_window_in_another_unit_of_time_are_the_same(url):
    """However a frame counts time, its windows are those of the result."""
    one = result(totals(("1", "A", "1", "0", "2")), DAY)
    other = one._replace(rows=one.rows.with_columns(pl.col("window_start", "window_end").cast(pl.Datetime("ms"))))
    assert lay_out(one, ("upc",)).equals(lay_out(other, ("upc",)))
    for each in (one, other):
        back = stored(url, newest_rows([each], ("upc",), 0, whole_windows=False), "t")
        assert len(back) == 1
    start = back[0]["window_start"]
    assert (datetime.fromisoformat(start) if isinstance(start, str) else start) == datetime(
        2011, 4, 1, tzinfo=timezone(timedelta(0))
    )
