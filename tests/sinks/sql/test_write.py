import contextlib
import itertools
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time

import apache_beam as beam
import polars as pl
import pytest
import sqlalchemy as sa
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.elements.frames import Result, Written
from sinks.files.atomic import SinkError
from sinks.sql.database import Database
from sinks.sql.url import parse_sql
from sinks.sql.write import WriteTable, _UpsertFn
from tests.patience import PATIENCE_SECONDS
from tests.servers import PASSWORD
from tests.simulators.tools import ROOT
from tests.sinks.conftest import HOUR, result, totals
from tests.strategies import panes

_tables = (f"table_{number}" for number in itertools.count())
ROWS = totals(("1", "A", "1", "0", "0.01"), ("2", "B", "3", "2.66", "12345678901234567890.123456789"))
WORKERS = 3
BUNDLES = 15


def bounds(window: int) -> tuple[int | None, int | None]:
    """The first window is all time."""
    return (window * HOUR, (window + 1) * HOUR) if window else (None, None)


def values(window: int, pane: int, of: dict[str, int], **fields: object) -> Result:
    """A result whose rows say which pane they are of."""
    columns = {"upc": list(of), "value": list(of.values()), "of_pane": [pane] * len(of)}
    rows = pl.DataFrame(columns, schema={"upc": pl.String, "value": pl.Int64, "of_pane": pl.Int64})
    return result(rows, bounds(window), pane=pane, **fields)


def write(writer: _UpsertFn, results: list[Result]) -> list[Written]:
    """Has a writer write a bundle."""
    writer.start_bundle()
    return [*(one for each in results for one in writer.process(each)), *(one.value for one in writer.finish_bundle())]


@contextlib.contextmanager
def writers(count: int, url: str, table: str, **options: object):
    transform = WriteTable(url, table, **options)
    made = [_UpsertFn(pickle.loads(pickle.dumps(transform))) for _ in range(count)]
    try:
        yield made
    finally:
        for writer in made:
            writer.teardown()


def query(url: str, what: str | sa.Select) -> list[tuple]:
    statement = sa.text(what) if isinstance(what, str) else what
    with contextlib.closing(Database(parse_sql(url)[0])) as database:
        return database.transact(lambda connection: [tuple(row) for row in connection.execute(statement)])


def hour_of(start: object) -> int:
    """The number of a window, from how its start stands in a table."""
    if start is None:
        return 0
    return int(start[11:13]) if isinstance(start, str) else start.hour


def standing(url: str, table: str) -> dict[tuple[int, str], tuple[int, int, int]]:
    columns = "window_start", "upc", "value", "of_pane", "pane"
    rows = query(url, sa.select(*map(sa.column, columns)).select_from(sa.table(table)))
    found = {(hour_of(start), key): (value, of, pane) for start, key, value, of, pane in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("replace_window", [False, True])
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_panes=panes(), rng=st.randoms(use_true_random=False))
def test_in_any_order_over_several_writers_the_newest_stands(url, replace_window, given_panes, rng):
    table = next(_tables)
    newest: dict[int, int] = {}
    expected: dict[tuple[int, str], tuple[int, int, int]] = {}
    for window, pane, of in sorted(given_panes, key=lambda given: given[1]):
        newest[window] = pane
        expected.update({(window, key): (value, pane, pane) for key, value in of.items()})
    if replace_window:
        expected = {at: row for at, row in expected.items() if row[1] == newest[at[0]]}
        emptied = {window for window, pane, of in given_panes if pane == newest[window] and not of}
        # Where the newest has no rows, there is nothing that could tell that an older one is older.
        expected = {at: row for at, row in expected.items() if at[0] not in emptied}
        given_panes = [given for given in given_panes if given[0] not in emptied or given[1] == newest[given[0]]]
    with writers(3, url, table, replace_window=replace_window) as made:
        left = [values(*given) for given in given_panes]
        while left:
            size = rng.randint(1, 3)
            write(rng.choice(made), left[:size])
            del left[:size]
    assert standing(url, table) == expected


def test_a_row_that_a_newer_result_no_longer_has_goes_only_if_that_was_asked_for(url):
    for replace_window, left in ((False, {(1, "a"), (1, "b"), (2, "c")}), (True, {(1, "b"), (2, "c")})):
        table = next(_tables)
        with writers(1, url, table, replace_window=replace_window) as (writer,):
            write(writer, [values(1, 0, {"a": 1, "b": 1}), values(2, 0, {"c": 1})])
            write(writer, [values(1, 1, {"b": 2})])
        assert set(standing(url, table)) == left


