"""What the tests of smoothie shops share: an obviously right recount of messages, one by one, with Decimal."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from simulators.engine.batch import Batch
from simulators.shop.shop import Shop

KIND_OF_FIELD = {
    "total_purchase": "purchases",
    "stock_quantity": "inventories",
    "propensity_to_buy": "products",
}
CENT = Decimal("0.01")
SUMS = ("purchases", "sold", "sales", "members", "discounts", "restockings", "restocked", "lost_sales", "lost")


def messages_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in data.splitlines()]


def data_of(shop: Shop) -> bytes:
    return b"".join(bytes(batch.data) for batch in shop.batches())


def batches_of(shop: Shop) -> list[Batch]:
    return list(shop.batches(facts=True))


def kind_of(message: dict[str, Any]) -> str:
    return next((kind for name, kind in KIND_OF_FIELD.items() if name in message), "lost_sales")


def time_of(message: dict[str, Any]) -> datetime:
    text = message.get("event_time") or message["transaction_time"]
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f")


def total_of(purchase: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """Gives what is paid and the discount on it, to the cent, half up."""
    full = purchase["quantity"] * (purchase["price"] + purchase["supplement_price"])
    paid = (full * (1 - purchase["member_discount"])).quantize(CENT, ROUND_HALF_UP)
    return paid, full - paid


@dataclass
class Recount:
    """Takes messages in the order of time, checks what must hold of each, and adds up by product and shop."""

    min_inventory: int = 10
    amount: int = 15
    counts: Counter[str] = field(default_factory=Counter)
    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    sums: dict[str, dict[str, Any]] = field(default_factory=dict)
    without: dict[tuple[str, str], timedelta] = field(default_factory=dict)
    empty_since: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def take(self, messages: list[dict[str, Any]]) -> Recount:
        for message in messages:
            kind = kind_of(message)
            self.counts[kind] += 1
            key = (message.get("store_id", ""), message["product_id"])
            getattr(self, f"_{kind}")(message, key, time_of(message))
        return self

    def _add(self, key: tuple[str, str], **values: Any) -> None:
        sums = self.sums.setdefault(key[1], dict.fromkeys(SUMS, 0))
        for name, value in values.items():
            sums[name] += value

    def _products(self, message: dict[str, Any], key: tuple[str, str], time: datetime) -> None:
        assert key not in self.levels
        self.levels[key] = message["inventory"]
        if not message["inventory"]:
            self.empty_since[key] = time

    def _purchases(self, message: dict[str, Any], key: tuple[str, str], time: datetime) -> None:
        paid, discount = total_of(message)
        assert message["total_purchase"] == paid
        assert message["quantity"] >= 1
        assert bool(message["supplement_price"]) == message["add_supplements"]
        self.levels[key] -= message["quantity"]
        assert self.levels[key] >= 0
        if not self.levels[key]:
            self.empty_since[key] = time
        self._add(
            key,
            purchases=1,
            sold=message["quantity"],
            sales=paid,
            members=int(message["is_member"]),
            discounts=discount,
        )

    def _inventories(self, message: dict[str, Any], key: tuple[str, str], time: datetime) -> None:
        assert message["existing_level"] == self.levels[key] < self.min_inventory
        assert message["stock_quantity"] == self.amount
        assert message["new_level"] == self.levels[key] + self.amount
        self.levels[key] = message["new_level"]
        if key in self.empty_since:
            self.without[key] = self.without.get(key, timedelta()) + (time - self.empty_since.pop(key))
        self._add(key, restockings=1, restocked=self.amount)

    def _lost_sales(self, message: dict[str, Any], key: tuple[str, str], _: datetime) -> None:
        assert self.levels[key] == 0
        assert message["quantity"] >= 1
        self._add(key, lost_sales=1, lost=message["quantity"])


def micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def assert_sums(truth: dict[str, Any], recount: Recount) -> None:
    """Holds what a truth file says of products against a recount."""
    assert truth["messages"] == {
        kind: recount.counts[kind] for kind in ("products", "purchases", "inventories", "lost_sales")
    }
    for product_id, said in truth["products"].items():
        counted = recount.sums.get(product_id, dict.fromkeys(SUMS, 0))
        assert {name: Decimal(said[name]) for name in SUMS} == counted, product_id
        levels = [level for (_, product), level in recount.levels.items() if product == product_id]
        assert said["level"] == sum(levels)
        assert said["level"] == said["inventory"] + said["restocked"] - said["sold"]
        spans = [micros(span) for (_, product), span in recount.without.items() if product == product_id]
        assert said["without_stock_micros"] == sum(spans)
    for name in SUMS:
        assert Decimal(truth["total"][name]) == sum(sums[name] for sums in recount.sums.values())
