"""What a day's customers buy and how they pay: every line of the day's tape as columns of whole numbers.

A basket is its items (voids and refunds among them), members' specials, one or two tenders, change, the discount on all
of it, and tax. The totals of a basket add up to nothing: what was bought has been paid.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import numpy.typing as npt

from simulators.tape import catalogue as shop
from simulators.tape.catalogue import EACH, LABELLED, WEIGHED, Catalogue, Ints

#: Statuses as codes; their texts are in the row encoder.
PLAIN, VOID, REFUND, SPECIAL, COUPON = range(5)
#: One thing or one pound.
ONE = 1_000_000
#: The card number rung up for those that are no members.
NON_MEMBER = 10_499
#: Percents off the whole basket by code; the first is for baskets that were never subtotalled.
PERCENTS = (None, 0, 3, 4, 5, 7, 8, 9, 10)

# Where a line stands in its basket: items first, tax last.
_ITEM, _SPECIAL, _TENDER, _SECOND_TENDER, _CHANGE, _DISCOUNT, _TAX = range(7)

_MAX_ITEMS = 90
_MEDIAN_ITEMS, _ITEMS_SPREAD = 7.2, 0.95
_MEMBER_SHARE = 0.27
_MEMBERS = 40_000
_VOID_SHARE, _REFUND_SHARE, _SPECIAL_SHARE, _SPLIT_SHARE = 0.008, 0.002, 0.03, 0.05
_COUNTS = np.array([1, 2, 3, 4, 6]) * ONE
_COUNT_SHARES = np.cumsum([0.93, 0.05, 0.01, 0.007, 0.003])
_WEIGHT_SPREAD = 0.6
_MIN_SPECIAL_PRICE, _MIN_SPLIT = 100, 1_000
_TAX_MILLIONTHS = 77_750
_TENDERS = np.array([shop.CREDIT, shop.CASH, shop.CHECK, shop.HOUSE_CARD, shop.GIFT])
_TENDER_SHARES = np.cumsum([0.64, 0.27, 0.045, 0.035, 0.01])
_CASH_STEPS = np.array([1, 100, 500, 1_000, 2_000])
_MEMBER_PERCENTS = np.array([1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8])
_UNKNOWN_PERCENT = 0.14


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of the tape, as columns.

    Attributes:
        basket: which basket of the day.
        place: where in the basket, coarsely.
        product: place in the catalogue.
        status: PLAIN, VOID, REFUND, SPECIAL or COUPON.
        quantity, item_quantity: millionths.
        price, total, regular, saving, special: cents (``unit_price``, ``total``, ``reg_price``, ``discount``,
            ``member_discount``).
        offer: the ``discount_type``.
        voided: as printed.
    """

    basket: Ints
    place: Ints
    product: Ints
    status: Ints
    quantity: Ints
    item_quantity: Ints
    price: Ints
    total: Ints
    regular: Ints
    saving: Ints
    special: Ints
    offer: Ints
    voided: Ints

    def __len__(self) -> int:
        return len(self.basket)

    def take(self, order: npt.NDArray[np.intp]) -> Lines:
        """Return these lines in another order."""
        return Lines(*(getattr(self, field.name).take(order) for field in fields(self)))

    @classmethod
    def of(cls, basket: Ints, place: int, product: Ints | int, **columns: Ints | int) -> Lines:
        """Make lines of columns or of one number for all; what is not given is 0."""
        given = {"basket": basket, "place": place, "product": product, **columns}
        return cls(*(np.broadcast_to(np.asarray(given.get(f.name, 0), np.int64), basket.shape) for f in fields(cls)))

    @classmethod
    def join(cls, parts: list[Lines]) -> Lines:
        """Put lines after each other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True, eq=False)
class Baskets:
    """The baskets of a day: all lines, basket after basket, and each basket's card and percent (a code)."""

    lines: Lines
    card: Ints
    percent: Ints