def test_an_empty_result_empties_its_window_if_that_was_asked_for(url):
    with writers(1, url, "t", replace_window=True) as (writer,):
        write(writer, [values(0, 0, {"a": 1}), values(1, 0, {"a": 1})])
        write(writer, [values(0, 1, {})])
    assert set(standing(url, "t")) == {(1, "a")}


def test_a_later_run_counts_its_panes_from_the_start(url):
    with writers(1, url, "t", run=1) as (first,), writers(1, url, "t", run=2) as (second,):
        write(first, [values(0, 9, {"a": 1})])
        write(second, [values(0, 0, {"a": 2})])
        write(first, [values(0, 10, {"a": 3})])
    assert standing(url, "t") == {(0, "a"): (2, 0, 0)}


def test_all_time_has_no_edges_and_a_missing_key_is_a_key(url):
    with writers(1, url, "t") as (writer,):
        for pane in range(2):
            of = pl.DataFrame({"upc": [None, "", "x"], "n": [pane] * 3}, schema={"upc": pl.String, "n": pl.Int64})
            write(writer, [result(of, pane=pane, final=bool(pane))])
    rows = query(url, "SELECT window_start, window_end, upc, n, run, pane, final FROM t ORDER BY upc IS NULL, upc")
    assert rows == [(None, None, key, 1, 0, 1, True) for key in ("", "x", None)]


def test_several_keys_tell_rows_apart(url):
    rows = pl.DataFrame({"a": ["x", "x"], "b": [1, None], "n": [1, 2]})
    with writers(1, url, "t", key=("a", "b")) as (writer,):
        for _ in range(2):
            write(writer, [result(rows)])
    assert sorted(query(url, "SELECT n, b FROM t")) == [(1, 1), (2, None)]


