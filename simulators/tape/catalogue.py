"""The shop's catalogue: some 8,500 lines that can be rung up, how often each is, and its price on any day.

The shop is always the same one; the seed of a tape chooses what its customers do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.tape import DEPARTMENTS, PRODUCE
from simulators.tape.goods import AISLES, BRANDS, FLAVOURS, PRODUCE_FAMILIES, PRODUCE_SHARE, Aisle

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: How a line is sold: counted, weighed at the register, or labelled with weight and price when it was packed.
EACH, WEIGHED, LABELLED = range(3)
MAX_DESCRIPTION = 30
DAYS_PER_WEEK = 7

_SHOP_SEED = 1974
_SOLD = {"each": EACH, "weighed": WEIGHED, "labelled": LABELLED}
_OPEN_SHARE = 4
_COUPON_SHARE = 8
_OPEN_PRICES = (79, 149, 299, 349, 499, 599, 725, 849, 1050, 1299, 1575, 2499)
_COUPONS = ((1, 50), (1, 75), (1, 100), (1, 150), (4, 50), (4, 100), (6, 50), (6, 100), (11, 100), (11, 200))
_FLAGS = (0, 0, 0, 1, 2, 4, 5)
_SALE_SHARE = 0.13
_SALE_DAYS = 14
_PRODUCE_SEASON = 0.18
_YEARLY_RISE = 0.03


class Product(NamedTuple):
    """One line of the catalogue, as far as it does not change from sale to sale.

    Attributes:
        upc: 13 digits, or what the tape has in their place.
        description: as printed.
        department: its number, 0 for what is no goods.
        kind: the ``trans_type``.
        subtype: the ``trans_subtype``.
        sold: EACH, WEIGHED or LABELLED.
        price: usual cents, for one or for a pound.
        cost: ten thousandths of a dollar.
        pounds: usual weight.
        taxed, food_stamp, discountable: as printed.
        organic: as printed.
        flags: the ``num_flag``.
        char_flag: as printed.
        share: how often it is sold, of all that is sold; 0 for what the register adds by itself.
    """

    upc: str
    description: str
    department: int = 0
    kind: str = "I"
    subtype: str = " "
    sold: int = EACH
    price: int = 0
    cost: int = 0
    pounds: float = 0.0
    taxed: int = 0
    food_stamp: int = 0
    discountable: int = 0
    organic: str = "NULL"
    flags: int = 0
    char_flag: str = ""
    share: float = 0.0


#: What the register adds to a basket by itself, in this order at the end of the catalogue.
REGISTER_LINES = (
    Product("0", "Credit Card", kind="T", subtype="CC", char_flag="M"),
    Product("0", "Cash", kind="T", subtype="CA"),
    Product("0", "Check", kind="T", subtype="CK"),
    Product("0", "Co-op Card", kind="T", subtype="WC", char_flag="W"),
    Product("0", "Gift Card", kind="T", subtype="GD"),
    Product("0", "Change", kind="T", subtype="CA"),
    Product("DISCOUNT", "Discount"),
    Product("TAX", "Tax", kind="A"),
)
CREDIT, CASH, CHECK, HOUSE_CARD, GIFT, CHANGE, DISCOUNT, TAX = range(len(REGISTER_LINES))


def round_to_nine(cents: Floats) -> Ints:
    """Return shelf prices: whole cents that end in 9, at least 19."""
    return np.maximum(19, np.floor(cents / 10).astype(np.int64) * 10 + 9)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Every product, and the same as arrays by place in the catalogue."""

    products: tuple[Product, ...]

    def column(self, name: str) -> Ints:
        """Return a whole-number column of all products."""
        return np.array([getattr(product, name) for product in self.products], np.int64)

    @cached_property
    def departments(self) -> Ints:
        """Department numbers."""
        return self.column("department")

    @cached_property
    def sold(self) -> Ints:
        """EACH, WEIGHED or LABELLED."""
        return self.column("sold")

    @cached_property
    def costs(self) -> Ints:
        """The costs in ten thousandths of a dollar."""
        return self.column("cost")

    @cached_property
    def pounds(self) -> Floats:
        """Usual weights."""
        return np.array([product.pounds for product in self.products])

    @cached_property
    def taxed(self) -> npt.NDArray[np.bool_]:
        """Which bear sales tax."""
        return np.asarray(self.column("taxed") == 1)

    @cached_property
    def discountable(self) -> Ints:
        """Whether a basket's discount counts them (1)."""
        return self.column("discountable")

    @cached_property
    def is_coupon(self) -> npt.NDArray[np.bool_]:
        """Which are manufacturers' coupons."""
        return np.array([product.subtype == "CP" for product in self.products])

    @cached_property
    def popularity(self) -> Floats:
        """Cumulative shares of sales, up to 1."""
        shares = np.cumsum([product.share for product in self.products])
        return np.asarray(shares / shares[-1])

    @cached_property
    def first_register_line(self) -> int:
        """Where the register's own lines begin."""
        return len(self.products) - len(REGISTER_LINES)

    @cached_property
    def _usual(self) -> Ints:
        return self.column("price")

    @cached_property
    def _has_shelf_price(self) -> npt.NDArray[np.bool_]:
        return np.array([product.kind == "I" and product.price > 0 for product in self.products])

    @cached_property
    def _phase(self) -> Floats:
        return np.random.default_rng(_SHOP_SEED).random(len(self.products))

    def prices(self, day: date) -> tuple[Ints, Ints]:
        """Return each product's price that day in cents: what is asked, and the regular one that it is measured by.

        Packaged goods rise a few times a year, produce follows the season from week to week, and each fortnight other
        goods are on sale.
        """
        ordinal = day.toordinal()
        years = ordinal / 365.25 - date(2010, 1, 1).toordinal() / 365.25
        thirds = np.floor(years * 3 + self._phase) / 3
        week = ordinal // DAYS_PER_WEEK * DAYS_PER_WEEK / 365.25
        season = 1 + _PRODUCE_SEASON * np.sin(2 * np.pi * (week + self._phase)) * (self.departments == PRODUCE)
        regular = round_to_nine(self._usual * season * (1 + _YEARLY_RISE) ** thirds)
        draw = np.random.default_rng([_SHOP_SEED, ordinal // _SALE_DAYS]).random(len(self.products))
        on_sale = draw < _SALE_SHARE
        asked = np.where(on_sale, round_to_nine(regular * (0.65 + 1.5 * draw)), regular)
        shelf = self._has_shelf_price
        return np.where(shelf, np.minimum(asked, regular), self._usual), np.where(shelf, regular, self._usual)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the shop's catalogue; it is made once."""
    rng = np.random.default_rng(_SHOP_SEED)
    goods: list[Product] = []
    goods += _produce(rng)
    for place, aisle in enumerate(AISLES):
        goods += _aisle(aisle, place, rng)
    goods += _open_departments()
    goods += _coupons()
    return Catalogue((*goods, *REGISTER_LINES))


def _produce(rng: np.random.Generator) -> Iterator[Product]:
    """Yield vegetables and fruits: all of them organic, and four of ten conventional too, under their own numbers."""
    lines = []
    code = 4011
    for place, family in enumerate(PRODUCE_FAMILIES):
        for variety, name in enumerate(family.varieties):
            rank = 3 * variety + 0.3 * place + 5 * rng.random() * (place > 0)
            price = family.price * (0.85 + 0.4 * rng.random())
            full = f"{family.name} {name}"
            lines.append((rank, family, code + 90_000, _shorten(full, " Organic", " Org.", " O."), price * 1.2, "1"))
            if rng.random() < 0.4:  # noqa: PLR2004 - conventional too
                lines.append((rank + 12, family, code, _shorten(full, ""), price, "0"))
            code += 1
    ranked = sorted(lines, key=lambda line: line[0])
    for (_, family, plu, description, price, organic), share in zip(ranked, _zipf(len(ranked), 0.9), strict=True):
        yield Product(
            f"{plu:013}",
            description,
            PRODUCE,
            sold=WEIGHED if family.pounds else EACH,
            price=round(price * 100),
            pounds=family.pounds,
            food_stamp=1,
            discountable=1,
            organic=organic,
            share=share * PRODUCE_SHARE,
        )


def _aisle(aisle: Aisle, place: int, rng: np.random.Generator) -> Iterator[Product]:
    """Yield the goods of one aisle, each with a name of its own."""
    names: dict[str, int] = {}
    sold = _SOLD[aisle.sold]
    draws = _draws(rng, len(FLAVOURS), len(aisle.words), len(aisle.sizes), len(BRANDS))
    while len(names) < aisle.goods:
        chance, flavour, word, size, brand = next(draws)
        is_organic = chance < 38  # noqa: PLR2004 - percent of the goods
        plain = f"{FLAVOURS[flavour]} {aisle.words[word]}"
        if sold == WEIGHED:
            maker = f" {BRANDS[brand]}" if len(names) % 2 else ""
            name = f"{aisle.words[word]} {FLAVOURS[flavour]}{maker}"
            name = _shorten(name, " Organic", " O.") if is_organic else _shorten(name, "")
        elif sold == LABELLED:
            name = _shorten(f"{'O.' if is_organic else ''}{plain}", f" {BRANDS[brand]}" if plain in names else "", "")
        else:
            parts = f"{aisle.sizes[size]} {BRANDS[brand]}".strip()
            name = _shorten(f"{'O.' if is_organic else ''}{plain}", f" {parts}", f" {BRANDS[brand]}")
        names.setdefault(name, brand)

    count = len(names)
    shares = rng.permutation(_zipf(count, 0.6)) * aisle.share
    prices = np.maximum(19, np.rint(100 * aisle.price * rng.lognormal(0, 0.4, count))).astype(np.int64)
    costs = np.rint(prices * rng.uniform(0.45, 0.68, count)).astype(np.int64) * 100 + rng.integers(10, size=count) * 10
    taxed = (rng.random(count) < aisle.taxed).astype(np.int64)
    flags = np.array(_FLAGS)[rng.integers(len(_FLAGS), size=count)]
    columns = zip(prices.tolist(), costs.tolist(), taxed.tolist(), flags.tolist(), shares.tolist(), strict=True)
    for number, ((name, brand), (price, cost, tax, flag, share)) in enumerate(zip(names.items(), columns, strict=True)):
        yield Product(
            _upc(sold, place, brand, number),
            name,
            aisle.department,
            sold=sold,
            price=price,
            cost=cost,
            pounds=aisle.pounds,
            taxed=tax,
            food_stamp=1 - tax,
            discountable=1,
            organic="1" if name.startswith("O.") or name.endswith(("Organic", "O.")) else "0",
            flags=flag,
            share=share,
        )


def _draws(rng: np.random.Generator, *limits: int) -> Iterator[tuple[int, ...]]:
    """Yield without end: a percent, and a number below each of the limits."""
    while True:
        yield from zip(*(rng.integers(limit, size=1_000).tolist() for limit in (100, *limits)), strict=True)


def _upc(sold: int, place: int, brand: int, number: int) -> str:
    if sold == WEIGHED:
        return f"{10_000 + place * 1_000 + number:013}"
    if sold == LABELLED:
        return f"002{place * 1_000 + number:05}00000"
    return f"00{(brand * 7_919 + place * 104_729 + 11_111) % 1_000_000:06}{number:05}"


def _open_departments() -> Iterator[Product]:
    """Yield sums rung up on a department, for goods without a code."""
    for number, name in DEPARTMENTS.items():
        for cents in _OPEN_PRICES:
            yield Product(
                f"{cents / 100:.2f}DP{number}",
                name.upper()[:MAX_DESCRIPTION],
                number,
                kind="D",
                price=cents,
                food_stamp=1,
                discountable=3,
                share=_OPEN_SHARE / len(DEPARTMENTS) / len(_OPEN_PRICES),
            )


def _coupons() -> Iterator[Product]:
    for number, (department, cents) in enumerate(_COUPONS):
        yield Product(
            f"005{number:05}{cents:05}",
            " * Manufacturers Coupon",
            department,
            kind="T",
            subtype="CP",
            price=-cents,
            share=_COUPON_SHARE / len(_COUPONS),
        )


def _zipf(count: int, exponent: float) -> Floats:
    """Return falling shares of 1, the way that few goods sell often and most seldom."""
    weights = 1 / (np.arange(count) + 2.0) ** exponent
    return np.asarray(weights / weights.sum())


def _shorten(name: str, *endings: str) -> str:
    """Join a name and the first of its endings that fits on the tape, and cut the name where none does."""
    for ending in endings:
        if len(name) + len(ending) <= MAX_DESCRIPTION:
            return name + ending
    return name[: MAX_DESCRIPTION - len(endings[-1])].rstrip() + endings[-1]
