"""``--summary``: what became of all records, written by the job itself, whole or told not to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.runtime.summary import Summary
from tests.object_stores import running_s3
from tests.pipelines.tools import Finished, run_here
from transforms.counting import COUNTS

KEYS = ["pipeline", "run", "complete", *COUNTS, "balances"]


def told(path: Path) -> dict:
    return json.loads(path.read_text())


def assert_told(path: Path, done: Finished, pipeline: str) -> None:
    assert done.status == 0, done.err
    found = told(path)
    assert list(found) == KEYS
    assert (found["pipeline"], found["complete"], found["balances"]) == (pipeline, True, True)
    assert {name: found[name] for name in done.balance._fields} == done.balance._asdict()


@pytest.fixture
def summary(tmp_path) -> Path:
    return tmp_path / "made" / "summary.json"


@pytest.fixture
def torn(short_tape, tmp_path) -> Path:
    path = tmp_path / "torn.tsv"
    path.write_bytes(short_tape.read_bytes() + b"torn\n")
    return path


@pytest.mark.parametrize("pace", [[], ["--rate", 2_000]])
def test_a_replay_and_a_stream_have_the_balance_that_they_show(pace, torn, summary, tmp_path, capsys, request):
    if pace:
        request.getfixturevalue("prism")
    options = ["--input", torn, "--output", tmp_path / "t.jsonl", "--window", "10m", "--summary", summary]
    done = run_here(capsys, *options, *pace)
    assert_told(summary, done, "produce")
    assert done.balance.rejected == 1
    assert done.balance.used


def test_records_that_are_handed_on_are_summed_up_too(torn, summary, tmp_path, capsys):
    where = ["--where", "column_2 = 5"]
    options = ["--input", torn, "--output", tmp_path / "out.csv", "--summary", summary, *where]
    done = run_here(capsys, *options, program="pipelines.relay")
    assert_told(summary, done, "relay")
    assert done.balance.filtered
    assert done.balance.used


def test_of_nothing_there_is_a_summary_too(summary, tmp_path, capsys):
    empty = tmp_path / "empty.tsv"
    empty.touch()
    done = run_here(capsys, "--input", empty, "--output", tmp_path / "t.jsonl", "--summary", summary)
    assert_told(summary, done, "produce")
    assert done.balance.read == 0


def test_where_no_record_could_be_used_the_run_fails_and_the_summary_says_why(summary, tmp_path, capsys):
    path = tmp_path / "torn.tsv"
    path.write_bytes(b"torn\n" * 3)
    done = run_here(capsys, "--input", path, "--output", tmp_path / "t.jsonl", "--summary", summary)
    assert done.status == 1
    assert (told(summary)["rejected"], told(summary)["complete"]) == (3, True)


def test_a_run_that_fails_leaves_no_complete_summary_not_even_an_earlier_one(short_tape, summary, tmp_path, capsys):
    options = ["--input", short_tape, "--output", tmp_path / "o" / "t.jsonl", "--summary", summary]
    assert run_here(capsys, *options).status == 0
    before = told(summary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.runtime.written._CountResultsFn.process", _fail)
        assert run_here(capsys, *options).status == 1
    assert told(summary) == {"pipeline": "produce", "run": told(summary)["run"], "complete": False}
    assert told(summary)["run"] != before["run"]


def _fail(*_: object) -> None:
    raise OSError("no room")


def test_a_summary_of_another_run_or_half_of_one_is_none(summary):
    ours, others = Summary(str(summary), "produce"), Summary(str(summary), "produce")
    assert ours.read() is None
    ours.begin()
    assert ours.read() is None
    whole = {**ours._told, "complete": True, **dict.fromkeys(COUNTS, 7)}
    summary.write_text(json.dumps(whole))
    assert ours.read() == dict.fromkeys(COUNTS, 7)
    assert others.read() is None
    for text in ("", "{", "[]", "7", json.dumps({**whole, "read": None}), json.dumps({**whole, "complete": 1})):
        summary.write_text(text)
        assert ours.read() is None


@pytest.mark.parametrize("which", ["input", "output"])
def test_what_is_read_or_written_already_is_wrong_usage(which, short_tape, tmp_path, capsys):
    out = tmp_path / "t.jsonl"
    path = short_tape if which == "input" else out
    done = run_here(capsys, "--input", short_tape, "--output", out, "--summary", path)
    assert done.status == 2
    assert done.err.startswith("wrong usage: ")
    assert done.err.count("\n") == 1
    assert not out.exists()


def test_what_cannot_be_written_is_wrong_usage(short_tape, tmp_path, capsys):
    out = tmp_path / "t.jsonl"
    done = run_here(capsys, "--input", short_tape, "--output", out, "--summary", "/dev/null")
    assert (done.status, out.exists()) == (2, False)
    assert "cannot write /dev/null: it is a pipe or a device" in done.err


def test_it_may_be_in_an_object_store(short_tape, tmp_path, capsys, monkeypatch):
    with running_s3() as server:
        (server.folder / "shop").mkdir()
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        options = ["--input", short_tape, "--output", tmp_path / "t.jsonl"]
        done = run_here(capsys, *options, "--summary", "s3://shop/runs/summary.json")
        assert_told(server.folder / "shop" / "runs" / "summary.json", done, "produce")
