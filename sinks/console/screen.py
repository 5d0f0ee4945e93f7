"""Results that are redrawn in place on a terminal: areas, one below the other, that show the newest totals.

Elsewhere each change is a block of lines. What stands on the terminal is known to the process that draws: on local
runners there is one, and all steps of a pipeline draw on the same screen.
"""

from __future__ import annotations

import math
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import apache_beam as beam
import polars as pl
from rich.text import Text

from schemas.elements.frames import Result
from sinks.console.tables import (
    PLAIN_COLUMNS,
    PRINTING,
    has_color,
    is_last,
    is_terminal,
    print_whole,
    render,
    terminal_size,
)

#: Lines of a terminal that are left free below what is drawn: that of the cursor, and with it of the progress.
_FREE_LINES = 1
#: Of each area so many are shown at least: its title, its head, a row, and how many are not.
_LEAST_LINES = 4


class Paint(Protocol):
    """Draw a result, as whole lines; picklable."""

    @property
    def name(self) -> str:
        """What is shown, in words; it tells the areas of a screen apart."""

    def __call__(self, shown: Result, before: Result | None, width: int, color: bool) -> str:
        """Return the text of ``shown``; ``before`` is what its window had when something was different last."""


@dataclass
class Area:
    """The newest result of one stream of them, and the one before it.

    Attributes:
        paint: draws it.
        place: areas stand in this order.
        shown: the newest result.
        before: the last one of the same window whose rows were others.
    """

    paint: Paint
    place: int = 0
    shown: Result | None = None
    before: Result | None = None
    _closed: float = -math.inf

    def offer(self, result: Result) -> tuple[bool, bool]:
        """Take a result if it is newer; return whether it is, and whether that changes what there is to see.

        A higher pane of the window replaces a lower one. Of other windows that one is shown that will close next, and
        where none is open, the one that closed last; of those that have the same newest record, which a replay closes
        at its end, the first, for the others are of a time that has not come.
        """
        end, shown = result.window_end, self.shown
        if result.final and end is not None:
            self._closed = max(self._closed, end)
        if shown is None:
            self.shown = result
            return True, True
        if (result.window_start, end) == (shown.window_start, shown.window_end):
            if result.pane <= shown.pane:
                return False, False
            is_equal = result.rows.equals(shown.rows)
            if not is_equal:
                self.before = shown
            self.shown = result
            return True, result.final or not is_equal
        if not self._is_next(result, shown):
            return False, False
        self.shown, self.before = result, None
        return True, True

    def _is_next(self, result: Result, shown: Result) -> bool:
        end, shown_end = result.window_end, shown.window_end
        if end is None or shown_end is None:
            return True
        newest, shown_newest = (each.times and each.times[1] for each in (result, shown))
        if result.final and newest == shown_newest:
            return end > shown_end if newest is None else end < shown_end
        if result.final:
            return shown_newest is None or (newest is not None and newest > shown_newest)
        is_open = not shown.final and shown_end > self._closed
        return end > self._closed and (not is_open or end < shown_end)

    def text(self, width: int, color: bool) -> str:
        """Return the lines of the newest result."""
        return "" if self.shown is None else self.paint(self.shown, self.before, width, color)


class Screen:
    """Areas that are drawn one below the other, again and again in the same place. Threads may share it."""

    def __init__(self) -> None:
        """Begin with nothing drawn."""
        self._areas: dict[str, Area] = {}
        self._lines: list[str] = []
        self._number = 0
        self._is_cut = False

    def show(self, name: str, result: Result, paint: Paint, place: int = 0) -> None:
        """Draw a result in the area of this name, if it is newer than the one that is shown there.

        Args:
            name: of the area; the first result makes it.
            result: what is shown.
            paint: draws it.
            place: areas stand in this order; those of the same place in that of their first results.

        Raises:
            SinkError: the text cannot be written.
        """
        with PRINTING:
            area = self._areas.setdefault(name, Area(paint, place))
            is_newer, is_changed = area.offer(result)
            if is_newer and is_terminal():
                self._draw()
            elif is_changed:
                print_whole(area.text(PLAIN_COLUMNS, False) + "\n")

    def finish(self) -> None:
        """Draw all of the last results where the terminal had no room for them, now that nothing is drawn over them.

        Raises:
            SinkError: the text cannot be written.
        """
        with PRINTING:
            if self._is_cut and is_terminal():
                self._draw(whole=True)

    def _draw(self, *, whole: bool = False) -> None:
        size, color = terminal_size(), has_color()
        areas = sorted(self._areas.values(), key=lambda area: area.place)
        texts = [area.text(size.columns, color).splitlines() for area in areas]
        room = max(size.lines - _FREE_LINES, 1)
        lines = _joined(texts) if whole else _fitted(texts, room, size.columns)
        self._is_cut = lines != _joined(texts)
        # What was printed in between stands below: then this is drawn below that, and the old drawing stays.
        up = min(_height(self._lines, size.columns), room) if is_last(self._number) else 0
        self._number = print_whole((f"\r\x1b[{up}A\x1b[J" if up else "") + "".join(f"{line}\n" for line in lines))
        self._lines = lines


