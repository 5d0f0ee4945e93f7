from __future__ import annotations

import pickle
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.share_of_total import AddShare, with_share

MONEY = pl.Decimal(38, 9)
values = st.none() | st.decimals(-(10**15), 10**15, places=9) | st.sampled_from([Decimal(0), Decimal("0.000000001")])


def right_share(value: Decimal, whole: Fraction, places: int) -> Decimal:
    """Halves to the even neighbour, by whole numbers."""
    exact = Fraction(value) / whole * 10**places
    return Decimal(round(exact)).scaleb(-places)  # Python rounds fractions half to even


@given(st.lists(values, max_size=6), st.integers(0, 12))
@example([Decimal(1), Decimal(7)], 2)  # 0.125 and 0.875, half-way
@example([Decimal(10**28), Decimal(10**28), Decimal("0.000000001")], 12)
def test_a_share_is_the_exact_quotient_rounded_once(numbers, places):
    rows = with_share(pl.DataFrame({"sum": numbers}, {"sum": MONEY}), "sum", places=places)
    whole = sum((Fraction(value) for value in numbers if value is not None), Fraction(0))
    expected = [None if value is None or not whole else right_share(value, whole, places) for value in numbers]
    assert rows["share"].to_list() == expected
    assert rows.schema["share"] == pl.Decimal(38, places)


def test_half_way_goes_to_the_even_neighbour():
    rows = with_share(pl.DataFrame({"sum": [1, 7]}), "sum", places=2)
    assert rows["share"].to_list() == [Decimal("0.12"), Decimal("0.88")]
    assert Decimal("0.125").quantize(Decimal("0.01"), ROUND_HALF_EVEN) == Decimal("0.12")


@pytest.mark.parametrize("places", [-1, 38])
def test_places_that_no_decimal_has_are_refused(places):
    with pytest.raises(ValueError, match=f"places must be from 0 to 37, got {places}"):
        AddShare("sum", places=places)


def test_it_pickles():
    assert pickle.loads(pickle.dumps(AddShare("sum"))).of == "sum"
