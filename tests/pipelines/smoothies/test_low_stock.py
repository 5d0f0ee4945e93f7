from __future__ import annotations

import polars as pl
import pytest

from pipelines.smoothies.low_stock import short
from schemas.elements.frames import edges


def levels(stores: list[str | None]) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "store_id": pl.Series(stores, dtype=pl.String),
            "product_id": ["A", "B", "C"],
            "level": [3, 0, None],
            "state": ["ok", "out", None],
            "without_stock_micros": [0, 150 * 10**6, 0],
            "times_out": [0, 1, 0],
            "lost": [0, 2, 0],
            "lost_value": [0, 9, 0],
        }
    )
    return rows.select(*edges(pl.lit(None), pl.lit(None)), pl.all())


@pytest.mark.parametrize("store", [None, "S01"])
def test_only_what_is_short_is_shown_and_the_shop_only_where_there_are_several(store):
    (row,) = short(levels([store] * 3)).drop("window_start", "window_end").to_dicts()
    assert row.pop("store_id", None) == store
    assert row == {
        "product_id": "B", "level": 0, "state": "out", "minutes_without": 2, "times_out": 1, "lost": 2, "lost_value": 9,
    }  # fmt: skip
