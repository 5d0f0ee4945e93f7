from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import NO_BLOCK, RECORD, Batch
from schemas.record_type import Column
from tests.transforms.tools import without_counts
from transforms.join_table import JoinTable, _JoinFn

TABLE = pl.DataFrame({"id": ["1", "01", None], "city": ["Oslo", "Bergen", "?"], "rate": ["0.10", None, "1"]})
COLUMNS = (Column("city"), Column("rate", "decimal"))


def join(ids: list, how: str) -> list[tuple]:
    rows = pl.DataFrame({RECORD: range(len(ids)), "id": ids})
    fn = _JoinFn(JoinTable(TABLE, "id", COLUMNS, how)._table, "id", how)
    return [row for batch in without_counts(fn.process(Batch(rows, NO_BLOCK))) for row in batch.rows.iter_rows()]


@given(st.lists(st.sampled_from(["1", "01", "2", None]), min_size=1, max_size=6), st.sampled_from(["left", "inner"]))
def test_rows_keep_their_order_and_get_the_columns_of_their_key(ids, how):
    known = {"1": ("Oslo", Decimal("0.1")), "01": ("Bergen", None)}
    found = [(number, key, *known.get(key, (None, None))) for number, key in enumerate(ids)]
    assert join(ids, how) == [row for row in found if how == "left" or row[1] in known]


def test_keys_are_compared_as_texts_whatever_they_are_in_the_records():
    assert join([1, 2], "inner") == [(0, 1, "Oslo", Decimal("0.1"))]


@pytest.mark.parametrize(
    ("table", "columns", "how", "reason"),
    [
        (TABLE, (Column("town"),), "left", "has no column 'town', only id, city, rate"),
        (TABLE, (Column("city", "decimal"),), "left", "'city' of the table to join is no decimal: 'Oslo'"),
        (TABLE, (), "outer", "expected how to join, left or inner, got 'outer'"),
        (pl.DataFrame({"id": ["1", "1"]}), (), "left", "has '1' twice in 'id'"),
        (pl.DataFrame({"key": ["1"]}), (), "left", "has no column 'id', only key"),
    ],
)
def test_what_cannot_be_joined_is_refused_when_it_is_made(table, columns, how, reason):
    with pytest.raises(ValueError, match=reason):
        JoinTable(table, "id", columns, how)
