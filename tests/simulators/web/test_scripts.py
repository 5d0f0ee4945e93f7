from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.web.encounters import Encounters
from simulators.web.scripts import SCRIPTS, Script

MOST = 100_000_000


def slowly(script: str, i: int) -> str:
    """What the issue says, number by number."""
    if script == "2":
        ip = f"10.0.{i * 19 % 256}.{i * 37 % 250}"
        moment, status = 1420063200 + 2 * i, (i * 8 // 6 % 4 + 2) * 100 + (i * 13 % 4)
    else:
        ip = f"10.0.{i * 191 % 256}.{i * 219 % 250}"
        moment, status = 1557824751 + i, (i * 55 // 6 % 4 + 2) * 100 + (i * 19 % 4)
    time = datetime.fromtimestamp(moment, timezone.utc)
    return f'{{"time":"{time:%Y-%m-%d %H:%M:%S}","ip":"{ip}","status_code":{status}}}'


@pytest.mark.parametrize("script", ["1", "2", "test"])
def test_records_are_those_of_the_formula(script: str) -> None:
    records = [record for batch in Script(SCRIPTS[script], 70_000).batches() for record in batch.records()]
    assert [record.decode() for record in records] == [slowly(script, i) for i in range(1, 70_001)]


@given(st.sampled_from(["1", "2"]), st.integers(1, MOST), st.integers(1, 300))
def test_any_stretch_of_a_script_is_that_of_the_formula(script: str, first: int, count: int) -> None:
    batch = SCRIPTS[script].responses(first, first + count).to_batch("json", facts=False)
    assert [record.decode() for record in batch.records()] == [slowly(script, i) for i in range(first, first + count)]
    assert (np.diff(batch.times) == (2_000_000 if script == "2" else 1_000_000)).all()


def test_a_script_has_so_many_records_and_the_test_is_the_first_thousand() -> None:
    assert [SCRIPTS[name].rows for name in ("1", "2", "test")] == [MOST, MOST, 1_000]
    test = b"".join(bytes(batch.data) for batch in Script(SCRIPTS["test"]).batches())
    assert test == next(Script(SCRIPTS["1"], 1_000).batches()).data
    assert sum(batch.rows for batch in Script(SCRIPTS["1"], 200_001).batches()) == 200_001
    endless = Script(SCRIPTS["test"], 0).batches()
    assert sum(next(endless).rows for _ in range(3)) > 100_000


def test_nought_rows_end_with_the_calendar() -> None:
    formula = SCRIPTS["1"]
    last = (253_402_214_400 - formula.start) // formula.step
    batch = formula.responses(last, last + 1).to_batch("json", facts=False)
    assert json.loads(batch.records()[0])["time"] == "9999-12-31 00:00:00"


def test_a_log_says_the_same() -> None:
    script = SCRIPTS["1"]
    for first in (1, 5_000_000, MOST - 50):
        responses = script.responses(first, first + 50)
        lines = responses.to_batch("clf", facts=False).records()
        for line, record in zip(lines, responses.to_batch("json", facts=False).records(), strict=True):
            said = json.loads(record)
            moment = datetime.strptime(said["time"], "%Y-%m-%d %H:%M:%S")
            time = f"{moment:%d}/{moment.strftime('%b')}/{moment:%Y:%H:%M:%S} +0000"
            assert line.decode() == f'{said["ip"]} - - [{time}] "GET / HTTP/1.1" {said["status_code"]} -'


@pytest.mark.parametrize("days", [range(5), range(7)], ids=["monday to friday", "every day"])
def test_on_script_1_every_hour_climbs_to_900_before_any_passes_900_and_so_on(days: range) -> None:
    """A visitor is a distinct (IP, date, hour); a week and a half, so that weekends come in."""
    counts: Counter[int] = Counter()
    met: set[tuple[str, str]] = set()
    level = 0
    for batch in Script(SCRIPTS["1"], 950_000).batches(facts=True):
        assert batch.facts is not None
        failed = np.flatnonzero(batch.facts["status"] // 100 == 5)
        records = batch.records()
        for place in failed.tolist():
            time, ip = records[place][9:28].decode(), records[place][36:].split(b'"')[0].decode()
            visitor = (ip, time[:13])
            moment = datetime.fromisoformat(time)
            if moment.weekday() in days and visitor not in met:
                met.add(visitor)
                counts[moment.hour] += 1
                if counts[moment.hour] > 900 * (level + 1):
                    level += 1
                    counts[moment.hour] -= 1
                    assert counts == dict.fromkeys(range(24), 900 * level)
                    counts[moment.hour] += 1
    assert level >= 6


def test_on_script_1_each_whole_hour_has_900_visitors_that_met_an_error_and_nobody_meets_two() -> None:
    encounters = Encounters()
    errors = 0
    for batch in Script(SCRIPTS["1"], 1_000_000).batches(facts=True):
        assert batch.facts is not None
        encounters.add(batch.facts, batch.times)
        errors += int(np.count_nonzero(batch.facts["status"] >= 500))
    by_hour = encounters.to_json()["visitors_by_date_and_hour"]
    assert isinstance(by_hour, dict)
    first, *whole, last = by_hour.items()
    assert first == ("2019-05-14 09", 812)
    assert last[1] < 900
    assert {count for _, count in whole} == {900}
    assert sum(by_hour.values()) == errors
    hours = [datetime.strptime(hour, "%Y-%m-%d %H") for hour in by_hour]
    assert all(after - before == timedelta(hours=1) for before, after in pairwise(hours))


def test_script_2_has_no_errors_at_all() -> None:
    """The status depends on i modulo 12 only, so that the first twelve stand for all."""
    status = SCRIPTS["2"].responses(1, 1_000_001).status
    assert (status[:-12] == status[12:]).all()
    assert set((status // 100).tolist()) == {2, 3, 4}
