"""Results as tables on the console."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import apache_beam as beam
import polars as pl
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.elements.frames import Result
from schemas.text.readable import readable
from schemas.times import to_datetime
from sinks.files.atomic import one_line_errors
from sinks.files.table_layout import WINDOW_COLUMNS, require

#: How wide tables are where the output is no terminal.
PLAIN_COLUMNS = 100
_CENTS = 2
#: So much of a text is shown at least, and so many blanks stand between two columns at most.
_LEAST_TEXT = 8
_BETWEEN = 2
#: Held while something is printed, so that what several threads print does not mix.
PRINTING = threading.RLock()
#: Takes the progress line of this process away before something is printed.
_erasers: list[Callable[[], None]] = []
_texts = itertools.count(1)
_last_text = 0


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass(eq=False)
class PrintResults(beam.PTransform):
    """Print each result, early and final ones, as a table of its best rows, and hand it on.

    It prints to the standard output of the worker, which is that of the pipeline's own process on local runners.

    Attributes:
        top: how many rows to show.
        by: the column whose greatest values are the best; rows with equal ones stand in the order of their key.

    Raises:
        ValueError: when made, ``top`` is not positive; when run, the results have no such column.
        SinkError: when run, nothing can be printed, as when the reader of a pipe has gone.
    """

    top: int = 20
    by: str = "spend"

    def __post_init__(self) -> None:
        """Check the number."""
        super().__init__()
        if self.top < 1:
            raise ValueError(f"top must be positive, got {self.top}")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        return pcoll | "PrintTable" >> beam.ParDo(_PrintFn(self.top, self.by))


class _PrintFn(beam.DoFn):
    def __init__(self, top: int, by: str) -> None:
        self._top = top
        self._by = by

    def process(self, element: Result) -> Iterator[Result]:
        print_whole(render(element, self._top, self._by, width_to_fill(), has_color()) + "\n")
        yield element


def is_terminal() -> bool:
    """Whether the standard output is a terminal on which the cursor can be moved."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def has_color() -> bool:
    """Whether the standard output shows colours, and the user wants them."""
    return is_terminal() and "NO_COLOR" not in os.environ


