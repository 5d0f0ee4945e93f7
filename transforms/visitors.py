"""Visitors by the hour: distinct ones per date and hour, and their sums per hour of the day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import polars as pl

from schemas.units import MICROS_PER_SECOND
from sources.block import Block
from transforms.aggregate import Aggregate, Tuning
from transforms.aggregations import Aggregation, CountDistinct, Max
from transforms.frames import Batch, Result
from transforms.reduction import EDGES
from transforms.windows import Windows

HOUR = Windows(3_600 * MICROS_PER_SECOND)
HOURS_OF_DAY = 24
_NO_BLOCK = Block(b"", ())


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Result)
@dataclass
class CountVisitors(beam.PTransform):
    """Gives how many different visitors each hour had, all hours since the start in one result.

    A visitor counts once an hour, however far apart its rows come. The visitors of an hour are kept until the watermark
    and the lateness have passed its end; then only their number is. Hours are those of UTC.

    The rows of a result are ``date``, ``hour`` (0 to 23) and ``visitors``, by ascending time; hours without any are not
    there.

    Attributes:
        visitors: how visitors are counted, ``CountDistinct("ip")``.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end an hour still takes rows.
        tuned_for: see Aggregate.
    """

    visitors: Aggregation = CountDistinct("ip")
    emit_micros: int = 0
    lateness_micros: int = 0
    tuned_for: Tuning = "any"

    def __post_init__(self) -> None:
        """Lets Beam set up what it needs."""
        super().__init__()

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Counts within the hours, then keeps the newest count of each."""
        # Twice as often, so that what the board shows is not much older than one period.
        hours = batches | "VisitorsPerHour" >> Aggregate(
            (), {"visitors": self.visitors}, HOUR, self.emit_micros // 2, self.lateness_micros, tuned_for=self.tuned_for
        )
        # The number of an hour never gets smaller, so the greatest is the newest.
        return (
            hours
            | "HoursAsRows" >> beam.ParDo(_AsRowsFn())
            | "AllHours"
            >> Aggregate(
                ("hour_start",),
                {"visitors": Max("visitors")},
                emit_micros=self.emit_micros,
                tuned_for=self.tuned_for,
                counted=False,
            )
            | "DateAndHour" >> beam.Map(_by_date).with_output_types(Result)
        )


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass
class SumByHourOfDay(beam.PTransform):
    """Sums the visitors of :class:`CountVisitors` per hour of the day: 24 rows of ``hour`` and ``visitors``."""

    def __post_init__(self) -> None:
        """Lets Beam set up what it needs."""
        super().__init__()

    def expand(self, hours: beam.PCollection) -> beam.PCollection:
        """Wires the one step."""
        return hours | "SumHours" >> beam.Map(_by_hour_of_day).with_output_types(Result)


@beam.typehints.with_output_types(Batch)
class _AsRowsFn(beam.DoFn):
    def process(self, hour: Result) -> Iterator[Batch]:
        yield Batch(hour.rows.select(pl.col(EDGES[0]).alias("hour_start"), "visitors"), _NO_BLOCK)


def _by_date(hours: Result) -> Result:
    start = pl.col("hour_start")
    date_and_hour = (start.dt.date().alias("date"), start.dt.hour().cast(pl.Int64).alias("hour"))
    return hours._replace(rows=hours.rows.select(*EDGES, *date_and_hour, "visitors"))


def _by_hour_of_day(hours: Result) -> Result:
    every = pl.DataFrame({"hour": range(HOURS_OF_DAY)}, {"hour": pl.Int64})
    sums = hours.rows.group_by("hour").agg(pl.col("visitors").sum())
    edges = [pl.lit(None, hours.rows.schema[name]).alias(name) for name in EDGES]
    rows = every.join(sums, "hour", how="left").with_columns(pl.col("visitors").fill_null(0))
    return hours._replace(rows=rows.sort("hour").select(*edges, "hour", "visitors"))
