"""The rows that the pipelines give."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from apache_beam.utils.timestamp import Timestamp


class ProduceTotal(NamedTuple):
    """What was sold of one UPC in one window.

    Attributes:
        window_start: None where the window is all time.
        window_end: the same, exclusive.
        upc: the key, 13 digits.
        description: that of the latest row in event time; of several at that time, the greatest.
        quantity: the sum of the quantities, pieces and weights alike; voids and refunds are negative.
        scale: the part of it that came from the scale, in pounds.
        spend: the sum of the totals, in dollars.
        rows: how many rows of the tape.
    """

    window_start: Timestamp | None
    window_end: Timestamp | None
    upc: str
    description: str | None
    quantity: Decimal
    scale: Decimal
    spend: Decimal
    rows: int
