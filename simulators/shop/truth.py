"""What smoothie shops told, added up exactly for the truth file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from simulators.engine.batch import Facts, Times
from simulators.engine.byte_layout import Ints
from simulators.engine.sums import exact
from simulators.shop.counter import cents
from simulators.shop.menu import CENT_PLACES, Product
from simulators.shop.messages import KINDS, LOST_SALE, PURCHASE, RESTOCKING, store_id

_MONEY, _COUNTS = ("sales", "discounts"), ("purchases", "restockings", "lost_sales")
#: What is added up of each product: by name, of which kind, and of which fact (None counts messages).
_SUMS = {
    "purchases": (PURCHASE, None),
    "sold": (PURCHASE, "quantity"),
    "sales": (PURCHASE, "cents"),
    "members": (PURCHASE, "member"),
    "discounts": (PURCHASE, "discount"),
    "restockings": (RESTOCKING, None),
    "restocked": (RESTOCKING, "quantity"),
    "lost_sales": (LOST_SALE, None),
    "lost": (LOST_SALE, "quantity"),
}


class Sums:
    """Sums of facts by shop and product."""

    def __init__(self, shelves: int) -> None:
        """Begin with nothing."""
        self.columns = {name: np.zeros(shelves, np.int64) for name in _SUMS}

    def add(self, facts: Facts, shelf: Ints) -> None:
        """Add messages; ``shelf`` is the place of the shop and product of each."""
        of_kind = [facts["kind"] == kind for kind in range(len(KINDS))]
        for name, (kind, fact) in _SUMS.items():
            mine = of_kind[kind]
            np.add.at(self.columns[name], shelf[mine], 1 if fact is None else facts[fact][mine])

    def of(self, shelves: slice) -> dict[str, int | str]:
        """Return the sums over some shelves, money as exact decimal text."""
        sums = {name: int(column[shelves].sum()) for name, column in self.columns.items()}
        return {name: exact(value, CENT_PLACES) if name in _MONEY else value for name, value in sums.items()}


@dataclass
class ShopTruth:
    """What was told, by product.

    A message that comes twice counts twice in the sums, as it does for a reader who takes it twice; what they came to
    is told apart. Levels and times do not change by it.

    Attributes:
        menu: the products, by the place that facts name.
        stores: how many shops there are.
    """

    menu: Sequence[Product]
    stores: int = 1
    _messages: Ints = field(default_factory=lambda: np.zeros(len(KINDS), np.int64))
    _last: int = -1

    def __post_init__(self) -> None:
        """Begin with nothing."""
        shelves = self.stores * len(self.menu)
        self._all, self._again = Sums(shelves), Sums(shelves)
        self._level, self._without, self._empty_since = (np.zeros(shelves, np.int64) for _ in range(3))
        self._newest = np.full(shelves, -1, np.int64)

    def add(self, facts: Facts, times: Times) -> None:
        """Add messages."""
        if not len(facts):
            return
        shelf = facts["store"] * len(self.menu) + facts["product"]
        self._messages += np.bincount(facts["kind"], minlength=len(KINDS))
        self._all.add(facts, shelf)
        # What is sent twice is sent one right after the other.
        number = facts["number"]
        is_again = number == np.concatenate([[self._last], number[:-1]])
        self._last = int(number[-1])
        if is_again.any():
            self._again.add(facts[is_again], shelf[is_again])
            facts, times, shelf = facts[~is_again], times[~is_again], shelf[~is_again]
        np.add.at(self._without, shelf, facts["without"])
        self._see(facts, times, shelf)

    def _see(self, facts: Facts, times: Times, shelf: Ints) -> None:
        """Take levels from the newest message of each shelf, in whatever order they come; not from lost sales."""
        kept = np.flatnonzero((facts["kind"] != LOST_SALE) & (facts["number"] > self._newest[shelf]))
        kept = kept[np.argsort(facts["number"][kept], kind="stable")]
        # Of several of one shelf the last one stays.
        self._newest[shelf[kept]] = facts["number"][kept]
        self._level[shelf[kept]] = facts["level"][kept]
        self._empty_since[shelf[kept]] = times[kept]

    def to_json(self) -> dict[str, object]:
        """Return the sums so far as plain objects; a product of which nothing was told is there with nothing."""
        width = len(self.menu)
        again = [self._again.of(slice(place, None, width)) for place in range(width)]
        told: dict[str, object] = {
            "messages": dict(zip(KINDS, self._messages.tolist(), strict=True)),
            "total": self._all.of(slice(None)),
            "products": {
                product.product_id: self._of(place, slice(place, None, width))
                for place, product in enumerate(self.menu)
            },
            "twice": {
                product.product_id: sums
                for product, sums in zip(self.menu, again, strict=True)
                if any(sums[name] for name in _COUNTS)
            },
        }
        if self.stores > 1:
            told["stores"] = {
                store_id(store): {
                    product.product_id: self._of(place, slice(shelf, shelf + 1))
                    for place, product in enumerate(self.menu)
                    for shelf in [store * width + place]
                }
                for store in range(self.stores)
            }
        return told

    def _of(self, place: int, shelves: slice) -> dict[str, object]:
        product, levels = self.menu[place], self._level[shelves]
        sums = {name: int(self._all.columns[name][shelves].sum()) for name in ("sold", "lost")}
        told: dict[str, object] = {
            **self._all.of(shelves),
            "cost": None if product.cogs is None else exact(cents(product.cogs) * sums["sold"], CENT_PLACES),
            "lost_value": exact(cents(product.price) * sums["lost"], CENT_PLACES),
            "inventory": product.inventory * len(levels),
            "level": int(levels.sum()),
            "without_stock_micros": int(self._without[shelves].sum()),
        }
        if len(levels) == 1:
            is_empty = self._newest[shelves][0] >= 0 and not levels[0]
            told["empty_since_micros"] = int(self._empty_since[shelves][0]) if is_empty else None
        return told
