import contextlib
import logging
import os
import sqlite3
import threading

import pytest

from sinks import patience
from sinks.files.atomic import SinkError
from sinks.sql import database
from sinks.sql.database import DATABASES, Database, check_sql
from sinks.sql.url import parse_sql
from tests.patience import wait_for
from tests.servers import PASSWORD

WRONG = "wr0ng-word"


def at(url: str) -> contextlib.closing[Database]:
    return contextlib.closing(Database(parse_sql(url)[0]))


def version(connection):
    return connection.exec_driver_sql("SELECT 1").scalar()


def refused(url: str, table: str = "") -> str:
    """The one line that a check ends with."""
    with pytest.raises(SinkError) as caught:
        check_sql(url, table)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_checking_finds_nothing_wrong_and_makes_nothing_but_the_folder(tmp_path):
    check_sql(f"sqlite:///{tmp_path}/a/b/x.db")
    assert os.listdir(tmp_path / "a" / "b") == []  # noqa: PTH208


def test_checking_leaves_a_file_as_it_is(tmp_path):
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    check_sql(f"sqlite:///{path}", "t")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.db"]  # noqa: PTH208


@pytest.mark.parametrize(
    ("path", "reason"),
    [("text/x.db", "Not a directory"), ("text", "file is not a database"), ("", "unable to open database file")],
)
def test_a_file_that_cannot_be_written_is_one_line(tmp_path, path, reason):
    (tmp_path / "text").write_text("no database, by any means\n" * 10)
    assert refused(f"sqlite:///{tmp_path}/{path}").endswith(f": {reason}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_one_line(tmp_path):
    (tmp_path / "x.db").touch(0o400)
    assert refused(f"sqlite:///{tmp_path}/x.db").endswith(": attempt to write a readonly database")


def test_a_file_that_somebody_never_lets_go_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(f"sqlite:///{tmp_path}/x.db").endswith(": database is locked")
        with at(f"sqlite:///{tmp_path}/x.db") as mine, pytest.raises(SinkError, match=r"is locked; tried for 0\.2 s$"):
            mine.transact(version, retry_seconds=0.2)


@pytest.mark.parametrize(("after", "told"), [(0.1, ["database is locked; trying again for 60 s"]), (1_000, [])])
def test_a_file_that_somebody_lets_go_is_written(tmp_path, monkeypatch, caplog, after, told):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    monkeypatch.setattr(patience, "_TELL_AFTER_SECONDS", after)
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)) as other,
        at(f"sqlite:///{tmp_path}/x.db") as mine,
    ):
        other.execute("BEGIN IMMEDIATE")

        def let_go() -> None:
            if told:
                wait_for(lambda: caplog.records)
            other.execute("COMMIT")

        timer = threading.Timer(0.2, let_go)
        timer.start()
        with caplog.at_level(logging.WARNING):
            assert mine.transact(version) == 1
        timer.join()
    assert [record.getMessage().partition("x.db: ")[2] for record in caplog.records] == told


def test_a_login_that_is_refused_is_one_line_without_the_password(postgres):
    line = refused(postgres.url(password=WRONG))
    assert line.endswith(': password authentication failed for user "tester"')
    assert WRONG not in line


def test_what_else_a_server_refuses_is_one_line(postgres):
    assert refused(postgres.url(database="nix")).endswith(': database "nix" does not exist')
    assert refused(postgres.url(user="nobody")).endswith(': password authentication failed for user "nobody"')
    assert refused(postgres.url() + "?sslmode=require").endswith(": server does not support SSL, but SSL was required")
    assert refused(postgres.url() + "?colour=red").endswith(': invalid connection option "colour"')
    assert refused("postgresql://me:secret@127.0.0.1:1/x") == (
        "cannot write to postgresql://me@127.0.0.1:1/x: Connection refused"
    )


def test_what_one_may_not_write_is_one_line(postgres):
    url = postgres.empty()
    name = parse_sql(url)[0].database
    postgres.run(f"CREATE ROLE {name} LOGIN PASSWORD 'word'")
    with at(url) as owner:
        owner.transact(lambda connection: connection.exec_driver_sql("CREATE TABLE totals (x int)") and None)
    reader = postgres.url(name, "word", name)
    assert refused(reader, "totals").endswith(": permission denied for table totals")
    assert refused(reader, "other").endswith(": permission denied to create a table")
    check_sql(url, "totals")
    check_sql(url, "other")


def test_refusals_are_not_tried_again(postgres):
    with at(postgres.url(password=WRONG)) as mine, pytest.raises(SinkError, match="authentication failed") as caught:
        mine.transact(version)
    assert "tried for" not in str(caught.value)


def test_a_server_that_stays_away_is_one_line_after_some_time(postgres, caplog):
    with at(postgres.url()) as mine:
        assert mine.transact(version) == 1
        postgres.stop()
        try:
            with (
                caplog.at_level(logging.DEBUG),
                pytest.raises(SinkError, match=r"tried for 0\.3 s$") as caught,
            ):
                mine.transact(version, retry_seconds=0.3)
        finally:
            postgres.start()
        assert mine.transact(version) == 1
    assert PASSWORD not in caplog.text + repr(caught.value)


def test_a_process_has_one_connection_for_all_who_borrow_it(tmp_path):
    url, _ = parse_sql(f"sqlite:///{tmp_path}/x.db")
    first, second = DATABASES.borrow(url), DATABASES.borrow(url)
    assert first is second
    DATABASES.give_back(url, first)
    assert second.transact(version) == 1
    DATABASES.give_back(url, second)
    third = DATABASES.borrow(url)
    DATABASES.give_back(url, third)
    assert third is not first


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_file_that_is_removed_while_it_is_written_fails_it(tmp_path, comes_back):
    path = tmp_path / "x.db"
    with at(f"sqlite:///{path}") as mine:
        mine.look()  # nothing was written yet
        mine.transact(lambda connection: connection.exec_driver_sql("CREATE TABLE t (x)"))
        mine.look()
        path.rename(tmp_path / "y.db")
        if comes_back:
            path.touch()
        expected = "the file was removed or replaced while it was written"
        with pytest.raises(SinkError, match=expected):
            mine.look()
        with pytest.raises(SinkError, match=expected):
            mine.transact(version)


def test_a_file_that_is_removed_in_mid_transaction_fails_it(tmp_path):
    path = tmp_path / "x.db"

    def work(connection):
        connection.exec_driver_sql("CREATE TABLE t (x)")
        path.unlink()

    with at(f"sqlite:///{path}") as mine, pytest.raises(SinkError, match="removed or replaced"):
        mine.transact(work)
