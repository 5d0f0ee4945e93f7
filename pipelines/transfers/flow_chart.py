"""The flow of each region over event time, and how much there was since the start, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from schemas.bank import CURRENCY
from schemas.elements.frames import Result
from sinks.charts.colors import OTHERS_COLOR, colors_of
from sinks.charts.figure import exact, new_figure, short, shown_name
from sinks.charts.panels import draw_bars, draw_stretches, main_span, style_amounts, style_time, told_span, told_width
from transforms.aggregate.over_time import START, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOW = "flow"
#: So many regions are drawn; beyond, the smaller ones are drawn as one.
MOST_REGIONS = 8
OTHERS = "all others"
_ROW_INCHES, _LEAST_ROWS = 0.78, 3


@dataclass(frozen=True)
class FlowChart:
    """A row for each region, the one with the greatest total on top: its flow over event time, and a bar for its total.

    It takes a result of :class:`~transforms.aggregate.over_time.AggregateOverTime`.

    Attributes:
        key: the column with the region.
        value: the column with the sums.
    """

    key: str
    value: str = "sum"

    def draw(self, parts: Mapping[str, list[Result]]) -> Figure | None:
        """Return the picture of the newest result."""
        rows = parts[FLOW][-1].rows.with_columns(pl.col(self.value).fill_null(0))
        if not rows.height:
            return None
        totals = (
            rows.group_by(self.key).agg(pl.col(self.value).sum()).sort([self.value, self.key], descending=[True, False])
        )
        colors = colors_of(map(str, totals[self.key]))
        names: list[str] = totals[self.key].to_list()
        if len(names) > MOST_REGIONS:
            names, kept = [*names[: MOST_REGIONS - 1], OTHERS], names[: MOST_REGIONS - 1]
            is_kept = pl.col(self.key).is_in(kept, nulls_equal=True)
            rows = rows.with_columns(pl.when(is_kept).then(self.key).otherwise(pl.lit(OTHERS)).alias(self.key))
            colors |= {OTHERS: OTHERS_COLOR}
        starts, width = rows[START].unique().sort().to_numpy(), int(rows[WIDTH][0])
        whole = Decimal(rows[self.value].sum())
        longest = Decimal(rows.group_by(self.key).agg(pl.col(self.value).sum())[self.value].max())  # type: ignore[arg-type]
        span = told_span(*main_span(starts, width))
        below = f"{span} · {exact(whole, CURRENCY)} in all · {CURRENCY} per {told_width(width)}, event time"
        figure = new_figure("Credit flow by region", below, max(len(names), _LEAST_ROWS) * _ROW_INCHES + 0.5)
        grid = figure.add_gridspec(len(names), 2, width_ratios=(7, 4))
        first = None
        for place, name in enumerate(names):
            of_region = rows.filter(pl.col(self.key).eq_missing(pl.lit(name)))
            over_time = of_region.group_by(START).agg(pl.col(self.value).sum()).sort(START)
            area = figure.add_subplot(grid[place, 0], sharex=first, sharey=first)
            first = first or area
            color = colors[str(name)]
            amounts = over_time[self.value].cast(pl.Float64).to_numpy()
            draw_stretches(area, over_time[START].to_numpy(), width, amounts, color)
            style_time(area, starts, width, shown_name(name), is_last=place + 1 == len(names))
            style_amounts(area, 3, short)
            total = Decimal(of_region[self.value].sum())
            share = f" · {total / whole:.1%}" if whole else ""
            bar = figure.add_subplot(grid[place, 1])
            bar.set_ylim(0.5, -0.5)
            draw_bars(bar, [""], [total], [f"{exact(total)}{share}"], [color], longest, 0.45)
        return figure
