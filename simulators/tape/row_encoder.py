"""Columns of whole numbers become the bytes of tape rows, 50 fields each, nothing done row by row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from schemas.record_type import Dialect
from simulators.engine.byte_layout import SECONDS_OF_DAY, Piece, Texts, lay_out, table
from simulators.tape.baskets import ONE, PERCENTS, SPECIAL
from simulators.tape.catalogue import WEIGHED, Catalogue, Ints, Product
from simulators.tape.shifts import Day

_CENTS, _TEN_THOUSANDTHS, _THOUSAND = 100, 10_000, 1_000
_SPECIAL_DISCOUNTABLE = 3
_STATUSES = (" ", "V", "R", "M", "C")


def _wholes(limit: int) -> tuple[Texts, Texts]:
    """Return the texts of the numbers below the limit, and the same followed by those with a minus before them."""
    unsigned = np.arange(limit).astype(f"S{len(str(limit - 1))}")
    return unsigned, np.concatenate([unsigned, np.char.add(b"-", unsigned)])


#: Tables of whole numbers, by how far they reach: a narrow one is less to look up and less to delete again.
_WHOLES = {limit: _wholes(limit) for limit in (10, 100, 1_000, 10_000, 100_000)}
_MONEY_PART = table([f".{part:02}00" for part in range(_CENTS)])
_COST_PART = table([f".{part:04}" for part in range(_TEN_THOUSANDTHS)])
_THOUSANDTHS_TRIMMED = table([f".{part:03}".rstrip("0").rstrip(".") for part in range(_THOUSAND)])
_THOUSANDTHS_TRIMMED_OR_NOT = np.concatenate(
    [_THOUSANDTHS_TRIMMED, table([f".{part:03}" for part in range(_THOUSAND)])]
)
_MILLIONTHS_TRIMMED = table([f"{part:03}".rstrip("0") for part in range(_THOUSAND)])


def _limit(values: Ints) -> int:
    highest = int(values.max(initial=0))
    return next(limit for limit in _WHOLES if highest < limit)


def _whole(values: Ints) -> Piece:
    return _WHOLES[_limit(values)][0], values


def _signed(whole: Ints, is_negative: npt.NDArray[np.bool_]) -> Piece:
    if not is_negative.any():
        return _whole(whole)
    limit = _limit(whole)
    return _WHOLES[limit][1], whole + limit * is_negative


def _money(cents: Ints) -> list[Piece]:
    """Print cents with four decimals."""
    whole, part = np.divmod(np.abs(cents), _CENTS)
    return [_signed(whole, cents < 0), (_MONEY_PART, part)]


def _quantity(millionths: Ints) -> list[Piece]:
    """Print millionths with as many decimals as they need."""
    whole, part = np.divmod(np.abs(millionths), ONE)
    high, low = np.divmod(part, _THOUSAND)
    signed = _signed(whole, millionths < 0)
    if not low.any():
        return [signed, (_THOUSANDTHS_TRIMMED, high)]
    return [signed, (_THOUSANDTHS_TRIMMED_OR_NOT, high + _THOUSAND * (low > 0)), (_MILLIONTHS_TRIMMED, low)]


class RowEncoder:
    """Prints days of a catalogue's tape in one dialect."""

    def __init__(self, goods: Catalogue, dialect: Dialect) -> None:
        """Make the tables of what is the same for each sale of a product."""
        self._goods = goods
        self._separator = dialect.separator
        self._quote = '"' if dialect.quoted else ""
        text = self._text

        def per_product(fields: Callable[[Product], tuple[str, ...]]) -> Texts:
            return table([self._separator.join(fields(product)) for product in goods.products])

        self._names = per_product(lambda p: (text(p.upc), text(p.description), text(p.kind), text(p.subtype)))
        self._departments = per_product(lambda p: (str(p.department),))
        self._scales = per_product(lambda p: (str(int(p.sold == WEIGHED)),))
        self._cost_whole, self._cost_part = np.divmod(goods.costs, _TEN_THOUSANDTHS)
        self._taxes = per_product(lambda p: ("0.0000", str(p.taxed), "0", str(p.food_stamp), "0"))
        self._tails = per_product(self._tail)
        self._statuses = table([text(status) for status in _STATUSES])
        self._percents = table(["NULL" if percent is None else f"{percent}.00000000" for percent in PERCENTS])
        # A discount counts for what has a product code; the register's own lines have no percent.
        self._has_percent = np.arange(len(goods.products)) < goods.first_register_line

    def header(self, names: tuple[str, ...]) -> bytes:
        """Return the header row."""
        return (self._separator.join(self._text(name) for name in names) + "\n").encode()

    def rows(self, day: Day) -> bytes:
        """Return the rows of a day."""
        lines = day.lines
        product = lines.product
        discountable = np.where(lines.status == SPECIAL, _SPECIAL_DISCOUNTABLE, self._goods.discountable[product])
        fields: list[list[Piece]] = [
            [self._quote + day.day.isoformat() + " ", (SECONDS_OF_DAY, day.second), self._quote],
            [_whole(day.register)],
            [_whole(day.cashier)],
            [_whole(day.number)],
            [(self._names, product)],
            [(self._statuses, lines.status)],
            [(self._departments, product)],
            _quantity(lines.quantity),
            [(self._scales, product)],
            [_whole(self._cost_whole[product]), (_COST_PART, self._cost_part[product])],
            _money(lines.price),
            _money(lines.total),
            _money(lines.regular),
            [(self._taxes, product)],
            _money(lines.saving),
            _money(lines.special),
            [_whole(discountable)],
            [_whole(lines.offer)],
            [_whole(lines.voided)],
            [(self._percents, np.where(self._has_percent[product], day.percent, 0))],
            _quantity(lines.item_quantity),
            [(self._tails, product)],
            [_whole(day.card)],
            ["1", self._separator, "0", self._separator, "0"],
            [_whole(day.line)],
        ]
        pieces: list[Piece] = []
        for field in fields:
            pieces += [*field, self._separator]
        return lay_out([*pieces[:-1], "\n"], len(lines))

    def _text(self, text: str) -> str:
        return self._quote + text + self._quote

    def _tail(self, product: Product) -> tuple[str, ...]:
        """Return the fields from ``volume_discount_type`` to ``receipt``."""
        volume = ("0", "1", f"{product.price / 100:.4f}") if product.subtype == "CP" else ("0", "0", "0.0000")
        empty, blank = self._text(""), self._text(" ")
        return (
            *(*volume, "0", "0", empty, "NULL", str(product.flags), "0", "0"),
            *(self._text(product.char_flag), "0", "NULL", "0", product.organic, blank, "0"),
        )
