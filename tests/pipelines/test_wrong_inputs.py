"""Wrong inputs of every kind, for every pipeline, in this process: no such run looks like a success."""

from __future__ import annotations

import gzip
import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipelines import credit, errors, produce, relay, sales

JSON_LINES = b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n{"a": 5, "b": 6}\n{"a": 7, "b": 8}\n'
WRONG = {
    "delimited": b"time,ip,status\n1,2,3\n4,5,6\n7,8,9\n10,11,12\n",
    "json lines": JSON_LINES,
    "json array": json.dumps([{"a": 1}, {"a": 2}]).encode(),
    "pretty json": json.dumps([{"a": 1}, {"a": 2}], indent=2).encode(),
    "html": b"<!DOCTYPE html>\n<html>\n<body>Sign in</body>\n</html>\n",
    "binary": bytes(range(256)) * 8,
    "other log": b"1.2.3.4 [06/May/2019:17:24:53 +0000] GET / 500\n" * 4,
}
#: Each pipeline, with the options that make it look into records.
PIPELINES: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "produce": (produce.main, []),
    "errors": (errors.main, []),
    "errors of logs": (errors.main, ["--format", "clf"]),
    "credit": (credit.main, []),
    "relay": (relay.main, ["--read-as", "jsonl", "--columns", "time"]),
    "sales": (sales.main, ["--tables", "windows", "products"]),
}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


