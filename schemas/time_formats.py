"""How times are written: for each way the rule, the fast way for many, and how to tell when that is right."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from schemas.times import MONTHS, read_iso_time, read_log_time

if TYPE_CHECKING:
    import polars as pl

_HOURS, _MINUTES = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_CLOCK = rf"{_HOURS}:{_MINUTES}:[0-5][0-9]"
# With an offset the end of the year 9999 would be no time.
_YEAR = r"(?:[1-8][0-9]{3}|9[0-8][0-9]{2})"
_LEAP_YEAR = r"(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"
_DATE_IN_YEAR = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_MONTH = f"(?:{'|'.join(MONTHS)})"
_PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


class TimeFormat(ABC):
    """A way to write times. ``read`` is the rule; ``read_many`` equals it for each text that ``usual`` matches.

    Both give UTC, without a zone.

    Attributes:
        example: a time that is written so, for messages.
        usual: a regular expression (of Rust's kind) of texts that are times, and that ``read_many`` reads right.
    """

    example: ClassVar[str]
    usual: ClassVar[str]

    @abstractmethod
    def read(self, text: str) -> datetime:
        """Return the time of a text.

        Raises:
            ValueError: it is none.
        """

    @abstractmethod
    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many, as Datetime of microseconds; of what is not usual null, or anything."""


class PlainTimes(TimeFormat):
    """``2011-04-01 10:40:23``, and nothing else."""

    example = "2011-04-01 10:40:23"
    #: Every time that there is from the year 1000 on: what matches needs no other check.
    usual = rf"^(?:[1-9][0-9]{{3}}-{_DATE_IN_YEAR}|{_LEAP_YEAR}-02-29) {_CLOCK}$"

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"no time such as {self.example}: {text!r}")
        return datetime.fromisoformat(text)

    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many; polars itself reads one-digit months, signs, wide blanks, and the year 0, too."""
        return texts.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False, cache=False)


class IsoTimes(TimeFormat):
    """``2019-05-06T17:24:53.25+02:00``, as :func:`schemas.times.read_iso_time` reads it."""

    example = "2019-05-06T17:24:53Z"
    usual = (
        rf"^(?:{_YEAR}-{_DATE_IN_YEAR}|{_LEAP_YEAR}-02-29)[T ]{_CLOCK}(?:\.[0-9]{{1,6}})?"
        rf"(?:Z|[+-]{_HOURS}:?{_MINUTES})?$"
    )

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        return read_iso_time(text)

    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many."""
        from schemas.text.many_times import read_iso_times  # noqa: PLC0415 - simulators need no polars

        return read_iso_times(texts)


class LogTimes(TimeFormat):
    """``06/May/2019:17:24:53 +0200``, as :func:`schemas.times.read_log_time` reads it."""

    example = "06/May/2019:17:24:53 +0200"
    usual = (
        rf"^(?:(?:(?:0[1-9]|1[0-9]|2[0-8])/{_MONTH}|(?:29|30)/(?:Jan|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
        rf"|31/(?:Jan|Mar|May|Jul|Aug|Oct|Dec))/{_YEAR}|29/Feb/{_LEAP_YEAR}):{_CLOCK} [+-]{_HOURS}{_MINUTES}$"
    )

    def read(self, text: str) -> datetime:
        """Return the time of a text."""
        return read_log_time(text)

    def read_many(self, texts: pl.Series) -> pl.Series:
        """Return the times of many."""
        from schemas.text.many_times import iso_of_log_times, read_iso_times  # noqa: PLC0415 - as above

        return read_iso_times(iso_of_log_times(texts))


PLAIN_TIMES, ISO_TIMES, LOG_TIMES = PlainTimes(), IsoTimes(), LogTimes()
