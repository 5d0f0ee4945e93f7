"""What became of the records of a job: while it runs as its metrics tell it, and at its end as its summary does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_PREFIX = "transaction_streams_"
_SUMMARY = re.compile(r"([\d,]+) read = ([\d,]+ \w+(?: \+ [\d,]+ \w+)*),? .*\(([\d,]+) rows/s\)")
#: A line of progress, of which there is one every few seconds, and which says what metrics say better.
_PROGRESS = re.compile(r"[\d,]+ rows · [\d,]+ rows/s(?: · .*)?")


@dataclass(frozen=True)
class Balance:
    """Numbers of records; None is what is not known yet.

    Attributes:
        counts: by what became of the records, ``read`` among them.
        rate: records a second.
        percent: how much of the input was read.
        watermark: in seconds since 1970.
        lag: how many seconds the watermark is behind the clock.
        state: what the run says it is at, one of :data:`pipelines.runtime.monitoring.health.STATES`.
        is_healthy: whether it is not stuck.
        is_final: whether the run has ended, so that the numbers are exact and add up.
    """

    counts: Mapping[str, int]
    rate: int | None = None
    percent: int | None = None
    watermark: float | None = None
    lag: float | None = None
    state: str = ""
    is_healthy: bool = True
    is_final: bool = False


def read_summary(line: str, before: Balance) -> Balance | None:
    """Return the balance of a line that a run has printed at its end, None where it is another line.

    >>> read_summary("3 read = 1 used + 2 filtered, in 1.0 s (3 rows/s)", Balance({})).counts
    {'read': 3, 'used': 1, 'filtered': 2}
    """
    found = _SUMMARY.fullmatch(line)
    if found is None:
        return None
    parts = (part.split(" ") for part in found[2].split(" + "))
    counts = {"read": _number(found[1]), **{name: _number(number) for number, name in parts}}
    return Balance(counts, _number(found[3]), watermark=before.watermark, is_final=True)


def is_progress(line: str) -> bool:
    """Return whether a line only tells of progress."""
    return _PROGRESS.fullmatch(line) is not None


def read_metrics(text: str) -> Balance:
    """Return the balance that the metrics of a run tell, without its rate.

    Raises:
        ValueError: they are none.
    """
    counts: dict[str, int] = {}
    values: dict[str, float] = {}
    state = ""
    for name, labels, value in _samples(text):
        if name == "records_total":
            counts[labels["outcome"]] = int(value)
        elif name == "state":
            state = labels["state"] if value else state
        elif not labels:
            values[name] = value
    size = values.get("input_size_bytes")
    percent = min(100, int(100 * values.get("read_bytes_total", 0) / size)) if size else None
    watermark, lag = values.get("watermark_timestamp_seconds"), values.get("watermark_lag_seconds")
    return Balance(counts, None, percent, watermark, lag, state, is_healthy=values.get("healthy", 1) > 0)


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(_PREFIX):
                yield sample.name.removeprefix(_PREFIX), sample.labels, sample.value


def _number(text: str) -> int:
    return int(text.replace(",", ""))