def _joined(texts: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of all texts, with an empty one between two."""
    return "\n\n".join("\n".join(text) for text in texts).split("\n") if texts else []


def _fitted(texts: Sequence[list[str]], room: int, width: int) -> list[str]:
    """Return what has room of the lines of texts: of the longest ones less, so that each is seen."""
    heights = [_height(text, width) for text in texts]
    left = room - (len(texts) - 1)
    while sum(heights) > left and max(heights) > _LEAST_LINES:
        heights[heights.index(max(heights))] -= 1
    parts = [_cropped(text, height, width) for text, height in zip(texts, heights, strict=True)]
    return _cropped(_joined(parts), room, width)


def _height(lines: list[str], width: int) -> int:
    """Return how many lines of the terminal these take, with those that go on in the next one."""
    return sum(max(-(-Text.from_ansi(line).cell_len // max(width, 1)), 1) for line in lines)


def _cropped(lines: list[str], room: int, width: int) -> list[str]:
    """Return the first lines, and a word on the others, where not all have room."""
    if _height(lines, width) <= room:
        return lines
    kept = list(lines)
    while kept and _height(kept, width) > room - 1:
        kept.pop()
    return [*kept, f"… {len(lines) - len(kept)} more lines"[:width]]


#: By pipeline: all steps that draw share the terminal, which is one for the whole process.
_screens: dict[str, Screen] = {}
_tokens: weakref.WeakKeyDictionary[beam.Pipeline, str] = weakref.WeakKeyDictionary()


def screen_token(pipeline: beam.Pipeline) -> str:
    """Return the name of the screen that all steps of this pipeline share."""
    return _tokens.setdefault(pipeline, uuid.uuid4().hex)


def finish_screens() -> None:
    """Draw whole what a terminal had no room for; to be called when nothing more is drawn.

    Raises:
        SinkError: the text cannot be written.
    """
    with PRINTING:
        screens = list(_screens.values())
        _screens.clear()
    for screen in screens:
        screen.finish()


def screen_of(token: str) -> Screen:
    """Return the screen of that name."""
    with PRINTING:
        return _screens.setdefault(token, Screen())


@dataclass(frozen=True)
class PaintTable:
    """A table of the best rows of a result; no line is longer than the terminal is wide.

    Attributes:
        name: what is shown, in words, such as ``since the start``.
        top: how many rows to show.
        by: the column whose greatest values are the best; rows with equal ones stand in the order of their key.
        columns: which columns to show; all, if none is named.
        places: to how many places the values of a column are rounded where they are shown.
        instead: the column that is shown where a column has no value, as an id where a name is not known.

    Raises:
        ValueError: when made, ``top`` is not positive; when called, the result has no such column.
    """

    name: str
    top: int = 20
    by: str = "spend"
    columns: tuple[str, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the number."""
        if self.top < 1:
            raise ValueError(f"top must be positive, got {self.top}")

    def __call__(self, shown: Result, before: Result | None, width: int, color: bool) -> str:  # noqa: ARG002
        """Return the lines of the table."""
        rounded = (pl.col(name).round(places) for name, places in self.places.items())
        filled = (pl.coalesce(name, other).alias(name) for name, other in self.instead.items())
        rows = shown.rows.with_columns(*rounded, *filled)
        return render(shown._replace(rows=rows), self.top, self.by, width, color, self.name, self.columns)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass(eq=False)
class ShowLive(beam.PTransform):
    """Show the newest result, redrawn in place, and hand each result on.

    It is :class:`~sinks.console.tables.PrintResults` for totals that run. Where the output is no terminal, each change
    is a block of lines. Several of these in a pipeline stand one below the other; their paints have different names.

    Attributes:
        paint: draws a result, such as :class:`PaintTable`.
        place: those with lower numbers stand above those with higher ones.

    Raises:
        ValueError: when run, the results lack a column.
        SinkError: when run, nothing can be printed, as when the reader of a pipe has gone.
    """

    paint: Paint
    place: int = 0

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        return results | "Show" >> beam.ParDo(_ShowFn(screen_token(results.pipeline), self.paint, self.place))


class _ShowFn(beam.DoFn):
    def __init__(self, token: str, paint: Paint, place: int) -> None:
        self._token, self._paint, self._place = token, paint, place

    def process(self, element: Result) -> Iterator[Result]:
        screen_of(self._token).show(self._paint.name, element, self._paint, self._place)
        yield element
