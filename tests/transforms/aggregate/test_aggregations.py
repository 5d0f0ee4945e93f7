"""Each aggregation against an obviously right slow one, whatever way the rows take."""

from __future__ import annotations

import decimal
import pickle
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME, decode_frame, encode_frame
from tests.strategies import merged_by_any_tree, sale_frame, sale_rows, shuffled_cuts
from transforms.aggregate.aggregate import FrameCombine
from transforms.aggregate.aggregations import (
    Aggregation,
    Count,
    CountDistinct,
    First,
    Last,
    Max,
    Mean,
    Min,
    Sum,
    TopN,
)

EXACT = decimal.Context(prec=200)


def known(rows, name):
    return [row[name] for row in rows if row[name] is not None]


def exact_sum(values):
    total = Decimal(0)
    for value in values:
        total = EXACT.add(total, value)
    return total


def mean_amount(rows):
    values = known(rows, "amount")
    if not values:
        return None
    exact = EXACT.divide(exact_sum(values), Decimal(len(values)))
    return exact.quantize(Decimal("1e-9"), decimal.ROUND_HALF_EVEN, EXACT)


def mean_pieces(rows):
    values = known(rows, "pieces")
    return sum(values) / len(values) if values else None


def last_note(rows):
    return max(((row[EVENT_TIME], row["note"]) for row in rows if row["note"] is not None), default=(None, None))[1]


def first_amount(rows):
    found = ((row[EVENT_TIME], row["amount"]) for row in rows if row["amount"] is not None)
    return min(found, default=(None, None))[1]


def top_three(rows):
    ranked = [row for row in rows if row["amount"] is not None]
    ranked.sort(key=lambda row: row["note"] or "")
    ranked.sort(key=lambda row: row["note"] is not None)
    ranked.sort(key=lambda row: row["amount"], reverse=True)
    return [{"by": row["amount"], "value": row["note"]} for row in ranked[:3]]


#: Every aggregation, and how it comes out of the rows of a key as simply as possible.
SLOW = {
    "sum": (Sum("amount"), lambda rows: exact_sum(known(rows, "amount"))),
    "sum_of_whole_numbers": (Sum("pieces"), lambda rows: sum(known(rows, "pieces"))),
    "sum_of_some": (
        Sum(pl.col("amount").filter(pl.col("pieces") != 0)),
        lambda rows: exact_sum(known([row for row in rows if row["pieces"]], "amount")),
    ),
    "sum_of_flags": (Sum(pl.col("pieces") > 0), lambda rows: sum(value > 0 for value in known(rows, "pieces"))),
    "count": (Count(), len),
    "count_of_known": (Count("note"), lambda rows: len(known(rows, "note"))),
    "mean": (Mean("amount"), mean_amount),
    "mean_of_whole_numbers": (Mean("pieces"), mean_pieces),
    "min": (Min("amount"), lambda rows: min(known(rows, "amount"), default=None)),
    "min_of_texts": (Min("note"), lambda rows: min(known(rows, "note"), default=None)),
    "max": (Max("pieces"), lambda rows: max(known(rows, "pieces"), default=None)),
    "max_of_times": (Max(EVENT_TIME), lambda rows: max(row[EVENT_TIME] for row in rows)),
    "last": (Last("note"), last_note),
    "first": (First("amount"), first_amount),
    "count_distinct": (CountDistinct("note"), lambda rows: len(set(known(rows, "note")))),
    "count_distinct_decimals": (CountDistinct("amount"), lambda rows: len(set(known(rows, "amount")))),
    "top_three": (TopN(3, "amount", "note"), top_three),
}
each_aggregation = pytest.mark.parametrize("name", SLOW)


def by_key(results: pl.DataFrame) -> dict:
    return {row["key"]: row["value"] for row in results.to_dicts()}


def slowly(name: str, rows: list[dict]) -> dict:
    return {key: SLOW[name][1]([row for row in rows if row["key"] == key]) for key in {row["key"] for row in rows}}


@each_aggregation
@settings(max_examples=50)
@given(rows=sale_rows, random=st.randoms(use_true_random=False))
def test_neither_cut_nor_order_nor_merge_tree_changes_a_digit(name, rows, random):
    reduction = FrameCombine(("key",), {"value": SLOW[name][0]})
    parts = [reduction.reduce(sale_frame(part)) for part in shuffled_cuts(random, rows)]
    parts = [decode_frame(encode_frame(part)) if random.random() < 0.5 else part for part in parts]
    merged = merged_by_any_tree(random, parts, reduction.merge)
    assert by_key(reduction.results(merged)) == slowly(name, rows)