#: One pipeline meets every kind, the others one each.
CASES = [
    *(("errors", kind) for kind in WRONG),
    ("produce", "json lines"),
    ("errors of logs", "other log"),
    ("credit", "pretty json"),
    ("relay", "html"),
    ("sales", "delimited"),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_file_of_which_nothing_can_be_used_fails_and_what_is_there_stays(name, kind, tmp_path, capsys):
    main, options = PIPELINES[name]
    data, out, rejected = tmp_path / "data.in", tmp_path / "out.jsonl", tmp_path / "rejected.jsonl"
    data.write_bytes(WRONG[kind])
    out.write_text("what an earlier run has written\n")
    status = main(["--input", str(data), "--output", str(out), "--rejected", str(rejected), *options])
    said = capsys.readouterr().err.splitlines()
    assert status == 1, said
    assert out.read_text() == "what an earlier run has written\n"
    number = len(rejected.read_text().splitlines())
    assert number > 0
    shown = [line for line in said if line.startswith(f"rejected: {data}:")]
    assert len(shown) == min(3, number), said
    assert all(line.isprintable() for line in said)
    (failed,) = [line for line in said if line.startswith("failed: none of ")]
    assert failed == said[-1]
    assert ("seems to be" in failed) == ((name, kind) != ("errors", "json lines")), failed


@pytest.mark.parametrize("name", ["errors", "relay"])
def test_the_reason_is_shown_although_it_is_quiet_and_how_to_keep_them(name, tmp_path, capsys):
    main, options = PIPELINES[name]
    data = tmp_path / "data.in"
    data.write_bytes(WRONG["html"])
    assert main(["--input", str(data), "--output", str(tmp_path / "out.jsonl"), "--quiet", *options]) == 1
    # What a relay warns of besides is told elsewhere.
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning: ")]
    assert [line.partition(":")[0] for line in said] == ["rejected"] * 3 + ["failed"]
    assert said[2].endswith("--rejected PATH keeps them all")


@pytest.mark.parametrize("name", ["produce", "errors", "relay"])
def test_an_empty_file_is_no_failure(name, tmp_path, capsys):
    main, options = PIPELINES[name]
    data = tmp_path / "data.in"
    data.write_bytes(b"")
    assert main(["--input", str(data), "--output", str(tmp_path / "out.jsonl"), *options]) == 0
    said = capsys.readouterr().err.splitlines()
    assert any(line.startswith("0 read = 0 used") for line in said)
    assert f"no record was read: there is none in {data}" in said


RESPONSE = b'{"time":"2019-05-06 17:24:53","ip":"10.0.0.1","status_code":%d}\n'


def test_records_that_a_filter_did_not_want_are_no_failure_and_give_a_board(tmp_path, capsys):
    data, out = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    data.write_bytes(RESPONSE % 200 + b"garbage\n")
    assert errors.main(["--input", str(data), "--output", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 24
    first = [line for line in capsys.readouterr().err.splitlines() if line.startswith("rejected: ")]
    reason = "not JSON: Expecting value at character 0: garbage"
    assert first == [f"rejected: {data}:{len(RESPONSE % 200)}: {reason}; --rejected PATH keeps them all"]


def test_a_table_stays_as_it_was(tmp_path):
    data, file = tmp_path / "data.jsonl", tmp_path / "errors.db"
    data.write_bytes(RESPONSE % 500)
    address = f"sqlite:///{file}"
    assert errors.main(["--input", str(data), "--output", address, "--quiet"]) == 0

    def rows() -> list[Any]:
        connection = sqlite3.connect(file)
        try:
            return connection.execute("SELECT * FROM errors").fetchall()
        finally:
            connection.close()

    before = rows()
    assert len(before) == 24
    data.write_bytes(WRONG["html"])
    assert errors.main(["--input", str(data), "--output", address, "--quiet"]) == 1
    assert rows() == before


@pytest.mark.parametrize(("limit", "status"), [("1", 1), ("2", 0), ("49.9%", 1), ("50%", 0)])
def test_too_many_rejected_records_fail_a_run_that_has_written_what_it_could(limit, status, tmp_path, capsys):
    data, out = tmp_path / "data.jsonl", tmp_path / "out.jsonl"
    data.write_bytes((RESPONSE % 500 + b"garbage\n") * 2)
    assert errors.main(["--input", str(data), "--output", str(out), "--max-rejected", limit]) == status
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert failed == [f"failed: 2 of 4 records were rejected, and --max-rejected is {limit}"] * status
    assert len(out.read_text().splitlines()) == 24


@pytest.mark.parametrize(("ending", "text"), [("toml", "max-rejected = 0\n"), ("ini", "[run]\nmax_rejected = 49%\n")])
def test_the_limit_may_stand_in_a_file(ending, text, tmp_path, capsys):
    data, file = tmp_path / "data.jsonl", tmp_path / f"config.{ending}"
    data.write_bytes(RESPONSE % 500 + b"garbage\n")
    file.write_text(text)
    options = ["--input", str(data), "--output", str(tmp_path / "out.jsonl"), "--config", str(file)]
    assert errors.main(options) == 1
    assert "--max-rejected" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("limit", ["-1", "101%", "abc"])
def test_a_limit_that_is_none_is_refused_in_one_line(name, limit, capsys):
    with pytest.raises(SystemExit, match="2"):
        PIPELINES[name][0](["--max-rejected", limit])
    (said,) = capsys.readouterr().err.splitlines()
    assert limit in said


@pytest.mark.parametrize("name", ["errors", "credit", "relay"])
def test_a_live_stream_of_which_nothing_can_be_used_fails_and_what_is_there_stays(name, prism, tmp_path, capsys):
    main, options = PIPELINES[name]
    out, table = tmp_path / "out.jsonl", tmp_path / "out.db"
    out.write_text("what an earlier run has written\n")
    outputs = [str(out), f"sqlite:///{table}"]
    assert main(["--input", "exec:seq 4", "--output", *outputs, *options]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[2] for line in said if line.startswith("rejected: ")] == ["seq 4"] * 3
    assert said[-1].startswith("failed: none of 4 records could be used (4 rejected)")
    assert out.read_text() == "what an earlier run has written\n"
    assert not table.exists()


def test_a_live_stream_ends_as_soon_as_too_many_are_rejected(prism, tmp_path, capsys):
    good = (RESPONSE % 500).decode().strip()
    out = tmp_path / "out.jsonl"
    (tmp_path / "endless.sh").write_text(f"#!/bin/sh\necho '{good}'\nwhile sleep 0.01; do echo garbage; done\n")
    (tmp_path / "endless.sh").chmod(0o755)
    endless = f"exec:{tmp_path / 'endless.sh'}"
    assert errors.main(["--input", endless, "--output", str(out), "--max-rejected", "3"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert "draining: more records were rejected than --max-rejected 3 allows" in said
    assert said[-1].endswith("were rejected, and --max-rejected is 3")
    assert sum(json.loads(line)["visitors"] for line in out.read_text().splitlines()) == 1


@pytest.mark.parametrize(("name", "most"), [("errors", 0), ("errors", -20), ("relay", 5), ("relay", 30)])
def test_a_compressed_file_that_was_cut_off_anywhere_is_no_success(name, most, tmp_path, capsys):
    main, options = PIPELINES[name]
    data, out = tmp_path / "data.jsonl.gz", tmp_path / "out.jsonl"
    data.write_bytes(gzip.compress(RESPONSE % 500 * 100)[:most])
    assert main(["--input", str(data), "--output", str(out), *options]) in (1, 2)
    said = capsys.readouterr().err.splitlines()
    assert f"cannot read '{data}' to its end: " in said[-1]
    assert not out.exists()
