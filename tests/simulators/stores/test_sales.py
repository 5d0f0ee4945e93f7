from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from typing import Any

import numpy as np
import pytest

from schemas.pos import SALES
from schemas.record_type import Dialect
from simulators.stores.receipts import Receipts
from simulators.stores.sales import Sales
from simulators.tape.catalogue import catalogue
from simulators.tape.tape import Tape
from tests.simulators.tools import rows_of

ROWS = 40_000
LINE = re.compile(
    r'\{"time":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d","store":\d+,"register":\d+,"transaction":\d+,"upc":"\d{13}",'
    r'"item":"[^"]+","quantity":-?\d+(\.\d{0,5}[1-9])?,"price":\d+\.\d\d,"total":-?\d+\.\d\d\}'
)


def data_of(sales: Sales) -> bytes:
    return b"".join(bytes(batch.data) for batch in sales.batches())


def records_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in data.splitlines()]


@pytest.fixture(scope="module")
def data() -> bytes:
    return data_of(Sales(ROWS, seed=5))


@pytest.fixture(scope="module")
def records(data: bytes) -> list[dict[str, Any]]:
    return records_of(data)


def test_every_line_is_a_sale(data: bytes) -> None:
    lines = data.decode("ascii").split("\n")[:-1]
    assert len(lines) == ROWS
    assert all(LINE.fullmatch(line) for line in lines)
    assert {tuple(json.loads(line)) for line in lines[:100]} == {SALES.names}


def test_times_ascend_over_all_stores_and_registers(records: list[dict[str, Any]]) -> None:
    times = [record["time"] for record in records]
    assert times == sorted(times)
    stores = Counter(record["store"] for record in records)
    assert set(stores) == {1, 2, 3}
    assert min(stores.values()) > ROWS / 4
    assert {record["register"] for record in records} == set(range(1, 10))


def test_the_total_is_quantity_times_price(records: list[dict[str, Any]]) -> None:
    weighed = 0
    for record in records:
        total = (record["quantity"] * record["price"]).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert record["total"] == total
        weighed += record["quantity"] != int(record["quantity"])
    assert 0.1 < weighed / ROWS < 0.5


def test_a_void_takes_a_sale_back(records: list[dict[str, Any]]) -> None:
    sold = defaultdict(set)
    voids = 0
    for record in records:
        basket = tuple(record[name] for name in ("time", "store", "register", "transaction", "upc"))[1:]
        if record["quantity"] < 0:
            assert record["total"] < 0
            voids += -record["quantity"] in sold[basket]
        sold[basket].add(record["quantity"])
    assert 0.004 < voids / ROWS < 0.012


def test_one_store_sells_what_is_on_its_tape() -> None:
    tape = rows_of(b"".join(Tape(20_000, seed=0).chunks()))
    goods = [row for row in tape if row["trans_type"] == "I" and row["trans_status"] in " VR" and row["upc"].isdigit()]
    sales = records_of(data_of(Sales(len(goods), seed=0, stores=1)))
    for row, sale in zip(goods, sales, strict=True):
        assert row["datetime"] == sale["time"]
        assert (row["register_no"], row["trans_no"]) == (str(sale["register"]), str(sale["transaction"]))
        assert (row["upc"], row["description"]) == (sale["upc"], sale["item"])
        numbers = [Decimal(row[name]) for name in ("quantity", "unit_price", "total")]
        assert numbers == [sale["quantity"], sale["price"], sale["total"]]


def test_the_event_time_is_the_one_that_is_written() -> None:
    batch = next(Sales(500).batches())
    assert [SALES.event_micros(record, Dialect()) for record in batch.records()] == batch.times.tolist()


def test_a_day_is_the_same_whichever_day_comes_first(data: bytes) -> None:
    assert data_of(Sales(1_000, seed=5, start=date(2011, 4, 2))) in data


def test_fewer_rows_are_the_beginning_of_more_and_the_seed_decides(data: bytes) -> None:
    for rows in (1, 999, 30_000):
        shorter = data_of(Sales(rows, seed=5))
        assert shorter.count(b"\n") == rows
        assert data.startswith(shorter)
    assert not data.startswith(data_of(Sales(10, seed=6)))


def test_a_stream_without_end_goes_on() -> None:
    days = [batch.rows for batch in islice(Sales(0, stores=2).batches(), 3)]
    assert min(days) > 10_000


def test_receipts_are_the_sums_by_hand(records: list[dict[str, Any]]) -> None:
    receipts = Receipts([product.upc for product in catalogue().products])
    for batch in Sales(ROWS, seed=5).batches(facts=True):
        assert batch.facts is not None
        receipts.add(batch.facts, np.empty(0, np.int64))
    wanted: dict[str, Any] = {"stores": {}, "upcs": {}}
    for record in records:
        for group, key in (("stores", str(record["store"])), ("upcs", record["upc"])):
            sums = wanted[group].setdefault(key, [0, Decimal(0), Decimal(0)])
            sums[0] += 1
            sums[1] += record["quantity"]
            sums[2] += record["total"]
    said: Any = receipts.to_json()
    for group, sold in said.items():
        found = {key: [sums["sales"], Decimal(sums["quantity"]), Decimal(sums["total"])] for key, sums in sold.items()}
        assert found == wanted[group]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": -1}, "rows must not be negative, got -1"),
        ({"seed": -2}, "seed must not be negative, got -2"),
        ({"stores": 0}, "stores must be 1 to 100, got 0"),
        ({"registers": 100}, "registers must be 1 to 99, got 100"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sales(**wrong)  # type: ignore[arg-type]
