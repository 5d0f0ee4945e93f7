"""Reading many times at once: what is usual, whatever way it is written. What is not is null, for a rule to read."""

from __future__ import annotations

import functools
import re

import numpy as np
import polars as pl

from schemas.times import ANY_ISO, EPOCH, EPOCH_UNITS, MICROS_PER_SECOND, MONTHS

_SECONDS = "%Y-%m-%d %H:%M:%S"
#: Where a time such as ``2019-05-06 17:24:53.250000`` has what is no digit; and how long it is up to the seconds.
_DASHES, _MIDDLE, _COLONS, _POINT, _MOST = (4, 7), 10, (13, 16), 19, 26
_ZERO, _NINE, _FIRST_YEAR = ord("0"), 9, 1_000
#: With an offset the end of the year 9999 would be no time.
_LAST_YEAR, _MOST_YEAR = 9_899, 9_999
_UTC = ord("Z")
_HOURS, _MINUTES = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_LEAP_YEAR = r"(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"
_DATE_IN_YEAR = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
#: Every time from the year 1000 to 9899 that :func:`schemas.times.read_iso_time` takes: what matches needs no other
#: check.
_USUAL = (
    rf"^(?:(?:[1-8][0-9]{{3}}|9[0-8][0-9]{{2}})-{_DATE_IN_YEAR}|{_LEAP_YEAR}-02-29)[T ]{_HOURS}:{_MINUTES}:[0-5][0-9]"
    rf"(?:\.[0-9]{{1,6}})?(?:Z|[+-]{_HOURS}:?{_MINUTES})?$"
)
_ZONE = re.compile(rf"([+-])({_HOURS}):?({_MINUTES})$")
#: So many digits of a number of microseconds lie within the years that there are.
_MOST_DIGITS = 16


def read_iso_times(texts: pl.Series) -> pl.Series:
    """Read times as :func:`schemas.times.read_iso_time` does."""
    alike = _read_alike(texts)
    if alike is not None:
        return alike
    text = pl.col("text")
    rest = text.str.slice(len("2019-05-06 17:24:53"))
    zone = rest.str.extract_groups(r"([+-])([0-9]{2}):?([0-9]{2})$")
    hours, minutes = zone.struct[1].cast(pl.Int64), zone.struct[2].cast(pl.Int64)
    offset = (hours * 60 + minutes) * pl.when(zone.struct[0] == "-").then(-1).otherwise(1)
    fraction = rest.str.extract(r"^\.([0-9]{1,6})").str.pad_end(6, "0").cast(pl.Int64)
    seconds = pl.concat_str(text.str.slice(0, 10), pl.lit(" "), text.str.slice(11, 8))
    times = (
        seconds.str.to_datetime(_SECONDS, time_unit="us", strict=False, cache=False)
        + pl.duration(microseconds=fraction.fill_null(0))
        - pl.duration(minutes=offset.fill_null(0))
    )
    usual = pl.when(text.str.contains(_USUAL)).then(text).alias("text")
    return texts.alias("text").to_frame().select(usual).select(times.alias(texts.name)).to_series()


def iso_of_log_times(texts: pl.Series) -> pl.Series:
    """Write texts such as ``06/May/2019:17:24:53 +0200`` as ISO 8601 does; null where one does not begin that way."""
    groups = texts.str.extract_groups(r"^([0-9]{2})/([A-Za-z]{3})/([0-9]{4}):([0-9:]{8}) ([+-][0-9]{4})$").struct
    return groups[2] + "-" + _by_name(groups[1], _MONTH_NUMBERS) + "-" + groups[0] + "T" + groups[3] + groups[4]


def read_common_times(texts: pl.Series) -> pl.Series:
    """Read times as :class:`schemas.time_formats.CommonTimes` does."""
    times = read_iso_times(texts)
    for read in (_read_any_iso, _read_telling_epochs):
        if times.null_count() > texts.null_count():
            times = pl.select(pl.coalesce(times, read(texts))).to_series()
    return times


