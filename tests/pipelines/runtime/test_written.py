"""What is said of the files that were written."""

from __future__ import annotations

import pytest

from pipelines.runtime.command_line import parse_command_line
from pipelines.runtime.written import check_results, thrown_away, where_written
from sinks.files.atomic import SinkError

NONE = {"rejected": 0, "late": 0}


def said(argv, files, records=NONE):
    return list(where_written(parse_command_line(argv), files, records))


def test_a_file_is_named():
    assert said(["--output", "out/a.jsonl", "-"], {"out/a.jsonl": 1}) == ["wrote out/a.jsonl"]


def test_files_of_windows_are_counted():
    argv = ["--window", "1h", "--output", "out/a.jsonl", "b.avro", "--files"]
    assert said([*argv, "per-window"], {"out/a.jsonl": 1_024, "b.avro": 1}) == [
        "wrote 1,024 files out/a-*.jsonl",
        "wrote 1 file b-*.avro",
    ]
    assert said([*argv, "hive"], {"out/a.jsonl": 1_024, "b.avro": 1}) == [
        "wrote 1,024 files in out/a.jsonl/",
        "wrote 1 file in b.avro/",
    ]
    assert said([*argv, "single"], {"out/a.jsonl": 1, "b.avro": 1}) == ["wrote out/a.jsonl", "wrote b.avro"]


def test_rows_of_databases_are_counted_and_passwords_left_out():
    argv = ["--output", "sqlite:///a.db?table=t", "postgresql://me:secret@h/x", "sqlite:///b.db"]
    assert said(argv, {"sqlite:///a.db": 1, "postgresql://me@h/x": 1_024}) == [
        "wrote 1 row to sqlite:///a.db",
        "wrote 1,024 rows to postgresql://me@h/x",
        "wrote nothing to sqlite:///b.db: there are no totals",
    ]


def test_what_was_not_written_is_told_and_that_what_is_there_is_older(tmp_path):
    old = tmp_path / "a.jsonl"
    old.write_text("")
    assert said(["--output", "new.jsonl", str(old)], {}) == [
        "wrote nothing to new.jsonl: there are no totals",
        f"wrote nothing to {old}: there are no totals; what is there is older",
    ]


def test_records_that_were_not_used_are_counted():
    argv = ["--output", "-", "--rejected", "r", "--late", "l"]
    assert said(argv, {}, {"rejected": 1, "late": 2_000}) == [
        "wrote 1 rejected record to r",
        "wrote 2,000 late records to l",
    ]
    assert said(argv, {}) == []


def test_files_of_other_parts_are_told_too_and_counted_where_they_are_many():
    files = {"out/a.jsonl": 1, "out/a-ranks.jsonl": 1, "out/a-last-5m.jsonl": 1_024}
    assert said(["--output", "out/a.jsonl", "--files", "per-window"], files) == [
        "wrote out/a.jsonl",
        "wrote 1,024 files out/a-last-5m-*.jsonl",
        "wrote out/a-ranks.jsonl",
    ]


def test_what_is_thrown_away_is_told_with_what_was_written():
    options = parse_command_line(["--output", "a.jsonl", "sqlite:///b.db", "-"])
    assert thrown_away({"read": 1_200, "a.jsonl": 3}, options) == (
        "stopped at once: 1,200 records were read; thrown away is what is in open windows or was not written yet; "
        "written so far: 3 to a.jsonl"
    )
    assert thrown_away({"read": 1}, options).endswith("written so far: nothing")
    assert thrown_away({}, options) == "stopped at once: no record was read in this process"


@pytest.mark.parametrize(
    ("window", "place"), [([], "out/a.jsonl"), (["--window", "1h", "--files", "per-window"], "out")]
)
def test_results_that_are_not_there_any_more_are_a_failure(tmp_path, monkeypatch, window, place):
    monkeypatch.chdir(tmp_path)
    options = parse_command_line(["--output", "out/a.jsonl", "-", *window])
    check_results(options, {})
    with pytest.raises(SinkError, match=rf"^{place} was removed after results were written to it$"):
        check_results(options, {"out/a.jsonl": 2})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jsonl").touch()
    check_results(options, {"out/a.jsonl": 2})
