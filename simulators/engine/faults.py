"""Faults, the way that networks and registers have them: records late, twice, out of order and damaged; all seeded.

A record meets one fault at most, so the shares may add up to 1. Everything else keeps its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import DUPLICATE, GARBAGE, LATE, Batch, Facts, Marks, Times

DEFAULT_LATE_BY = 2 * 3_600 * MICROS_PER_SECOND
DEFAULT_DISORDER_BY = 5 * 60 * MICROS_PER_SECOND
_SHARES = ("late", "duplicates", "disorder", "garbage")
_STREAM = 4_217

#: Makes garbage of a record: takes it without its line feed and gives bytes without one.
Damage = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Faults:
    """Which shares of all records meet which fault.

    Attributes:
        late: are held back and sent ``late_by_micros`` of event time later.
        duplicates: are sent twice, the second right after the first.
        disorder: are sent up to ``disorder_by_micros`` of event time later, so behind some that happened after them.
        garbage: are damaged.
        seed: of the choice.
    """

    late: float = 0.0
    late_by_micros: int = DEFAULT_LATE_BY
    duplicates: float = 0.0
    disorder: float = 0.0
    disorder_by_micros: int = DEFAULT_DISORDER_BY
    garbage: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a share is not between 0 and 1, all add up to more than 1, or a delay is not positive.
        """
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share between 0 and 1, got {getattr(self, name)}")
        total = sum(getattr(self, name) for name in _SHARES)
        if total > 1:
            raise ValueError(f"the shares of all faults must not add up to more than 1, got {total:g}")
        for name in ("late_by_micros", "disorder_by_micros"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    @property
    def is_any(self) -> bool:
        """Whether there are faults at all."""
        return any(getattr(self, name) for name in _SHARES)

    def apply(self, batches: Iterator[Batch], damage: Damage) -> Iterator[Batch]:
        """Yield the records again with their faults; what is held back at the end comes last.

        It is the place of a batch in the stream that seeds its faults: the same batches give the same bytes.
        """
        held = _Held()
        for number, batch in enumerate(batches):
            if batch.rows:
                rng = np.random.default_rng([self.seed, _STREAM, number])
                yield held.exchange(*self._strike(batch, rng, damage, held.latest))
        yield held.rest()

    def _strike(
        self, batch: Batch, rng: np.random.Generator, damage: Damage, latest: int
    ) -> tuple[Times, list[bytes], Times, Facts | None, Marks]:
        """Return the moment at which each record leaves, and the records."""
        draw = rng.random(batch.rows)
        limits = np.cumsum([0.0, *(getattr(self, name) for name in _SHARES)])
        late, twice, moved, garbage = ((low <= draw) & (draw < high) for low, high in pairwise(limits))
        # A record leaves when the stream gets to its event time: in a stream out of order, when those before it do.
        leaves = np.maximum(np.maximum.accumulate(batch.times), latest)
        leaves = leaves + late * self.late_by_micros
        leaves += moved * rng.integers(1, self.disorder_by_micros, size=batch.rows, endpoint=True)
        records = batch.records()
        for place in np.flatnonzero(garbage).tolist():
            records[place] = damage(records[place], rng)
        marks = (garbage * GARBAGE + late * LATE).astype(np.uint8)
        if batch.marks is not None:
            marks |= batch.marks
        order = np.repeat(np.arange(batch.rows), 1 + twice)
        marks = marks[order]
        marks[np.flatnonzero(order[1:] == order[:-1]) + 1] |= DUPLICATE
        if len(order) > batch.rows:
            records = [records[place] for place in order.tolist()]
        return leaves[order], records, batch.times[order], None if batch.facts is None else batch.facts[order], marks


@dataclass
class _Held:
    """The records that are held back, and when each of them leaves."""

    leaves: Times = field(default_factory=lambda: np.empty(0, np.int64))
    records: list[bytes] = field(default_factory=list)
    times: Times = field(default_factory=lambda: np.empty(0, np.int64))
    facts: Facts | None = None
    marks: Marks = field(default_factory=lambda: np.empty(0, np.uint8))
    latest: int = np.iinfo(np.int64).min

    def exchange(self, leaves: Times, records: list[bytes], times: Times, facts: Facts | None, marks: Marks) -> Batch:
        """Take records in and hand out those whose moment has come."""
        self.latest = int(times.max(initial=self.latest))
        self.leaves = np.concatenate([self.leaves, leaves])
        self.records += records
        self.times = np.concatenate([self.times, times])
        if facts is not None:
            self.facts = facts if self.facts is None else np.concatenate([self.facts, facts])
        self.marks = np.concatenate([self.marks, marks])
        order = np.argsort(self.leaves, kind="stable")
        ready = int(np.searchsorted(self.leaves[order], self.latest, side="right"))
        return self._split(order[:ready], order[ready:])

    def rest(self) -> Batch:
        """Return all that is left."""
        order = np.argsort(self.leaves, kind="stable")
        return self._split(order, order[:0])

    def _split(
        self, out: np.ndarray[tuple[int], np.dtype[np.intp]], kept: np.ndarray[tuple[int], np.dtype[np.intp]]
    ) -> Batch:
        data = b"".join([self.records[place] + b"\n" for place in out.tolist()])
        batch = Batch(data, self.times[out], None if self.facts is None else self.facts[out], self.marks[out])
        self.leaves, self.times, self.marks = self.leaves[kept], self.times[kept], self.marks[kept]
        self.records = [self.records[place] for place in kept.tolist()]
        self.facts = None if self.facts is None else self.facts[kept]
        return batch
