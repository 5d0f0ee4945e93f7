"""Drawing the results of a pipeline into a file, anew with each one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.frames import Result, Written
from sinks.charts.figure import check_ending, picture
from sinks.console.screen import screen_token
from sinks.files.atomic import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Drawing takes at most such a part of the time.
_PART_OF_TIME = 0.25
#: Of a part with windows so many are drawn, the newest ones.
MOST_WINDOWS = 1_000


class Chart(Protocol):
    """What is drawn of results; picklable."""

    def draw(self, parts: Mapping[str, list[Result]]) -> Figure | None:
        """Return the picture of the newest result of each window of each part, or None where there is none yet."""


@dataclass(eq=False)
class DrawChart(beam.PTransform):
    """Draw results into a file, anew with each one; yield a :class:`Written` with each final one.

    The file is replaced in one go, so that a viewer never sees half a picture. Where drawing would take more than a
    quarter of the time, early results are passed over; what is final is always drawn.

    It takes a PCollection of results for each part of the chart, by name. What was drawn is known to the process that
    draws, for as long as it runs; where there are several processes, one of them draws.

    Attributes:
        path: the file, ``.png`` or ``.svg``.
        chart: what is drawn.

    Raises:
        ValueError: when made, the ending of the path is unknown.
        SinkError: when run, the file cannot be written; the message is one line.
    """

    path: str
    chart: Chart

    def __post_init__(self) -> None:
        """Check the ending of the path."""
        super().__init__()
        check_ending(self.path)

    def expand(self, parts: Mapping[str, beam.PCollection]) -> beam.PCollection:
        """Bring all parts to one place, and draw them there."""
        named = [
            results | f"Part {part}" >> beam.ParDo(_NameFn(part)).with_output_types(tuple[int, tuple[str, Result]])
            for part, results in parts.items()
        ]
        pipeline = next(iter(parts.values())).pipeline
        together = named | "AllParts" >> beam.Flatten() | "OnePlace" >> beam.Reshuffle() if named[1:] else named[0]
        draw = beam.ParDo(_DrawFn(self.path, self.chart, screen_token(pipeline)))
        return together | "Draw" >> draw.with_output_types(Written)


class _NameFn(beam.DoFn):
    def __init__(self, part: str) -> None:
        self._part = part

    def process(self, result: Result) -> Iterator[tuple[int, tuple[str, Result]]]:
        yield 0, (self._part, result)


@dataclass
class Easel:
    """The newest results of a chart, and when they were drawn last. Threads take turns.

    Attributes:
        results: by part and window.
    """

    results: dict[str, dict[tuple[int, int], Result]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _is_new: bool = False
    _is_over: bool = False
    _not_before: float = 0.0

    def take(self, part: str, result: Result) -> None:
        """Take a result, unless there is a newer one of its window."""
        known = self.results.setdefault(part, {})
        window = (result.window_start or 0, result.window_end or 0)
        if window in known and known[window].pane >= result.pane:
            return
        known[window] = result
        self._is_new = True
        # With the totals since the start all input is over; windows may end at any time.
        self._is_over |= result.final and result.window_end is None
        if len(known) > MOST_WINDOWS:
            del known[min(known)]

    def draw(self, path: str, chart: Chart) -> bool:
        """Draw what is new, if it is over or there has been time since the last drawing; return whether it was."""
        began = time.monotonic()
        if not self._is_new or not (self._is_over or began >= self._not_before):
            return False
        figure = chart.draw({part: list(results.values()) for part, results in self.results.items()})
        if figure is not None:
            write_whole(path, picture(figure, check_ending(path)))
        self._is_new = False
        ended = time.monotonic()
        self._not_before = ended + (ended - began) * (1 / _PART_OF_TIME - 1)
        return figure is not None and self._is_over


#: By pipeline and path: the steps that draw into one file share what they have drawn, each process for itself.
_easels: dict[str, Easel] = {}
_EASELS_LOCK = threading.Lock()


class _DrawFn(beam.DoFn):
    def __init__(self, path: str, chart: Chart, token: str) -> None:
        self._path = path
        self._chart = chart
        self._token = f"{token}/{path}"

    def process(self, element: tuple[int, tuple[str, Result]]) -> None:
        easel = self._easel()
        with easel.lock:
            easel.take(*element[1])

    def finish_bundle(self) -> Iterator[WindowedValue]:
        easel = self._easel()
        with easel.lock:
            if easel.draw(self._path, self._chart):
                yield GlobalWindows.windowed_value(Written(self._path, 1))

    def _easel(self) -> Easel:
        with _EASELS_LOCK:
            return _easels.setdefault(self._token, Easel())