def read_epochs(texts: pl.Series, per_second: int) -> pl.Series:
    """Read numbers since 1970, of a unit of which so many are a second; what is less than a microsecond is cut off."""
    decimals = len(str(MICROS_PER_SECOND)) - len(str(per_second))
    parts = texts.str.extract_groups(rf"^(-?)([0-9]{{1,{_MOST_DIGITS - decimals}}})(?:\.([0-9]+))?$").struct
    decimals = max(0, decimals)
    more = parts[2].fill_null("").str.slice(0, decimals).str.pad_end(decimals, "0")
    micros = (parts[1] + more).cast(pl.Int64, strict=False) // max(1, per_second // MICROS_PER_SECOND)
    return micros.zip_with((parts[0] == "").fill_null(value=True), -micros).cast(pl.Datetime("us"))


def _read_any_iso(texts: pl.Series) -> pl.Series:
    """Read times that have less, or more, of ISO 8601 than usual."""
    found = texts.str.extract_groups(ANY_ISO).struct
    date, clock, second, fraction, zone = (found[place] for place in range(5))
    zone = (zone + "00").zip_with(zone.str.len_bytes() == len("+02"), zone).fill_null("")
    clock = clock.fill_null("00:00") + ":" + second.fill_null("00") + "." + fraction.fill_null("0")
    return read_iso_times(date + " " + clock + zone)


def _read_telling_epochs(texts: pl.Series) -> pl.Series:
    """Read numbers since 1970 that tell their unit by how many digits they have."""
    found = pl.Series(texts.name, [None] * len(texts), pl.Datetime("us"))
    numbers = texts.str.extract(f"({EPOCH})")
    digits = numbers.str.extract("^([0-9]+)").str.len_bytes()
    for count, per_second in EPOCH_UNITS.items():
        these = numbers.zip_with(digits == count, pl.Series([None], dtype=pl.String))
        found = pl.select(pl.coalesce(found, read_epochs(these, per_second))).to_series()
    return found


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FULL_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MONTH_NUMBERS = {name: f"{number:02}" for names in (MONTHS, _FULL_MONTHS) for number, name in enumerate(names, 1)}
#: What the directives of strptime match that the fast way knows.
_TWO = "[0-9]{1,2}"
_DIRECTIVES = {
    "Y": "[0-9]{4}", "y": "[0-9]{2}", "m": _TWO, "b": "|".join(MONTHS), "B": "|".join(_FULL_MONTHS), "d": _TWO,
    "H": _TWO, "I": _TWO, "M": _TWO, "S": _TWO, "f": "[0-9]{1,6}", "p": "AM|PM|am|pm", "z": "Z|[+-][0-9]{2}:?[0-9]{2}",
    "a": "|".join(day[:3] for day in _WEEKDAYS), "A": "|".join(_WEEKDAYS),
}  # fmt: skip
#: Of these each time has one.
_ALTERNATIVES = ({"Y", "y"}, {"m", "b", "B"}, {"d"}, {"H", "I"})
_TOKEN = re.compile(r"%(.)|(.)", re.DOTALL)


def iso_by_format(texts: pl.Series, form: str) -> pl.Series:
    """Write times of a format of strptime as ISO 8601 does; null where the fast way cannot."""
    tokens = _TOKEN.findall(form)
    patterns = [_DIRECTIVES.get(directive) if directive else re.escape(other) for directive, other in tokens]
    names = [directive for directive, _ in tokens if directive]
    is_known = None not in patterns and len(set(names)) == len(names)
    if not is_known or any(len(these & set(names)) > 1 for these in _ALTERNATIVES) or "f" in names[:-2]:
        return texts.clear(len(texts))
    regex = ""
    for (directive, _), pattern, behind in zip(tokens, patterns, [*patterns[1:], ""], strict=True):
        # Where digits follow, each part has all of its own.
        is_closed = pattern == _TWO and behind is not None and behind.startswith(("[0-9]", *"0123456789"))
        regex += f"({'[0-9]{2}' if is_closed else pattern})" if directive else str(pattern)
    found = texts.str.extract_groups(f"^{regex}$").struct
    part = {name: found[place] for place, name in enumerate(names)}
    hour, minute, second = (part[name].str.zfill(2) if name in part else "00" for name in "HMS")
    if "I" in part:
        noon = part["p"].str.to_uppercase() if "p" in part else "AM"
        hour = _by_name(part["I"].str.zfill(2) + noon, _HOURS_OF_TWELVE)
    year = part["Y"] if "Y" in part else _by_name(part["y"], _YEARS)
    month = part["m"].str.zfill(2) if "m" in part else _by_name(part["b"] if "b" in part else part["B"], _MONTH_NUMBERS)
    date = year + "-" + month + "-" + part["d"].str.zfill(2)
    return date + " " + hour + ":" + minute + ":" + second + "." + part.get("f", "0") + part.get("z", "")


