"""Scripts: responses that a formula makes of the numbers 1, 2, 3 and so on, the same for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from simulators.engine.batch import Batch
from simulators.engine.byte_layout import Ints, table
from simulators.web.responses import BATCH_ROWS, LogForm, Responses

_OCTETS = table(str(octet) for octet in range(256))
_THIRD, _LAST = 256, 250
_END_OF_TIME = int(datetime(9999, 12, 31, tzinfo=timezone.utc).timestamp())


@dataclass(frozen=True)
class Formula:
    """A formula in whole numbers, evaluated from left to right; ``//`` is integer division.

    The i-th response goes to ``10.0.(i * third % 256).(i * last % 250)`` at ``start + i * step`` seconds since the
    epoch, with the status ``(i * hundreds // 6 % 4 + 2) * 100 + i * ones % 4``.

    Attributes:
        third, last: of the IP address.
        start, step: of the time.
        hundreds, ones: of the status.
        rows: how many there are, where nobody says.
    """

    third: int
    last: int
    start: int
    step: int
    hundreds: int
    ones: int
    rows: int

    def responses(self, first: int, stop: int) -> Responses:
        """Return the responses from number ``first`` up to ``stop``."""
        i: Ints = np.arange(first, stop, dtype=np.int64)
        third, last = i * self.third % _THIRD, i * self.last % _LAST
        return Responses(
            self.start + i * self.step,
            third * _THIRD + last,
            ("10.0.", (_OCTETS, third), ".", (_OCTETS, last)),
            (i * self.hundreds // 6 % 4 + 2) * 100 + i * self.ones % 4,
        )


SCRIPTS = {
    "1": Formula(191, 219, 1_557_824_751, 1, 55, 19, rows=100_000_000),
    "2": Formula(19, 37, 1_420_063_200, 2, 8, 13, rows=100_000_000),
    "test": Formula(191, 219, 1_557_824_751, 1, 55, 19, rows=1_000),
}


@dataclass(frozen=True)
class Script:
    r"""The responses of a formula, in constant memory however many there are.

    Attributes:
        formula: one of ``SCRIPTS``.
        rows: how many; None takes as many as the script has, 0 goes on until the calendar ends.
        form: ``json`` or ``clf``.

    Example:
        >>> next(Script(SCRIPTS["test"]).batches()).records()[0]
        b'{"time":"2019-05-14 09:05:52","ip":"10.0.191.219","status_code":303}'
    """

    formula: Formula
    rows: int | None = None
    form: LogForm = "json"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: there are to be fewer rows than none.
        """
        if self.rows is not None and self.rows < 0:
            raise ValueError(f"rows must not be negative, got {self.rows}")

    @property
    def preamble(self) -> bytes:
        """Nothing: neither form has a header."""
        return b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - always has them
        """Yield the responses with their event times and, if wanted, the facts that a truth adds up."""
        formula = self.formula
        end = (_END_OF_TIME - formula.start) // formula.step
        rows = formula.rows if self.rows is None else self.rows
        stop = 1 + (min(rows, end) if rows else end)
        for first in range(1, stop, BATCH_ROWS):
            yield formula.responses(first, min(first + BATCH_ROWS, stop)).to_batch(self.form, facts=facts)
