"""Visitors by the hour: distinct ones per date and hour, and their sums per hour of the day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import polars as pl
from apache_beam.transforms.window import GlobalWindows

from schemas.units import MICROS_PER_SECOND
from transforms.addresses import CountDistinctAddresses
from transforms.aggregate import Aggregate, ReduceFn, Tuning
from transforms.aggregations import Aggregation, Max
from transforms.columns import EVENT_TIME
from transforms.frames import NO_BLOCK, Batch, Result
from transforms.hours import HOUR_START, FillHoursFn, no_hours
from transforms.reduction import EDGES, FINAL_PANE, Reduction, edges
from transforms.windows import Windows

HOUR = Windows(3_600 * MICROS_PER_SECOND)
HOURS_OF_DAY = 24


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Result)
@dataclass
class CountVisitors(beam.PTransform):
    """Gives how many different visitors each hour had, all hours since the start in one result.

    A visitor counts once an hour, however far apart its rows come. The visitors of an hour are kept until the watermark
    and the lateness have passed its end; then only their number is. Hours are those of UTC.

    The rows of a result are ``date``, ``hour`` (0 to 23) and ``visitors``, by ascending time; hours without any are not
    there. There is a result even if there were no visitors at all.

    Attributes:
        visitors: how visitors are counted.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end an hour still takes rows.
        tuned_for: see Aggregate.
    """

    visitors: Aggregation = CountDistinctAddresses("ip")
    emit_micros: int = 0
    lateness_micros: int = 0
    tuned_for: Tuning = "any"

    def __post_init__(self) -> None:
        """Lets Beam set up what it needs."""
        super().__init__()

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Counts within the hours, and puts them together."""
        counted = self._while_they_fill(batches) if self.tuned_for == "live" else self._when_they_are_over(batches)
        return counted | "DateAndHour" >> beam.Map(_by_date).with_output_types(Result)

    def _while_they_fill(self, batches: beam.PCollection) -> beam.PCollection:
        reduction = Reduction((HOUR_START,), {"visitors": self.visitors})
        reduced = (
            batches
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "HoursOfRows" >> beam.ParDo(_WithHourFn())
            | "ReduceHours" >> beam.ParDo(ReduceFn(reduction, Windows(), 1))
        )
        begin = batches.pipeline | "Begin" >> beam.Impulse() | "NoHours" >> beam.ParDo(_NoHoursFn())
        return (
            (reduced, begin)
            | "FromTheBeginning" >> beam.Flatten()
            | "FillHours" >> beam.ParDo(FillHoursFn(reduction, self.emit_micros, self.lateness_micros))
        )

    def _when_they_are_over(self, batches: beam.PCollection) -> beam.PCollection:
        visitors, newest = {"visitors": self.visitors}, {"visitors": Max("visitors")}
        hours = batches | "VisitorsPerHour" >> Aggregate(
            (), visitors, HOUR, lateness_micros=self.lateness_micros, tuned_for=self.tuned_for
        )
        # With lateness an hour may come several times. Its number never gets smaller, so the greatest is the newest.
        return (
            hours
            | "HoursAsRows" >> beam.ParDo(_AsRowsFn())
            | "AllHours" >> Aggregate((HOUR_START,), newest, tuned_for=self.tuned_for, counted=False)
            | "NoneIsAResult" >> beam.CombineGlobally(_OneResultFn())
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
class _WithHourFn(beam.DoFn):
    def process(self, batch: Batch) -> Iterator[Batch]:
        hour = pl.col(EVENT_TIME).dt.truncate("1h").dt.replace_time_zone("UTC").alias(HOUR_START)
        yield Batch(batch.rows.with_columns(hour), batch.block)


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _NoHoursFn(beam.DoFn):
    def process(self, _: bytes) -> Iterator[tuple[int, pl.DataFrame]]:
        yield 0, pl.DataFrame()


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
class _OneResultFn(beam.CombineFn):
    """Keeps the newest result, and gives one of no hour where there is none."""

    def create_accumulator(self) -> list[Result]:
        return []

    def add_input(self, accumulator: list[Result], element: Result) -> list[Result]:
        return [max([*accumulator, element], key=lambda result: result.pane)]

    def merge_accumulators(self, accumulators: Iterable[list[Result]]) -> list[Result]:
        results = [result for accumulator in accumulators for result in accumulator]
        return [max(results, key=lambda result: result.pane)] if results else []

    def extract_output(self, accumulator: list[Result]) -> Result:
        if accumulator:
            return accumulator[0]
        reduction = Reduction((HOUR_START,), {"visitors": Max("visitors")})
        rows = no_hours(reduction).select(*edges(pl.lit(None), pl.lit(None)), pl.all())
        return Result(None, None, 0, 1, FINAL_PANE, True, rows)


@beam.typehints.with_output_types(Batch)
class _AsRowsFn(beam.DoFn):
    def process(self, hour: Result) -> Iterator[Batch]:
        yield Batch(hour.rows.select(pl.col(EDGES[0]).alias(HOUR_START), "visitors"), NO_BLOCK)


def _by_date(hours: Result) -> Result:
    start = pl.col(HOUR_START)
    date_and_hour = (start.dt.date().alias("date"), start.dt.hour().cast(pl.Int64).alias("hour"))
    return hours._replace(rows=hours.rows.select(*EDGES, *date_and_hour, "visitors"))


def _by_hour_of_day(hours: Result) -> Result:
    every = pl.DataFrame({"hour": range(HOURS_OF_DAY)}, {"hour": pl.Int64})
    sums = hours.rows.group_by("hour").agg(pl.col("visitors").sum())
    edges = [pl.lit(None, hours.rows.schema[name]).alias(name) for name in EDGES]
    rows = every.join(sums, "hour", how="left").with_columns(pl.col("visitors").fill_null(0))
    return hours._replace(rows=rows.sort("hour").select(*edges, "hour", "visitors"))
