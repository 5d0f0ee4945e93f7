"""How times are written: for each way the rule, and the fast way for many, which knows when to ask the rule."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from schemas.times import ANY_ISO, EPOCH, EPOCH_UNITS, MICROS_PER_SECOND, read_iso_time, read_log_time

if TYPE_CHECKING:
    import polars as pl

#: The units that have a name.
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_NUMBER = re.compile(r"(-?)([0-9]{1,20})(?:\.([0-9]{1,20}))?")
_START = datetime(1970, 1, 1)


class TimeFormat(ABC):
    """A way to write times. They are given in UTC, without a zone; one that is written without a zone is in UTC.

    Attributes:
        example: a time that is written so, for messages.
    """

    example: str

    @abstractmethod
    def read(self, text: str) -> datetime:
        """Return the time of a text: the rule.

        Raises:
            ValueError: it is none.
        """

    def to_iso(self, texts: pl.Series) -> pl.Series:
        """Return the texts as ISO 8601 has them, for the fast way; null, or anything else, where it cannot."""
        return texts

    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many, as Datetime of microseconds; null where a text is none, or unusual."""
        from schemas.text.many_times import read_iso_times  # noqa: PLC0415 - simulators need no polars

        return read_iso_times(self.to_iso(texts))

    def read_all(self, texts: pl.Series) -> pl.Series:
        """Return the times of many, also of those that are unusual; null where a text is none."""
        times = self.read_many(texts)
        is_odd = times.is_null() & texts.is_not_null()
        if not is_odd.any():
            return times
        found: dict[str, datetime | None] = {}
        for text in texts.filter(is_odd).unique():
            try:
                found[text] = self.read(text)
            except ValueError:
                found[text] = None
        return times.zip_with(~is_odd, texts.replace_strict(found, default=None, return_dtype=times.dtype))


@dataclass(frozen=True)
class IsoTimes(TimeFormat):
    """What :func:`schemas.times.read_iso_time` reads."""

    example: str = "2019-05-06T17:24:53Z"

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        return read_iso_time(text)


@dataclass(frozen=True)
class LogTimes(TimeFormat):
    """What :func:`schemas.times.read_log_time` reads."""

    example: str = "06/May/2019:17:24:53 +0200"

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        return read_log_time(text)

    def to_iso(self, texts: pl.Series) -> pl.Series:
        """Return the texts as ISO 8601 has them."""
        from schemas.text.many_times import iso_of_log_times  # noqa: PLC0415 - simulators need no polars

        return iso_of_log_times(texts)


@dataclass(frozen=True)
class CommonTimes(TimeFormat):
    """What records may have that nobody has described: ISO 8601, or a number since 1970 that tells its unit.

    Of ISO 8601: a date; maybe, behind ``T`` or a blank, hour and minute, a second, decimals of it, of which six are
    kept; and ``Z``, ``UTC`` or an offset. A number of 9 or 10 digits, and maybe decimals, is of seconds; one of 13
    digits of milliseconds, of 16 of microseconds, of 19 of nanoseconds.
    """

    example = "2024-05-06T17:24:53+02:00, 2024-05-06 17:24 or 1715009093 (--time-format says what else it is)"

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        if re.fullmatch(EPOCH, text):
            return _read_epoch(text, EPOCH_UNITS[len(text.partition(".")[0])])
        found = re.fullmatch(ANY_ISO, text)
        if found is None or text.endswith("\n"):
            raise ValueError(f"no time such as {self.example}: {text!r}")
        date, clock, second, fraction, zone = found.groups("")
        zone = f"{zone}00" if len(zone) == len("+02") else zone
        return read_iso_time(f"{date} {clock or '00:00'}:{second or '00'}.{fraction or '0'}{zone}")

    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many."""
        from schemas.text.many_times import read_common_times  # noqa: PLC0415 - simulators need no polars

        return read_common_times(texts)


@dataclass(frozen=True)
class EpochTimes(TimeFormat):
    """A number since 1970, maybe negative, maybe with decimals; ``per_second`` of its unit are a second."""

    per_second: int

    @property
    def example(self) -> str:  # type: ignore[override]
        """Some afternoon in 2024."""
        return str(1_715_009_093 * self.per_second)

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        return _read_epoch(text, self.per_second)

    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many."""
        from schemas.text.many_times import read_epochs  # noqa: PLC0415 - simulators need no polars

        return read_epochs(texts, self.per_second)


@dataclass(frozen=True)
class StrptimeTimes(TimeFormat):
    """What :func:`datetime.datetime.strptime` reads by a format such as ``%d/%m/%Y %H:%M``.

    Raises:
        ValueError: it is no such format, does not tell the date, or has the name of a zone, which may be that of many.
    """

    format: str

    def __post_init__(self) -> None:
        """Try the format."""
        moment = datetime(2024, 11, 23, 17, 24, 53, tzinfo=timezone.utc)
        try:
            is_date = self.read(moment.strftime(self.format)).date() == moment.date()
        except (ValueError, re.error):
            is_date = False
        if not is_date or "%Z" in self.format:
            raise ValueError(
                "expected a format of strptime with day, month and year such as %d/%m/%Y %H:%M, or "
                f"{', '.join(_UNITS)} for numbers since 1970, got {self.format!r}"
            )

    @property
    def example(self) -> str:  # type: ignore[override]
        """Some afternoon in 2024."""
        return datetime(2024, 5, 16, 17, 24, 53, tzinfo=timezone.utc).strftime(self.format)

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        try:
            found = datetime.strptime(text, self.format)
            return found.replace(tzinfo=None) - (found.utcoffset() or timedelta())
        except OverflowError:
            raise ValueError(f"no time that can be had in UTC: {text!r}") from None

    def to_iso(self, texts: pl.Series) -> pl.Series:
        """Return the texts as ISO 8601 has them."""
        from schemas.text.many_times import iso_by_format  # noqa: PLC0415 - simulators need no polars

        return iso_by_format(texts, self.format)


def parse_time_format(text: str) -> TimeFormat:
    """Return the format that a text names: one of strptime's, or the unit of a number since 1970.

    Raises:
        ValueError: it is neither.
    """
    return EpochTimes(_UNITS[text]) if text in _UNITS else StrptimeTimes(text)


def _read_epoch(text: str, per_second: int) -> datetime:
    """Return the time of a number since 1970; what is less than a microsecond is cut off, towards 1970.

    Raises:
        ValueError: it is none, or too far from 1970.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError(f"no number since 1970: {text!r}")
    sign, whole, fraction = found.groups("")
    micros = int(whole + fraction) * MICROS_PER_SECOND // (per_second * 10 ** len(fraction))
    try:
        return _START + timedelta(microseconds=-micros if sign else micros)
    except OverflowError:
        raise ValueError(f"no time between the years 1 and 9999: {text!r}") from None


ISO_TIMES, LOG_TIMES, COMMON_TIMES = IsoTimes(), LogTimes(), CommonTimes()
