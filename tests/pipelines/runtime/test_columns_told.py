"""Columns that appear later: they are written where that can be, and told of where it cannot."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.relay import main

ROWS = 3_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose last record but one has a column of its own, and one that begins with another."""
    rows = [{"n": number} | ({"late": number} if number == ROWS - 2 else {}) for number in range(ROWS)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "b.jsonl").write_text('{"n":7,"second":1}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


def test_a_column_of_a_later_record_is_told_of_with_its_count(folder: Path, capsys) -> None:
    assert main(["--input", "a.jsonl", "b.jsonl", "--output", "o.csv", "sqlite:///o.db", "--quiet"]) == 0
    (line,) = told(capsys)
    assert line.startswith("warning: left out 'late' of 1 record: ")
    # The head of every file is looked at.
    assert (folder / "o.csv").read_text().splitlines()[0] == "n,second"
    assert (folder / "o.csv").read_text().splitlines()[-1] == "7,1"
    with closing(sqlite3.connect("o.db")) as connection:
        assert connection.execute("SELECT count(second) FROM records").fetchall() == [(1,)]


def test_a_column_of_a_later_record_can_be_asked_for(folder: Path, capsys) -> None:
    asked = ["--where", "late >= 0", "--columns", "n,late", "--output", "o.csv", "--quiet"]
    assert main(["--input", "a.jsonl", *asked]) == 0
    assert (folder / "o.csv").read_text() == f"n,late\n{ROWS - 2},{ROWS - 2}\n"
    assert main(["--input", "a.jsonl", "--where", "late >= 0", "--format", "{late}!", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{ROWS - 2}!\n", "")


def test_lines_of_json_leave_with_all_their_columns(folder: Path, capsys) -> None:
    assert main(["--input", "a.jsonl", "b.jsonl", "--output", "o.jsonl", "--quiet"]) == 0
    assert (folder / "o.jsonl").read_text() == (folder / "a.jsonl").read_text() + (folder / "b.jsonl").read_text()
    assert told(capsys) == []


def test_a_column_that_no_record_has_is_told_of(folder: Path, capsys) -> None:
    assert main(["--input", "a.jsonl", "--where", "lat >= 0", "--output", "o.jsonl", "--quiet"]) == 0
    assert told(capsys) == ["warning: no record had 'lat', which was asked for"]
