from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.engine.sums import exact, sums_by


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-(10**12), 10**12), st.integers(0, 1)), max_size=40))
def test_sums_by_key_are_those_by_hand(rows: list[tuple[int, int, int]]) -> None:
    key, first, second = (np.array(column, np.int64) for column in zip(*rows)) if rows else [np.empty(0, np.int64)] * 3
    counts, sums, others = Counter[int](), Counter[int](), Counter[int]()
    for number, one, other in rows:
        counts[number] += 1
        sums[number] += one
        others[number] += other
    assert list(sums_by(key, first, second)) == [(n, counts[n], sums[n], others[n]) for n in sorted(counts)]


@given(st.integers(-(10**25), 10**25), st.integers(0, 9))
def test_exact_text_is_the_number(units: int, places: int) -> None:
    text = exact(units, places)
    assert Decimal(text).scaleb(places) == units
    assert len(text.partition(".")[2]) == places
