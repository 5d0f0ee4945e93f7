"""Windows of event time as people name them: ``all``, ``10m`` (fixed), ``10m/5m`` (sliding: length/step)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.times import FIRST_MICROS, LAST_MICROS, MICROS_PER_SECOND, format_duration, parse_duration

#: A record is in so many windows at most, unless somebody asks for more: each is a row of its own until it closes.
MOST_PER_RECORD = 1_000
Micros = TypeVar("Micros", pl.Expr, npt.NDArray[np.int64])


@dataclass(frozen=True)
class Windows:
    """How event time is cut, aligned to the epoch.

    Attributes:
        length: in microseconds; 0 for all time in one window.
        step: from the start of one window to that of the next, in microseconds; 0 for the length.
        many: whether a record may be in more than 1,000 windows, at the price of memory.

    Raises:
        ValueError: a length is negative, a step is longer than the window, none is within the years that there are, or
            there are too many windows at a time.
    """

    length: int = 0
    step: int = 0
    many: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check the lengths; a step that was not given is the length."""
        if self.length < 0 or self.step < 0:
            raise ValueError(f"window must be positive, got {self.length} us every {self.step} us")
        if not self.step:
            object.__setattr__(self, "step", self.length)
        if self.step > self.length:
            raise ValueError(
                f"the step of a window must not be longer than the window, "
                f"got {format_duration(self.length)}/{format_duration(self.step)}"
            )
        first, last = self.range
        if first > last:
            raise ValueError(f"window must fit into the years 1 to 9999, got {self}")
        at_a_time = -(-self.length // self.step) if self.step else 1
        if at_a_time > MOST_PER_RECORD and not self.many:
            raise ValueError(
                f"each record would be in {at_a_time:,} windows of {self}, expected {MOST_PER_RECORD:,} at most: make "
                "the step longer, or ask for so many (--many-windows, in Python many=True), which take memory"
            )

    @classmethod
    def parse(cls, text: str, *, many: bool = False) -> Windows:
        """Read ``all``, ``10m`` or ``10m/5m``.

        Raises:
            ValueError: it is none of these, or no time at all.
        """
        if text.strip() == "all":
            return cls()
        length, slash, step = text.partition("/")
        try:
            windows = cls(parse_duration(length), parse_duration(step) if slash else 0, many=True)
        except ValueError as error:
            raise ValueError(f"expected a window such as all, 10m or 10m/5m, got {text!r}: {error}") from None
        if not windows.length or (slash and not parse_duration(step)):
            raise ValueError(f"window must be positive, got {text!r}")
        return windows if many else cls(windows.length, windows.step)

    def __str__(self) -> str:
        """The text that :meth:`parse` reads."""
        if not self.length:
            return "all"
        step = "" if self.step == self.length else f"/{format_duration(self.step)}"
        return format_duration(self.length) + step

    @property
    def bucket(self) -> int:
        """The longest stretch of time that lies wholly inside or outside of every window; 0 for all time."""
        return math.gcd(self.length, self.step)

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last event time, in microseconds, whose every window lies within the years 1 to 9999.

        Other bounds are no dates, neither in Python nor in most of what results are written to.
        """
        if not self.length:
            return FIRST_MICROS, LAST_MICROS
        too_early = (FIRST_MICROS - 1) // self.step * self.step
        latest = (LAST_MICROS - self.length) // self.step * self.step
        return max(FIRST_MICROS, too_early + self.length), latest + self.step - 1

    def bucket_start(self, time: pl.Expr) -> pl.Expr:
        """Return the start, in microseconds, of the bucket in which each event time (Datetime us) lies."""
        if not self.length:
            return pl.lit(0, pl.Int64)
        micros = time.to_physical()
        return micros - micros % self.bucket

    def starts(self, bucket: pl.Expr) -> pl.Expr:
        """Return a list of the starts of all windows that a bucket lies in, from the start of the bucket."""
        if not self.length:
            return pl.concat_list(pl.lit(0, pl.Int64) + 0 * bucket)
        last = bucket - bucket % self.step
        return pl.int_ranges(self.first_end(bucket) - self.length, last + 1, self.step, dtype=pl.Int64)

    def first_end(self, bucket: Micros) -> Micros:
        """Return the end, in microseconds, of the first window that a bucket lies in, from the start of the bucket."""
        # It starts at the first multiple of the step after which the window still has the bucket's end in it.
        return bucket + self.bucket + (self.length - self.bucket - bucket) % self.step

    def end_after(self, micros: int) -> int:
        """Return the first end of a window after a time."""
        return micros + self.step - (micros - self.length) % self.step

    def last_end(self, time: Micros) -> Micros:
        """Return the end, in microseconds, of the last window that has each event time, or bucket, in it."""
        micros = time.to_physical() if isinstance(time, pl.Expr) else time
        return micros - micros % self.step + self.length


HOUR = Windows(3_600 * MICROS_PER_SECOND)
