from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.rank import Rank, Ranking, ranked

rows = st.dictionaries(
    st.text("ab\u00e4", max_size=3),
    st.tuples(st.integers(0, 3), st.none() | st.sampled_from([Decimal("-1.5"), Decimal(0), Decimal("2.25")])),
    max_size=8,
)


def frame(totals: dict) -> pl.DataFrame:
    data = [(key, count, mean) for key, (count, mean) in totals.items()]
    return pl.DataFrame(data, {"region": pl.String, "count": pl.Int64, "mean": pl.Decimal(38, 9)}, orient="row")


@given(rows, st.integers(1, 4), st.randoms(use_true_random=False))
def test_ranks_are_those_of_a_plain_sort_in_whatever_order_the_rows_come(totals, top, random):
    keys = random.sample(list(totals), len(totals))
    found = ranked(
        frame({key: totals[key] for key in keys}), "region", [Ranking("busy", "count"), Ranking("mean", "mean", top)]
    )
    by_count = sorted(totals, key=lambda key: (-totals[key][0], key.encode()))[:1]
    by_mean = sorted((k for k in totals if totals[k][1] is not None), key=lambda key: (-totals[key][1], key.encode()))
    expected = [("busy", place, key, Decimal(totals[key][0])) for place, key in enumerate(by_count, 1)]
    expected += [("mean", place, key, totals[key][1]) for place, key in enumerate(by_mean[:top], 1)]
    assert found.rows() == expected


def test_ties_go_by_the_key():
    found = ranked(
        frame({"b": (1, Decimal(2)), "c": (1, Decimal(2)), "a": (1, None)}), "region", [Ranking("m", "mean", 3)]
    )
    assert found["region"].to_list() == ["b", "c"]


@pytest.mark.parametrize(
    ("rankings", "why"),
    [
        ((), "expected rankings of different names, got \\[\\]"),
        ((Ranking("a", "x"), Ranking("a", "y")), "different names, got \\['a', 'a'\\]"),
        ((Ranking("a", "x", 0),), "top must be positive, got 0 for 'a'"),
    ],
)
def test_rankings_that_cannot_be_are_refused(rankings, why):
    with pytest.raises(ValueError, match=why):
        Rank("region", rankings)
