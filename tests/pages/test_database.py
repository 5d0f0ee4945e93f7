"""Databases that are looked at are never written."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from pages.database import Database


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE totals (upc TEXT, spend TEXT)")
        connection.execute("INSERT INTO totals VALUES ('1', '0.10')")
    connection.close()
    return path


def test_decimals_keep_their_digits(path):
    database = Database(f"sqlite:///{path}")
    assert database.tables() == ["totals"]
    assert database.rows("SELECT spend FROM totals WHERE upc = :upc", upc="1") == [{"spend": "0.10"}]


def test_nothing_is_written(path):
    with pytest.raises(OperationalError, match="readonly"):
        Database(f"sqlite:///{path}").rows("DELETE FROM totals RETURNING upc")


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/none.db")
    assert not database.is_there
    assert database.tables() == []
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none_shows_no_password():
    with pytest.raises(ValueError, match="expected") as caught:
        Database("mysql://me:secret@db/shop")
    assert "secret" not in str(caught.value)
    assert "secret" not in Database("postgresql://me:secret@127.0.0.1/shop").shown
