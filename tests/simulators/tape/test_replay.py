from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import zstandard

from schemas.record_type import Dialect
from schemas.tape import COLUMNS, TAPE
from simulators.registers import write_tape
from simulators.tape.replay import Replay
from simulators.tape.tape import Tape
from tests.simulators.tools import assert_truth, run


def test_plain_and_compressed_files_are_sent_as_they_stand(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("a.txt", "b.txt.gz", "c.txt.zst"))
    one.write_bytes(b"1\r\n2\n\n3")
    two.write_bytes(gzip.compress(b"4\n") + gzip.compress(b"\xff5\n"))
    three.write_bytes(zstandard.compress(b"6\n") + zstandard.compress(b"7"))
    done = run("--replay", one, two, three, "--output", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"1\r\n2\n\n3\n4\n\xff5\n6\n7\n"


def test_rows_cut_a_replay_and_nought_goes_round(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"1\n2\n3\n")
    assert run("--replay", path, "--rows", 2, "--output", "-").stdout == b"1\n2\n"
    endless = Replay((path,), TAPE, rows=0).batches()
    assert [bytes(next(endless).data) for _ in range(3)] == [b"1\n2\n3\n"] * 3


def test_a_header_is_sent_once(tmp_path: Path) -> None:
    paths = [
        write_tape(tmp_path / name, 50, seed=seed, dialect=Dialect("|", header=COLUMNS))
        for seed, name in enumerate(("a.txt", "b.txt"))
    ]
    replayed = run("--replay", *paths, "--dialect", "pipe", "--header", "--output", "-").stdout
    assert replayed.count(b"datetime|") == 1
    assert replayed.count(b"\n") == 101


def test_event_times_are_those_of_the_tape(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "a.txt", 20_000)
    replayed = np.concatenate([batch.times for batch in Replay((path,), TAPE).batches(times=True)])
    made = np.concatenate([batch.times for batch in Tape(20_000).batches()])
    assert (replayed == made).all()


def test_a_line_without_a_time_counts_as_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"2011-04-01 10:00:00\tx\nrubbish\n2011-04-01 10:00:01\tx\n")
    (batch,) = Replay((path,), TAPE).batches(times=True)
    assert np.diff(batch.times).tolist() == [0, 1_000_000]


def test_faults_and_truth_of_a_replay(tmp_path: Path) -> None:
    path = write_tape(tmp_path / "a.txt.gz", 9_000, dialect=Dialect(",", quoted=True))
    truth, out = tmp_path / "truth.json", tmp_path / "out.txt"
    done = run(
        *("--replay", path, "--output", out, "--truth", truth, "--dialect", "comma", "--quote"),
        *("--garbage", 0.1, "--late", 0.1, "--late-by", "1h", "--duplicates", 0.1, "--disorder", 0.1),
    )
    assert done.returncode == 0, done.stderr
    said = assert_truth(truth, out.read_bytes(), ",")
    assert said["garbage"] > 700


def test_lines_of_a_replay_that_are_no_records_are_garbage(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    good = b"".join(Tape(10).chunks())
    path.write_bytes(b"rubbish\n" + good + b"\n" + good.split(b"\n")[0].replace(b"2011-04-01", b"2011-04-41") + b"\n")
    truth, out = tmp_path / "truth.json", tmp_path / "out.txt"
    assert run("--replay", path, "--output", out, "--truth", truth).returncode == 0
    assert out.read_bytes() == path.read_bytes()
    assert assert_truth(truth, out.read_bytes())["garbage"] == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, b"No such file"),
        ("broken.gz", gzip.compress(b"1\n" * 10_000)[:-20], b"cannot read"),
        ("broken.zst", b"no zstandard at all", b"cannot read"),
    ],
    ids=["missing", "cut", "not compressed"],
)
def test_a_file_that_cannot_be_read_is_a_failure_of_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: bytes
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = run("--replay", path, "--output", tmp_path / "out.txt")
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "out.txt").exists()
