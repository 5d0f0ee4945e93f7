from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from datetime import date, datetime

import numpy as np
import pytest

from simulators.engine.batch import Batch
from simulators.web.scripts import SCRIPTS, Script
from simulators.web.visitors import make_visitors
from simulators.web.visits import Visits

WEEK = Visits(180_000, seed=1)
DAY = 86_400 * 1_000_000


@pytest.fixture(scope="module")
def week() -> list[Batch]:
    return list(WEEK.batches(facts=True))


@pytest.fixture(scope="module")
def records(week: list[Batch]) -> list[dict[str, object]]:
    return [json.loads(record) for batch in week for record in batch.records()]


@pytest.fixture(scope="module")
def facts(week: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.facts for batch in week if batch.facts is not None])


@pytest.fixture(scope="module")
def seconds(week: list[Batch]) -> np.ndarray:
    return np.concatenate([batch.times for batch in week]) // 1_000_000


def test_records_have_the_one_form(week: list[Batch]) -> None:
    form = re.compile(rb'\{"time":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d","ip":"[0-9a-f.:]+","status_code":\d{3}\}')
    assert all(form.fullmatch(record) for batch in week for record in batch.records())


def test_times_and_facts_are_what_the_records_say(
    records: list[dict[str, object]], facts: np.ndarray, seconds: np.ndarray
) -> None:
    assert len(records) == 180_000
    said = [datetime.strptime(str(record["time"]), "%Y-%m-%d %H:%M:%S") for record in records]
    assert ((np.array(said, "M8[s]").astype(np.int64)) == seconds).all()
    assert (np.diff(seconds) >= 0).all()
    assert facts["status"].tolist() == [record["status_code"] for record in records]
    pairs = {(visitor, record["ip"]) for visitor, record in zip(facts["visitor"].tolist(), records)}
    assert len(pairs) == len({visitor for visitor, _ in pairs}) == len({ip for _, ip in pairs})


def test_addresses_are_of_both_kinds_in_their_usual_form_and_nobodys(records: list[dict[str, object]]) -> None:
    addresses = {str(record["ip"]) for record in records}
    parsed = [ipaddress.ip_address(address) for address in addresses]
    assert {str(address) for address in parsed} == addresses
    assert all(address.is_private for address in parsed)
    assert 0.35 < sum(address.version == 6 for address in parsed) / len(parsed) < 0.45


def test_many_visitors_have_an_address_each() -> None:
    addresses = make_visitors(60_000, 3).addresses
    assert len(np.unique(addresses)) == len(addresses) == 60_150


