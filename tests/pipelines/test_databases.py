"""Results in databases, by the program."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests.pipelines.tools import needs_proc, run
from tests.servers import PASSWORD, Postgres, running_postgres

pytestmark = needs_proc
VALUES = ("description", "quantity", "scale", "spend", "rows")
SELECT = "SELECT window_start, upc, final, description, quantity, scale, spend, rows FROM totals"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


def in_files(paths: list[Path]) -> dict[tuple, list]:
    rows = (json.loads(line, parse_float=Decimal) for path in paths for line in path.read_text().splitlines())
    return {(row["window_start"], row["upc"]): [row[name] for name in VALUES] for row in rows}


def test_the_totals_in_a_table_are_those_of_the_files(tape, tmp_path):
    database = tmp_path / "new" / "x.db"
    options = ["--input", tape, "--window", "1d", "--output", f"sqlite:///{database}?table=totals"]
    first = run(*options, tmp_path / "x.jsonl")
    assert first.status == 0, first.err
    assert run(*options).status == 0
    expected = in_files([tmp_path / "x.jsonl"])
    assert first.lines[-1] == f"wrote {len(expected):,} rows to sqlite:///{database}"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(SELECT).fetchall()
    found = {}
    for start, key, final, description, *numbers in rows:
        assert final
        at = start.replace("+00:00", "Z"), key
        assert at not in found
        found[at] = [description, *map(Decimal, numbers)]
    assert found == expected
    assert len({start for start, _ in found}) > 1


def test_a_server_has_the_same_totals(short_tape, tmp_path, postgres):
    done = run("--input", short_tape, "--output", postgres.url() + "?table=totals", tmp_path / "x.jsonl")
    assert done.status == 0, done.err
    assert PASSWORD not in done.out + done.err
    with psycopg.connect(postgres.url()) as connection:
        rows = connection.execute(SELECT).fetchall()
    assert {row[:2]: list(row[3:]) for row in rows} == in_files([tmp_path / "x.jsonl"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "wr0ng-word"}, 'password authentication failed for user "tester"'),
        ({"database": "nix"}, 'database "nix" does not exist'),
    ],
)
def test_a_server_that_refuses_is_one_line(short_tape, postgres, change, reason):
    done = run("--input", short_tape, "--output", postgres.url(**change))
    assert done.status == 2
    name = change.get("database", "postgres")
    warning, refusal = done.lines
    assert warning.startswith("warning: every user sees the password")
    assert refusal == f"wrong usage: cannot write to postgresql://tester@127.0.0.1:{postgres.port}/{name}: {reason}"
