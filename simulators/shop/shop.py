"""A chain of smoothie shops: everything that it sells, restocks and cannot sell, as messages in the order of time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from schemas.times import MICROS_PER_SECOND, to_micros
from simulators.engine.batch import Batch, Facts, first_rows
from simulators.engine.byte_layout import Ints
from simulators.engine.start_time import END, begun, check_start
from simulators.shop.counter import Baskets, Counter, Habits, Queue, cents, places, purchases
from simulators.shop.crowds import Calendar, Crowds
from simulators.shop.incidents import SupplyTrouble
from simulators.shop.menu import MENU, Product
from simulators.shop.messages import LOST_SALE, PRODUCT, PURCHASE, RESTOCKING, Messenger, Told
from simulators.shop.opening import Hours, parse_holidays, parse_hours
from simulators.shop.shelves import Delivery, Restocking, Shelf

DEFAULT_ROWS = 100_000
#: A Tuesday, when the shop opens.
DEFAULT_START = to_micros(datetime(2024, 1, 2, 7))
DEFAULT_HOURS = "mon-thu 07:00-20:00, fri 07:00-22:00, sat 08:00-22:00, sun 09:00-19:00"
DEFAULT_HOLIDAYS = "01-01,12-25"
DEFAULT_RESTOCKING = Restocking(10, 15, 60 * MICROS_PER_SECOND)
MAX_STORES = 99
#: What is remembered of each message: its number from 0 on, its kind, the places of shop and product; how many, what
#: they cost and the discount on it in cents, whether a member bought them; what is on the shelf after it, and for how
#: long nothing had been when it was filled.
FACTS = np.dtype(
    [
        ("number", np.int64),
        ("kind", np.int64),
        ("store", np.int64),
        ("product", np.int64),
        ("quantity", np.int64),
        ("cents", np.int64),
        ("discount", np.int64),
        ("member", np.int64),
        ("level", np.int64),
        ("without", np.int64),
    ]
)

_CUSTOMERS = 16_384


@dataclass(frozen=True)
class Shop:
    """What smoothie shops tell; the same options, the same bytes.

    It begins with the products of each shop. Whatever is sold is taken from a shelf; what is not there is a lost sale.

    Attributes:
        rows: how many messages; 0 goes on.
        seed: of everything that is drawn.
        menu: what is sold, everywhere the same.
        habits: of the customers.
        restocking: of the shelves.
        calendar: when people come.
        troubles: what cannot be restocked when, in all shops.
        stores: how many shops there are, up to 99.
        start: microseconds since the epoch; None is the moment at which somebody begins to take the batches.
        end: nothing happens from this moment on; None goes on.
        sales: how many baskets; 0 goes on.
        in_one: whether each message says what it is, for all go one way.
        customers_at_once: how many are served at once; it does not change what happens.

    Example:
        >>> next(Shop(rows=1).batches()).data.tobytes()[:71]
        b'{"event_time":"2024-01-02 07:00:00.000000","product_id":"CL01","categor'
    """

    rows: int = DEFAULT_ROWS
    seed: int = 0
    menu: Sequence[Product] = MENU
    habits: Habits = Habits()
    restocking: Restocking = DEFAULT_RESTOCKING
    calendar: Calendar = Calendar(Hours(parse_hours(DEFAULT_HOURS), parse_holidays(DEFAULT_HOLIDAYS)))
    troubles: Sequence[SupplyTrouble] = ()
    stores: int = 1
    start: int | None = DEFAULT_START
    end: int | None = None
    sales: int = 0
    in_one: bool = False
    customers_at_once: int = _CUSTOMERS

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range, or names a product that is not on the menu.
        """
        for name in ("rows", "seed", "sales"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 1 <= self.stores <= MAX_STORES:
            raise ValueError(f"stores must be 1 to {MAX_STORES}, got {self.stores}")
        check_start(self.start)
        if self.end is not None and not (self.start or 0) < self.end < END:
            raise ValueError("to must be later than from")
        known = {product.product_id for product in self.menu}
        for what, named in (("anomaly", self.calendar.anomalies), ("supply-trouble", self.troubles)):
            for each in named:
                if each.product_id and each.product_id not in known:
                    raise ValueError(f"{what} names no product of the menu: {each.product_id!r}")

    @property
    def preamble(self) -> bytes:
        """Nothing: JSON lines have no header row."""
        return b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - they cost little
        """Yield the messages, with their event times and, if wanted, the facts that the truth adds up."""
        yield from first_rows(_Run(self, begun(self.start)).batches(wants_facts=facts), self.rows)


class _Run:
    """One run of the shops, from their beginning."""

    def __init__(self, shop: Shop, start: int) -> None:
        self._shop, self._start = shop, start
        menu, stores = shop.menu, shop.stores
        # Baskets of other runs must not have the same numbers.
        mark = f"{zlib.crc32(f'{shop.seed} {start}'.encode()):08x}-"
        self._messenger = Messenger(menu, shop.habits, shop.restocking.amount, stores, mark, in_one=shop.in_one)
        self._crowds = Crowds(shop.calendar, menu, start, END if shop.end is None else shop.end, shop.seed)
        self._queue = Queue(shop.habits, stores, shop.seed)
        self._counter = Counter(shop.habits, menu)
        spans: dict[str, list[tuple[int, int]]] = {}
        for trouble in shop.troubles:
            spans.setdefault(trouble.product_id, []).append(trouble.when.within(start))
        self._shelves = [
            Shelf(shop.restocking, product.inventory, start, spans.get(product.product_id, ()))
            for _ in range(stores)
            for product in menu
        ]
        self._cents, self._discounts = _prices(menu, shop.habits)
        self._served = self._told = 0

    def batches(self, *, wants_facts: bool) -> Iterator[Batch]:
        shop = self._shop
        yield self._opening(wants_facts=wants_facts)
        is_over = False
        while not is_over:
            passed, store, drawn = self._queue.arrivals(shop.customers_at_once)
            if not len(passed):
                continue
            times, moods = self._crowds.moments(passed)
            is_over = len(times) < len(passed)
            until = int(times[-1]) if len(times) else self._start
            if is_over and shop.end is not None:
                until = shop.end - 1
            if shop.sales and self._served + len(times) >= shop.sales:
                is_over = True
                times = times[: shop.sales - self._served]
                until = int(times[-1])
            count = len(times)
            baskets = self._counter.baskets(
                self._served, times, store[:count], drawn[:count], moods[:count], self._crowds.weights
            )
            self._served += count
            yield self._serve(baskets, until, wants_facts=wants_facts)

    def _opening(self, *, wants_facts: bool) -> Batch:
        shop = self._shop
        count = shop.stores * len(shop.menu)
        data = b"".join(self._messenger.products(self._start, store) for store in range(shop.stores))
        facts = None
        if wants_facts:
            facts = np.zeros(count, FACTS)
            facts["number"], facts["kind"] = np.arange(count), PRODUCT
            facts["store"], facts["product"] = np.divmod(np.arange(count), len(shop.menu))
            facts["quantity"] = facts["level"] = np.tile([product.inventory for product in shop.menu], shop.stores)
        self._told = count
        return Batch(data, np.full(count, self._start), facts)

    def _serve(self, baskets: Baskets, until: int, *, wants_facts: bool) -> Batch:
        """Sell to some customers, and return all that is told until then."""
        sold, deliveries, where, levels = self._sell(baskets, until, wants_levels=wants_facts)
        item, kind = _outcomes(sold, baskets.quantity)
        quantity = np.where(kind == PURCHASE, sold[item], (baskets.quantity - sold)[item])
        nothing, amount = np.zeros(len(where), np.int64), self._shop.restocking.amount
        came = np.array(deliveries, np.int64).reshape(-1, 3)
        # A delivery comes before the sales of its moment.
        order = np.argsort(np.concatenate([came[:, 0], baskets.time[item]]), kind="stable")

        def column(of_deliveries: Ints, of_items: Ints) -> Ints:
            return np.concatenate([of_deliveries, of_items])[order]

        at_store, at_product = np.divmod(where, len(self._shop.menu))
        told = Told(
            column(nothing + RESTOCKING, kind),
            column(came[:, 0], baskets.time[item]),
            column(nothing, baskets.number[item]),
            column(at_store, baskets.store[item]),
            column(at_product, baskets.product[item]),
            column(nothing + amount, quantity),
            column(nothing, baskets.member[item]),
            column(nothing, baskets.supplement[item]),
            column(came[:, 1], np.zeros(len(item), np.int64)),
        )
        facts = None
        if wants_facts:
            level = column(came[:, 1] + amount, levels[item])
            facts = self._facts(told, level, column(came[:, 2], np.zeros(len(item), np.int64)))
        self._told += len(order)
        return Batch(self._messenger.lines(told), told.time, facts)

    def _sell(self, baskets: Baskets, until: int, *, wants_levels: bool) -> tuple[Ints, list[Delivery], Ints, Ints]:
        """Return how many of each item are sold, what is delivered to which shelf, and the level after each item."""
        shelf = baskets.store * len(self._shop.menu) + baskets.product
        order = np.argsort(shelf, kind="stable")
        ends = np.searchsorted(shelf[order], np.arange(len(self._shelves)), side="right").tolist()
        sold, levels = baskets.quantity.copy(), np.zeros(len(shelf), np.int64)
        all_deliveries: list[Delivery] = []
        counts = np.zeros(len(self._shelves), np.int64)
        begin = 0
        for place, (end, each) in enumerate(zip(ends, self._shelves, strict=True)):
            if begin == end and each.due > until:
                continue
            mine, before = order[begin:end], each.level
            times = baskets.time[mine]
            sold[mine], deliveries = each.serve(times, baskets.quantity[mine], until)
            all_deliveries += deliveries
            counts[place] = len(deliveries)
            if wants_levels:
                filled = np.searchsorted([delivery.time for delivery in deliveries], times, side="right")
                levels[mine] = before - np.cumsum(sold[mine]) + self._shop.restocking.amount * filled
            begin = end
        return sold, all_deliveries, np.repeat(np.arange(len(self._shelves)), counts), levels

    def _facts(self, told: Told, level: Ints, without: Ints) -> Facts:
        is_purchase = told.kind == PURCHASE
        price = np.where(is_purchase, places(told.product, told.quantity, told.member, told.supplement), 0)
        facts = np.empty(len(told.time), FACTS)
        facts["number"] = np.arange(self._told, self._told + len(told.time))
        for name in ("kind", "store", "product", "quantity"):
            facts[name] = getattr(told, name)
        facts["cents"], facts["discount"] = self._cents[price] * is_purchase, self._discounts[price] * is_purchase
        facts["member"], facts["level"], facts["without"] = told.member * is_purchase, level, without
        return facts


def _outcomes(sold: Ints, asked: Ints) -> tuple[Ints, Ints]:
    """Return the items that are told of, and as what: a part of an item may be sold and the rest lost."""
    is_lost = sold < asked
    if not is_lost.any():
        return np.arange(len(sold)), np.full(len(sold), PURCHASE)
    is_sold = sold > 0
    item = np.repeat(np.arange(len(sold)), is_sold + is_lost.astype(np.int64))
    is_second = np.concatenate([[False], item[1:] == item[:-1]])
    return item, np.where(is_second | ~is_sold[item], LOST_SALE, PURCHASE)


def _prices(menu: Sequence[Product], habits: Habits) -> tuple[Ints, Ints]:
    """Return what is paid and the discount on it, in cents, for all purchases that there can be."""
    paid, given = (
        np.array([cents(price(purchase)) for purchase in purchases(menu)], np.int64)
        for price in (habits.total, habits.discount_given)
    )
    return paid, given
