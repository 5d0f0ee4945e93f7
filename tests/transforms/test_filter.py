from __future__ import annotations

import polars as pl
from hypothesis import given

from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch
from sources import progress as board
from tests.strategies import sale_frame, sale_rows
from tests.transforms.tools import without_counts
from transforms.filter import _KeepFn

BLOCK = Block(b"raw", (Span(0, "test", 0),))


@given(sale_rows)
def test_what_is_not_kept_is_counted_as_filtered(rows):
    board.reset()
    batches = without_counts(_KeepFn(pl.col("pieces") > 0).process(Batch(sale_frame(rows), BLOCK)))
    wanted = [row for row in rows if row["pieces"] is not None and row["pieces"] > 0]
    kept = [row for batch in batches for row in batch.rows.to_dicts()]
    assert kept == [{**row} for row in wanted]
    assert board.counts()["filtered"] == len(rows) - len(wanted)


def test_a_batch_of_which_nothing_is_left_is_not_handed_on():
    assert not without_counts(_KeepFn(pl.lit(value=False)).process(Batch(sale_frame([{"key": "k"}]), BLOCK)))


def test_a_batch_keeps_its_block():
    (batch,) = _KeepFn(pl.lit(value=True)).process(Batch(sale_frame([{"key": "k"}]), BLOCK))
    assert batch.block is BLOCK
