"""Sales of a chain of shops as a stream: one JSON line an item, made a day at a time by the engine of the registers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from schemas.times import MICROS_PER_SECOND, to_micros
from simulators.engine.batch import Batch, Facts, Times, first_rows
from simulators.engine.byte_layout import SECONDS_OF_DAY, Ints, Piece, lay_out, table
from simulators.engine.number_text import fixed, millionths, whole
from simulators.tape.baskets import SPECIAL
from simulators.tape.catalogue import Catalogue, catalogue
from simulators.tape.shifts import MAX_REGISTERS, Day, make_day

DEFAULT_ROWS = 100_000
DEFAULT_START = date(2011, 4, 1)
DEFAULT_STORES = 3
DEFAULT_REGISTERS = 9
MAX_STORES = 100
CENT_PLACES = 2
#: What is remembered of each sale: the store, the place of the product, the quantity in millionths, cents.
FACTS = np.dtype([("store", np.int64), ("product", np.int64), ("quantity", np.int64), ("cents", np.int64)])

#: The kind of what has a product code, as opposed to tenders, coupons and sums rung up on a department.
_ITEM = "I"


@dataclass(frozen=True)
class Sales:
    """Single items that shops sold, all shops in one stream in the order of time; the same options, the same bytes.

    Only what has a product code is a sale. One that was voided or brought back is there with a negative quantity and
    total, so that sums are right. The quantity is in pieces or pounds and the price of one of them, in dollars.

    Attributes:
        rows: how many; 0 goes on until the calendar ends.
        seed: of what the customers do.
        stores: how many shops there are, up to 100; they sell the same goods at the same prices.
        registers: how many work side by side in each, up to 99.
        start: the first day.
    """

    rows: int = DEFAULT_ROWS
    seed: int = 0
    stores: int = DEFAULT_STORES
    registers: int = DEFAULT_REGISTERS
    start: date = DEFAULT_START

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        for name in ("rows", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name, most in (("stores", MAX_STORES), ("registers", MAX_REGISTERS)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be 1 to {most}, got {getattr(self, name)}")

    @property
    def preamble(self) -> bytes:
        """Nothing: JSON lines have no header row."""
        return b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - they cost little
        """Yield the sales, a day a batch, with their event times and, if wanted, the facts that receipts add up."""
        return first_rows(self._all(wants_facts=facts), self.rows)

    def _all(self, *, wants_facts: bool) -> Iterator[Batch]:
        encoder = _RowEncoder(catalogue())
        for ordinal in range(self.start.toordinal(), date.max.toordinal()):
            sold = self._sell(date.fromordinal(ordinal))
            yield Batch(encoder.lines(sold), sold.moments, _facts(sold) if wants_facts else None)

    def _sell(self, day: date) -> _Sold:
        """Return what all stores sold that day."""
        goods = catalogue()
        days = [make_day(goods, day, self.seed * MAX_STORES + store, self.registers) for store in range(self.stores)]
        parts = [_goods_only(goods, each, store) for store, each in enumerate(days, 1)]
        columns = np.concatenate(parts, axis=1)
        return _Sold(day, *columns[:, np.argsort(columns[0], kind="stable")])


@dataclass(frozen=True, eq=False)
class _Sold:
    """The sales of a day as columns: the product is its place in the catalogue; millionths and cents."""

    day: date
    second: Ints
    store: Ints
    register: Ints
    transaction: Ints
    product: Ints
    quantity: Ints
    price: Ints
    total: Ints

    @property
    def moments(self) -> Times:
        midnight = to_micros(datetime(self.day.year, self.day.month, self.day.day))
        return midnight + self.second * MICROS_PER_SECOND


def _goods_only(goods: Catalogue, day: Day, store: int) -> Ints:
    lines = day.lines
    is_good = np.array([product.kind == _ITEM for product in goods.products[: goods.first_register_line]])
    sold = np.flatnonzero((lines.product < len(is_good)) & (lines.status != SPECIAL))
    sold = sold[is_good[lines.product[sold]]]
    columns = (day.second, day.register, day.number, lines.product, lines.quantity, lines.price, lines.total)
    second, *others = (column[sold] for column in columns)
    return np.stack([second, np.full_like(second, store), *others])


class _RowEncoder:
    """Prints sales."""

    def __init__(self, goods: Catalogue) -> None:
        products = [f'"upc":{json.dumps(p.upc)},"item":{json.dumps(p.description)}' for p in goods.products]
        self._products = table(products)

    def lines(self, sold: _Sold) -> bytes:
        pieces: list[Piece] = [f'{{"time":"{sold.day.isoformat()} ', (SECONDS_OF_DAY, sold.second)]
        pieces += ['","store":', *whole(sold.store), ',"register":', *whole(sold.register)]
        pieces += [',"transaction":', *whole(sold.transaction), ",", (self._products, sold.product)]
        pieces += [',"quantity":', *millionths(sold.quantity), ',"price":', *fixed(sold.price, CENT_PLACES)]
        return lay_out([*pieces, ',"total":', *fixed(sold.total, CENT_PLACES), "}\n"], len(sold.second))


def _facts(sold: _Sold) -> Facts:
    facts = np.empty(len(sold.second), FACTS)
    facts["store"], facts["product"] = sold.store, sold.product
    facts["quantity"], facts["cents"] = sold.quantity, sold.total
    return facts