def terminal_size() -> os.terminal_size:
    """Return the size of the terminal itself, where it tells; COLUMNS may say another one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream in its place has no file
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:
            return size
    return shutil.get_terminal_size()


def width_to_fill() -> int:
    """Return the columns of the terminal, or those of plain text."""
    return terminal_size().columns if sys.stdout.isatty() else PLAIN_COLUMNS


def before_printing(erase: Callable[[], None]) -> None:
    """Call ``erase`` before each table, in place of an earlier one: it takes away a line of progress."""
    _erasers[:] = [erase]


def something_stays() -> int:
    """Note that something was printed that stays where it is; return its number, for :func:`is_last`."""
    global _last_text  # noqa: PLW0603 (what stands on the terminal is one thing for the whole process)
    _last_text = next(_texts)
    return _last_text


def is_last(number: int) -> bool:
    """Whether nothing was printed below what has this number."""
    return number == _last_text


def print_whole(text: str) -> int:
    """Print the text in one piece, between those of other threads; what the terminal cannot show becomes ``?``.

    Gives the number of the text, for :func:`is_last`.

    Raises:
        SinkError: it cannot be written.
    """
    encoding = sys.stdout.encoding or "utf-8"
    with PRINTING, one_line_errors("to the console"):
        for erase in _erasers:
            erase()
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
        return something_stays()


def print_bytes(data: bytes) -> None:
    """Write bytes to the standard output just as they are, at once, between those of other threads.

    Raises:
        SinkError: it cannot be written.
    """
    with PRINTING, one_line_errors("to the standard output"):
        for erase in _erasers:
            erase()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        something_stays()


def render(
    result: Result, top: int, by: str, width: int, color: bool, name: str = "", columns: Sequence[str] = ()
) -> str:
    """Return the table of the ``top`` rows with the greatest ``by``, under a line that tells the window.

    With ``color`` it is for a terminal; without, it is plain text in columns. No line is longer than ``width``, unless
    the numbers alone are: text is cut, figures never. A ``name`` goes before the window, and of the columns only
    ``columns`` are shown, if any are named. Where the width does not suffice for the numbers and the beginnings of
    texts, columns are left out from the last one on, and named below the title; the first and ``by`` stay.

    Raises:
        ValueError: the result has no such column.
    """
    rows = result.rows
    require(rows, [by, *columns])
    all_columns = [column for column in rows.columns if column not in (*WINDOW_COLUMNS, "rank")]
    simple = [column for column in all_columns if column != by and not rows.schema[column].is_nested()]
    best = rows.sort([by, *simple], descending=[True] + [False] * len(simple), nulls_last=True).head(top)
    wanted = list(columns or all_columns)
    shown = _with_room(best, wanted, by, width)
    left = ", ".join(readable(column.replace("_", " ")) for column in wanted if column not in shown)
    title = " · ".join([*([name] if name else []), title_of(result), _extent(rows.height, top, by)])
    title += f"\nno room for {left}" if left else ""
    ranked = best.select(pl.int_range(1, pl.len() + 1).alias("rank"), *shown)
    return printed(best_table(ranked, ranked.columns, title, top, plain=not color), width, color)


def _with_room(rows: pl.DataFrame, columns: Sequence[str], by: str, width: int) -> list[str]:
    """Return the columns that have room beside the rank, texts with no more than their beginnings."""
    room = {"rank": len("rank")}
    for name in columns:
        values = rows[name].to_list()
        is_figures = _are_numbers(values)
        longest = max(map(len, _by_the_point(values, 0) if is_figures else map(shown_value, values)), default=0)
        natural = max(len(name), longest)
        room[name] = natural if is_figures else min(natural, _LEAST_TEXT)
    for name in reversed(columns[1:]):
        if sum(room.values()) + _BETWEEN * (len(room) - 1) <= width:
            break
        if name != by:
            del room[name]
    return [name for name in columns if name in room]


def printed(what: RenderableType, width: int, color: bool) -> str:
    """Return what rich prints of it: for a terminal with ``color``, else plain text."""
    sink = io.StringIO()
    console = Console(
        file=sink,
        width=width,
        force_terminal=color,
        force_jupyter=False,
        color_system="standard" if color else None,
        no_color=not color,
        legacy_windows=False,
    )
    console.print(what, crop=False)
    return "".join(line.rstrip() + "\n" for line in sink.getvalue().rstrip("\n").split("\n"))


def best_table(
    rows: pl.DataFrame | Sequence[dict[str, Any]],
    columns: Sequence[str],
    title: str,
    top: int = 20,
    plain: bool = False,
) -> Group:
    """Return a rich table of the first ``top`` rows under its title; print it with rich, in any width.

    Numbers stand under each other by their points: decimals with two places, or with as many as they need. Where the
    width does not suffice, the longest texts are cut, and marked with an ellipsis. A ``plain`` table has no lines.

    >>> rows = [{"region": "Paris", "flow": Decimal("10.5")}]
    >>> Console(width=40).print(best_table(rows, ["region", "flow"], "", plain=True))
    region   flow
    Paris   10.50
    """
    shown = rows.head(top).to_dicts() if isinstance(rows, pl.DataFrame) else rows[:top]
    table = Table(
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2 if plain else 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    cells = []
    for name in columns:
        heading = readable(name.replace("_", " "))
        values = [row[name] for row in shown]
        figures = _are_numbers(values)
        texts = _by_the_point(values, len(heading)) if figures else [shown_value(value) for value in values]
        # What may not wrap, rich makes no narrower; so text may, as a column, but not in its cells, where it is cut.
        table.add_column(
            _cell(heading, "right" if figures else "left"),
            no_wrap=figures,
            min_width=len(texts[0]) if figures else min(_LEAST_TEXT, max(map(len, (heading, *texts)))),
        )
        cells.append([_cell(text) for text in texts])
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return Group(*([_cell(title, style="bold")] if title else []), table)


def title_of(result: Result) -> str:
    """Return the window in words, and whether this is its last word: ``2011-04-01 10:00 – 10:10 UTC, final``."""
    state = "final" if result.final else "early"
    if result.window_start is None or result.window_end is None:
        return f"all time, {state}"
    start, end = to_datetime(result.window_start), to_datetime(result.window_end)
    spec = "minutes"
    if start.second or end.second:
        spec = "seconds"
    if start.microsecond or end.microsecond:
        spec = "microseconds"
    until = f"{end.time().isoformat(spec)}" if end.date() == start.date() else _moment(end, spec)
    return f"{_moment(start, spec)} – {until} UTC, {state}"


def _moment(moment: datetime, spec: str) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", spec)


def _extent(height: int, top: int, by: str) -> str:
    if height > top:
        return f"best {top} of {height} by {by}"
    return f"{height} row{'' if height == 1 else 's'} by {by}"


def _cell(text: str, justify: Literal["left", "right"] = "left", style: str = "") -> Text:
    return Text(text, style, justify=justify, no_wrap=True, overflow="ellipsis")


def _are_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) for value in known
    )


def _by_the_point(values: Sequence[Any], least: int) -> list[str]:
    """Return the texts of numbers, all of the same length, at ``least`` that, and the points at the same place."""
    halves = [("", "") if value is None else _split(shown_value(value)) for value in values]
    before, behind = (max(map(len, side)) for side in zip(*halves, strict=True))
    return [(whole.rjust(before) + places.ljust(behind)).rjust(least) for whole, places in halves]


def _split(text: str) -> tuple[str, str]:
    whole, point, places = text.partition(".")
    return whole, point + places


def shown_value(value: Any) -> str:
    """Return a value as tables show it, without anything that could move the cursor."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        whole, _, places = f"{value:f}".partition(".")
        return f"{whole}.{places.rstrip('0').ljust(_CENTS, '0')}"
    if isinstance(value, datetime):
        return _moment(value, "auto")
    if isinstance(value, dict):
        return " ".join(map(shown_value, value.values()))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown_value, value))
    return readable(str(value))
