"""The counter: who buys what. Baskets are drawn some thousand at once, each from numbers of its own.

A basket always takes the same count of drawn numbers, so baskets are the same however many are drawn at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import product as combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import Times
from simulators.engine.byte_layout import Ints
from simulators.shop.menu import CENT_PLACES, Product

Floats = npt.NDArray[np.float64]

MOST_ITEMS, MOST_QUANTITY = 3, 3
#: Of so many the frequencies say how many do.
OF_BASKETS, OF_ITEMS, OF_CUSTOMERS, OF_DRINKS = 20, 30, 10, 10

_PRODUCT, _QUANTITY, _SUPPLEMENT = range(3)
_NUMBERS_BEFORE = 4
_NUMBERS = _NUMBERS_BEFORE + MOST_ITEMS * 3
_STREAM = 7_333
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Habits:
    """What customers do.

    Attributes:
        gap: seconds between two customers, evenly drawn, at a time at which as many come as usual.
        one_item: of 20 baskets that many are of one product; the others of two or three.
        one_piece: of 30 times that many one piece of a product is bought; once it is three, else two.
        members: of 10 customers.
        discount: that members get, a share of the price.
        boosted: of 10 drinks of :attr:`~simulators.shop.menu.Product.is_boosted` that many get a supplement.
        plain: the same, of the other drinks.
        supplement: what it costs, in dollars.
    """

    gap: tuple[float, float] = (5.0, 25.0)
    one_item: int = 13
    one_piece: int = 24
    members: int = 3
    discount: Decimal = Decimal("0.10")
    boosted: int = 5
    plain: int = 2
    supplement: Decimal = Decimal("1.99")

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        low, high = self.gap
        if not (0 <= low <= high and high * MICROS_PER_SECOND >= 1):
            raise ValueError(f"max-sale-freq must be positive and not below min-sale-freq, got {high:g} and {low:g}")
        for name, value, most in (
            ("transaction-quantity-one-item-freq", self.one_item, OF_BASKETS),
            ("item-quantity-one-freq", self.one_piece, OF_ITEMS),
            ("member-freq", self.members, OF_CUSTOMERS),
            ("add-supp-freq-group1", self.boosted, OF_DRINKS),
            ("add-supp-freq-group2", self.plain, OF_DRINKS),
        ):
            if not 0 <= value <= most:
                raise ValueError(f"{name} must be 0 to {most}, got {value}")
        if not 0 <= self.discount <= 1:
            raise ValueError(f"club-member-discount must be a share between 0 and 1, got {self.discount}")

    def total(self, purchase: Purchase) -> Decimal:
        """Return what is paid, to the cent, half up."""
        share = 1 - self.discount * purchase.is_member
        return (self._full(purchase) * share).quantize(_CENT, ROUND_HALF_UP)

    def discount_given(self, purchase: Purchase) -> Decimal:
        """Return what is not paid because of the discount, to the cent."""
        return self._full(purchase) - self.total(purchase)

    def _full(self, purchase: Purchase) -> Decimal:
        return purchase.quantity * (purchase.product.price + self.supplement * purchase.has_supplement)


@dataclass(frozen=True, eq=False)
class Baskets:
    """What customers want, as columns: of each item, in the order of time.

    Attributes:
        number: of the basket, from 0 on.
        time: microseconds since the epoch.
        store: its place.
        member: whether the customer is one: 0 or 1.
        product: its place.
        quantity: how many.
        supplement: whether they get one: 0 or 1.
    """

    number: Ints
    time: Times
    store: Ints
    member: Ints
    product: Ints
    quantity: Ints
    supplement: Ints


class Queue:
    """Everybody who comes, to whichever shop, in the order of time that :mod:`simulators.shop.crowds` tells."""

    def __init__(self, habits: Habits, stores: int, seed: int) -> None:
        """Begin with the first customer of each shop."""
        self._stores = stores
        self._low, high = (round(bound * MICROS_PER_SECOND) for bound in habits.gap)
        self._spread = high - self._low + 1
        self._rngs = [np.random.default_rng([seed, _STREAM, store]) for store in range(stores)]
        self._arrived = np.zeros(stores, np.int64)
        self._passed, self._store = np.empty(0, np.int64), np.empty(0, np.int64)
        self._drawn = np.empty((0, _NUMBERS))

    def arrivals(self, count: int) -> tuple[Ints, Ints, Floats]:
        """Return the next customers, about that many: when, to which shop, and their numbers; there may be none yet."""
        each = max(1, count // self._stores)
        passed, store, drawn = [self._passed], [self._store], [self._drawn]
        for place, rng in enumerate(self._rngs):
            numbers = rng.random((each, _NUMBERS))
            gaps = self._low + (numbers[:, 0] * self._spread).astype(np.int64)
            arrived = self._arrived[place] + np.cumsum(gaps)
            self._arrived[place] = arrived[-1]
            passed.append(arrived)
            store.append(np.full(each, place))
            drawn.append(numbers)
        when, where, what = np.concatenate(passed), np.concatenate(store), np.concatenate(drawn)
        if self._stores == 1:
            return when, where, what
        # Whoever still comes does not come before the last one of the shop that is behind.
        order = np.lexsort((where, when))
        ready = int(np.searchsorted(when[order], self._arrived.min()))
        out, kept = order[:ready], order[ready:]
        self._passed, self._store, self._drawn = when[kept], where[kept], what[kept]
        return when[out], where[out], what[out]


class Counter:
    """Makes baskets of what was drawn."""

    def __init__(self, habits: Habits, menu: Sequence[Product]) -> None:
        """Prepare what is the same for all customers."""
        self._habits = habits
        self._supplements = np.array([habits.boosted if product.is_boosted else habits.plain for product in menu])

    def baskets(
        self, first: int, times: Times, store: Ints, drawn: Floats, moods: Ints, weights: Sequence[Ints]
    ) -> Baskets:
        """Return what the customers want, of whom the first has that number; a mood is a place in the weights."""
        habits = self._habits
        several = 2 + (drawn[:, 2] * (MOST_ITEMS - 1)).astype(np.int64)
        items = np.where(_of(drawn[:, 1], OF_BASKETS) < habits.one_item, 1, several)
        member = (_of(drawn[:, 3], OF_CUSTOMERS) < habits.members).astype(np.int64)
        wanted = drawn[:, _NUMBERS_BEFORE:].reshape(len(drawn), MOST_ITEMS, 3)
        products = np.empty((len(drawn), MOST_ITEMS), np.int64)
        for mood in np.unique(moods).tolist():
            mine = moods == mood
            products[mine] = _choose(wanted[mine, :, _PRODUCT], weights[mood])
            items[mine] = np.minimum(items[mine], np.count_nonzero(weights[mood]))
        basket, place = np.nonzero(np.arange(MOST_ITEMS) < items[:, np.newaxis])
        product = products[basket, place]
        piece = _of(wanted[basket, place, _QUANTITY], OF_ITEMS)
        quantity = np.where(piece < habits.one_piece, 1, np.where(piece < OF_ITEMS - 1, 2, MOST_QUANTITY))
        supplement = _of(wanted[basket, place, _SUPPLEMENT], OF_DRINKS) < self._supplements[product]
        return Baskets(
            first + basket,
            times[basket],
            store[basket],
            member[basket],
            product,
            quantity,
            supplement.astype(np.int64),
        )


class Purchase(NamedTuple):
    """A purchase that there can be; the last two say whether a member buys it and whether with a supplement."""

    product: Product
    quantity: int
    is_member: bool
    has_supplement: bool


def purchases(menu: Sequence[Product]) -> list[Purchase]:
    """Return all purchases that there can be, in the order of :func:`places`."""
    yes_or_no = (False, True)
    return [Purchase(*each) for each in combinations(menu, range(1, MOST_QUANTITY + 1), yes_or_no, yes_or_no)]


def places(product: Ints, quantity: Ints, member: Ints, supplement: Ints) -> Ints:
    """Return the places of purchases among all that there can be; a product is its place in the menu."""
    return ((product * MOST_QUANTITY + quantity - 1) * 2 + member) * 2 + supplement


def cents(money: Decimal) -> int:
    """Return the cents of dollars and cents."""
    return int(money.scaleb(CENT_PLACES))


def _of(drawn: Floats, count: int) -> Ints:
    return (drawn * count).astype(np.int64)


def _choose(drawn: Floats, weights: Ints) -> Ints:
    """Return three products for each customer, by their weights; each another one as far as there are so many."""
    ends = np.cumsum(weights)
    begins, total = ends - weights, int(ends[-1])

    def pick(point: Ints) -> Ints:
        return np.searchsorted(ends, point, side="right").clip(max=len(weights) - 1)

    first = pick((drawn[:, 0] * total).astype(np.int64))
    # A number of those that the first one does not have.
    point = (drawn[:, 1] * (total - weights[first])).astype(np.int64)
    second = pick(point + weights[first] * (point >= begins[first]))
    low, high = np.minimum(first, second), np.maximum(first, second)
    point = (drawn[:, 2] * (total - weights[first] - weights[second])).astype(np.int64)
    point += weights[low] * (point >= begins[low])
    point += weights[high] * (point >= begins[high])
    return np.stack([first, second, pick(point)], axis=1)
