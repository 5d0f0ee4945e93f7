from __future__ import annotations

from collections import Counter as Counts
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.shop.counter import Baskets, Counter, Habits, Purchase, Queue, cents, places, purchases
from simulators.shop.menu import MENU, Product

WEIGHTS = np.array([product.weight for product in MENU], np.int64)


def baskets(habits: Habits = Habits(), count: int = 40_000, weights: np.ndarray = WEIGHTS) -> Baskets:
    passed, store, drawn = Queue(habits, 1, 7).arrivals(count)
    moods = np.zeros(count, np.int64)
    return Counter(habits, MENU).baskets(0, passed, store, drawn, moods, [weights])


def test_frequencies_are_met() -> None:
    items = baskets()
    sizes = np.bincount(items.number)
    assert (sizes == 1).mean() == pytest.approx(13 / 20, abs=0.01)
    assert (sizes == 2).mean() == pytest.approx((sizes == 3).mean(), abs=0.01)
    pieces = Counts(items.quantity.tolist())
    assert [pieces[count] / len(items.quantity) for count in (1, 2, 3)] == pytest.approx(
        [24 / 30, 5 / 30, 1 / 30], abs=0.01
    )
    first = np.unique(items.number, return_index=True)[1]
    assert items.member[first].mean() == pytest.approx(0.3, abs=0.01)
    boosted = np.array([product.is_boosted for product in MENU])[items.product]
    assert items.supplement[boosted].mean() == pytest.approx(0.5, abs=0.02)
    assert items.supplement[~boosted].mean() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("most", [0, 1])
def test_never_and_always_are_never_and_always(most: int) -> None:
    habits = Habits(one_item=20 * most, one_piece=30 * most, members=10 * most, boosted=10 * most, plain=10 * most)
    items = baskets(habits, 5_000)
    sizes = np.bincount(items.number)
    assert (sizes == 1).all() == bool(most)
    assert sizes.min() == 2 - most
    assert (items.quantity == 1).all() == bool(most)
    assert items.quantity.min() == 2 - most
    assert (items.member == most).all()
    assert (items.supplement == most).all()


def test_products_are_wanted_by_their_weights_and_each_once_in_a_basket() -> None:
    items = baskets(Habits(one_item=20))
    shares = np.bincount(items.product, minlength=len(MENU)) / len(items.product)
    assert shares == pytest.approx(WEIGHTS / WEIGHTS.sum(), abs=0.01)
    several = baskets(Habits(one_item=0))
    pairs = np.unique(several.number * len(MENU) + several.product)
    assert len(pairs) == len(several.number)


@given(st.lists(st.integers(0, 5), min_size=len(MENU), max_size=len(MENU)).filter(any))
def test_what_has_no_weight_is_never_wanted(weights: list[int]) -> None:
    array = np.array(weights, np.int64)
    items = baskets(Habits(one_item=0), 200, array)
    assert (array[items.product] > 0).all()
    assert len(np.unique(items.number * len(MENU) + items.product)) == len(items.number)
    assert set(np.bincount(items.number).tolist()) <= {min(size, np.count_nonzero(array)) for size in (2, 3)}


def test_gaps_are_evenly_drawn() -> None:
    passed, _, _ = Queue(Habits(gap=(1, 3)), 1, 0).arrivals(20_000)
    gaps = np.diff(passed)
    assert 1_000_000 <= gaps.min() < 1_001_000
    assert 2_999_000 < gaps.max() <= 3_000_000
    assert gaps.mean() == pytest.approx(2_000_000, rel=0.01)


@pytest.mark.parametrize("stores", [1, 2, 7])
@pytest.mark.parametrize("gap", [(1.0, 5.0), (0.0, 0.000003)])
def test_it_does_not_matter_how_many_come_at_once(stores: int, gap: tuple[float, float]) -> None:
    def columns(count: int) -> list[tuple[int, int, float]]:
        queue = Queue(Habits(gap=gap), stores, 3)
        found: list[tuple[int, int, float]] = []
        while len(found) < 2_000:
            passed, store, drawn = queue.arrivals(count)
            found += zip(passed.tolist(), store.tolist(), drawn[:, 1].tolist(), strict=True)
        return found[:2_000]

    wanted = columns(5_000)
    assert [passed for passed, _, _ in wanted] == sorted(passed for passed, _, _ in wanted)
    assert {store for _, store, _ in wanted} == set(range(stores))
    assert columns(1) == columns(97) == wanted


prices = st.decimals("0", "99", places=2)


@given(prices, prices, st.decimals("0", "1", places=3), st.integers(1, 3), st.booleans(), st.booleans())
def test_a_total_is_rounded_half_up_to_the_cent(
    price: Decimal, supplement: Decimal, discount: Decimal, quantity: int, is_member: bool, has_supplement: bool
) -> None:
    habits = Habits(discount=discount, supplement=supplement)
    purchase = Purchase(Product("A", "B", "C", "D", None, price, 5), quantity, is_member, has_supplement)
    full = quantity * (price + (supplement if has_supplement else 0))
    exact = full * (1 - discount) if is_member else full
    total = habits.total(purchase)
    assert total == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert total + habits.discount_given(purchase) == full
    assert cents(total) == total * 100


def test_every_purchase_that_there_can_be_has_a_place() -> None:
    every = purchases(MENU[:3])
    columns = [(MENU.index(p.product), p.quantity, int(p.is_member), int(p.has_supplement)) for p in every]
    assert places(*np.array(columns, np.int64).T).tolist() == list(range(len(every)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gap": (3, 1)}, "max-sale-freq must be positive and not below min-sale-freq, got 1 and 3"),
        ({"gap": (0, 0)}, "max-sale-freq must be positive"),
        ({"one_item": 21}, "transaction-quantity-one-item-freq must be 0 to 20, got 21"),
        ({"one_piece": 31}, "item-quantity-one-freq must be 0 to 30, got 31"),
        ({"members": -1}, "member-freq must be 0 to 10, got -1"),
        ({"boosted": 11}, "add-supp-freq-group1 must be 0 to 10, got 11"),
        ({"plain": 11}, "add-supp-freq-group2 must be 0 to 10, got 11"),
        ({"discount": Decimal(2)}, "club-member-discount must be a share between 0 and 1, got 2"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Habits(**wrong)  # type: ignore[arg-type]
