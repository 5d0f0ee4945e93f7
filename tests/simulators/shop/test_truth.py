"""The truth of a shop, held against a recount of the messages that were sent, whatever befell them."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np

from schemas.record_type import Dialect
from schemas.smoothies import TOPICS
from schemas.times import to_micros
from simulators.engine.faults import Faults
from simulators.engine.truth import Tally
from simulators.shop.damage import ShopDamage
from simulators.shop.incidents import parse_trouble
from simulators.shop.menu import MENU
from simulators.shop.shop import DEFAULT_START, Shop
from simulators.shop.truth import ShopTruth
from tests.simulators.shops import SUMS, Recount, assert_sums, kind_of, messages_of, time_of, total_of

SHOP = Shop(15_000, seed=2, troubles=[parse_trouble("SF07@3h+1d"), parse_trouble("CL07@2d+5d")])


def tallied(shop: Shop, faults: Faults, damage: ShopDamage) -> tuple[dict[str, Any], bytes]:
    tally = Tally(ShopTruth(shop.menu, shop.stores))
    data = b""
    for batch in faults.apply(shop.batches(facts=True), damage):
        tally.add(batch)
        data += bytes(batch.data)
    return json.loads(json.dumps(tally.to_json())), data


def test_what_is_lost_costs_something_and_shelves_stay_empty() -> None:
    truth, data = tallied(SHOP, Faults(), ShopDamage(in_one=False))
    recount = Recount().take(messages_of(data))
    assert_sums(truth, recount)
    said = truth["products"]["CL07"]
    assert said["lost"] > 100
    assert Decimal(said["lost_value"]) == said["lost"] * Decimal("4.79")
    assert Decimal(said["cost"]) == said["sold"] * Decimal("1.45")
    assert said["level"] == 0
    assert said["empty_since_micros"] == to_micros(recount.empty_since["", "CL07"])
    assert truth["products"]["SF07"]["without_stock_micros"] > 3_600_000_000
    assert truth["products"]["SF07"]["empty_since_micros"] is None
    assert truth["twice"] == {}
    assert "stores" not in truth


def test_shops_are_told_apart() -> None:
    shop = Shop(9_000, stores=3)
    truth, data = tallied(shop, Faults(), ShopDamage(in_one=False))
    messages = messages_of(data)
    for store in ("S01", "S02", "S03"):
        recount = Recount().take([message for message in messages if message["store_id"] == store])
        for product_id, said in truth["stores"][store].items():
            counted = recount.sums.get(product_id, dict.fromkeys(SUMS, 0))
            assert {name: Decimal(said[name]) for name in SUMS} == counted
            assert said["level"] == recount.levels[store, product_id]
    assert_sums(truth, Recount().take(messages))


def test_what_comes_twice_counts_twice_and_is_told_apart() -> None:
    faults = Faults(late=0.03, duplicates=0.1, disorder=0.2, seed=3)
    truth, data = tallied(SHOP, faults, ShopDamage(in_one=False))
    lines = data.splitlines()
    assert len(lines) > len(set(lines))
    seen, again = sums_of(lines), sums_of([line for line, count in Counter(lines).items() for _ in range(count - 1)])
    for product in MENU:
        said = truth["products"][product.product_id]
        assert {name: Decimal(said[name]) for name in SUMS} == seen[product.product_id]
        twice = truth["twice"].get(product.product_id, dict.fromkeys(SUMS, 0))
        assert {name: Decimal(twice[name]) for name in SUMS} == again[product.product_id]
    # Levels and times are as without faults.
    plain, _ = tallied(SHOP, Faults(), ShopDamage(in_one=False))
    for product_id, said in plain["products"].items():
        for name in ("level", "without_stock_micros", "empty_since_micros"):
            assert truth["products"][product_id][name] == said[name], (product_id, name)


def test_garbage_is_what_no_reader_takes_and_does_not_count() -> None:
    for in_one in (False, True):
        shop = Shop(6_000, in_one=in_one)
        truth, data = tallied(shop, Faults(garbage=0.2, seed=1), ShopDamage(in_one=in_one))
        good = [line for line in data.split(b"\n")[:-1] if is_good(line, in_one=in_one)]
        assert len(good) == truth["well_formed"]
        assert 1_000 < truth["garbage"] < 1_400
        if in_one:
            good = [json.dumps(json.loads(line)["payload"]).encode() for line in good]
        seen = sums_of(good)
        for product_id, said in truth["products"].items():
            assert {name: Decimal(said[name]) for name in SUMS} == seen[product_id]


def is_good(line: bytes, *, in_one: bool) -> bool:
    """Whether a reader that knows the four kinds takes a line."""
    try:
        message = json.loads(line.decode())
        payload = message["payload"] if in_one else message
        record = TOPICS[message["type"] if in_one else kind_of(payload)][1]
        if record.event_micros(json.dumps(payload).encode(), Dialect()) is None:
            return False
        return all(
            isinstance(payload[column.name], {"text": str, "time": str, "integer": int}.get(column.kind, (int, float)))
            for column in record.columns
            if column.required
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def sums_of(lines: list[bytes]) -> dict[str, dict[str, Any]]:
    """Adds up messages in any order."""
    sums: dict[str, dict[str, Any]] = {product.product_id: dict.fromkeys(SUMS, 0) for product in MENU}
    for message in messages_of(b"\n".join(lines)):
        mine, kind, quantity = sums[message["product_id"]], kind_of(message), message.get("quantity", 0)
        if kind == "purchases":
            paid, discount = total_of(message)
            more = {"sold": quantity, "sales": paid, "members": int(message["is_member"]), "discounts": discount}
        else:
            more = {"restocked": message["stock_quantity"]} if kind == "inventories" else {"lost": quantity}
        if kind != "products":
            count = {"inventories": "restockings"}.get(kind, kind)
            for name, value in {count: 1, **more}.items():
                mine[name] += value
    return sums


def test_nothing_is_nothing() -> None:
    summed = ShopTruth(MENU)
    facts = next(Shop(1).batches(facts=True)).facts
    assert facts is not None
    summed.add(facts[:0], np.empty(0, np.int64))
    truth: Any = summed.to_json()
    assert truth["total"]["sales"] == "0.00"
    assert {said["sold"] for said in truth["products"].values()} == {0}


def test_the_last_message_tells_the_level_in_whatever_order_they_come() -> None:
    (opening, first, *_) = Shop(2_000).batches(facts=True)
    assert opening.facts is not None
    assert first.facts is not None
    summed, other = ShopTruth(MENU), ShopTruth(MENU)
    summed.add(opening.facts, opening.times)
    summed.add(first.facts, first.times)
    other.add(first.facts[::-1], first.times[::-1])
    other.add(opening.facts, opening.times)
    assert summed.to_json() == other.to_json()
    assert time_of(messages_of(bytes(opening.data))[0]).timestamp() > 0
    assert int(opening.times[0]) == DEFAULT_START
