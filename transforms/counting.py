"""Counting records on their way, as Beam metrics, so that what was read can be balanced against what became of it."""

from __future__ import annotations

from apache_beam.metrics import Metrics

from sources import board

#: The namespace of the metrics, and their names: read = used + filtered + rejected + late.
NAMESPACE = "records"
READ, USED, FILTERED, REJECTED, LATE = "read", "used", "filtered", "rejected", "late"
COUNTS = (READ, USED, FILTERED, REJECTED, LATE)


def count(name: str, amount: int) -> None:
    """Counts records; to be called inside a bundle."""
    if amount:
        Metrics.counter(NAMESPACE, name).inc(amount)
        board.add(name, amount)
