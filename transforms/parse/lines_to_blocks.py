"""Lines: the way in for everybody's own source, that gives records one by one as text or bytes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import BoundedWindow
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.block import Block, Span, arrival_micros
from schemas.record_type import Dialect

#: A block is closed as soon as it has so many lines or bytes: parsing has a cost a block, and gains no more beyond.
MAX_BLOCK_LINES = 10_000
MAX_BLOCK_BYTES = 1 << 20
#: The origin of lines, of which nobody told where they came from.
ORIGIN = "element"


@beam.typehints.with_input_types(str | bytes)
@beam.typehints.with_output_types(Block)
@dataclass
class BlocksOfLines(beam.PTransform):
    r"""Gather single lines, such as ReadFromText gives, into blocks: ``lines | BlocksOfLines(Dialect(","))``.

    An element is one record, with or without its line end; an empty one is none. ``str`` is encoded as UTF-8. One with
    a line break inside becomes a block with a fault, so that it is rejected as the one record that it was.

    A block has lines of one window and of one bundle, and the earliest of their timestamps, which is its arrival, too:
    a record without an event time of its own has that. Where elements have no timestamp, it is now. Lines in sliding
    windows come once per window, as they do from Beam's WindowInto. What rejected records show as their origin is
    ``element``, and as their position how many lines of the bundle came before; the scope is that of the bundle.

    Nothing is late here: a source of lines tells nobody what it had promised. Its watermark must not run ahead of the
    event times in the records; what does come later than that, the runner drops.

    Attributes:
        dialect: how the lines are written.
    """

    dialect: Dialect = Dialect()

    def expand(self, lines: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return lines | "GatherLines" >> beam.ParDo(_GatherLinesFn(self.dialect))


@dataclass
class _Gathering:
    """The lines of a block to be, their numbers in the bundle, and the earliest of their timestamps."""

    timestamp: Timestamp
    lines: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    bytes: int = 0

    def block(self, dialect: Dialect, scope: str) -> Block:
        spans = []
        start = 0
        for line, number in zip(self.lines, self.numbers, strict=True):
            spans.append(Span(start, ORIGIN, number))
            start += len(line) + 1
        arrival = self.timestamp.micros if self.timestamp > MIN_TIMESTAMP else arrival_micros()
        return Block(b"\n".join(self.lines) + b"\n", tuple(spans), dialect, arrival=arrival, scope=scope)


@beam.typehints.with_output_types(Block)
class _GatherLinesFn(beam.DoFn):
    def __init__(self, dialect: Dialect) -> None:
        self._dialects: dict[type, Dialect] = {bytes: dialect, str: dialect._replace(encoding="utf-8")}

    def start_bundle(self) -> None:
        self._gathered: dict[tuple[BoundedWindow, type], _Gathering] = {}
        self._seen = 0
        self._scope = uuid.uuid4().hex

    def process(
        self,
        element: str | bytes,
        timestamp: Timestamp = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[WindowedValue]:
        kind = str if isinstance(element, str) else bytes
        # What UTF-8 cannot encode is passed on, and rejected as bytes that are not UTF-8.
        raw = element.encode(errors="surrogatepass") if isinstance(element, str) else element
        raw = raw.removesuffix(b"\n")
        number = self._seen
        self._seen += 1
        if b"\n" in raw:
            spans = (Span(0, ORIGIN, number),)
            block = Block(raw, spans, self._dialects[kind], fault="line break inside the record", scope=self._scope)
            yield WindowedValue(block, timestamp, (window,))
            return
        key = window, kind
        gathering = self._gathered.get(key)
        if gathering is None:
            gathering = self._gathered[key] = _Gathering(timestamp)
        gathering.timestamp = min(gathering.timestamp, timestamp)
        gathering.lines.append(raw)
        gathering.numbers.append(number)
        gathering.bytes += len(raw) + 1
        if len(gathering.lines) >= MAX_BLOCK_LINES or gathering.bytes >= MAX_BLOCK_BYTES:
            yield self._close(key)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for key in list(self._gathered):
            yield self._close(key)

    def _close(self, key: tuple[BoundedWindow, type]) -> WindowedValue:
        window, kind = key
        gathering = self._gathered.pop(key)
        return WindowedValue(gathering.block(self._dialects[kind], self._scope), gathering.timestamp, (window,))
