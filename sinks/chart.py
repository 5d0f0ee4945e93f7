"""Totals as a chart: how much has moved over time, and how the totals stand. It is drawn anew with each result."""

from __future__ import annotations

import importlib.util
import io
import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import apache_beam as beam

from schemas.elements.block import now_micros
from schemas.elements.frames import Result
from schemas.times import MICROS_PER_SECOND, to_datetime
from sinks.console.screen import screen_token
from sinks.files.atomic import check_writable, write_whole
from sinks.files.table_layout import require

HOW_TO_GET = "charts need matplotlib: pip install 'transaction-streams[plot]'"
#: The most moments that a chart has: at more, every second one is left out, so that it covers the whole stream.
MOST_MOMENTS = 600
#: So many keys have a colour of their own; the others are drawn as one.
MOST_KEYS = 8
OTHERS = "all others"
#: Names are cut to so many characters.
_NAME_LENGTH = 28
_SIZE_INCHES = (11.5, 5.0)
_DOTS_PER_INCH = 110
#: Colours that people tell apart who see them differently (after Okabe and Ito); grey is for the others.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7A5195")
_OTHERS_COLOR = "#B0B0B0"
_INK, _PALE = "#333333", "#DDDDDD"
_KILO = 1_000
#: Drawing takes at most such a part of the time.
_PART_OF_TIME = 0.25