def half_up(numerator: Ints, denominator: int) -> Ints:
    """Divide and round to the nearest whole number, halves away from zero, the way that registers do."""
    return np.asarray(np.sign(numerator) * ((2 * np.abs(numerator) + denominator) // (2 * denominator)))


def fill_baskets(rng: np.random.Generator, goods: Catalogue, day: date, count: int) -> Baskets:
    """Return ``count`` baskets at that day's prices."""
    sizes = np.exp(rng.normal(np.log(_MEDIAN_ITEMS), _ITEMS_SPREAD, count))
    sizes = np.clip(np.rint(sizes), 1, _MAX_ITEMS).astype(np.int64)
    is_member = rng.random(count) < _MEMBER_SHARE
    number = (_MEMBERS * rng.random(count) ** 2).astype(np.int64)
    member = NON_MEMBER + 1 + number * 7_919 % _MEMBERS
    unknown = rng.random(count) < _UNKNOWN_PERCENT
    percent = np.where(is_member, _MEMBER_PERCENTS[rng.integers(len(_MEMBER_PERCENTS), size=count)], 1 - unknown)

    items = _items(rng, goods, day, np.repeat(np.arange(count), sizes), is_member)
    specials = _specials(items)
    bought = Lines.join([items, specials])
    settled = _settle(rng, goods, bought, np.array([0 if p is None else p for p in PERCENTS])[percent])
    lines = Lines.join([bought, *settled])
    return Baskets(
        lines.take(np.argsort(lines.basket * 8 + lines.place, kind="stable")),
        np.where(is_member, member, NON_MEMBER),
        percent,
    )


def _items(
    rng: np.random.Generator, goods: Catalogue, day: date, basket: Ints, is_member: npt.NDArray[np.bool_]
) -> Lines:
    """Return the items of all baskets, with voids right behind what they void."""
    size = len(basket)
    product = np.searchsorted(goods.popularity, rng.random(size), side="right")
    coupon = goods.is_coupon[product]
    chance = rng.random(size)
    voided = (chance < _VOID_SHARE) & ~coupon
    refund = (chance > 1 - _REFUND_SHARE) & ~coupon
    asked, regular = goods.prices(day)
    price = asked[product]
    quantity, total, sold = _amounts(rng, goods, product, price)
    sign = np.where(refund, -1, 1)
    saving = half_up((regular[product] - price) * quantity, ONE)
    special = (
        is_member[basket]
        & (goods.sold[product] == EACH)
        & (price > _MIN_SPECIAL_PRICE)
        & (saving == 0)
        & ~(voided | refund)
        & (rng.random(size) < _SPECIAL_SHARE)
    )
    once = Lines.of(
        basket,
        _ITEM,
        product,
        status=np.where(refund, REFUND, np.where(coupon, COUPON, PLAIN)),
        quantity=quantity * sign,
        item_quantity=np.where(sold == LABELLED, ONE, quantity),
        price=price,
        total=total * sign,
        regular=regular[product],
        saving=saving * sign,
        special=np.where(special, price // 10, 0),
        offer=np.where(special, 2, (saving > 0).astype(np.int64)),
    )
    # A line that is voided stands there twice, the second time with the other sign.
    twice = once.take(np.repeat(np.arange(size), 1 + voided))
    again = np.zeros(len(twice), bool)
    again[np.flatnonzero(voided) + np.arange(1, 1 + np.count_nonzero(voided))] = True
    turn = np.where(again, -1, 1)
    return Lines.of(
        twice.basket,
        _ITEM,
        twice.product,
        status=np.where(again, VOID, twice.status),
        quantity=twice.quantity * turn,
        item_quantity=twice.item_quantity * turn,
        price=twice.price,
        total=twice.total * turn,
        regular=twice.regular,
        saving=twice.saving * turn,
        special=twice.special,
        offer=twice.offer,
        voided=again.astype(np.int64),
    )


def _amounts(rng: np.random.Generator, goods: Catalogue, product: Ints, price: Ints) -> tuple[Ints, Ints, Ints]:
    """Return quantities (millionths), totals (cents) and how each was sold."""
    sold = goods.sold[product]
    pounds = goods.pounds[product] * np.exp(rng.normal(0, _WEIGHT_SPREAD, len(product)))
    count = _COUNTS[np.searchsorted(_COUNT_SHARES[:-1], rng.random(len(product)), side="right")]
    one = price < 0
    weight = np.maximum(1, np.rint(pounds * 100)).astype(np.int64) * (ONE // 100)
    quantity = np.where(sold == WEIGHED, weight, np.where(one, ONE, count))
    total = half_up(quantity * price, ONE)
    # A label says a weight, a price for a pound and a total; the tape works the quantity out of the last two.
    label = sold == LABELLED
    labelled = np.maximum(1, np.rint(pounds * price)).astype(np.int64)
    total = np.where(label, labelled, total)
    asked = np.maximum(1, price)
    return np.where(label, (labelled * ONE + asked // 2) // asked, quantity), total, sold


def _specials(items: Lines) -> Lines:
    """Return the lines that take a members' special off again."""
    of = np.flatnonzero(items.special)
    off = -items.special[of]
    return Lines.of(
        items.basket[of],
        _SPECIAL,
        items.product[of],
        status=SPECIAL,
        quantity=ONE,
        price=off,
        total=off,
        regular=off,
        special=off,
        offer=20,
        voided=8,
    )


def _settle(rng: np.random.Generator, goods: Catalogue, bought: Lines, percent: Ints) -> list[Lines]:
    """Return tenders, change, discount and tax of all baskets."""
    count = len(percent)
    every = np.arange(count)
    register = goods.first_register_line

    def per_basket(chosen: npt.NDArray[np.bool_]) -> Ints:
        sums = np.bincount(bought.basket[chosen], weights=bought.total[chosen], minlength=count)
        return np.rint(sums).astype(np.int64)

    discountable = per_basket(goods.discountable[bought.product] == 1)
    discount = -half_up(np.maximum(0, discountable) * percent, 100)
    tax = half_up(np.maximum(0, per_basket(goods.taxed[bought.product])) * _TAX_MILLIONTHS, ONE)
    due = per_basket(np.ones(len(bought), bool)) + discount + tax

    kind = _TENDERS[np.searchsorted(_TENDER_SHARES[:-1], rng.random(count), side="right")]
    kind = np.where(due < 0, shop.CASH, kind)
    step = _CASH_STEPS[rng.integers(len(_CASH_STEPS), size=count)]
    split = (rng.random(count) < _SPLIT_SHARE) & (due > _MIN_SPLIT) & (kind != shop.CASH)
    paid = np.where((kind == shop.CASH) & (due > 0), -(-due // step) * step, due)
    first = np.where(split, due // 2, paid)
    rest = np.flatnonzero(split)
    return [
        Lines.of(every, _TENDER, register + np.where(split, shop.GIFT, kind), total=-first),
        Lines.of(rest, _SECOND_TENDER, register + kind[rest], total=-(due - first)[rest]),
        Lines.of(every, _CHANGE, register + shop.CHANGE, total=paid - due, voided=8),
        Lines.of(
            every,
            _DISCOUNT,
            register + shop.DISCOUNT,
            quantity=ONE,
            item_quantity=ONE,
            price=discount,
            total=discount,
        ),
        Lines.of(every, _TAX, register + shop.TAX, total=tax),
    ]
