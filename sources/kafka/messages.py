"""Messages of Kafka as blocks: what a consumer has given at once becomes a few blocks, one message a line.

Pure, and nothing is done per message but to ask for its parts: the rest goes over the joined bytes, or by numpy.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from schemas.elements.block import Span
from schemas.times import MICROS_PER_SECOND
from sources.kafka.partitions import PartitionId

#: Gives for each value of a topic a line, or a text (of a class of its own) that tells why there is none.
Decode = Callable[[Sequence[bytes], str], Sequence[Any]]

#: Why a message cannot be a record.
EMPTY = "empty message"
LINE_BREAK = "line break inside the record"
_MICROS_PER_MILLI = 1_000
_BREAKS = b"\r\n"


class Ends(NamedTuple):
    """The first and the last record of a partition in a portion, and the offset behind the last one."""

    first: bytes
    last: bytes
    offset: int


class Portion(NamedTuple):
    """Messages that leave together, as one block.

    Attributes:
        data: their lines.
        spans: where those are from: one for each run of messages of a partition with offsets one after the other.
        ends: how each partition in it begins and ends here.
        records: how many there are.
        fault: empty, or why this one message is no record.
        arrival: the earliest time of a message, as Kafka has it, in microseconds; 0 where it has none.
    """

    data: bytes
    spans: tuple[Span, ...]
    ends: dict[PartitionId, Ends]
    records: int
    fault: str = ""
    arrival: int = 0


class Passed(NamedTuple):
    """How many messages of a partition were passed over, and the offset behind the last of them."""

    messages: int
    offset: int


class Cut(NamedTuple):
    """What became of the messages of one call: portions, and those that had no value."""

    portions: list[Portion]
    tombstones: dict[PartitionId, Passed]


@dataclass(frozen=True)
class MessageCutter:
    r"""Cuts messages into portions.

    A block has messages of one topic. What a value has of line breaks at its end is taken off; one with line breaks
    inside is one line of JSON all the same (they become blanks), or else a portion of its own, with a fault, as is one
    with nothing in it. A message without a value (a tombstone) is none: it is left out, and counted.

    Attributes:
        max_bytes: the most that a portion holds, but for one message that is longer.
        is_json: whether a line break inside a value is as good as a blank.
        by_second: whether messages share a portion only if their times are within the same whole second. That is for
            records that may have no time of their own: they get that of the portion.
        decode: makes lines of values; None where values are lines.
    """

    max_bytes: int = 4 << 20
    is_json: bool = True
    by_second: bool = False
    decode: Decode | None = None

    def __call__(self, messages: Sequence[Any]) -> Cut:
        """Cut messages, in the order in which a consumer gave them; none of them is an error."""
        if not messages:
            return Cut([], {})
        kind = type(messages[0])
        values: list[Any] = list(map(kind.value, messages))
        tombstones: dict[PartitionId, Passed] = {}
        if None in values:
            tombstones = _find_tombstones(messages, values)
            messages = [message for message, value in zip(messages, values, strict=True) if value is not None]
            values = [value for value in values if value is not None]
            if not messages:
                return Cut([], tombstones)
        places = _Places(messages)
        faults: dict[int, str] = {}
        if self.decode is not None:
            values, faults = self._decoded(values, places)
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        joined = b"".join(values)
        if faults or not lengths.min() or b"\n" in joined or b"\r" in joined:
            faults |= self._clean(values, faults)
            lengths = np.fromiter(map(len, values), np.int64, len(values))
        data = b"\n".join([*values, b""])
        starts = np.zeros(len(values) + 1, np.int64)
        np.cumsum(lengths + 1, out=starts[1:])
        bounds = {*places.topic_heads, *faults, *(number + 1 for number in faults)}
        times = None
        if self.by_second:
            times = np.array([message.timestamp()[1] for message in messages], np.int64) * _MICROS_PER_MILLI
            bounds |= set((np.flatnonzero(np.diff(times // MICROS_PER_SECOND)) + 1).tolist())
        portions = []
        for first, stop in self._portions(sorted(bounds | {0, len(values)}), starts):
            fault = faults.get(first, "")
            begin, end = int(starts[first]), int(starts[stop]) - bool(fault)
            spans = []
            ends: dict[PartitionId, Ends] = {}
            for head, behind in places.runs(first, stop):
                place, offset = places.place(head), messages[head].offset()
                spans.append(Span(int(starts[head]) - begin, str(place), offset, numbered=True))
                first_record = ends[place].first if place in ends else values[head]
                ends[place] = Ends(first_record, values[behind - 1], offset + behind - head)
            part = data if (begin, end) == (0, len(data)) else data[begin:end]
            arrival = _millis(messages[first]) * _MICROS_PER_MILLI if times is None else int(times[first:stop].min())
            portions.append(Portion(part, tuple(spans), ends, stop - first, fault, max(0, arrival)))
        return Cut(portions, tombstones)

    def _portions(self, bounds: list[int], starts: np.ndarray) -> list[tuple[int, int]]:
        """Return the first message of each portion, and the one behind its last, within the bounds and the limit."""
        portions = []
        for first, stop in itertools.pairwise(bounds):
            while first < stop:
                fitting = int(np.searchsorted(starts, starts[first] + self.max_bytes, "right")) - 1
                middle = min(stop, max(fitting, first + 1))
                portions.append((first, middle))
                first = middle  # noqa: PLW2901
        return portions

    def _clean(self, values: list[Any], faults: dict[int, str]) -> dict[int, str]:
        """Make lines of the values, in place; return those that cannot be, by their number, and why."""
        found: dict[int, str] = {}
        for number, value in enumerate(values):
            if number in faults:
                continue
            line = value.rstrip(_BREAKS)
            if b"\n" in line and self.is_json:
                line = line.replace(b"\n", b" ")
            elif b"\n" in line:
                found[number] = LINE_BREAK
            if not line:
                found[number] = EMPTY
            values[number] = line
        return found

    def _decoded(self, values: list[Any], places: _Places) -> tuple[list[Any], dict[int, str]]:
        """Return the lines of values; those that are none stay as they are, and are told by their number."""
        assert self.decode is not None  # noqa: S101 - asked by the caller
        lines: list[Any] = []
        for first, stop in itertools.pairwise([*places.topic_heads, len(values)]):
            lines += self.decode(values[first:stop], places.place(first).topic)
        faults = {number: str(line) for number, line in enumerate(lines) if not isinstance(line, bytes)}
        for number in faults:
            lines[number] = values[number]
        return lines, faults


class _Places:
    """Where messages are from: runs of one partition each, with offsets one after the other.

    A consumer gives long runs, so it is enough to ask each message for its partition, and few for more: as the offsets
    of a partition only rise, none is missing between the first and the last of a run if those are as far apart.

    Attributes:
        topic_heads: the numbers of messages with which another topic begins, the first among them.
    """

    def __init__(self, messages: Sequence[Any]) -> None:
        kind = type(messages[0])
        self._messages = messages
        partitions = list(map(kind.partition, messages))
        topics = list(map(kind.topic, messages))
        count = len(messages)
        heads = {0}
        if partitions.count(partitions[0]) < count:
            heads |= set((np.flatnonzero(np.diff(np.array(partitions, np.int64))) + 1).tolist())
        self.topic_heads = [0]
        if topics.count(topics[0]) < count:
            changes = (one != other for one, other in itertools.pairwise(topics))
            self.topic_heads += [number for number, is_new in enumerate(changes, 1) if is_new]
            heads |= set(self.topic_heads)
        self._heads: list[int] = []
        for head, behind in itertools.pairwise([*sorted(heads), count]):
            self._heads.append(head)
            if messages[behind - 1].offset() - messages[head].offset() != behind - 1 - head:
                offsets = np.array(list(map(kind.offset, messages[head:behind])), np.int64)
                self._heads += (np.flatnonzero(np.diff(offsets) != 1) + 1 + head).tolist()

    def place(self, number: int) -> PartitionId:
        """Return the partition of a message."""
        message = self._messages[number]
        return PartitionId(message.topic(), message.partition())

    def runs(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Return the runs between two messages: the first message of each, and the one behind its last."""
        within = self._heads[bisect.bisect_right(self._heads, first) : bisect.bisect_left(self._heads, stop)]
        return itertools.pairwise([first, *within, stop])


def _find_tombstones(messages: Sequence[Any], values: Sequence[Any]) -> dict[PartitionId, Passed]:
    """Count the messages without a value."""
    found: dict[PartitionId, Passed] = {}
    for message, value in zip(messages, values, strict=True):
        if value is None:
            place = PartitionId(message.topic(), message.partition())
            before = found[place].messages if place in found else 0
            found[place] = Passed(before + 1, message.offset() + 1)
    return found


def _millis(message: Any) -> int:
    """Return the time of a message in milliseconds, negative where it has none."""
    return int(message.timestamp()[1])
