"""The register tape as a stream: days of rows, made one at a time in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

import numpy as np

from schemas.record_type import Dialect
from schemas.tape import COLUMNS
from schemas.times import MICROS_PER_SECOND, to_micros
from simulators.engine.batch import Batch, first_rows
from simulators.tape.baskets import ONE
from simulators.tape.catalogue import Catalogue, catalogue
from simulators.tape.row_encoder import RowEncoder
from simulators.tape.shifts import MAX_REGISTERS, Day, make_day
from simulators.tape.truth import FACTS

DEFAULT_ROWS = 100_000
DEFAULT_START = date(2011, 4, 1)
DEFAULT_REGISTERS = 9
_CENT = ONE // 100


@dataclass(frozen=True)
class Tape:
    r"""A register tape; the same options give the same bytes, in whatever chunks they are taken.

    A day depends on its date, the seed and the number of registers only, so two tapes that begin on different days
    agree on the days that they share.

    Attributes:
        rows: how many; 0 goes on until the calendar ends.
        seed: of what the customers do.
        registers: how many work side by side, up to 99.
        start: the first day.
        dialect: separator, quotes, and the header row where one is wanted.

    Example:
        >>> sum(chunk.count(b"\n") for chunk in Tape(rows=1_000).chunks())
        1000
    """

    rows: int = DEFAULT_ROWS
    seed: int = 0
    registers: int = DEFAULT_REGISTERS
    start: date = DEFAULT_START
    dialect: Dialect = Dialect()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        if self.rows < 0:
            raise ValueError(f"rows must not be negative, got {self.rows}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not 1 <= self.registers <= MAX_REGISTERS:
            raise ValueError(f"registers must be 1 to {MAX_REGISTERS}, got {self.registers}")

    @property
    def preamble(self) -> bytes:
        """The header row, where the dialect has one."""
        return RowEncoder(catalogue(), self.dialect).header(COLUMNS) if self.dialect.header else b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - always has them
        """Yield the rows, a day a batch, with their event times and, if wanted, the facts that the truth adds up."""
        return first_rows(self._all(wants_facts=facts), self.rows)

    def _all(self, *, wants_facts: bool) -> Iterator[Batch]:
        goods = catalogue()
        encoder = RowEncoder(goods, self.dialect)
        for ordinal in range(self.start.toordinal(), date.max.toordinal()):
            day = make_day(goods, date.fromordinal(ordinal), self.seed, self.registers)
            moments = _midnight(day.day) + day.second * MICROS_PER_SECOND
            yield Batch(encoder.rows(day), moments, _facts(goods, day) if wants_facts else None)

    def chunks(self, rows: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of the tape, header first; in chunks of so many rows, or a day each.

        Raises:
            ValueError: a chunk of no rows is asked for.
        """
        if rows is not None and rows < 1:
            raise ValueError(f"a chunk must have a row or more, got {rows}")
        if self.preamble:
            yield self.preamble
        held: list[bytes] = []
        missing = rows or 0
        for batch in self.batches():
            if rows is None:
                yield bytes(batch.data)
                continue
            at = 0
            while at < batch.rows:
                piece = batch.cut(at, at + missing)
                held.append(bytes(piece.data))
                at += piece.rows
                missing -= piece.rows
                if not missing:
                    yield b"".join(held)
                    held, missing = [], rows
        if held:
            yield b"".join(held)


def _midnight(day: date) -> int:
    return to_micros(datetime(day.year, day.month, day.day, tzinfo=timezone.utc))


def _facts(goods: Catalogue, day: Day) -> np.ndarray[Any, np.dtype[np.void]]:
    lines = day.lines
    facts = np.empty(len(lines), FACTS)
    facts["department"] = goods.departments[lines.product]
    facts["upc"] = lines.product
    facts["quantity"] = lines.quantity
    facts["total"] = lines.total * _CENT
    return facts
