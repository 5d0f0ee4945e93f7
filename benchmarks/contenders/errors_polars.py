"""Polars alone: one lazy scan of the whole file on the streaming engine."""

import sys
from pathlib import Path

import polars as pl


def main(responses: str, folder: str) -> None:
    """Writes ``errors.csv``."""
    schema = {"time": pl.String, "ip": pl.String, "status_code": pl.Int64}
    errors = pl.scan_ndjson(responses, schema=schema).filter(pl.col("status_code").is_between(500, 599))
    time = pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S")
    visitors = (
        errors.with_columns(time)
        .filter(pl.col("time").dt.weekday() <= 5)  # noqa: PLR2004 (Friday)
        .select("ip", pl.col("time").dt.truncate("1h"))
        .unique()
        .group_by(pl.col("time").dt.hour().cast(pl.Int64).alias("hour"))
        .agg(pl.len().alias("visitors"))
        .collect(engine="streaming")
    )
    every = pl.DataFrame({"hour": range(24)}, {"hour": pl.Int64})
    every.join(visitors, "hour", how="left").fill_null(0).sort("hour").write_csv(Path(folder) / "errors.csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
