from __future__ import annotations

import pickle
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import lists_up_to, merged_by_any_tree, shuffled_cuts
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.distinct import CountDistinctAbout, standard_error

randoms = st.randoms(use_true_random=False)
visits = lists_up_to(200, st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 150)))


def reduction(lg_k: int = 5) -> FrameCombine:
    return FrameCombine(("key",), {"visitors": CountDistinctAbout("visitor", lg_k)})


def frame(rows: list) -> pl.DataFrame:
    schema = {"key": pl.String, "visitor": pl.Int64}
    return pl.DataFrame([tuple(row) for row in rows], schema, orient="row")


@settings(max_examples=50)
@given(visits, randoms)
def test_the_sketch_is_the_same_however_rows_are_cut_ordered_and_merged(rows, random):
    by = reduction()
    whole = by.reduce(frame(rows))
    parts = [by.reduce(frame(part)) for part in shuffled_cuts(random, rows)]
    merged = merged_by_any_tree(random, parts, by.merge)
    # A union of one sketch gives it back, written as unions are.
    assert by.merge([merged]).sort("key").equals(by.merge([whole]).sort("key"))
    assert by.results(merged).equals(by.results(whole))


@settings(max_examples=50)
@given(visits)
def test_it_is_exact_as_long_as_it_keeps_all(rows):
    by = reduction(8)
    expected = {key: len({v for k, v in rows if k == key and v is not None}) for key in {k for k, _ in rows}}
    assert dict(by.results(by.reduce(frame(rows))).iter_rows()) == expected


@settings(max_examples=10)
@given(st.permutations(range(100)))
def test_the_number_never_gets_smaller(visitors):
    by = reduction()
    sketch, last = by.reduce(frame([("a", visitor) for visitor in visitors[:25]])), 25
    for visitor in visitors[25:]:
        sketch = by.merge([sketch, by.reduce(frame([("a", visitor)]))])
        number = by.results(sketch)[0, "visitors"]
        assert number >= last
        last = number


def test_the_stated_error_is_that_of_many_sketches():
    by, visitors, sketches = reduction(8), 5_000, 200
    rows = pl.DataFrame({"key": pl.Series(range(sketches)).repeat_by(visitors).explode()}).with_row_index("visitor")
    found = by.results(by.reduce(rows))["visitors"] / visitors - 1
    assert abs(found.mean()) < 3 * standard_error(8) / sketches**0.5
    assert 0.85 < (found**2).mean() ** 0.5 / standard_error(8) < 1.15


def test_a_sketch_is_small_and_can_be_sent():
    by = pickle.loads(pickle.dumps(reduction(10)))
    parts = [[("a", number) for number in range(start, start + 4_000)] for start in (0, 4_000)]
    made = by.merge([by.reduce(frame(part)) for part in parts])
    assert len(made[0, "visitors:sketch"]) < 8 * 2**10 + 100


@pytest.mark.parametrize("lg_k", [4, 27, -1])
def test_a_size_that_cannot_be_is_refused(lg_k):
    with pytest.raises(ValueError, match=f"lg_k must be 5 to 26, got {lg_k}"):
        CountDistinctAbout("x", lg_k)


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketches", None)
    with pytest.raises(ValueError, match=r"^sketches need .*: pip install 'transaction-streams\[sketches\]'$"):
        CountDistinctAbout("x")
