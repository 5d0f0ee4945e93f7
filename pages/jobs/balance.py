"""What became of the records of a job, as far as it is known: from its lines of progress, and from its summary."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PROGRESS = re.compile(
    r"(?P<read>[\d,]+) rows · (?P<rate>[\d,]+) rows/s(?: · (?P<percent>\d+) %)?"
    r"(?: · watermark (?P<watermark>[\d-]+ [\d:]+))? · (?P<rejected>[\d,]+) rejected, (?P<late>[\d,]+) late"
)
_SUMMARY = re.compile(
    r"(?P<read>[\d,]+) read = (?P<used>[\d,]+) used \+ (?P<filtered>[\d,]+) filtered \+ (?P<rejected>[\d,]+) rejected "
    r"\+ (?P<late>[\d,]+) late, in [\d.,]+ s \((?P<rate>[\d,]+) rows/s\)"
)
_COUNTS = ("read", "used", "filtered", "rejected", "late", "rate", "percent")


@dataclass(frozen=True)
class Balance:
    """Numbers of records; None is what is not known yet.

    Attributes:
        rate: records a second.
        percent: how much of the input was read.
        watermark: in event time, UTC, ``2011-04-01 11:58:08``.
        is_final: whether the run has ended, so that the numbers are exact and add up.
    """

    read: int | None = None
    used: int | None = None
    filtered: int | None = None
    rejected: int | None = None
    late: int | None = None
    rate: int | None = None
    percent: int | None = None
    watermark: str | None = None
    is_final: bool = False


def read_balance(line: str, before: Balance) -> Balance | None:
    """Return the balance after a line that a job has printed, None where that does not tell of it.

    >>> read_balance("3 read = 1 used + 2 filtered + 0 rejected + 0 late, in 1.0 s (3 rows/s)", Balance()).filtered
    2
    """
    found = _SUMMARY.fullmatch(line)
    is_final = found is not None
    found = found or _PROGRESS.fullmatch(line)
    if found is None:
        return None
    groups = found.groupdict()
    counts = {name: int(groups[name].replace(",", "")) for name in _COUNTS if groups.get(name)}
    watermark = groups.get("watermark") or before.watermark
    return Balance(**counts, watermark=watermark, is_final=is_final)