def check_plot(path: str) -> None:
    """Find out, before anything runs, whether a chart could be drawn into that file.

    Raises:
        ValueError: matplotlib is missing, or the path has another ending; the message is one line.
        SinkError: the file could not be written.
    """
    check_ending(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(HOW_TO_GET)
    check_writable(path)


def check_ending(path: str) -> Literal["png", "svg"]:
    """Return the kind of picture that the ending of a path stands for.

    Raises:
        ValueError: none that can be drawn.
    """
    ending = Path(path).suffix.lower()
    if ending == ".png":
        return "png"
    if ending == ".svg":
        return "svg"
    raise ValueError(f"expected a chart's path to end in .png or .svg, got {path!r}")


@dataclass
class Flow:
    """What a chart shows: the totals by key, each time that they were given.

    Attributes:
        moments: when, in microseconds, ascending; the first is the start, when there was nothing.
        history: the totals by key at each of these.
        pane: of the newest.
        order: the keys in the order in which they have got their colours.
    """

    moments: list[int]
    history: list[Mapping[str, Decimal]] = field(default_factory=lambda: [{}])
    pane: int = -1
    order: list[str] = field(default_factory=list)

    def add(self, moment: int, pane: int, totals: Mapping[str, Decimal]) -> bool:
        """Take newer totals; return whether they are. Those of a moment that was told before take the place of its."""
        if pane <= self.pane:
            return False
        self.pane = pane
        if len(self.moments) > 1 and moment <= self.moments[-1]:
            moment = self.moments.pop()
            self.history.pop()
        self.moments.append(max(moment, self.moments[-1] + 1))
        self.history.append(totals)
        self.order += [key for key in self._ordered() if key not in self.order]
        if len(self.moments) > MOST_MOMENTS:
            self.moments = [*self.moments[:-1:2], self.moments[-1]]
            self.history = [*self.history[:-1:2], self.history[-1]]
        return True

    def keys(self) -> list[str]:
        """Return the keys that are drawn, the greatest total first; the last is OTHERS where there are too many."""
        ordered = self._ordered()
        return ordered if len(ordered) <= MOST_KEYS else [*ordered[: MOST_KEYS - 1], OTHERS]

    def _ordered(self) -> list[str]:
        totals = self.history[-1]
        return sorted(totals, key=lambda key: (-totals[key], key))

    def colors(self) -> list[str]:
        """Return a colour for each of the keys, the same each time, as far as there are enough of them."""
        keys = self.keys()
        if len(self.history[-1]) > MOST_KEYS:
            return [*_COLORS[: MOST_KEYS - 1], _OTHERS_COLOR]
        return [_COLORS[self.order.index(key) % len(_COLORS)] for key in keys]

    def totals(self) -> list[list[Decimal]]:
        """Gives, for each of the keys, its total at each moment; 0 where it was not there yet."""
        keys = self.keys()
        named = keys if len(keys) == len(self.history[-1]) else keys[:-1]
        lists = [[totals.get(key, Decimal(0)) for totals in self.history] for key in named]
        if len(named) < len(keys):
            rest = self.history[-1].keys() - set(named)
            lists.append([sum((totals.get(key, Decimal(0)) for key in rest), Decimal(0)) for totals in self.history])
        return lists

    def rates(self) -> tuple[list[datetime], list[list[float]]]:
        """Return moments, and for each key what was added per second since the moment before.

        The start is left out where there is enough without it: nothing came while the pipeline was set up.
        """
        first = 1 if len(self.moments) > 2 else 0  # noqa: PLR2004 (two moments have one stretch of time between them)
        moments = self.moments[first:]
        seconds = [(after - before) / MICROS_PER_SECOND for before, after in itertools.pairwise(moments)]
        rates = []
        for totals in self.totals():
            added = (after - before for before, after in itertools.pairwise(totals[first:]))
            rates.append([float(value) / second for value, second in zip(added, seconds, strict=True)])
        return [to_datetime(moment) for moment in moments], rates


def draw(flow: Flow, kind: Literal["png", "svg"], unit: str) -> bytes:
    """Return the chart as a picture.

    On the left is how much was added per second, on the right how the totals stand; ``unit`` says what is counted.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 (it takes a second)
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415

    keys = flow.keys()
    colors = flow.colors()
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    over_time, standing = figure.subplots(1, 2, width_ratios=(3, 2))
    moments, rates = flow.rates()
    # Each stretch of time has one rate: a step that ends with it.
    steps = [[*rate[:1], *rate] for rate in rates]
    over_time.stackplot(moments, steps, colors=colors, step="pre", linewidth=0)
    over_time.set_title(f"{unit} per second", loc="left", color=_INK)
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    over_time.xaxis.set_major_locator(locator)
    over_time.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    over_time.set_xlabel("UTC", color=_INK)
    over_time.set_xlim(moments[0], moments[-1])
    over_time.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    over_time.grid(axis="y", color=_PALE)

    totals = [series[-1] for series in flow.totals()]
    whole = sum(totals, Decimal(0))
    places = range(len(keys))
    bars = standing.barh(places, [float(total) for total in totals], color=colors)
    standing.set_title(f"{unit} since the start: {short(whole)}", loc="left", color=_INK)
    standing.bar_label(bars, [_label(total, whole) for total in totals], padding=4, color=_INK)
    standing.set_yticks(places, [_name(key) for key in keys])
    standing.invert_yaxis()
    standing.xaxis.set_visible(False)
    standing.margins(x=0.32)
    for axes in (over_time, standing):
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=_INK)
    for text in standing.get_yticklabels():
        text.set_parse_math(False)  # a name is a name, whatever dollars are in it
    picture = io.BytesIO()
    figure.savefig(picture, format=kind)
    return picture.getvalue()


def short(value: float | Decimal) -> str:
    """Return a number as people say it.

    >>> short(Decimal("40048837.98")), short(950), short(-1_500), short(0)
    ('40.0 M', '950', '-1.5 k', '0')
    """
    number = float(value)
    units = ["", "k", "M", "G", "T"]
    while abs(number) >= _KILO and len(units) > 1:
        number /= _KILO
        units.pop(0)
    return f"{number:.1f} {units[0]}" if units[0] else f"{number:.0f}"


def _label(total: Decimal, whole: Decimal) -> str:
    return f"{short(total)} · {total / whole:.1%}" if whole else short(total)


def _name(key: str) -> str:
    # What cannot be printed would be a box, or break the line.
    clean = "".join(letter if letter.isprintable() else "?" for letter in key)
    return clean if len(clean) <= _NAME_LENGTH else f"{clean[: _NAME_LENGTH - 1]}…"


@beam.typehints.with_input_types(Result)
@dataclass(eq=False)
class DrawFlow(beam.PTransform):
    """Draw the running totals of a pipeline into a file, anew with each result; yield nothing.

    Where results tell their event times, the chart is over those: as much as a record's time is later than that of all
    before. Else it is over the time at which results came.

    The file is replaced in one go, so that a viewer never sees half a picture. The history is known to the process that
    draws, for as long as it runs. Where drawing would take more than a quarter of the time, early results are passed
    over; the final one is always drawn.

    Attributes:
        path: the file, ``.png`` or ``.svg``.
        key: the column that tells the rows apart.
        value: the column of totals.
        unit: what they are, for the titles.
    """

    path: str
    key: str
    value: str = "sum"
    unit: str = "Volume"

    def __post_init__(self) -> None:
        """Check the ending of the path.

        Raises:
            ValueError: it is unknown.
        """
        super().__init__()
        check_ending(self.path)

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        return results | "DrawChart" >> beam.ParDo(_DrawFn(self, screen_token(results.pipeline), now_micros()))


@dataclass
class _Easel:
    """A chart, and when it was drawn last. Threads take turns."""

    flow: Flow
    lock: threading.Lock = field(default_factory=threading.Lock)
    not_before: float = 0.0

    def show(self, options: DrawFlow, result: Result) -> None:
        require(result.rows, [options.key, options.value])
        rows = result.rows.select(options.key, options.value).iter_rows()
        totals = {str(name): Decimal(value or 0) for name, value in rows}
        with self.lock:
            first, newest = result.times or (self.flow.moments[0], now_micros())
            if self.flow.pane < 0 and result.times:
                # Who comes alone has come within a second.
                self.flow.moments[0] = min(first, newest - MICROS_PER_SECOND)
            self.flow.moments[0] = min(self.flow.moments[0], first)
            is_newer = self.flow.add(newest, result.pane, totals)
            began = time.monotonic()
            if is_newer and (result.final or began >= self.not_before):
                write_whole(options.path, draw(self.flow, check_ending(options.path), options.unit))
                ended = time.monotonic()
                self.not_before = ended + (ended - began) * (1 / _PART_OF_TIME - 1)


#: By pipeline and path: the steps that draw into one file share what they have drawn, each process for itself.
_easels: dict[str, _Easel] = {}
_EASELS_LOCK = threading.Lock()


class _DrawFn(beam.DoFn):
    def __init__(self, options: DrawFlow, token: str, start: int) -> None:
        self._options = options
        self._token = f"{token}/{options.path}"
        self._start = start

    def process(self, element: Result) -> None:
        with _EASELS_LOCK:
            easel = _easels.setdefault(self._token, _Easel(Flow([self._start])))
        easel.show(self._options, element)
