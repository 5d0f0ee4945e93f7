"""What sells best, and how much was spent over event time, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from schemas.elements.frames import Result
from schemas.tape import CURRENCY
from sinks.charts.figure import PLAIN, exact, new_figure, short
from sinks.charts.panels import draw_bars, draw_stretches, main_span, style_amounts, style_time, told_span, told_width
from transforms.aggregate.over_time import START, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SELLERS, SPEND = "sellers", "spend"
#: So many of the best sellers are drawn.
TOP = 15
_ROW_INCHES, _OVER_TIME_INCHES = 0.3, 1.9


@dataclass(frozen=True)
class SellersChart:
    """Bars of the products with the greatest spend since the start, and below them the spend of all over event time."""

    def draw(self, parts: Mapping[str, list[Result]]) -> Figure | None:
        """Return the picture of the newest results, once both parts have one."""
        if SELLERS not in parts or SPEND not in parts:
            return None
        sold, over_time = parts[SELLERS][-1].rows, parts[SPEND][-1].rows.sort(START)
        if not sold.height or not over_time.height:
            return None
        best = sold.sort(["spend", "upc"], descending=[True, False], nulls_last=True).head(TOP)
        starts, width = over_time[START].to_numpy(), int(over_time[WIDTH][0])
        whole = Decimal(sold["spend"].sum())
        below = (
            f"{told_span(*main_span(starts, width))} · spend in US dollars · {exact(whole, CURRENCY)} in all, "
            f"the best {best.height} of {sold.height:,} products"
        )
        bars_inches = max(best.height, 4) * _ROW_INCHES
        figure = new_figure("Best sellers, and spend over time", below, bars_inches + _OVER_TIME_INCHES + 0.4)
        grid = figure.add_gridspec(2, 1, height_ratios=(bars_inches, _OVER_TIME_INCHES))
        names = [text or upc for upc, text in best.select("upc", "description").iter_rows()]
        spend = best["spend"].fill_null(0).to_list()
        labels = [exact(value, CURRENCY) + (f" · {value / whole:.1%}" if whole else "") for value in spend]
        draw_bars(figure.add_subplot(grid[0]), names, spend, labels, PLAIN, max(spend))
        area = figure.add_subplot(grid[1])
        draw_stretches(area, starts, width, over_time["spend"].fill_null(0).cast(pl.Float64).to_numpy(), PLAIN)
        style_time(area, starts, width, f"All products, dollars per {told_width(width)}")
        style_amounts(area, 4, lambda value: short(value, CURRENCY))
        return figure
