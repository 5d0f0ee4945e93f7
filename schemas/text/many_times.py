"""Reading many times at once, as JSON records and access logs write them."""

from __future__ import annotations

import numpy as np
import polars as pl

from schemas.times import MONTHS

_SECONDS = "%Y-%m-%d %H:%M:%S"
#: Where a time such as ``2019-05-06 17:24:53.250000`` has what is no digit; and how long it is up to the seconds.
_DASHES, _MIDDLE, _COLONS, _POINT, _MOST = (4, 7), 10, (13, 16), 19, 26
_ZERO, _NINE, _FIRST_YEAR = ord("0"), 9, 1_000
_UTC = ord("Z")


def read_iso_times(texts: pl.Series) -> pl.Series:
    """Read times as :func:`schemas.times.read_iso_time` does; texts that it refuses become anything."""
    alike = _read_alike(texts)
    if alike is not None:
        return alike
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
    """Write texts such as ``06/May/2019:17:24:53 +0200`` as ISO 8601 does; null where one does not begin that way."""
    groups = texts.str.extract_groups(r"^([0-9]{2})/([A-Za-z]{3})/([0-9]{4}):([0-9:]{8}) (.*)$").struct
    months = {name: f"{number:02}" for number, name in enumerate(MONTHS, 1)}
    month = groups[1].replace_strict(months, default=None, return_dtype=pl.String)
    return groups[2] + "-" + month + "-" + groups[0] + "T" + groups[3] + groups[4]


def _read_alike(texts: pl.Series) -> pl.Series | None:
    """Return the times of texts that are all as long, have no zone but Z, and are all right; None for any others.

    A program writes all its times alike, and numpy reads such texts faster than polars does.
    """
    lengths = texts.str.len_bytes()
    if not len(texts) or texts.null_count() or lengths.min() != lengths.max() or lengths[0] <= _MIDDLE:
        return None
    data = np.frombuffer(texts.str.join("")[0].encode(), np.uint8).reshape(len(texts), lengths[0]).T
    if (data[-1] == _UTC).all():
        data = data[:-1]
    if len(data) != _POINT and not _POINT + 1 < len(data) <= _MOST:
        return None
    data = np.ascontiguousarray(data)
    marks = [data[at] == ord(mark) for places, mark in ((_DASHES, "-"), (_COLONS, ":")) for at in places]
    marks.append((data[_MIDDLE] == ord(" ")) | (data[_MIDDLE] == ord("T")))
    if len(data) > _POINT:
        marks.append(data[_POINT] == ord("."))
    places = [at for at in range(len(data)) if at not in {*_DASHES, _MIDDLE, *_COLONS, _POINT}]
    digits = data[places] - np.uint8(_ZERO)  # what is below zero becomes great
    if digits.max() > _NINE or not all(mark.all() for mark in marks):
        return None
    year, month, day, hour, minute, second = (
        _number(digits[first:stop]) for first, stop in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
    )
    months = 12 * (year - 1970) + month - 1
    first, behind = (number.astype("M8[M]").astype("M8[D]").astype(np.int64) for number in (months, months + 1))
    is_right = (year >= _FIRST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= behind - first)  # noqa: PLR2004
    if not (is_right & (hour < 24) & (minute < 60) & (second < 60)).all():  # noqa: PLR2004
        return None
    seconds = (((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    fraction = _number(digits[14:]) * 10 ** (20 - len(digits))
    return pl.Series(texts.name, seconds * 1_000_000 + fraction).cast(pl.Datetime("us"))


def _number(digits: np.ndarray) -> np.ndarray:
    number = np.zeros(digits.shape[1], np.int64)
    for digit in digits:
        number = number * 10 + digit
    return number


def _read_seconds(texts: pl.Series) -> pl.Series:
    return texts.str.to_datetime(_SECONDS, time_unit="us", strict=False, cache=False)
