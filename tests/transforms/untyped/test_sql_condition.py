"""Conditions that people type: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pickle

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.untyped.sql_condition import Condition

TEXTS = pl.DataFrame(
    {
        "item": ["apple", "10", None, "fig"],
        "price": ["3.10", "12", "2.5", "much"],
        "fresh": ["true", "false", None, "x"],
    }
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("price > 3", [True, True, False, False]),
        ("price > '3'", [True, False, False, True]),
        ("item = 'apple' OR price < 3", [True, False, True, False]),
        ("item IS NULL", [False, False, True, False]),
        ("price IS NULL", [False, False, False, False]),
        ("price + 0 IS NULL", [False, False, False, True]),
        ("fresh", [True, False, False, False]),
        ("fresh = false", [False, True, False, False]),
        ("item LIKE 'f%' OR price IN (12, 13)", [False, True, False, True]),
    ],
)
def test_a_condition_reads_columns_as_it_needs_them(text, kept):
    condition = Condition(text)
    assert condition.keeps(TEXTS.select(condition.columns)).to_list() == kept
    assert pickle.loads(pickle.dumps(condition)).keeps(TEXTS).to_list() == kept


def test_columns_that_are_numbers_compare_as_numbers():
    frame = pl.DataFrame({"a": ["9", "10"], "b": ["10", "9"]})
    assert Condition("a < b").keeps(frame).to_list() == [False, True]
    assert Condition("a < b", numbers={"a", "b"}).keeps(frame).to_list() == [True, False]


def test_a_value_that_spoils_the_condition_spoils_no_other_record():
    frame = pl.DataFrame({"item": ["1", "x", "5"]})
    assert Condition("CAST(item AS BIGINT) > 2").keeps(frame).to_list() == [False, None, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("price >", "cannot read the condition 'price >': "),
        ("nope(price)", "cannot read the condition 'nope(price)': "),
        ("cost > 3", "the condition 'cost > 3' asks for 'cost', and there is only item, price, fresh"),
        ("1 > 0", "expected a condition about a column, got '1 > 0'"),
        ("price * 2", "the condition 'price * 2' makes no sense: "),
        ("SUM(price) > 3", "cannot read the condition 'SUM(price) > 3': it calls SUM, and may call only abs, "),
        (
            "abs(price) OVER (x) > 3",
            "cannot read the condition 'abs(price) OVER (x) > 3': it is no query, so it has no",
        ),
    ],
)
def test_what_is_no_condition_about_a_record_is_refused_in_one_line(text, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared)
        Condition(text, names=TEXTS.columns)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@given(st.lists(st.decimals(-1_000, 1_000, places=2), min_size=1), st.integers(-1_000, 1_000))
def test_numbers_are_kept_as_python_would_keep_them(values, bound):
    frame = pl.DataFrame({"price": [str(value) for value in values]})
    assert Condition(f"price > {bound}").keeps(frame).to_list() == [value > bound for value in values]
