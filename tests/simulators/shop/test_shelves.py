"""Shelves, held against selling one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.shop.shelves import NEVER, Delivery, Restocking, Shelf

HORIZON = 400

restockings = st.builds(Restocking, st.integers(0, 12), st.integers(1, 15), st.integers(1, 40))
sales = st.lists(st.tuples(st.integers(0, HORIZON), st.integers(1, 4)), max_size=60).map(sorted)
spans = st.lists(st.tuples(st.integers(0, HORIZON), st.integers(1, 120)), max_size=3)


def one_by_one(
    restocking: Restocking, level: int, troubles: list[tuple[int, int]], asked: list[tuple[int, int]], until: int
) -> tuple[list[int], list[Delivery], int]:
    """Gives what is sold, what is delivered, and the level at the end, a moment at a time."""
    sold, deliveries = [], []
    due = NEVER
    empty_since = 0

    def order(moment: int) -> int:
        if level >= restocking.below:
            return NEVER
        when = moment + restocking.delay
        while any(begin <= when < end for begin, end in troubles):
            when += 1
        return when

    due = order(0)
    left = list(asked)
    for moment in range(until + 1):
        while due == moment:
            deliveries.append(Delivery(moment, level, 0 if level else moment - empty_since))
            level += restocking.amount
            due = order(moment)
        while left and left[0][0] == moment:
            wanted = left.pop(0)[1]
            got = min(wanted, level)
            sold.append(got)
            if got and got == level:
                empty_since = moment
            level -= got
            if due == NEVER:
                due = order(moment)
    return sold, deliveries, level


def serve(shelf: Shelf, asked: list[tuple[int, int]], until: int) -> tuple[list[int], list[Delivery]]:
    times, quantities = np.array(asked, np.int64).reshape(-1, 2).T
    sold, deliveries = shelf.serve(times, quantities, until)
    return sold.tolist(), deliveries


@given(restockings, st.integers(0, 40), spans, sales)
def test_all_at_once_is_one_by_one(
    restocking: Restocking, level: int, lengths: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    troubles = [(begin, begin + length) for begin, length in lengths]
    shelf = Shelf(restocking, level, 0, troubles)
    found = serve(shelf, asked, HORIZON)
    assert (*found, shelf.level) == one_by_one(restocking, level, troubles, asked, HORIZON)


@given(restockings, st.integers(0, 40), spans, sales, st.data())
def test_it_does_not_matter_how_many_are_served_at_once(
    restocking: Restocking,
    level: int,
    lengths: list[tuple[int, int]],
    asked: list[tuple[int, int]],
    data: st.DataObject,
) -> None:
    troubles = [(begin, begin + length) for begin, length in lengths]
    whole, parts = (Shelf(restocking, level, 0, troubles) for _ in range(2))
    wanted = serve(whole, asked, HORIZON)
    sold: list[int] = []
    deliveries: list[Delivery] = []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(asked)), max_size=4)))
    for begin, end in zip([0, *cuts], [*cuts, len(asked)], strict=True):
        part = asked[begin:end]
        until = HORIZON if end == len(asked) else (asked[end - 1][0] if end else 0)
        some = serve(parts, part, until)
        sold += some[0]
        deliveries += some[1]
    assert (sold, deliveries, parts.level) == (*wanted, whole.level)


@given(restockings, st.integers(0, 40), sales)
def test_a_shelf_has_what_it_had_and_got_and_did_not_sell(
    restocking: Restocking, level: int, asked: list[tuple[int, int]]
) -> None:
    shelf = Shelf(restocking, level, 0)
    sold, deliveries = serve(shelf, asked, HORIZON)
    assert shelf.level == level + restocking.amount * len(deliveries) - sum(sold) >= 0
    assert all(0 <= got <= wanted for got, (_, wanted) in zip(sold, asked, strict=True))
    assert all(delivery.existing < restocking.below for delivery in deliveries)


def test_trouble_puts_a_delivery_off_until_its_end() -> None:
    shelf = Shelf(Restocking(5, 10, 3), 6, 0, [(10, 50), (50, 60)])
    sold, deliveries = serve(shelf, [(8, 3), (20, 4), (59, 1), (60, 1)], 100)
    assert sold == [3, 3, 0, 1]
    assert deliveries == [Delivery(60, 0, 40)]


def test_nothing_comes_where_nothing_is_too_little() -> None:
    shelf = Shelf(Restocking(0, 10, 1), 2, 0)
    assert serve(shelf, [(1, 3), (2, 1)], 100) == ([2, 0], [])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((-1, 15, 1), "min-inventory must not be negative, got -1"),
        ((10, 0, 1), "restock-amount must be 1 or more, got 0"),
        ((10, 15, 0), "restock-after must be longer than nothing, got 0"),
    ],
)
def test_wrong_values_are_refused(wrong: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Restocking(*wrong)