def test_people_come_by_day_more_than_by_night_and_less_at_the_weekend(facts: np.ndarray, seconds: np.ndarray) -> None:
    people = seconds[facts["visitor"] < WEEK.visitors]
    hours = Counter((people // 3_600 % 24).tolist())
    assert min(hours[hour] for hour in range(9, 22)) > 4 * max(hours[hour] for hour in range(1, 5))
    days = Counter((people // 86_400).tolist())
    first = (date(2019, 5, 6) - date(1970, 1, 1)).days
    assert max(days[first + 5], days[first + 6]) < 0.85 * min(days[first + day] for day in range(5))


def test_people_come_in_sessions(facts: np.ndarray, seconds: np.ndarray) -> None:
    is_person = facts["visitor"] < WEEK.visitors
    visitor, second = facts["visitor"][is_person], seconds[is_person]
    order = np.lexsort((second, visitor))
    same = np.diff(visitor[order]) == 0
    begins = 1 + np.count_nonzero(~same | (np.diff(second[order]) > 1_800))
    assert 5 < len(visitor) / begins < 10


def test_bots_look_for_holes_and_the_monitor_comes_each_minute(facts: np.ndarray, seconds: np.ndarray) -> None:
    monitor = seconds[facts["visitor"] == WEEK.visitors]
    assert set(np.diff(monitor).tolist()) <= {60, 1, 2, 3, 4, 5, 59, 58, 57, 56, 55}
    assert np.count_nonzero(np.diff(monitor) == 60) > 0.98 * len(monitor)
    missing = Counter(facts["visitor"][facts["status"] == 404].tolist())
    assert all(visitor > WEEK.visitors for visitor, _ in missing.most_common(5))


def test_errors_are_rare_but_come_in_bursts(facts: np.ndarray, seconds: np.ndarray) -> None:
    failed = facts["status"] >= 500
    assert 0.002 < failed.mean() < 0.05
    minutes, place = np.unique(seconds // 60, return_inverse=True)
    shares = np.bincount(place, failed) / np.bincount(place)
    busy = np.bincount(place) >= 10
    assert np.median(shares[busy]) == 0
    assert np.count_nonzero(shares[busy] > 0.3) >= 3
    assert len(minutes) > 5 * 1_440


def test_whoever_meets_an_error_comes_back_and_may_meet_another(facts: np.ndarray, seconds: np.ndarray) -> None:
    failed = facts["status"] >= 500
    met = Counter(zip(facts["visitor"][failed].tolist(), (seconds[failed] // 3_600).tolist()))
    assert sum(count > 1 for count in met.values()) > 0.1 * len(met)


def test_all_statuses_are_there(facts: np.ndarray) -> None:
    assert {200, 301, 302, 304, 400, 401, 403, 404, 429, 500, 502, 503, 504} == set(facts["status"].tolist())


def test_a_session_goes_on_past_midnight(week: list[Batch], facts: np.ndarray, seconds: np.ndarray) -> None:
    people = facts["visitor"] < WEEK.visitors
    visitor, second = facts["visitor"][people], seconds[people]
    order = np.lexsort((second, visitor))
    visitor, second = visitor[order], second[order]
    crossed = (np.diff(visitor) == 0) & (np.diff(second) < 300) & (np.diff(second // 86_400) == 1)
    assert crossed.any()
    assert all(batch.times.max() // DAY == batch.times.min() // DAY for batch in week)


def test_the_seed_and_the_options_decide() -> None:
    def made(*args: object) -> bytes:
        return b"".join(bytes(batch.data) for batch in Visits(*args).batches())  # type: ignore[arg-type]

    assert made(20_000, 1) == made(20_000, 1)
    assert made(50_000, 1).startswith(made(20_000, 1))
    assert made(20_000, 1) != made(20_000, 2)
    assert made(100, 1, 5_000, date(2020, 2, 29)).startswith(b'{"time":"2020-02-29 00:00:')


def test_a_log_tells_of_the_same_visits(records: list[dict[str, object]]) -> None:
    line = re.compile(r'(\S+) - - \[([^\]]+) \+0000\] "[A-Z]+ /\S* HTTP/1\.1" (\d{3}) (\d+|-)')
    log = [line for batch in Visits(20_000, seed=1, form="clf").batches() for line in batch.records()]
    for text, record in zip(log, records):
        match = line.fullmatch(text.decode())
        assert match is not None, text
        moment = datetime.strptime(match[2], "%d/%b/%Y:%H:%M:%S")
        assert (match[1], str(moment), int(match[3])) == (record["ip"], record["time"], record["status_code"])
        assert (match[4] == "-") == (300 <= int(match[3]) < 400)


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="rows must not be negative, got -1"):
        Visits(-1)
    with pytest.raises(ValueError, match="seed must not be negative, got -2"):
        Visits(seed=-2)
    with pytest.raises(ValueError, match="rows must not be negative, got -3"):
        Script(SCRIPTS["1"], -3)


def test_one_visitor_is_enough_and_none_is_refused() -> None:
    assert sum(batch.rows for batch in Visits(5_000, visitors=1).batches()) == 5_000
    for wrong in (0, 1_000_001):
        with pytest.raises(ValueError, match=f"visitors must be 1 to 1000000, got {wrong}"):
            Visits(visitors=wrong)
