from __future__ import annotations

import json
import math
import time
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bank import REGIONS, TRANSFERS
from schemas.record_type import Dialect
from simulators.engine.batch import Batch
from simulators.engine.metering import metered
from simulators.engine.start_time import DEFAULT_START
from simulators.transfers.flows import Flows
from simulators.transfers.transfers import DEFAULT_GAP, Transfers
from sources.pacing import Pace
from tests.simulators.engine.test_metering import FakeClock

ROWS = 30_000
SHORT = ["account_id", "account_region", "transaction_value"]


def data_of(transfers: Transfers) -> bytes:
    return b"".join(bytes(batch.data) for batch in transfers.batches())


def records_of(transfers: Transfers) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in data_of(transfers).splitlines()]


def times_of(transfers: Transfers) -> np.ndarray:
    return np.concatenate([batch.times for batch in transfers.batches()])


@pytest.fixture(scope="module")
def full() -> list[dict[str, Any]]:
    return records_of(Transfers(ROWS, seed=5, fields="full"))


def test_a_transfer_looks_as_json_writes_it() -> None:
    data = data_of(Transfers(ROWS, seed=5))
    assert data.endswith(b"}\n")
    lines = data.decode("ascii").split("\n")[:-1]
    assert len(lines) == ROWS
    assert all(json.dumps(json.loads(line)) == line for line in lines)
    assert all(list(json.loads(line)) == SHORT for line in lines[:100])


def test_values_are_in_their_range_to_the_cent() -> None:
    records = records_of(Transfers(ROWS, seed=5))
    assert all(1_000_000 <= record["account_id"] <= 9_999_999 for record in records)
    cents = [record["transaction_value"] * 100 for record in records]
    assert all(1 <= value <= 1_000_000 and value == int(value) for value in cents)
    assert min(cents) < 300
    assert max(cents) > 999_700
    # The mean of so many even draws, within five of its standard deviations.
    assert abs(sum(cents) / ROWS - 500_000) < 5 * 1_000_000 / math.sqrt(12 * ROWS)


