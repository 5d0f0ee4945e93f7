"""Reads back what a contender wrote and prints its sums and a fingerprint: ``python -m benchmarks.totals FOLDER``.

A program of its own, so that the benchmark itself stays small: on Linux a child's peak memory is never reported lower
than what its parent had when it started it.
"""

import hashlib
import json
import sys
from pathlib import Path

import polars as pl

EXACT = pl.Decimal(38, 4)
NUMBERS = ("quantity", "scale", "spend", "rows")


def read_totals(folder: Path) -> pl.DataFrame:
    """Gives day, upc, description, quantity, scale, spend and rows, by day and UPC, from every file of the folder."""
    frames = []
    for path in sorted(folder.rglob("*.*")):
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif path.suffix == ".csv":
            frame = pl.read_csv(path, infer_schema=False)
        else:
            continue
        if "window_start" in frame.columns:
            frame = frame.with_columns(day=pl.col("window_start").dt.strftime("%Y-%m-%d"))
        frames.append(
            frame.select(
                "day",
                "upc",
                pl.col("description").fill_null("").str.strip_chars(),
                *(pl.col(name).cast(EXACT).fill_null(0) for name in NUMBERS),
            )
        )
    if not frames:
        raise FileNotFoundError(f"{folder} has no .parquet and no .csv")
    return pl.concat(frames).sort("day", "upc")


def fingerprint(totals: pl.DataFrame) -> dict[str, str]:
    """Gives the number of groups, the sum of each number and a hash over all of it."""
    sums = totals.select(pl.col(NUMBERS).sum()).row(0, named=True)
    digest = hashlib.sha256(totals.write_csv().encode()).hexdigest()
    return {"groups": str(totals.height), **{name: str(value) for name, value in sums.items()}, "sha256": digest[:16]}


if __name__ == "__main__":
    print(json.dumps(fingerprint(read_totals(Path(sys.argv[1])))))
