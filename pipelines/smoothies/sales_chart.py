"""What a shop sells by the hour and category, and the hours that stand out, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from pipelines.smoothies.anomalies import SEEN, WHOLE_SHOP
from pipelines.smoothies.earnings import PRODUCT, UNKNOWN
from schemas.elements.frames import EDGES, Result
from schemas.smoothies import CURRENCY
from schemas.times import MICROS_PER_SECOND
from sinks.charts.colors import colors_of
from sinks.charts.figure import INK, exact, new_figure, short, shown_name
from sinks.charts.panels import draw_stretches, main_span, style_amounts, style_time, told_span, told_width
from transforms.aggregate.over_time import START, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SOLD, PRODUCTS, ANOMALIES = "sold", "products", "anomalies"
#: So many of the hours that stand out most are told of in words, of so many that are looked at.
TOLD, TOLD_PRODUCTS, _LOOKED_AT = 5, 3, 40
#: How much of a panel the words take, and from where on they stand on the left of what they tell.
_TEXT_WIDTH, _TEXT_HEIGHT, _RIGHT = 0.26, 0.2, 0.7
MOST_CATEGORIES = 8
_HOUR = 3_600 * MICROS_PER_SECOND
_ROW_INCHES, _SHOP_INCHES, _PRODUCTS_INCHES = 0.8, 2.1, 1.6
_FAR, _GREY = "#c2185b", "#a9bac6"


@dataclass(frozen=True)
class SalesChart:
    """A row for each category with its sales by the hour, and below the drinks of the whole shop with what stands out.

    It takes the sales and drinks by product and stretch of time, the totals by product, which tell the categories, and
    the anomalies, if there are any.
    """

    def draw(self, parts: Mapping[str, list[Result]]) -> Figure | None:
        """Return the picture of the newest results, once there are sales and products."""
        if SOLD not in parts or PRODUCTS not in parts or not parts[SOLD][-1].rows.height:
            return None
        sold, products = parts[SOLD][-1].rows, parts[PRODUCTS][-1].rows
        named = sold.join(products.select(PRODUCT, "category", "item"), PRODUCT, how="left", nulls_equal=True)
        named = named.with_columns(pl.col("category").fill_null(UNKNOWN), pl.col("sales", "drinks").fill_null(0))
        totals = (
            named.group_by("category").agg(pl.col("sales").sum()).sort(["sales", "category"], descending=[True, False])
        )
        colors = colors_of(totals["category"])
        shown = totals.head(MOST_CATEGORIES)
        starts, width = sold[START].unique().sort().to_numpy(), int(sold[WIDTH][0])
        whole = Decimal(totals["sales"].sum())
        span = told_span(*main_span(starts, width))
        below = f"{span} · {exact(whole, CURRENCY)} in all · US dollars per {told_width(width)}"
        below += f" · {shown.height} of {totals.height} categories" if totals.height > shown.height else ""
        far = _far(parts.get(ANOMALIES, []), products)
        of_shop, of_products = far.filter(pl.col("is_shop")), far.filter(~pl.col("is_shop"))
        inches = [*[_ROW_INCHES] * shown.height, _SHOP_INCHES, *([_PRODUCTS_INCHES] if of_products.height else [])]
        figure = new_figure("Sales by category, and what stands out", below, sum(inches) + 0.5)
        grid = figure.add_gridspec(len(inches), 1, height_ratios=inches)
        first = None
        for place, (category, total) in enumerate(shown.iter_rows()):
            of_category = named.filter(pl.col("category") == category)
            over_time = of_category.group_by(START).agg(pl.col("sales").sum()).sort(START)
            area = figure.add_subplot(grid[place], sharex=first, sharey=first)
            first = first or area
            amounts = over_time["sales"].cast(pl.Float64).to_numpy()
            draw_stretches(area, over_time[START].to_numpy(), width, amounts, colors[category])
            style_time(area, starts, width, f"{shown_name(category)} · {exact(total, CURRENCY)}", is_last=False)
            style_amounts(area, 3, lambda value: short(value, CURRENCY))
        drinks = named.group_by(START).agg(pl.col("drinks").sum()).sort(START)
        shop = figure.add_subplot(grid[shown.height], sharex=first)
        draw_stretches(
            shop, drinks[START].to_numpy(), width, drinks["drinks"].cast(pl.Float64).to_numpy() / (width / _HOUR), _GREY
        )
        marks = "  (●  seen,  ○  expected, where that is far)" if of_shop.height else ""
        style_time(shop, starts, width, f"Drinks per hour, whole shop{marks}", is_last=not of_products.height)
        style_amounts(shop, 4, short)
        _mark_shop(shop, of_shop)
        if of_products.height:
            panel = figure.add_subplot(grid[shown.height + 1], sharex=first)
            _mark_products(panel, of_products, colors)
            heading = "Products that stand out, in deviations from what was expected  (▲  more,  ▼  less)"
            style_time(panel, starts, width, heading)
            style_amounts(panel, 4, short)
        return figure


def _far(anomalies: list[Result], products: pl.DataFrame) -> pl.DataFrame:
    """Return what stands out, the farthest first: when (the middle of the hour), of what, seen, expected, score."""
    rows = [result.rows for result in anomalies if result.rows.height]
    if not rows:
        return pl.DataFrame(schema={"is_shop": pl.Boolean})
    of_product = products.select(PRODUCT, "item", "category")
    found = pl.concat(rows).join(of_product, PRODUCT, how="left", nulls_equal=True)
    return found.select(
        (pl.col(EDGES[0]) + timedelta(minutes=30)).alias("at"),
        (pl.col(PRODUCT) == WHOLE_SHOP).fill_null(False).alias("is_shop"),
        pl.coalesce("item", PRODUCT).alias("name"),
        pl.col("category").fill_null(UNKNOWN),
        SEEN,
        "expected",
        "score",
    ).sort([pl.col("score").abs(), "at", "name"], descending=[True, False, False])


def _mark_shop(axes: Axes, far: pl.DataFrame) -> None:
    """Mark what was seen and what was expected, and tell the farthest in words."""
    if not far.height:
        return
    at, seen, expected = (far[name].to_list() for name in ("at", SEEN, "expected"))
    axes.vlines(at, seen, expected, color=_FAR, linewidth=1.3)
    axes.scatter(at, expected, s=30, facecolor="white", edgecolor=_FAR, linewidth=1.3, zorder=3)
    axes.scatter(at, seen, s=30, color=_FAR, zorder=4)
    _tell(axes, far, SEEN, TOLD, "{seen:,} seen, {expected:,.1f} expected")


def _mark_products(axes: Axes, far: pl.DataFrame, colors: Mapping[str, str]) -> None:
    """Mark each product that stands out in the colour of its category, and tell the farthest in words."""
    for is_more, marker in ((True, "^"), (False, "v")):
        marked = far.filter((pl.col("score") > 0) == is_more)
        color = [colors.get(category, _GREY) for category in marked["category"]]
        axes.scatter(marked["at"].to_list(), marked["score"].to_list(), s=26, marker=marker, color=color, zorder=3)
    _tell(axes, far, "score", TOLD_PRODUCTS, "{name}: {seen:,} seen, {expected:,.1f} expected")


def _tell(axes: Axes, far: pl.DataFrame, height: str, most: int, text: str) -> None:
    """Tell the farthest in words, where these do not lie on those of others."""
    from matplotlib.dates import date2num  # noqa: PLC0415 (it takes a second)

    axes.autoscale_view()
    first, last = axes.get_xlim()
    low, high = axes.get_ylim()
    taken: list[tuple[float, float]] = []
    for row in far.head(_LOOKED_AT).iter_rows(named=True):
        x = (float(date2num(row["at"])) - first) / (last - first)  # type: ignore[no-untyped-call]
        y = (row[height] - low) / ((high - low) or 1)
        is_right = x < _RIGHT
        begin = x if is_right else x - _TEXT_WIDTH
        if any(abs(begin - other) < _TEXT_WIDTH and abs(y - beside) < _TEXT_HEIGHT for other, beside in taken):
            continue
        taken.append((begin, y))
        told = axes.annotate(
            text.format(**{**row, "name": shown_name(row["name"], 22)}),
            (row["at"], row[height]),
            (7 if is_right else -7, 0),
            textcoords="offset points",
            ha="left" if is_right else "right",
            va="center",
            size=8.5,
            color=INK,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
            zorder=5,
        )
        told.set_parse_math(False)
        if len(taken) == most:
            return
