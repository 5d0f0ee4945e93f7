"""Reading many times at once, as JSON records and access logs write them."""

from __future__ import annotations

import polars as pl

from schemas.times import MONTHS

_SECONDS = "%Y-%m-%d %H:%M:%S"


def read_iso_times(texts: pl.Series) -> pl.Series:
    """Gives the times, as :func:`schemas.times.read_iso_time` does, for texts that it takes, and otherwise anything."""
    times = _read_seconds(texts)
    if times.null_count() == texts.null_count():
        return times
    text = pl.col("text")
    rest = text.str.slice(len("2019-05-06 17:24:53"))
    zone = rest.str.extract_groups(r"([+-])([0-9]{2}):?([0-9]{2})$")
    hours, minutes = zone.struct[1].cast(pl.Int64), zone.struct[2].cast(pl.Int64)
    offset = (hours * 60 + minutes) * pl.when(zone.struct[0] == "-").then(-1).otherwise(1)
    fraction = rest.str.extract(r"^\.([0-9]{1,6})").str.pad_end(6, "0").cast(pl.Int64)
    return (
        texts.alias("text")
        .to_frame()
        .with_columns(
            pl.concat_str(text.str.slice(0, 10), pl.lit(" "), text.str.slice(11, 8))
            .map_batches(_read_seconds, return_dtype=pl.Datetime("us"))
            .alias("seconds"),
            pl.duration(microseconds=fraction.fill_null(0)).alias("fraction"),
            pl.duration(minutes=offset.fill_null(0)).alias("offset"),
        )
        .select(pl.col("seconds") + pl.col("fraction") - pl.col("offset"))
        .to_series()
    )


def iso_of_log_times(texts: pl.Series) -> pl.Series:
    """Writes texts such as ``06/May/2019:17:24:53 +0200`` as ISO 8601 does; null where one does not begin that way."""
    groups = texts.str.extract_groups(r"^([0-9]{2})/([A-Za-z]{3})/([0-9]{4}):([0-9:]{8}) (.*)$").struct
    months = {name: f"{number:02}" for number, name in enumerate(MONTHS, 1)}
    month = groups[1].replace_strict(months, default=None, return_dtype=pl.String)
    return groups[2] + "-" + month + "-" + groups[0] + "T" + groups[3] + groups[4]


def _read_seconds(texts: pl.Series) -> pl.Series:
    return texts.str.to_datetime(_SECONDS, time_unit="us", strict=False, cache=False)
