from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import GlobalWindow
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.smoothies.enrich import ADDED, EnrichFn, EnrichPurchases, _enriched_at_end, enriched, facts_of, learn
from schemas.elements.block import Block
from schemas.elements.frames import EVENT_TIME, RECORD, Batch
from tests.fakes import Bag, Value
from tests.transforms.tools import as_known

BASE = datetime(2024, 1, 1)
MONEY = pl.Decimal(38, 9)
SECOND = 10**6
PURCHASES = {EVENT_TIME: pl.Datetime("us"), "product_id": pl.String, "quantity": pl.Int64, "total_purchase": MONEY}
PRODUCTS = {
    EVENT_TIME: pl.Datetime("us"),
    **dict.fromkeys(("product_id", "category", "item", "size"), pl.String),
    "cogs": MONEY,
}
Row = tuple


def at(second: int) -> datetime:
    return BASE + timedelta(seconds=second)


def purchase(second: int, product: str = "A", quantity: int = 2) -> Row:
    return at(second), product, quantity, Decimal("9.98")


def product(second: int, name: str = "A", cogs: str | None = "1.5") -> Row:
    return at(second), name, "Classic", f"item {name}", "20 oz.", None if cogs is None else Decimal(cogs)


def purchases(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(list(rows), PURCHASES, orient="row")


def products(*rows: Row) -> pl.DataFrame:
    return facts_of(pl.DataFrame(list(rows), PRODUCTS, orient="row"))


class Worker:
    """Drives the step as a runner does."""

    def __init__(self, wait: int = 60) -> None:
        self.step = EnrichFn(wait * SECOND)
        self.known, self.waiting, self.wakes, self.timer, self.end = Value(), Bag(), Value(), Value(), Value()

    def add(self, frame: pl.DataFrame) -> list[Row]:
        states = (self.known, self.waiting, self.wakes, self.timer, self.end)
        return shown(self.step.process((0, frame), GlobalWindow(), *states))

    def rise(self, second: int) -> list[Row]:
        """Lets the watermark rise: fires the timer, as often as it is due."""
        found = []
        while self.timer.value is not None and self.timer.value.micros <= (
            at(second) - datetime(1970, 1, 1)
        ) / timedelta(microseconds=1):
            self.timer.clear()
            found += shown(self.step.let_go(self.waiting, self.wakes, self.timer))
        return found

    def finish(self) -> list[Row]:
        return shown(self.step.give_rest(self.known, self.waiting, self.wakes, self.timer))


def shown(frames) -> list[Row]:
    return [row for frame in frames for row in frame.select(EVENT_TIME, "product_id", "cogs", "profit").rows()]


def test_a_purchase_has_what_is_known_of_its_product():
    worker = Worker()
    assert worker.add(products(product(0))) == []
    assert worker.add(purchases(purchase(5))) == [(at(5), "A", Decimal("1.5"), Decimal("6.98"))]
    assert worker.finish() == []


def test_a_product_that_comes_late_is_waited_for():
    worker = Worker()
    assert worker.add(purchases(purchase(5), purchase(6, "B"))) == []
    assert worker.add(products(product(7))) == [(at(5), "A", Decimal("1.5"), Decimal("6.98"))]
    assert worker.finish() == [(at(6), "B", None, None)]


def test_a_purchase_is_let_go_when_it_has_waited_long_enough():
    worker = Worker(wait=60)
    assert worker.add(purchases(purchase(5))) == []
    assert worker.add(purchases(purchase(30))) == []
    assert worker.rise(64) == []
    assert worker.rise(65) == [(at(5), "A", None, None)]
    assert worker.add(purchases(purchase(66))) == []
    assert worker.rise(90) == [(at(30), "A", None, None)]
    assert worker.add(products(product(0))) == [(at(66), "A", Decimal("1.5"), Decimal("6.98"))]
    assert (worker.rise(10**6), worker.finish()) == ([], [])


def test_a_purchase_has_the_product_as_it_was_then():
    known = learn(None, products(product(10, cogs="1"), product(20, cogs="2"), product(30, cogs="2")))
    rows = enriched(purchases(purchase(25), purchase(5), purchase(19), purchase(20)), known)
    assert rows["cogs"].to_list() == [1, 1, 2, 2]
    assert rows[EVENT_TIME].to_list() == [at(5), at(19), at(20), at(25)]


def test_of_very_many_messages_only_changes_are_remembered(monkeypatch):
    monkeypatch.setattr("pipelines.smoothies.enrich.MOST_KNOWN", 3)
    known = None
    for second in range(10):
        known = learn(known, products(product(second, "A", "1" if second < 5 else "2"), product(second, "B", None)))
    assert known.select(EVENT_TIME, "product_id").rows() == [(at(0), "A"), (at(5), "A"), (at(0), "B")]


def test_a_product_without_a_cost_is_known_all_the_same():
    worker = Worker()
    worker.add(products(product(0, cogs=None)))
    assert worker.add(purchases(purchase(1))) == [(at(1), "A", None, None)]


def test_of_bounded_input_all_wait_for_the_end():
    frames = [products(product(0)), purchases(purchase(15)), products(product(10, cogs="2"))]
    assert shown(_enriched_at_end((0, frames))) == [(at(15), "A", Decimal(2), Decimal("5.98"))]


EVENTS = st.lists(
    st.one_of(
        st.builds(purchase, st.integers(0, 300), st.sampled_from("ABC"), st.integers(1, 3)),
        st.builds(product, st.integers(0, 300), st.sampled_from("ABC"), st.sampled_from(["1", "2.5", None])),
        st.integers(0, 400),
    ),
    max_size=30,
)


@settings(max_examples=80)
@given(EVENTS, st.integers(0, 100))
def test_each_purchase_comes_out_once_live_and_at_the_end(events, wait):
    worker = Worker(wait)
    found, sent = [], []
    for event in events:
        if isinstance(event, int):
            found += worker.rise(event)
        elif len(event) == len(PURCHASES):
            sent.append((event[0], event[1]))
            found += worker.add(purchases(event))
        else:
            found += worker.add(products(event))
    found += worker.finish()
    frames = [purchases(e) if len(e) == len(PURCHASES) else products(e) for e in events if not isinstance(e, int)]
    at_end = shown(_enriched_at_end((0, frames)))
    assert sorted(row[:2] for row in found) == sorted(row[:2] for row in at_end) == sorted(sent)
    assert worker.timer.value is None


@settings(max_examples=60)
@given(st.lists(st.builds(product, st.integers(0, 9), st.sampled_from("AB"), st.sampled_from("123"))), st.randoms())
def test_what_is_known_does_not_depend_on_the_order_of_messages(rows, random):
    def learnt() -> pl.DataFrame:
        known = None
        for row in rows:
            known = learn(known, products(row))
        return products() if known is None else known

    before = learnt()
    random.shuffle(rows)
    asked = purchases(*(purchase(second, name) for second in range(10) for name in "AB"))
    assert enriched(asked, learnt()).equals(enriched(asked, before))


@pytest.mark.parametrize("is_bounded", [True, False])
def test_counts_in_are_counts_out(options, is_bounded):
    def batch(frame: pl.DataFrame) -> Batch:
        return Batch(frame.with_row_index(RECORD), Block(b"", ()))

    sold = [batch(purchases(*(purchase(60 * minute + n, "ABC"[n % 3]) for n in range(50)))) for minute in range(20)]
    told = [batch(pl.DataFrame([product(0, name) for name in "AB"], PRODUCTS, orient="row"))]
    with beam.Pipeline(options=options) as pipeline:
        kinds = {
            "purchases": pipeline | "Sold" >> beam.Create(sold).with_output_types(Batch),
            "products": pipeline | "Told" >> beam.Create(told).with_output_types(Batch),
        }
        for kind in kinds.values():
            as_known(kind, is_bounded=is_bounded)
        rows = kinds | EnrichPurchases() | beam.Map(lambda joined: joined.rows)

        def check(frames: list[pl.DataFrame]) -> None:
            whole = pl.concat(frames)
            assert whole.columns == ["transaction_time", *list(PURCHASES)[1:], *ADDED]
            assert whole.height == 1_000
            assert set(whole.filter(pl.col("cogs").is_null())["product_id"]) == {"C"}

        assert_that(rows, check)


def test_a_negative_wait_is_refused():
    with pytest.raises(ValueError, match="-1"):
        EnrichPurchases(wait_micros=-1)
