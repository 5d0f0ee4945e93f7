"""What sources of blocks share that have no end of their own: their options, and how Beam makes readers of them."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apache_beam.coders import Coder, registry
from apache_beam.io.unbounded_source import UnboundedSource

from schemas.elements.block import Block, arrival_micros, now_micros
from schemas.record_type import RecordType
from sources.backlog import Sniff
from sources.reader import BlockReader, Reading, resume


class _TypedSource(UnboundedSource):
    """A source of records of one type: no dataclass, so that each source has its own order of positional fields.

    Attributes:
        record_type: tells where the event time of a record is.
    """

    record_type: RecordType


@dataclass(frozen=True, kw_only=True)
class BlockSource(_TypedSource):
    """The options that all of them have.

    Attributes:
        disorder_micros: by how much records of one stream (a file, a connection, a partition) may be out of order.
        idle_timeout_seconds: end after so long without a byte; None never does.
        max_block_bytes: how much one block holds at most (one record may be longer).
        max_records: end after so many records; None never does.
        sniff: finds the dialect of a stream from its first line; without it, fields are separated as the type says.
        clock: seconds that never go back.
        wall_clock: microseconds of UTC, for which event times are believed.
        arrivals: microseconds of UTC that never jump, for when records arrive.
    """

    disorder_micros: int = 0
    idle_timeout_seconds: float | None = None
    max_block_bytes: int = 8 << 20
    max_records: int | None = None
    sniff: Sniff | None = None
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], int] = now_micros
    arrivals: Callable[[], int] = arrival_micros

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a limit is not positive, or the disorder is negative; the message shows it.
        """
        self.check_positive("idle_timeout_seconds", "max_block_bytes", "max_records")
        if self.disorder_micros < 0:
            raise ValueError(f"disorder_micros must not be negative, got {self.disorder_micros!r}")

    def check_positive(self, *names: str) -> None:
        """Raise ValueError where one of the options is given and not positive."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value!r}")

    @abstractmethod
    def begin(self, mark: Any) -> Reading:
        """Return a reading behind a mark, which has opened nothing yet; None for the beginning."""

    def split(self, desired_num_splits: int, options: Any = None) -> list[Any]:  # noqa: ARG002
        """Return the source itself: one reader reads all of it."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> BlockReader:  # noqa: ARG002
        """Return a reader at the beginning, or behind the mark."""
        return resume(checkpoint_mark, self.begin)

    def default_output_coder(self) -> Coder:
        """Return the coder of Block."""
        return registry.get_coder(Block)