def test_lognormal_values_are_small_ones_and_a_few_big_ones() -> None:
    values = sorted(record["transaction_value"] for record in records_of(Transfers(ROWS, seed=5, values="lognormal")))
    assert values[0] > 0
    assert 235 < values[ROWS // 2] < 265
    assert values[-1] > 30_000
    assert sum(values) / ROWS > 2 * values[ROWS // 2]


@pytest.mark.parametrize("regions", [REGIONS, {"a": 0.3, "none": 0.0, "b": 0.7}, {'only "one" ä\n': 1.0}])
def test_regions_have_their_shares(regions: dict[str, float]) -> None:
    counts = Counter(record["account_region"] for record in records_of(Transfers(ROWS, seed=5, regions=regions)))
    assert set(counts) == {name for name, share in regions.items() if share}
    for name, share in regions.items():
        assert abs(counts[name] / ROWS - share) <= 4.5 * math.sqrt(share * (1 - share) / ROWS), name


def test_an_account_is_always_of_one_region_and_one_person() -> None:
    regions, names = defaultdict(set), defaultdict(set)
    for record in records_of(Transfers(60_000, fields="full")):
        regions[record["account_id"]].add(record["account_region"])
        names[record["from_account"]].add(record["from_name"])
        names[record["to_account"]].add(record["to_name"])
    assert len(regions) < 59_900
    assert {len(found) for found in regions.values()} == {1}
    assert {len(found) for found in names.values()} == {1}


def test_full_fields_say_the_same_and_more(full: list[dict[str, Any]]) -> None:
    for place, (record, short) in enumerate(zip(full, records_of(Transfers(ROWS, seed=5)), strict=True)):
        assert {name: record[name] for name in SHORT} == short
        assert record["transfer_id"] == place + 1
        assert record["from_account"] == record["account_id"] != record["to_account"]
        assert 1_000_000 <= record["to_account"] <= 9_999_999
        assert record["currency"] == "USD"
    assert {record["channel"] for record in full} == {"online", "mobile", "branch", "atm", "standing order"}
    assert len({record["from_name"] for record in full}) > 5_000
    assert all(" " in record["to_name"] for record in full)
    assert list(full[0]) == [
        *["transfer_id", "transfer_time", *SHORT, "from_account", "to_account", "from_name", "to_name"],
        *["channel", "currency"],
    ]


def test_the_event_time_is_the_one_that_is_written() -> None:
    batch = next(Transfers(500, fields="full").batches())
    written = [TRANSFERS.event_micros(record, Dialect()) for record in batch.records()]
    assert written == batch.times.tolist()
    assert written[0] == DEFAULT_START


def test_without_a_pace_gaps_are_those_of_a_quiet_bank() -> None:
    gaps = np.diff(times_of(Transfers(ROWS))) / 10**6
    assert DEFAULT_GAP[0] - 1e-5 <= gaps.min() < 0.012
    assert 2.998 < gaps.max() <= DEFAULT_GAP[1] + 1e-5
    assert abs(gaps.mean() - sum(DEFAULT_GAP) / 2) < 0.03


@settings(max_examples=20)
@given(
    st.builds(Pace, rate=st.floats(0.1, 10**5), seed=st.integers(0, 9))
    | st.builds(Pace, interval=st.tuples(st.floats(0, 1), st.floats(1, 5)), seed=st.integers(0, 9)),
)
def test_times_are_those_at_which_transfers_leave(pace: Pace) -> None:
    transfers = Transfers(1_000, pace.seed, pace=pace)
    clock = FakeClock()
    began = clock.seconds
    for batch in metered(transfers.batches(), pace, clock):
        elapsed = (batch.times - DEFAULT_START) / 10**6
        late = clock.seconds - began - elapsed
        # Never before, and not later than the shortest rest and a look or two at the clock.
        assert late.min() >= -0.001
        assert late.max() <= 0.01


def test_now_begins_when_somebody_begins_to_read() -> None:
    transfers = Transfers(1, start=None)
    before = time.time() * 10**6
    first = int(times_of(transfers)[0])
    assert before - 1 <= first <= time.time() * 10**6 + 1
    assert times_of(transfers)[0] > first


@settings(max_examples=15)
@given(st.integers(1, 20_000), st.integers(0, 5), st.sampled_from(["short", "full"]))
def test_fewer_rows_are_the_beginning_of_more(rows: int, seed: int, fields: Any) -> None:
    longer = data_of(Transfers(20_000, seed=seed, fields=fields))
    shorter = data_of(Transfers(rows, seed=seed, fields=fields))
    assert shorter.count(b"\n") == rows
    assert longer.startswith(shorter)


def test_same_seed_same_bytes_and_another_seed_others() -> None:
    assert data_of(Transfers(1_000, seed=5)) == data_of(Transfers(1_000, seed=5))
    assert data_of(Transfers(1_000, seed=5)) != data_of(Transfers(1_000, seed=6))


def test_a_stream_goes_on_until_the_calendar_ends() -> None:
    days = Pace(interval=(86_400, 86_400))
    times = times_of(Transfers(0, start=DEFAULT_START + 7_900 * 365 * 86_400 * 10**6, pace=days, fields="full"))
    assert 0 < len(times) < 100_000
    assert set(np.diff(times)) == {86_400 * 10**6}
    batches = Transfers(0).batches()
    assert [next(batches).rows for _ in range(3)] == [8_192] * 3


def test_flows_are_the_sums_by_hand() -> None:
    transfers = Transfers(ROWS, seed=5, values="lognormal", regions={"a": 0.5, "b": 0.5, "nobody": 0.0})
    flows = Flows(list(transfers.regions))
    for batch in transfers.batches(facts=True):
        pieces: list[Batch] = [batch.cut(start, stop) for start, stop in pairwise([0, 5, 999, batch.rows])]
        for piece in pieces:
            assert piece.facts is not None
            flows.add(piece.facts, piece.times)
    wanted = {name: [0, Decimal(0)] for name in ("a", "b", "nobody")}
    for record in records_of(transfers):
        wanted[record["account_region"]][0] += 1
        wanted[record["account_region"]][1] += record["transaction_value"]
    said: Any = flows.to_json()
    assert {name: [flow["count"], Decimal(flow["sum"])] for name, flow in said["regions"].items()} == wanted
    assert said["total"]["count"] == ROWS
    assert Decimal(said["total"]["sum"]) == wanted["a"][1] + wanted["b"][1]
    assert said["regions"]["nobody"] == {"count": 0, "sum": "0.00"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": -1}, "rows must not be negative, got -1"),
        ({"seed": -2}, "seed must not be negative, got -2"),
        ({"values": "normal"}, "values must be uniform or lognormal, got 'normal'"),
        ({"fields": "all"}, "fields must be short or full, got 'all'"),
        ({"start": -1}, "start must be from 1970 to 9999"),
        ({"regions": {"a": 0.5}}, "must add up to 1, got 0.5"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Transfers(**wrong)