def test_readers_read_on_while_a_writer_writes(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    with writers(1, url, "t") as (writer,):
        write(writer, [values(0, 0, {"a": 1})])
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM t")
        with contextlib.closing(sqlite3.connect(tmp_path / "x.db", timeout=0)) as reader:
            assert reader.execute("SELECT count(*) FROM t").fetchall() == [(1,)]
        other.execute("ROLLBACK")


@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
def test_processes_write_into_one_table_at_once(place, tmp_path, request):
    url = f"sqlite:///{tmp_path}/x.db" if place == "sqlite" else request.getfixturevalue("postgres").empty()
    program = f"""
import sys
from tests.sinks.sql.test_write import BUNDLES, values, write, writers
me = int(sys.argv[1])
with writers(1, {url!r}, "t") as (writer,):
    print("ready", flush=True)
    sys.stdin.readline()
    for bundle in range(BUNDLES):
        shared = {{str(key): me for key in range(50)}}
        own = {{f"{{me}}-{{key}}": key for key in range(50)}}
        write(writer, [values(1, bundle, shared), values(2 + bundle, 0, own)])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(number)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(WORKERS)
    ]
    try:
        for process in processes:
            process.stdout.readline()
        for process in processes:
            process.stdin.write(b"go\n")
            process.stdin.flush()
        for process in processes:
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    found = standing(url, "t")
    assert len(found) == 50 + WORKERS * BUNDLES * 50
    assert {row[1:] for (window, _), row in found.items() if window == 1} == {(BUNDLES - 1, BUNDLES - 1)}


def test_a_server_that_is_restarted_gets_every_result(postgres):
    url = postgres.empty()
    with writers(2, url, "t") as made:
        write(made[0], [values(1, 0, {"a": 0})])

        def go_on(writer: _UpsertFn, name: str) -> None:
            for window in range(20):
                write(writer, [values(window, 1, {name: window})])
                time.sleep(0.02)

        threads = [threading.Thread(target=go_on, args=(made[number], "ab"[number])) for number in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        postgres.stop()
        time.sleep(0.3)
        postgres.start()
        for thread in threads:
            thread.join()
    assert standing(url, "t") == {(window, name): (window, 1, 1) for window in range(20) for name in "ab"}


def test_what_somebody_else_has_in_the_table_is_told_in_one_line(url):
    with contextlib.closing(Database(parse_sql(url)[0])) as database:
        database.transact(lambda connection: connection.execute(sa.text("CREATE TABLE t (upc TEXT)")) and None)
    with writers(1, url, "t") as (writer,), pytest.raises(SinkError, match=r"^cannot write to .*: table t is another"):
        write(writer, [values(0, 0, {"a": 1})])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "mysql://h/x"}, r"expected sqlite:///PATH or postgresql://"),
        ({"table": "a b"}, r"expected the name of a table: .*, got 'a b'"),
        ({"key": "upc"}, r"expected a tuple of key columns, got 'upc'"),
        ({"retry_seconds": -1}, r"retry_seconds must not be negative, got -1"),
    ],
)
def test_what_cannot_be_is_refused_when_made(options, message):
    with pytest.raises(ValueError, match=message):
        WriteTable(**{"url": "sqlite:///x.db", "table": "t", **options})


@pytest.mark.parametrize(("name", "message"), [("pane", "'pane' is a column that"), ("n", "no column 'upc'")])
def test_results_with_the_wrong_columns_are_refused(tmp_path, name, message):
    with writers(1, f"sqlite:///{tmp_path}/x.db", "t") as (writer,), pytest.raises(ValueError, match=message):
        write(writer, [result(pl.DataFrame({name: [1]}))])


def test_its_password_is_not_to_be_seen(postgres):
    transform = WriteTable(postgres.url(), "t")
    assert PASSWORD not in f"{transform!r} {transform} {transform.label} {transform.address!r}"
    assert pickle.loads(pickle.dumps(transform)).address.password == PASSWORD


def some_windows(count: int) -> list[Result]:
    return [values(window, 0, {str(key): key for key in range(window % 3 + 1)}) for window in range(count)]


def test_a_thousand_windows_in_one_bundle_keep_every_row(tmp_path, options):
    url, count = f"sqlite:///{tmp_path}/x.db", 1_000
    with beam.Pipeline(options=options) as pipeline:
        written = (
            pipeline
            | "Start" >> beam.Create([count])
            | "MakeWindows" >> beam.FlatMap(some_windows).with_output_types(Result)
            | WriteTable(url, "t")
        )
        assert written.element_type is Written
        rows = written | "Take" >> beam.Map(lambda one: one.rows) | "Add" >> beam.CombineGlobally(sum)
        assert_that(rows, equal_to([sum(window % 3 + 1 for window in range(count))]))
    assert query(url, "SELECT count(*), count(DISTINCT window_start) FROM t") == [(1_999, count - 1)]


@pytest.mark.parametrize("early", [True, False])
def test_windows_and_panes_of_a_pipeline_arrive(url, early, fn_api):
    given_panes = [(window, pane) for pane in range(3) for window in range(5)]
    with beam.Pipeline(options=fn_api) as pipeline:
        _ = (
            pipeline
            | beam.Create([values(window, pane, {"a": pane}, final=pane == 1) for window, pane in given_panes])
            | beam.Map(lambda one: TimestampedValue(one, one.pane * 60)).with_output_types(Result)
            | beam.WindowInto(FixedWindows(60))
            | WriteTable(url, "t", early=early)
        )
    newest = 2 if early else 1
    assert standing(url, "t") == {(window, "a"): (newest, newest, newest) for window in range(5)}


def test_a_pipeline_that_cannot_write_fails_with_the_reason(tmp_path, fn_api):
    (tmp_path / "x.db").write_text("no database, by any means\n" * 10)
    with (
        pytest.raises(SinkError, match=r"cannot write to .*x\.db: file is not a database"),
        beam.Pipeline(options=fn_api) as pipeline,
    ):
        _ = pipeline | beam.Create([values(0, 0, {"a": 1})]) | WriteTable(f"sqlite:///{tmp_path}/x.db", "t")


def test_many_rows_are_written_in_several_transactions(tmp_path, monkeypatch):
    monkeypatch.setattr("sinks.sql.write.MOST_ROWS", 10)
    with writers(1, f"sqlite:///{tmp_path}/x.db", "t") as (writer,):
        written = write(writer, [values(window, 0, {str(key): key for key in range(4)}) for window in range(7)])
    assert [one.rows for one in written] == [12, 12, 4]
    assert len(standing(f"sqlite:///{tmp_path}/x.db", "t")) == 28
