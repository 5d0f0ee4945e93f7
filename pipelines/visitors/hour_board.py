"""The hours of a day as a board of 24 cells, redrawn in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.elements.frames import Result
from sinks.console.tables import printed, title_of
from sinks.files.table_layout import require

HOURS = 24
#: How many cells stand beside each other: the first that fits the width.
_COLUMNS = (6, 4, 3, 2, 1)
#: What a cell needs beside its count: the hour and a blank, and to the right the mark or the edge of the cell.
_HOUR_COLUMNS = 3
_PLAIN_GAP = 3
_EDGE_COLUMNS = 3
_MARK = "*"
#: With fewer cells beside each other there are too many rows for rules between them.
_RULED_COLUMNS = 4


def render_board(counts: Mapping[int, int], before: Mapping[int, int] | None, width: int, color: bool) -> str:
    """Return the board: per hour its number and its count, in rows of six where the width is enough for that.

    Args:
        counts: by hour, 0 to 23; those that are not there are 0.
        before: the counts that were drawn before; cells that have changed since are marked, with ``*``, or in bold and
            reverse with ``color``. None where nothing was drawn.
        width: the columns of the terminal.
        color: whether it is for a terminal; without, it is plain text.

    Example:
        >>> print(render_board({16: 1, 17: 4}, {17: 3}, 80, color=False), end="")
        00 0    01 0    02 0    03 0    04 0    05 0
        06 0    07 0    08 0    09 0    10 0    11 0
        12 0    13 0    14 0    15 0    16 1*   17 4*
        18 0    19 0    20 0    21 0    22 0    23 0
    """
    texts = [f"{counts.get(hour, 0):,}" for hour in range(HOURS)]
    changed = [before is not None and counts.get(hour, 0) != before.get(hour, 0) for hour in range(HOURS)]
    size = max(map(len, texts))
    taken = _HOUR_COLUMNS + size + (_EDGE_COLUMNS if color else 1 + _PLAIN_GAP)
    spare = 1 if color else -_PLAIN_GAP
    columns = next((number for number in _COLUMNS if number * taken + spare <= width), 1)
    table = Table(
        box=box.SQUARE if color else None,
        show_header=False,
        show_lines=color and columns >= _RULED_COLUMNS,
        padding=(0, 1, 0, 1) if color else (0, _PLAIN_GAP, 0, 0),
        pad_edge=color,
    )
    for _ in range(columns):
        table.add_column(no_wrap=True)
    cells = [
        _cell(hour, text.rjust(size), is_changed, color)
        for hour, (text, is_changed) in enumerate(zip(texts, changed, strict=True))
    ]
    for first in range(0, HOURS, columns):
        table.add_row(*cells[first : first + columns])
    # Rich would cut a figure that is wider than the terminal; that goes on in the next line.
    return printed(table, max(width, columns * taken + spare), color)


def _cell(hour: int, text: str, is_changed: bool, color: bool) -> Text:
    if not color:
        return Text(f"{hour:02} {text}{_MARK if is_changed else ' '}")
    style = "bold reverse" if is_changed else "dim" if text.strip() == "0" else ""
    return Text.assemble((f"{hour:02} ", "" if is_changed else "dim"), text, style=style)


@dataclass(frozen=True)
class PaintBoard:
    """The counts by hour of the day as a board; the cells that have changed last are marked.

    The rows of a result have the columns ``hour`` (0 to 23) and ``visitors`` (a whole number); hours that are not there
    have none.

    Attributes:
        name: what is counted, in words; it goes before the window.
    """

    name: str = ""

    def __call__(self, shown: Result, before: Result | None, width: int, color: bool) -> str:
        """Return the lines of the board."""
        counts = _counts(shown)
        title = " · ".join([*([self.name] if self.name else []), title_of(shown), f"{sum(counts.values()):,} in all"])
        heading = printed(Group(Text(title, "bold", no_wrap=True, overflow="ellipsis")), width, color)
        return heading + render_board(counts, None if before is None else _counts(before), width, color)


def _counts(result: Result) -> dict[int, int]:
    require(result.rows, ["hour", "visitors"])
    return {int(hour): int(count or 0) for hour, count in result.rows.select("hour", "visitors").iter_rows()}
