from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from schemas.record_type import Dialect
from schemas.tape import COLUMNS, TAPE
from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import DUPLICATE, GARBAGE, LATE, Batch
from simulators.engine.damage import DelimitedDamage
from simulators.engine.faults import Faults
from tests.simulators.tools import assert_truth, run

HOUR = 3_600 * MICROS_PER_SECOND


def batches(rows: int = 5_000, each: int = 700) -> list[Batch]:
    """Records that are their own number, one each ten seconds."""
    times = np.arange(rows) * 10 * MICROS_PER_SECOND
    found = []
    for start in range(0, rows, each):
        part = times[start : start + each]
        data = b"".join(b"%d\n" % (start + place) for place in range(len(part)))
        found.append(Batch(data, part))
    return found


def strike(faults: Faults) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    out = list(faults.apply(iter(batches()), lambda line, _: b"x" + line))
    records = [record for batch in out for record in batch.records()]
    marks = np.concatenate([batch.marks for batch in out if batch.marks is not None])
    return records, np.concatenate([batch.times for batch in out]), marks


def test_no_fault_changes_nothing() -> None:
    records, _, marks = strike(Faults())
    assert records == [b"%d" % number for number in range(5_000)]
    assert not marks.any()


def test_late_records_leave_when_the_stream_is_that_much_further() -> None:
    records, times, marks = strike(Faults(late=0.1, late_by_micros=HOUR))
    assert sorted(records, key=int) == [b"%d" % number for number in range(5_000)]
    assert 350 < np.count_nonzero(marks & LATE) < 650
    on_time = (marks & LATE) == 0
    assert (np.diff(times[on_time]) > 0).all()
    so_far = np.maximum.accumulate(times)
    lateness = (so_far - times)[~on_time]
    not_at_the_end = times[~on_time] + HOUR <= times.max()
    assert (lateness[not_at_the_end] > HOUR - 20 * 10 * MICROS_PER_SECOND).all()
    assert (lateness <= HOUR).all()


def test_disorder_stays_within_its_bound() -> None:
    records, times, _ = strike(Faults(disorder=0.3, disorder_by_micros=HOUR // 12))
    assert sorted(records, key=int) == [b"%d" % number for number in range(5_000)]
    behind = np.maximum.accumulate(times) - times
    assert behind.max() <= HOUR // 12
    assert np.count_nonzero(behind) > 1_000


def test_duplicates_follow_their_originals() -> None:
    records, _, marks = strike(Faults(duplicates=0.2))
    twice = np.flatnonzero(marks & DUPLICATE)
    assert 850 < len(twice) < 1_150
    assert all(records[place] == records[place - 1] for place in twice)
    assert sorted(set(records), key=int) == [b"%d" % number for number in range(5_000)]


def test_garbage_is_damaged_and_nothing_else_is() -> None:
    records, _, marks = strike(Faults(garbage=0.5))
    assert [record.startswith(b"x") for record in records] == (marks == GARBAGE).tolist()
    assert 2_300 < np.count_nonzero(marks) < 2_700


def test_the_seed_decides() -> None:
    assert strike(Faults(late=0.2, seed=1))[0] == strike(Faults(late=0.2, seed=1))[0]
    assert strike(Faults(late=0.2, seed=1))[0] != strike(Faults(late=0.2, seed=2))[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"late": 1.5}, "late must be a share between 0 and 1, got 1.5"),
        ({"garbage": float("nan")}, "garbage must be a share"),
        ({"late": 0.6, "garbage": 0.6}, "not add up to more than 1, got 1.2"),
        ({"late_by_micros": 0}, "late_by_micros must be positive, got 0"),
    ],
)
def test_wrong_shares_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faults(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("quoted", [False, True])
def test_damage_leaves_no_good_record_and_no_line_feed(quoted: bool) -> None:
    damage = DelimitedDamage(TAPE, Dialect(",", quoted=quoted), "department")
    good = b",".join([b"2011-04-01 10:00:00", *[b"1"] * (len(COLUMNS) - 1)])
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(500):
        bad = damage(good, rng)
        assert b"\n" not in bad
        assert b"\r" not in bad
        fields = bad.split(b",")
        wrong_count = len(fields) - len(COLUMNS)
        wrong_number = not wrong_count and not fields[9].isdigit()
        wrong_time = not wrong_count and TAPE.event_micros(bad, Dialect(",")) is None
        assert wrong_count or wrong_number or wrong_time
        kinds.add((np.sign(wrong_count), wrong_number, wrong_time, b"\xff" in bad))
    assert len(kinds) >= 5


@pytest.mark.parametrize(
    ("dialect", "separator", "quote"), [("tab", "\t", False), ("comma", ",", True), ("semicolon", ";", False)]
)
def test_the_truth_is_what_a_recount_finds(tmp_path: Path, dialect: str, separator: str, quote: bool) -> None:
    truth, tape = tmp_path / "truth.json", tmp_path / "tape.txt"
    done = run(
        *("--rows", 30_000, "--seed", 3, "--output", tape, "--truth", truth, "--dialect", dialect),
        *("--late", 0.02, "--duplicates", 0.03, "--disorder", 0.1, "--garbage", 0.04, *["--quote"] * quote),
    )
    assert done.returncode == 0, done.stderr
    data = tape.read_bytes()
    said = assert_truth(truth, data, separator)
    assert said["rows"] == 30_000 + said["duplicated"]
    assert 700 < said["duplicated"] < 1_100
    assert 1_000 < said["garbage"] < 1_400
    assert 450 < said["late"] < 750
    assert said["out_of_order"] > said["late"] / 2
    lines = data.split(b"\n")
    again = sum(one == other for one, other in pairwise(lines))
    assert again == said["duplicated"]


def test_without_faults_the_truth_is_the_tape(tmp_path: Path) -> None:
    truth, tape = tmp_path / "truth.json", tmp_path / "tape.txt"
    assert run("--rows", 3_000, "--output", tape, "--truth", truth, "--quiet").stderr == b""
    said = assert_truth(truth, tape.read_bytes())
    assert (said["rows"], said["garbage"], said["duplicated"], said["late"], said["out_of_order"]) == (
        3_000,
        0,
        0,
        0,
        0,
    )
