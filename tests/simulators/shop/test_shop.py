"""What holds of everything that smoothie shops tell, whatever their options are."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.record_type import Dialect
from schemas.smoothies import TOPICS
from schemas.times import to_micros
from simulators.shop.counter import Habits
from simulators.shop.crowds import Calendar
from simulators.shop.incidents import parse_anomaly, parse_trouble
from simulators.shop.menu import MENU, Product
from simulators.shop.opening import Hours, parse_hours
from simulators.shop.shelves import Restocking
from simulators.shop.shop import DEFAULT_HOURS, DEFAULT_START, Shop
from simulators.shop.truth import ShopTruth
from tests.simulators.shops import Recount, assert_sums, batches_of, data_of, kind_of, messages_of, time_of

ROWS = 20_000
SECOND = 1_000_000
ALWAYS = Calendar(Hours(parse_hours("always")))
MONEY = r"\d+\.\d\d"
TIME = r'"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"'
PURCHASE = re.compile(
    rf'\{{"transaction_time":{TIME},"transaction_id":"[0-9a-f]{{8}}-\d{{8}}","product_id":"[A-Z]{{2}}\d\d",'
    rf'"price":{MONEY},"quantity":[123],"is_member":(true|false),"member_discount":0\.[01]0,'
    rf'"add_supplements":(true|false),"supplement_price":({MONEY}),"total_purchase":{MONEY}\}}'
)

#: Few products of which there is little.
SMALL = tuple(Product(f"P{number}", "x", "y", "", None, Decimal(3), number, weight=number) for number in range(5))


@st.composite
def busy_shops(draw: st.DrawFn) -> Shop:
    """Draws shops that have too little of everything, too many customers, or both."""
    menu = draw(st.sampled_from([MENU, MENU[:2], SMALL]))
    incident = f"{menu[-1].product_id}@10s+5m"
    return Shop(
        rows=draw(st.integers(3 * len(MENU), 2_000)),
        seed=draw(st.integers(0, 5)),
        menu=menu,
        habits=Habits(gap=draw(st.sampled_from([(5, 25), (0, 0.5), (0, 0.00001)])), one_item=draw(st.integers(0, 20))),
        restocking=Restocking(draw(st.integers(0, 20)), draw(st.integers(1, 20)), draw(st.integers(1, 100 * SECOND))),
        calendar=Calendar(
            Hours(parse_hours(draw(st.sampled_from(["always", DEFAULT_HOURS])))),
            draw(st.booleans()),
            draw(st.just(()) | st.just((parse_anomaly(f"promotion/{incident}*3"),))),
        ),
        troubles=draw(st.just(()) | st.just((parse_trouble(incident),))),
        stores=draw(st.integers(1, 3)),
        in_one=draw(st.booleans()),
        customers_at_once=1_000,
    )


@pytest.fixture(scope="module")
def data() -> bytes:
    return data_of(Shop(ROWS, seed=5))


@pytest.fixture(scope="module")
def messages(data: bytes) -> list[dict[str, Any]]:
    return messages_of(data)


def test_every_line_has_the_fields_of_its_kind_in_their_order(data: bytes, messages: list[dict[str, Any]]) -> None:
    lines = data.decode().split("\n")[:-1]
    assert len(lines) == ROWS
    for line, message in zip(lines, messages, strict=True):
        kind = kind_of(message)
        assert tuple(message) == tuple(name for name in TOPICS[kind][1].names if name != "store_id")
        if kind == "purchases":
            assert PURCHASE.fullmatch(line), line
    assert [kind_of(message) for message in messages[:28]] == ["products"] * 27 + ["purchases"]
    assert '"cogs":1.45,"price":4.79,"inventory":75,' in lines[0]


def test_times_ascend_and_are_those_that_are_written(data: bytes) -> None:
    (first, *others) = Shop(ROWS, seed=5).batches()
    times = [moment for batch in (first, *others) for moment in batch.times.tolist()]
    assert times == sorted(times)
    for line, moment in list(zip(data.splitlines(), times, strict=True))[::50]:
        record = TOPICS[kind_of(json.loads(line))][1]
        assert record.event_micros(line, Dialect()) == moment


def test_a_basket_has_one_number_one_time_and_one_customer(messages: list[dict[str, Any]]) -> None:
    baskets: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        if kind_of(message) == "purchases":
            baskets.setdefault(message["transaction_id"], []).append(message)
    assert len(baskets) > ROWS / 3
    for basket in baskets.values():
        assert len({(purchase["transaction_time"], purchase["is_member"]) for purchase in basket}) == 1
        assert len({purchase["product_id"] for purchase in basket}) == len(basket) <= 3


@settings(max_examples=30)
@given(busy_shops())
def test_whatever_happens_the_levels_and_the_totals_are_right(shop: Shop) -> None:
    messages = messages_of(data_of(shop))
    assert len(messages) == shop.rows
    if shop.in_one:
        assert all(list(message) == ["type", "time", "key", "payload"] for message in messages)
        payloads = [message["payload"] for message in messages]
        said = [(message["type"], message["time"], message["key"]) for message in messages]
        times = [payload.get("event_time") or payload.get("transaction_time") for payload in payloads]
        assert said == [(kind_of(p), time, p["product_id"]) for p, time in zip(payloads, times, strict=True)]
        messages = payloads
    recount = Recount(shop.restocking.below, shop.restocking.amount).take(messages)
    summed = ShopTruth(shop.menu, shop.stores)
    for batch in shop.batches(facts=True):
        assert batch.facts is not None
        summed.add(batch.facts, batch.times)
    truth: Any = summed.to_json()
    assert_sums(truth, recount)
    assert truth["twice"] == {}


@settings(max_examples=20)
@given(busy_shops(), st.sampled_from([1, 7, 500]))
def test_it_does_not_matter_how_many_are_served_at_once(shop: Shop, at_once: int) -> None:
    shop = replace(shop, rows=min(shop.rows, 500))
    assert data_of(replace(shop, customers_at_once=at_once)) == data_of(shop)


def test_fewer_rows_are_the_beginning_of_more_and_the_seed_decides(data: bytes) -> None:
    for rows in (1, 26, 27, 28, 12_001):
        shorter = data_of(Shop(rows, seed=5))
        assert shorter.count(b"\n") == rows
        assert data.startswith(shorter)
    assert not data.startswith(data_of(Shop(28, seed=6)))


def test_the_facts_do_not_change_the_bytes(data: bytes) -> None:
    assert b"".join(bytes(batch.data) for batch in batches_of(Shop(ROWS, seed=5))) == data


def test_a_number_of_baskets_ends_it() -> None:
    messages = messages_of(data_of(Shop(0, sales=1_234)))
    numbers = {message["transaction_id"] for message in messages if "transaction_id" in message}
    assert len(numbers) == 1_234
    assert numbers == {f"{min(numbers)[:9]}{number:08}" for number in range(1_234)}


def test_it_ends_when_it_should_and_what_was_due_before_has_come() -> None:
    end = DEFAULT_START + 30 * 3_600 * SECOND
    slow = Restocking(80, 10, 3 * 3_600 * SECOND)
    messages = messages_of(data_of(Shop(0, end=end, restocking=slow)))
    last = {kind: max(time_of(m) for m in messages if kind_of(m) == kind) for kind in ("purchases", "inventories")}
    # The shop closes at 20:00 and opens at 7:00; it ends at 13:00.
    assert datetime(2024, 1, 3, 12, 55) < last["purchases"] < datetime(2024, 1, 3, 13)
    assert last["inventories"] < datetime(2024, 1, 3, 13)
    night = messages_of(data_of(Shop(0, end=DEFAULT_START + 20 * 3_600 * SECOND, restocking=slow)))
    assert max(map(time_of, night)) > datetime(2024, 1, 2, 22)


def test_several_shops_are_named_and_have_shelves_of_their_own() -> None:
    messages = messages_of(data_of(Shop(20_000, stores=3)))
    assert {message["store_id"] for message in messages} == {"S01", "S02", "S03"}
    assert all(list(message)[-1] == "store_id" for message in messages)
    assert [time_of(message) for message in messages] == sorted(map(time_of, messages))
    Recount().take(messages)
    shares = [sum(message["store_id"] == f"S0{number}" for message in messages) / 20_000 for number in (1, 2, 3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.02)


def test_what_cannot_be_restocked_is_lost() -> None:
    trouble = parse_trouble("SF07@2024-01-02T09:00+1d")
    messages = messages_of(data_of(Shop(0, end=DEFAULT_START + 3 * 86_400 * SECOND, troubles=[trouble])))
    lost = [message for message in messages if kind_of(message) == "lost_sales"]
    assert {message["product_id"] for message in lost} == {"SF07"}
    assert len(lost) > 50
    came = [time_of(m) for m in messages if kind_of(m) == "inventories" and m["product_id"] == "SF07"]
    assert datetime(2024, 1, 3, 9) in came
    assert not [time for time in came if datetime(2024, 1, 2, 9) <= time < datetime(2024, 1, 3, 9)]
    Recount().take(messages)


def test_a_storm_and_a_promotion_are_seen() -> None:
    def counts(*anomalies: str) -> tuple[int, int]:
        calendar = Calendar(Shop().calendar.hours, anomalies=[parse_anomaly(text) for text in anomalies])
        found = messages_of(data_of(Shop(0, calendar=calendar, end=DEFAULT_START + 5 * 3_600 * SECOND)))
        at = [
            m
            for m in found
            if kind_of(m) == "purchases" and datetime(2024, 1, 2, 9) <= time_of(m) < datetime(2024, 1, 2, 11)
        ]
        return len(at), sum(message["product_id"] == "CL07" for message in at)

    usual, usual_one = counts()
    stormy, _ = counts("storm@2h+2h*0.1")
    promoted, promoted_one = counts("promotion/CL07@2024-01-02T09:00+2h*4")
    assert stormy == pytest.approx(usual / 10, rel=0.3)
    assert promoted_one > 2.5 * usual_one
    assert promoted - promoted_one == pytest.approx(usual - usual_one, rel=0.1)


def test_it_begins_now_if_wanted_and_no_two_runs_have_the_same_baskets() -> None:
    messages = messages_of(data_of(Shop(60, start=None, calendar=ALWAYS)))
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    assert abs((time_of(messages[0]) - now).total_seconds()) < 600
    other = messages_of(data_of(Shop(60, start=DEFAULT_START + SECOND)))
    assert messages[-1]["transaction_id"][:9] != other[-1]["transaction_id"][:9]


def test_a_stream_without_end_goes_on() -> None:
    assert [batch.rows > 10_000 for batch in islice(Shop(0).batches(), 4)] == [False, True, True, True]


def test_a_shop_of_odd_texts_and_prices_is_json() -> None:
    menu = [Product('a"\\', "ä\n", "’", "", None, Decimal("7.00"), 3)]
    shop = Shop(60, menu=menu, habits=Habits(discount=Decimal("0.125")), stores=2, in_one=True)
    messages = messages_of(data_of(shop))
    assert {message["key"] for message in messages} == {'a"\\'}
    assert messages[0]["payload"]["cogs"] is None
    assert str(messages[0]["payload"]["price"]) == "7.00"
    discounts = {str(m["payload"]["member_discount"]) for m in messages if m["type"] == "purchases"}
    assert discounts == {"0.00", "0.125"}
    Recount().take([message["payload"] for message in messages])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": -1}, "rows must not be negative, got -1"),
        ({"seed": -2}, "seed must not be negative, got -2"),
        ({"sales": -2}, "sales must not be negative, got -2"),
        ({"stores": 0}, "stores must be 1 to 99, got 0"),
        ({"start": -1}, "start must be from 1970 to 9999"),
        ({"end": DEFAULT_START}, "to must be later than from"),
        ({"troubles": [parse_trouble("XX01@1h+1h")]}, "supply-trouble names no product of the menu: 'XX01'"),
        (
            {"calendar": Calendar(Hours(parse_hours("always")), anomalies=[parse_anomaly("promotion/XX01@1h+1h")])},
            "anomaly names no product of the menu: 'XX01'",
        ),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shop(**wrong)


def test_the_default_start_is_when_the_shop_opens() -> None:
    assert to_micros(datetime(2024, 1, 2, 7)) == DEFAULT_START
    messages = messages_of(data_of(Shop(28)))
    assert (time_of(messages[-1]) - time_of(messages[0])).total_seconds() < 60