@each_aggregation
@settings(max_examples=30)
@given(rows=sale_rows)
def test_merging_one_frame_changes_nothing_not_even_its_schema(name, rows):
    reduction = FrameCombine(("key",), {"value": SLOW[name][0]})
    reduced = reduction.reduce(sale_frame(rows))
    merged = reduction.merge([reduced])
    assert merged.schema == reduced.schema
    assert reduction.results(merged).equals(reduction.results(reduced))


@each_aggregation
def test_results_of_no_rows_have_the_schema_of_results_of_some(name):
    reduction = FrameCombine(("key",), {"value": SLOW[name][0]})
    row = {EVENT_TIME: None, "key": "k", "amount": Decimal(1), "pieces": 1, "note": "n"}
    none, some = (reduction.results(reduction.reduce(sale_frame(rows))) for rows in ([], [row]))
    assert none.height == 0
    assert none.schema == some.schema


@each_aggregation
def test_an_aggregation_pickles_to_its_equal(name):
    aggregation = SLOW[name][0]
    again = pickle.loads(pickle.dumps(aggregation))
    assert type(again) is type(aggregation)
    frame = sale_frame([{EVENT_TIME: None, "key": "k", "amount": Decimal(2), "pieces": 1, "note": "n"}])
    results = [FrameCombine(("key",), {"value": a}).reduce(frame) for a in (aggregation, again)]
    assert results[0].equals(results[1])


@given(
    places=st.sampled_from([0, 2, 4, 9]),
    units=st.lists(st.integers(-(10**12), 10**12) | st.integers(-3, 3), min_size=1, max_size=9),
)
@example(places=0, units=[1, 0])
@example(places=0, units=[3, 0])
@example(places=0, units=[-1, 0])
@example(places=0, units=[-3, 0])
@example(places=2, units=[1, 1, 0])
@example(places=2, units=[-1, -1, 0])
def test_a_mean_is_rounded_half_to_even_to_the_places_of_the_value(places, units):
    values = [Decimal(unit).scaleb(-places) for unit in units]
    reduction = FrameCombine(("key",), {"value": Mean("value")})
    frame = pl.DataFrame({"key": ["k"] * len(values), "value": pl.Series(values, dtype=pl.Decimal(38, places))})
    exact = EXACT.divide(exact_sum(values), Decimal(len(values)))
    rounded = exact.quantize(Decimal(1).scaleb(-places), decimal.ROUND_HALF_EVEN, EXACT)
    assert by_key(reduction.results(reduction.reduce(frame))) == {"k": rounded}


@pytest.mark.parametrize(
    ("value", "count", "mean"),
    [
        ("0.5", 1, "0.5"),
        ("0.000000001", 2, "0"),
        ("0.000000003", 2, "0.000000002"),
        ("0.000000005", 2, "0.000000002"),
        ("-0.000000001", 2, "0"),
        ("-0.000000003", 2, "-0.000000002"),
        ("-0.000000005", 2, "-0.000000002"),
        ("2", 3, "0.666666667"),
        ("-2", 3, "-0.666666667"),
    ],
)
def test_the_rounding_of_means_by_example(value, count, mean):
    rows = [{"key": "k", "amount": Decimal(value)}, *[{"key": "k", "amount": Decimal(0)}] * (count - 1)]
    reduction = FrameCombine(("key",), {"value": Mean("amount")})
    assert by_key(reduction.results(reduction.reduce(sale_frame(rows)))) == {"k": Decimal(mean)}


def test_of_values_at_the_same_time_the_greatest_is_last_and_the_least_is_first():
    rows = [{EVENT_TIME: None, "key": "k", "note": note} for note in ("b", "c", "a")]
    frame = sale_frame(rows).with_columns(pl.lit(0).cast(pl.Datetime("us")).alias(EVENT_TIME))
    reduction = FrameCombine(("key",), {"first": First("note"), "last": Last("note")})
    assert reduction.results(reduction.reduce(frame)).to_dicts() == [{"key": "k", "first": "a", "last": "c"}]


def test_of_values_that_tie_the_least_are_on_top():
    rows = [{"key": "k", "amount": Decimal(1), "note": note} for note in ("b", None, "c", "a")]
    reduction = FrameCombine(("key",), {"top": TopN(3, "amount", "note")})
    (row,) = reduction.results(reduction.reduce(sale_frame(rows))).to_dicts()
    assert [best["value"] for best in row["top"]] == [None, "a", "b"]


@pytest.mark.parametrize("n", [0, -1])
def test_a_top_of_none_is_refused_by_its_number(n):
    with pytest.raises(ValueError, match=f"n must be positive, got {n}"):
        TopN(n, "amount", "note")


def test_every_aggregation_is_among_those_tested():
    ours = {each for each in Aggregation.__subclasses__() if each.__module__ == Aggregation.__module__}
    assert {type(aggregation) for aggregation, _ in SLOW.values()} == ours
