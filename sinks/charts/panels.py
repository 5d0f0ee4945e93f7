"""Panels of pictures: bars with their names and amounts, and areas over event time, one below the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from schemas.times import format_duration, to_datetime
from sinks.charts.figure import INK, PALE, SOFT, bare, shown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CLOCK = ("%H:%M", "%H:%M", "%H:%M:%S")
Numbers = npt.NDArray[np.float64]
Starts = npt.NDArray[np.int64]
#: Beside the longest bar so much room is left for its amount, as a part of its length.
_ROOM = 0.42
#: What lies so many times its own length away from the rest is a wrong time, if it is as small a part of all.
_FAR, _SMALL_PART = 4, 0.02
#: A stretch is drawn with its edges where there are so few of them.
_FEW = 200


def draw_bars(
    axes: Axes,
    names: Sequence[object],
    values: Sequence[Decimal],
    labels: Sequence[str],
    colors: Sequence[str] | str,
    longest: Decimal,
    height: float = 0.72,
) -> None:
    """Draw a bar for each name, the first one on top, with a label at its end; ``longest`` is what has room."""
    places = range(len(names))
    lengths = [float(value) for value in values]
    bars = axes.barh(places, lengths, color=colors, height=height)
    axes.bar_label(bars, labels, padding=5, color=INK, size=9.5)
    axes.set_yticks(places, [shown_name(name) for name in names])
    axes.invert_yaxis()
    bare(axes)
    axes.tick_params(axis="y", colors=INK, labelsize=9.5)
    axes.xaxis.set_visible(False)
    axes.set_xlim(min(0.0, *lengths, 0.0), (float(longest) if longest > 0 else 1.0) * (1 + _ROOM))
    for text in (*axes.get_yticklabels(), *axes.texts):
        text.set_parse_math(False)  # a name is a name, whatever dollars are in it


def draw_stretches(axes: Axes, starts: Starts, width: int, values: Numbers, color: str) -> None:
    """Draw an amount for each stretch of time, as an area with steps; where there is no stretch, there is nothing.

    Args:
        axes: where.
        starts: when each stretch starts, in microseconds, ascending.
        width: how long it is, in microseconds.
        values: the amount of each.
        color: of the area.
    """
    edges, heights = [], []
    for position, (start, value) in enumerate(zip(starts.tolist(), values.tolist(), strict=True)):
        edges += [start, start + width]
        heights += [value, value]
        if position + 1 < len(starts) and starts[position + 1] > start + width:
            edges += [start + width, int(starts[position + 1])]
            heights += [0.0, 0.0]
    moments = list(map(to_datetime, edges))
    axes.fill_between(moments, heights, color=color, alpha=0.85 if len(starts) <= _FEW else 0.9, linewidth=0)  # type: ignore[arg-type]
    axes.plot(moments, heights, color=color, linewidth=0.8)  # type: ignore[arg-type]


def style_time(axes: Axes, starts: Starts, width: int, heading: str = "", *, is_last: bool = True) -> None:
    """Give the panel an axis of event time, from the first stretch to the last; a wrong time does not widen it.

    Of panels one below the other only the last one has numbers.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 (it takes a second)

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    plain, round_ones = ["%Y", "%b %Y", "%d %b", *_CLOCK], ["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M:%S"]
    formatter = ConciseDateFormatter(locator, formats=plain, zero_formats=round_ones, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    first, last = main_span(starts, width)
    axes.set_xlim(to_datetime(first), to_datetime(last))  # type: ignore[arg-type]
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.margins(y=0.08)
    bare(axes, heading)
    axes.tick_params(axis="x", labelbottom=is_last)


def style_amounts(axes: Axes, ticks: int, text: Callable[[float], str]) -> None:
    """Give the panel an axis of amounts from zero on, with so many ticks at most."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415 (as above)

    axes.yaxis.set_major_locator(MaxNLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axes.axhline(0, color=SOFT, linewidth=0.8)


def main_span(starts: Starts, width: int) -> tuple[int, int]:
    """Return when the stretches begin and end, in microseconds, without some few that lie far away from all others.

    >>> minutes = np.array([0, *range(600_000, 600_090)]) * 60_000_000
    >>> main_span(minutes, 60_000_000) == (minutes[1], minutes[-1] + 60_000_000)
    True
    """
    few = int(len(starts) * _SMALL_PART)
    low, high = starts[few], starts[-1 - few]
    far = _FAR * (high - low + width)
    near = starts[(starts >= low - far) & (starts <= high + far)]
    return int(near[0]), int(near[-1]) + width


def told_span(first: int, last: int) -> str:
    """Return a stretch of time in words: ``2011-04-01 09:00 – 18:00 UTC``."""
    begin, end = to_datetime(first).replace(tzinfo=None), to_datetime(last).replace(tzinfo=None)
    spec = "seconds" if begin.second or end.second else "minutes"
    until = end.time().isoformat(spec) if begin.date() == end.date() else _moment(end, spec)
    return f"{_moment(begin, spec)} – {until} UTC"


def told_width(width: int) -> str:
    """Return how long a stretch is, in words: ``minute``, ``5 minutes``."""
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    for seconds, name in units:
        number, rest = divmod(width, seconds * 1_000_000)
        if not rest:
            return name if number == 1 else f"{number} {name}s"
    return format_duration(width)


def _moment(moment: datetime, spec: str) -> str:
    return moment.isoformat(" ", spec)
