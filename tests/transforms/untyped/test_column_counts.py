"""Columns that turn up: counted as one would count them record by record."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.record_type import Dialect
from transforms.untyped.column_counts import (
    FOUND,
    LEFT_OUT,
    LOOKED_FOR,
    MOST_NAMES,
    OTHERS,
    ColumnWatch,
    never_found,
    never_written,
)
from transforms.untyped.fields import FieldParser
from transforms.untyped.infer_schema import Shape
from transforms.untyped.sql_condition import Condition

NAMES = ("a", "b", "c", "d")
records = st.lists(st.dictionaries(st.sampled_from(NAMES), st.none() | st.integers(0, 3)) | st.just("garbage"))


def block_of(records: list, dialect: Dialect | None = None) -> Block:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    return Block("".join(f"{line}\n" for line in lines).encode(), (Span(0, "x", 0),), dialect or Dialect())


@given(records, st.booleans(), st.booleans())
def test_columns_of_json_are_counted_as_one_by_one(records: list, has_condition: bool, takes_all: bool) -> None:
    condition = Condition("b > 1") if has_condition else None
    watch = ColumnWatch(frozenset("a") if takes_all else None, ("b",) if has_condition else ())
    counts = FieldParser(Shape("jsonl", ("a",)), ("a",), condition, watch)(block_of(records)).columns
    objects = [record for record in records if record != "garbage"]
    kept = [record for record in objects if not has_condition or (record.get("b") or 0) > 1]
    left_out = Counter(name for record in kept for name, value in record.items() if value is not None and name != "a")
    assert never_written(counts) == (dict(left_out.most_common()) if takes_all else {})
    has_it = any("b" in record for record in objects)
    assert never_found(counts) == (["b"] if has_condition and records and not has_it else [])
    assert all(name.startswith((FOUND, LOOKED_FOR, LEFT_OUT)) for name in counts)


def test_a_header_row_with_another_column_is_told_of() -> None:
    watch = ColumnWatch(frozenset("ab"))
    dialect = Dialect(",", header=("b", "new", "a"))
    counts = FieldParser(Shape("csv", ("a", "b")), ("a", "b"), None, watch)(
        block_of(["1,2,3", "4,5,6"], dialect)
    ).columns
    assert never_written(counts) == {"new": 2}


def test_records_that_are_passed_on_as_they_are_lack_nothing() -> None:
    watch = ColumnWatch(None)
    assert not FieldParser(Shape("jsonl", ("a",)), (), None, watch)(block_of([{"b": 1}])).columns


def test_keys_without_end_are_not_told_apart_without_end() -> None:
    parser = FieldParser(Shape("jsonl", ("a",)), ("a",), None, ColumnWatch(frozenset("a")))
    counts: Counter[str] = Counter()
    for start in range(0, 1_000, 10):
        counts.update(parser(block_of([{f"k{start + number}": 1} for number in range(10)])).columns)
    told = never_written(counts)
    assert len(told) == MOST_NAMES + 1
    assert told[OTHERS] == 1_000 - MOST_NAMES