_YEARS = {f"{year % 100:02}": str(year) for year in range(1969, 2069)}
_HOURS_OF_TWELVE = {
    f"{hour:02}{half}": f"{hour % 12 + 12 * (half == 'PM'):02}" for hour in range(1, 13) for half in ("AM", "PM")
}


def _by_name(names: pl.Series, values: dict[str, str]) -> pl.Series:
    return names.replace_strict(values, default=None, return_dtype=pl.String)


def _read_alike(texts: pl.Series) -> pl.Series | None:
    """Return the times of texts that are all as long, have the same zone or none, and are all right; None for others.

    A program writes all its times alike, and numpy reads such texts faster than polars does.
    """
    lengths = texts.str.len_bytes()
    if not len(texts) or texts.null_count() or lengths.min() != lengths.max() or lengths[0] <= _MIDDLE:
        return None
    _, offsets, values = texts.alias("").to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()
    begin = int(np.frombuffer(offsets, np.int64, 1)[0])
    data = np.frombuffer(values, np.uint8, len(texts) * lengths[0], begin).reshape(len(texts), lengths[0]).T
    offset, same = 0, np.ones(1, bool)
    if (data[-1] == _UTC).all():
        data = data[:-1]
    elif zone := _ZONE.search(texts[0]):
        tail = len(zone[0])
        same = data[-tail:] == data[-tail:, :1]
        data = data[:-tail]
        offset = int(f"{zone[1]}1") * (int(zone[2]) * 60 + int(zone[3])) * 60
    if len(data) != _POINT and not _POINT + 1 < len(data) <= _MOST:
        return None
    data = np.ascontiguousarray(data)
    marks = [data[at] == ord(mark) for places, mark in ((_DASHES, "-"), (_COLONS, ":")) for at in places]
    marks.append((data[_MIDDLE] == ord(" ")) | (data[_MIDDLE] == ord("T")))
    if len(data) > _POINT:
        marks.append(data[_POINT] == ord("."))
    places = [at for at in range(len(data)) if at not in {*_DASHES, _MIDDLE, *_COLONS, _POINT}]
    digits = data[places] - np.uint8(_ZERO)  # what is below zero becomes great
    if digits.max() > _NINE or not all(mark.all() for mark in (*marks, same)):
        return None
    year, month, day, hour, minute, second = (
        _number(digits[first:stop]) for first, stop in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
    )
    is_right = (year >= _FIRST_YEAR) & (year <= (_LAST_YEAR if offset else _MOST_YEAR)) & (month >= 1) & (month <= 12)  # noqa: PLR2004
    if not is_right.all():
        return None
    months = 12 * (year - _FIRST_YEAR) + month - 1
    first, behind = _first_days()[months], _first_days()[months + 1]
    is_right = (day >= 1) & (day <= behind - first) & (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    if not is_right.all():
        return None
    seconds = (((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second - offset
    fraction = _number(digits[14:]) * 10 ** (20 - len(digits))
    return pl.Series(texts.name, seconds * 1_000_000 + fraction).cast(pl.Datetime("us"))


@functools.cache
def _first_days() -> np.ndarray:
    """Return the first day of each month that may be, and of the one behind, in days since 1970."""
    months = np.arange(f"{_FIRST_YEAR}-01", f"{_MOST_YEAR + 1}-02", dtype="M8[M]")
    return months.astype("M8[D]").astype(np.int64)


def _number(digits: np.ndarray) -> np.ndarray:
    number = np.zeros(digits.shape[1], np.int32)
    for digit in digits:
        number = number * 10 + digit
    return number
