"""Polars alone: one lazy scan of the whole tape on the streaming engine."""

import sys
from pathlib import Path

import polars as pl

from schemas.tape import COLUMNS, PRODUCE, SALE_TYPES

MONEY = pl.Decimal(18, 4)


def main(tape: str, folder: str) -> None:
    """Writes ``totals.parquet``."""
    rows = pl.scan_csv(
        tape,
        separator="\t",
        has_header=False,
        quote_char=None,
        null_values=["NULL", " ", ""],
        schema=dict.fromkeys(COLUMNS, pl.String),
    ).filter(pl.col("department") == str(PRODUCE), pl.col("trans_type").is_in(SALE_TYPES))
    quantity = pl.col("quantity").cast(MONEY)
    # By description too, at first: that is hardly more groups, and then the latest one is found among few.
    parts = rows.group_by(pl.col("datetime").str.head(10).alias("day"), "upc", "description").agg(
        quantity.sum(),
        quantity.filter(pl.col("scale") == "1").sum().alias("scale"),
        pl.col("total").cast(MONEY).sum().alias("spend"),
        pl.len().alias("rows"),
        pl.col("datetime").max(),
    )
    totals = parts.group_by("day", "upc").agg(
        pl.col("description").sort_by("datetime", "description").last(),
        pl.col("quantity", "scale", "spend", "rows").sum(),
    )
    totals.sink_parquet(Path(folder) / "totals.parquet", engine="streaming")


if __name__ == "__main__":
    main(*sys.argv[1:])
