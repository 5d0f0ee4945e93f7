from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.smoothies.earnings import PRODUCT, TOTALS, UNKNOWN, by_category, facts_of, sums_of, with_profit
from schemas.elements.frames import EVENT_TIME
from tests.strategies import shuffled_cuts
from transforms.aggregate.combine import FrameCombine
from transforms.parse.values import POLARS_TYPES

BASE = datetime(2024, 1, 1)
MONEY = POLARS_TYPES["decimal"]
PURCHASES = {
    EVENT_TIME: pl.Datetime("us"), PRODUCT: pl.String, "price": MONEY, "quantity": pl.Int64, "is_member": pl.Boolean,
    "supplement_price": MONEY, "total_purchase": MONEY,
}  # fmt: skip
PRODUCTS = {EVENT_TIME: pl.Datetime("us"), PRODUCT: pl.String, "category": pl.String, "item": pl.String, "cogs": MONEY}
REDUCTION = FrameCombine((PRODUCT,), TOTALS)

cents = st.integers(0, 2_000).map(lambda number: Decimal(number) / 100)
moments = st.integers(0, 9).map(lambda number: BASE + timedelta(seconds=number))
purchases = st.tuples(
    moments, st.sampled_from("ABC"), cents, st.integers(1, 3), st.sampled_from([True, False, None]),
    st.one_of(st.none(), cents), cents,
)  # fmt: skip
products = st.tuples(
    moments, st.sampled_from("ABC"), st.sampled_from(["hot", "cold"]), st.just("it"), st.one_of(st.none(), cents)
)


def totals(frames: list[pl.DataFrame]) -> pl.DataFrame:
    reduced = [REDUCTION.reduce(frame) for frame in frames]
    return with_profit(REDUCTION.result(REDUCTION.merge(reduced), (None, None), 0).rows)


@settings(max_examples=80)
@given(st.lists(purchases, min_size=1, max_size=20), st.lists(products, max_size=6), st.randoms(use_true_random=False))
def test_totals_are_those_by_hand_however_messages_are_cut(sold, told, random):
    frames = [sums_of(pl.DataFrame(part, PURCHASES, orient="row")) for part in shuffled_cuts(random, sold) if part]
    frames += [facts_of(pl.DataFrame(part, PRODUCTS, orient="row")) for part in shuffled_cuts(random, told) if part]
    random.shuffle(frames)
    rows = totals(frames)
    assert rows[PRODUCT].to_list() == sorted({row[1] for row in (*sold, *told)})
    for row in rows.to_dicts():
        mine = [one for one in sold if one[1] == row[PRODUCT]]
        costs = sorted((one[0], one[4]) for one in told if one[1] == row[PRODUCT] and one[4] is not None)
        sales, drinks = sum(one[6] for one in mine), sum(one[3] for one in mine)
        assert (row["sales"], row["drinks"], row["purchases"]) == (sales, drinks, len(mine))
        assert row["members"] == sum(one[4] is True for one in mine)
        assert row["discounts"] == sum(one[3] * (one[2] + (one[5] or 0)) - one[6] for one in mine)
        cost = costs[-1][1] * drinks if costs else None
        assert (row["cost"], row["profit"]) == (cost, None if cost is None else sales - cost)
    categories = by_category(rows)
    assert categories["sales"].sum() == sum(one[6] for one in sold)
    assert categories["products"].sum() == rows.height


def test_a_category_has_a_profit_only_when_all_its_products_have_one():
    told = [(BASE, "A", "hot", "a", Decimal(1)), (BASE, "B", "hot", "b", None), (BASE, "C", "cold", "c", Decimal(1))]
    sold = [(BASE, name, Decimal(5), 1, True, None, Decimal(5)) for name in "ABCD"]
    frames = [
        facts_of(pl.DataFrame(told, PRODUCTS, orient="row")),
        sums_of(pl.DataFrame(sold, PURCHASES, orient="row")),
    ]
    rows = by_category(totals(frames))
    found = dict(rows.select("category", "profit").rows())
    assert found == {UNKNOWN: None, "cold": Decimal(4), "hot": None}
    assert rows["member_share"].to_list() == [1, 1, 1]
