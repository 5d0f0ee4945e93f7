"""Visitors that met an error by weekday and hour, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pipelines.visitors.visitors import HOURS_OF_DAY
from schemas.elements.frames import Result
from sinks.charts.figure import FAINT, INK, PLAIN, bare, new_figure, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

HOURS = "hours"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: From pale to dark, so that it is the same picture in grey.
_MAP = ("#f2f6fa", "#c5dcef", "#7fb4de", "#3b86c4", "#0f5a9c", "#0a3467")
_ROW_INCHES, _MARGIN_INCHES = 0.42, 0.75
#: On a cell this dark its number is white.
_DARK = 0.45


@dataclass(frozen=True)
class HeatMap:
    """A cell for each weekday and hour of the day with its visitors, and bars with the sums of both.

    It takes a result of :class:`~pipelines.visitors.visitors.CountVisitors`.

    Attributes:
        days: how many days of a week there are, from Monday on.
    """

    days: int = 7

    def draw(self, parts: Mapping[str, list[Result]]) -> Figure | None:
        """Return the picture of the newest result."""
        rows = parts[HOURS][-1].rows
        weekday = (pl.col("date").dt.weekday() - 1).alias("weekday")
        sums = rows.group_by(weekday, "hour").agg(pl.col("visitors").sum())
        cells = np.zeros((max([self.days, *(sums["weekday"] + 1).to_list()]), HOURS_OF_DAY), dtype=np.int64)
        cells[sums["weekday"].to_numpy(), sums["hour"].to_numpy()] = sums["visitors"].to_numpy()
        dates = rows["date"].unique().sort().to_list()
        below = (
            f"{_told(dates)} · visitors (an address, date and hour) by hour of the day, UTC · {cells.sum():,} in all"
        )
        inches = len(cells) * _ROW_INCHES
        figure = new_figure("Visitors that met a server error", below, inches + _MARGIN_INCHES + 0.75)
        grid = figure.add_gridspec(2, 2, width_ratios=(11, 1.6), height_ratios=(_MARGIN_INCHES, inches))
        _draw_cells(figure, grid[1, 0], cells, [_named(day, dates) for day in range(len(cells))])
        by_hour = figure.add_subplot(grid[0, 0])
        by_hour.bar(range(HOURS_OF_DAY), cells.sum(axis=0), color=PLAIN, width=0.86)
        by_hour.set_xlim(-0.5, HOURS_OF_DAY - 0.5)
        by_day = figure.add_subplot(grid[1, 1])
        bars = by_day.barh(range(len(cells)), cells.sum(axis=1), color=PLAIN, height=0.8)
        by_day.bar_label(bars, [f"{value:,}" for value in cells.sum(axis=1)], padding=4, color=INK, size=9)
        by_day.set_ylim(len(cells) - 0.5, -0.5)
        by_day.margins(x=0.5)
        for axes in (by_hour, by_day):
            bare(axes)
            axes.set_xticks([])
            axes.set_yticks([])
        return figure


def _draw_cells(figure: Figure, place: SubplotSpec, cells: np.ndarray, names: list[str]) -> None:
    from matplotlib.colors import LinearSegmentedColormap, Normalize  # noqa: PLC0415 (it takes a second)

    axes = figure.add_subplot(place)
    most = max(int(cells.max()), 1)
    axes.pcolormesh(
        np.arange(HOURS_OF_DAY + 1) - 0.5,
        np.arange(len(cells) + 1) - 0.5,
        cells,
        cmap=LinearSegmentedColormap.from_list("visitors", _MAP),
        norm=Normalize(0, most),
        edgecolors="white",
        linewidth=2,
    )
    for (day, hour), value in np.ndenumerate(cells):
        color = "white" if value > _DARK * most else INK if value else FAINT
        axes.text(hour, day, _number(int(value)), ha="center", va="center", size=8, color=color)
    axes.set_xticks(range(HOURS_OF_DAY), [f"{hour:02}" for hour in range(HOURS_OF_DAY)])
    axes.set_yticks(range(len(cells)), names)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    bare(axes)


def _number(value: int) -> str:
    return f"{value:,}" if value < 10_000 else short(value).replace(" ", "").replace(".0", "")  # noqa: PLR2004 (room)


def _named(day: int, dates: list[date]) -> str:
    number = sum(each.weekday() == day for each in dates)
    return DAYS[day] if number <= 1 else f"{DAYS[day]} × {number}"


def _told(dates: list[date]) -> str:
    if not dates:
        return "no visitor yet"
    return str(dates[0]) if len(dates) == 1 else f"{dates[0]} – {dates[-1]}"
