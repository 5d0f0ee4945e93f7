"""Messages of a smoothie shop as bytes, nothing done message by message: what can be is looked up whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from schemas.smoothies import TOPICS
from schemas.times import to_datetime
from simulators.engine.batch import Times
from simulators.engine.byte_layout import Ints, Piece, lay_out, table
from simulators.engine.number_text import stamps
from simulators.shop.counter import MOST_QUANTITY, Habits, Purchase, places, purchases
from simulators.shop.menu import CENT_PLACES, Product, propensities

#: The kinds of messages, by the place that says so.
KINDS = tuple(TOPICS)
PRODUCT, PURCHASE, RESTOCKING, LOST_SALE = range(4)

_GROUP, _GROUP_DIGITS = 10_000, 4
#: Behind all groups of digits: nothing at all.
_NOTHING = _GROUP
_DIGITS = table([*(f"{number:0{_GROUP_DIGITS}}" for number in range(_GROUP)), ""])
_HEADS = ("event_time", "transaction_time", "event_time", "event_time")


@dataclass(frozen=True, eq=False)
class Told:
    """What is told, as columns in the order of time, products left out.

    Attributes:
        kind: PURCHASE, RESTOCKING or LOST_SALE.
        time: microseconds since the epoch.
        basket: its number; of no meaning where something was delivered.
        store, product: their places.
        quantity: how many were sold, came, or could not be sold.
        member, supplement: 0 or 1; of no meaning but for purchases.
        existing: what was on the shelf before; only of deliveries.
    """

    kind: Ints
    time: Times
    basket: Ints
    store: Ints
    product: Ints
    quantity: Ints
    member: Ints
    supplement: Ints
    existing: Ints


def store_id(place: int) -> str:
    """Return the name of a shop."""
    return f"S{place + 1:02}"


class Messenger:
    """Prints messages."""

    def __init__(
        self, menu: Sequence[Product], habits: Habits, amount: int, stores: int, mark: str, *, in_one: bool
    ) -> None:
        """Make the tables.

        Args:
            menu: what is sold.
            habits: what it sells for.
            amount: what a delivery brings.
            stores: how many shops there are; one of several is named in its messages.
            mark: what the numbers of all baskets begin with.
            in_one: whether each message says what it is, for all go one way.
        """
        self._menu, self._amount, self._in_one = menu, amount, in_one
        self._keys = [_text(product.product_id) for product in menu]
        sold = [self._purchase(habits, purchase) for purchase in purchases(menu)]
        lost = [
            f'","product_id":{key},"price":{_money(product.price)},"quantity":{quantity + 1}'
            for key, product in zip(self._keys, menu, strict=True)
            for quantity in range(MOST_QUANTITY)
        ]
        self._tails = table([*sold, *lost])
        self._first_lost = len(sold)
        begins = [f'"{name}":"' for name in _HEADS]
        if in_one:
            self._types = table(f'{{"type":"{kind}","time":"' for kind in KINDS)
            self._payloads = table(f'","key":{key},"payload":{{' for key in self._keys)
        else:
            begins = ["{" + begin for begin in begins]
        self._begins = table(begins)
        numbered = f'","transaction_id":"{mark}'
        self._numbers = table([numbered if kind in {PURCHASE, LOST_SALE} else "" for kind in range(len(KINDS))])
        self._ends = table([f',"store_id":"{store_id(store)}"' for store in range(stores)] if stores > 1 else [""])
        self._close = "}}\n" if in_one else "}\n"

    def products(self, time: int, store: int) -> bytes:
        """Return what a shop says of its products when it begins."""
        moment = f"{to_datetime(time):%Y-%m-%d %H:%M:%S.%f}"
        lines = []
        for key, product, reach in zip(self._keys, self._menu, propensities(self._menu), strict=True):
            texts = (
                f'"{name}":{_text(text)},'
                for name, text in (("category", product.category), ("item", product.item), ("size", product.size))
            )
            flags = (
                f'"contains_{name}":{json.dumps(getattr(product, name))},'
                for name in ("fruit", "veggies", "nuts", "caffeine")
            )
            cogs = "null" if product.cogs is None else _money(product.cogs)
            payload = (
                f'{{"event_time":"{moment}","product_id":{key},{"".join(texts)}"cogs":{cogs},'
                f'"price":{_money(product.price)},"inventory":{product.inventory},{"".join(flags)}'
                f'"propensity_to_buy":{reach}{self._ends[store].decode()}}}'
            )
            if self._in_one:
                payload = f'{{"type":"{KINDS[PRODUCT]}","time":"{moment}","key":{key},"payload":{payload}}}'
            lines.append(payload + "\n")
        return "".join(lines).encode()

    def lines(self, told: Told) -> bytes:
        """Return the lines of all that is told."""
        moment = stamps(told.time)
        pieces: list[Piece] = []
        if self._in_one:
            pieces += [(self._types, told.kind), *moment, (self._payloads, told.product)]
        pieces += [(self._begins, told.kind), *moment, (self._numbers, told.kind), *self._number(told)]
        pieces += [self._tail(told), (self._ends, told.store if len(self._ends) > 1 else np.zeros_like(told.store))]
        return lay_out([*pieces, self._close], len(told.time))

    def _number(self, told: Told) -> list[Piece]:
        """Print the number of a basket with eight digits, or twelve where eight are too few."""
        high, low = np.divmod(told.basket, _GROUP)
        groups = [low]
        top, middle = np.divmod(high, _GROUP)
        groups.insert(0, middle)
        if top.any():
            groups.insert(0, np.where(top > 0, top, _NOTHING))
        is_delivery = told.kind == RESTOCKING
        return [(_DIGITS, np.where(is_delivery, _NOTHING, group)) for group in groups]

    def _tail(self, told: Told) -> Piece:
        """Look up what follows behind the time and the number: the product and all that is about it."""
        lost = self._first_lost + told.product * MOST_QUANTITY + told.quantity - 1
        sold = places(told.product, told.quantity, told.member, told.supplement)
        index = np.where(told.kind == PURCHASE, sold, lost)
        delivered = np.flatnonzero(told.kind == RESTOCKING)
        if not len(delivered):
            return self._tails, index
        # Levels are few, and whatever they are they are printed once.
        pairs = told.product[delivered] + told.existing[delivered] * len(self._menu)
        known, place = np.unique(pairs, return_inverse=True)
        index[delivered] = len(self._tails) + place
        printed = [self._delivery(pair % len(self._menu), pair // len(self._menu)) for pair in known.tolist()]
        return np.concatenate([self._tails, table(printed)]), index

    def _delivery(self, product: int, existing: int) -> str:
        levels = f'"existing_level":{existing},"stock_quantity":{self._amount},"new_level":{existing + self._amount}'
        return f'","product_id":{self._keys[product]},{levels}'

    @staticmethod
    def _purchase(habits: Habits, purchase: Purchase) -> str:
        product, quantity, is_member, has_supplement = purchase
        key = _text(product.product_id)
        discount = habits.discount if is_member else Decimal(0)
        return (
            f'","product_id":{key},"price":{_money(product.price)},"quantity":{quantity},'
            f'"is_member":{json.dumps(is_member)},"member_discount":{_share(discount)},'
            f'"add_supplements":{json.dumps(has_supplement)},'
            f'"supplement_price":{_money(habits.supplement * has_supplement)},'
            f'"total_purchase":{_money(habits.total(purchase))}'
        )


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _money(dollars: Decimal) -> str:
    return f"{dollars:.{CENT_PLACES}f}"


def _share(discount: Decimal) -> str:
    """Return a share exactly, with two digits at least."""
    digits = -int(discount.normalize().as_tuple().exponent)
    return f"{discount:.{max(CENT_PLACES, digits)}f}"
