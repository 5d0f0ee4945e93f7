"""What is low on the shelves, for a person."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
import polars as pl

from schemas.elements.frames import EDGES, Result
from schemas.times import MICROS_PER_SECOND
from sinks.console.screen import PaintTable, ShowLive

_MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND


@beam.typehints.with_input_types(Result)
@dataclass(eq=False)
class PrintShortage(beam.PTransform):
    """Show which products of :class:`TrackStock` are low or out, those that cost most first.

    It yields the results with those rows alone.

    Attributes:
        name: what is shown, in words.
        top: how many rows to show.
        place: where it stands among what else is drawn in place by the pipeline.
    """

    name: str = "low stock"
    top: int = 5
    place: int = 0

    def expand(self, levels: beam.PCollection) -> beam.PCollection:
        """Take what is short, and show it."""
        short = levels | "KeepShort" >> beam.Map(_with_short).with_output_types(Result)
        return short | "Print" >> ShowLive(PaintTable(self.name, self.top, by="lost_value"), self.place)


def _with_short(result: Result) -> Result:
    return result._replace(rows=short(result.rows))


def short(levels: pl.DataFrame) -> pl.DataFrame:
    """Return what is low or out, with the columns that tell a person why to care."""
    is_one_shop = levels["store_id"].is_null().all()
    minutes = (pl.col("without_stock_micros") // _MICROS_PER_MINUTE).alias("minutes_without")
    shop = [] if is_one_shop else ["store_id"]
    return levels.filter(pl.col("state") != "ok").select(
        *EDGES, *shop, "product_id", "level", "state", minutes, "times_out", "lost", "lost_value"
    )
