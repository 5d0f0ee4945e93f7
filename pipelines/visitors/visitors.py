"""Visitors by the hour: distinct ones per date and hour, and their sums per hour of the day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import polars as pl
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from pipelines.visitors.live_hours import HOUR_START, USABLE, LiveHours, no_hours
from schemas.elements.frames import EDGES, EVENT_TIME, FINAL_PANE, NO_BLOCK, Batch, Result, edges
from transforms.aggregate.aggregate import Aggregate, ReduceFn
from transforms.aggregate.aggregations import Aggregation, Count, Max
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.distinct import CountDistinctAddresses
from transforms.aggregate.live import LiveFn, is_live
from transforms.counting import Tally
from transforms.windows import HOUR, Windows

HOURS_OF_DAY = 24


@dataclass
class CountVisitors(beam.PTransform):
    """Give how many different visitors each hour had, all hours since the start in one result.

    A visitor counts once an hour, however far apart its rows come. The visitors of an hour are kept until the watermark
    and the lateness have passed its end; then only their number is. Hours are those of UTC.

    The rows of a result are ``date``, ``hour`` (0 to 23) and ``visitors``, by ascending time; hours without any are not
    there. There is a result even if there were no visitors at all.

    It takes a PCollection of :class:`Batch`, or a dict of it as ``records`` and the ``tallies`` of their parser. Then
    there is no result where records were read and none of them was of use: nobody knows how many visitors there were.

    Attributes:
        visitors: how visitors are counted.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        lateness_micros: how long after its end an hour still takes rows.
    """

    visitors: Aggregation = CountDistinctAddresses("ip")
    emit_micros: int = 0
    lateness_micros: int = 0

    def expand(self, pcoll: beam.PCollection | dict[str, beam.PCollection]) -> beam.PCollection:
        """Count within the hours, and put them together."""
        batches, tallies = (pcoll["records"], pcoll["tallies"]) if isinstance(pcoll, dict) else (pcoll, None)
        if tallies is not None:
            tallies = tallies | "TalliesOfAllTime" >> beam.WindowInto(GlobalWindows())
        count = self._while_they_fill if is_live(batches, self.emit_micros) else self._when_they_are_over
        counted = count(batches, tallies)
        return counted | "DateAndHour" >> beam.Map(_by_date).with_output_types(Result)

    def _while_they_fill(self, batches: beam.PCollection, tallies: beam.PCollection | None) -> beam.PCollection:
        reduction = FrameCombine((HOUR_START,), {"visitors": self.visitors})
        reduced = (
            batches
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "HoursOfRows" >> beam.ParDo(_WithHourFn())
            | "ReduceHours" >> beam.ParDo(ReduceFn(reduction, Windows()))
        )
        nothing = pl.DataFrame() if tallies is not None else _usable(is_so=True)
        begin = batches.pipeline | "Begin" >> beam.Impulse() | "NoHours" >> beam.ParDo(_NoHoursFn(nothing))
        told = [] if tallies is None else [tallies | "TellUsable" >> beam.ParDo(_TellUsableFn())]
        return (
            (reduced, begin, *told)
            | "FromTheBeginning" >> beam.Flatten()
            | "FillHours" >> beam.ParDo(LiveFn(LiveHours(reduction, self.lateness_micros), self.emit_micros))
        )

    def _when_they_are_over(self, batches: beam.PCollection, tallies: beam.PCollection | None) -> beam.PCollection:
        visitors, newest = {"visitors": self.visitors}, {"visitors": Max("visitors")}
        hours = batches | "VisitorsPerHour" >> Aggregate((), visitors, HOUR)
        counted = hours | "HoursAsRows" >> beam.ParDo(_AsRowsFn()) | "AllHours" >> Aggregate((HOUR_START,), newest)
        # What is read tells which result of no hour there is, if there is no other.
        begin = batches.pipeline | "Begin" >> beam.Create([_no_result(_UNREAD)])
        told = [] if tallies is None else [tallies | "TellUsable" >> beam.Map(_result_of_tally)]
        return (
            (counted, begin, *told)
            | "FromTheBeginning" >> beam.Flatten()
            | "OneKey" >> beam.WithKeys(0).with_output_types(tuple[int, Result])
            | "NoneIsAResult" >> beam.CombinePerKey(_OneResultFn())
            | "Results" >> beam.Values()
            | "KeepFinal" >> beam.Filter(_is_final)
        )


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass
class SumByHourOfDay(beam.PTransform):
    """Sum the visitors of :class:`CountVisitors` per hour of the day: 24 rows of ``hour`` and ``visitors``."""

    def expand(self, hours: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return hours | "SumHours" >> beam.Map(_by_hour_of_day).with_output_types(Result)


@dataclass
class ListVisitors(beam.PTransform):
    """Give the visitors that :class:`CountVisitors` counts: ``ip``, ``date`` and ``hour``, once the hour is over.

    Attributes:
        lateness_micros: how long after its end an hour still takes rows.
    """

    lateness_micros: int = 0

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Total by address, for the addresses alone."""
        hours = batches | "ByAddress" >> Aggregate(("ip",), {"rows": Count()}, HOUR, 0, self.lateness_micros)
        return hours | "AsVisitors" >> beam.Map(_visitors_of).with_output_types(Batch)


def _visitors_of(hour: Result) -> Batch:
    start = pl.col(EDGES[0])
    date, hour_of_day = start.dt.date().alias("date"), start.dt.hour().cast(pl.Int64).alias("hour")
    return Batch(hour.rows.sort("ip").select("ip", date, hour_of_day), NO_BLOCK)


@beam.typehints.with_output_types(Batch)
class _WithHourFn(beam.DoFn):
    def process(self, batch: Batch) -> Iterator[Batch]:
        hour = pl.col(EVENT_TIME).dt.truncate("1h").dt.replace_time_zone("UTC").alias(HOUR_START)
        yield batch._replace(rows=batch.rows.with_columns(hour))


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _NoHoursFn(beam.DoFn):
    def __init__(self, nothing: pl.DataFrame) -> None:
        self._nothing = nothing

    def process(self, _: bytes) -> Iterator[tuple[int, pl.DataFrame]]:
        yield 0, self._nothing


@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _TellUsableFn(beam.DoFn):
    """Tell once a bundle whether a record was filtered; those that are used tell by themselves."""

    def start_bundle(self) -> None:
        self._usable: bool | None = None

    def process(self, tally: Tally) -> None:
        if tally.read:
            self._usable = bool(self._usable) or tally.filtered > 0

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._usable is not None:
            yield GlobalWindows.windowed_value((0, _usable(is_so=self._usable)))


def _usable(*, is_so: bool) -> pl.DataFrame:
    return pl.DataFrame({USABLE: [is_so]})


#: The panes of results of no hour: nothing was read; nothing was of use; something was, and a filter did not want it.
_UNREAD, _UNUSABLE, _UNWANTED = -3, -2, -1


def _no_result(pane: int) -> Result:
    reduction = FrameCombine((HOUR_START,), {"visitors": Max("visitors")})
    rows = no_hours(reduction).select(*edges(pl.lit(None), pl.lit(None)), pl.all())
    return Result(None, None, pane, pane != _UNUSABLE, rows)


def _result_of_tally(tally: Tally) -> Result:
    return _no_result(_UNREAD if not tally.read else _UNWANTED if tally.filtered else _UNUSABLE)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
class _OneResultFn(beam.CombineFn):
    """Keep the newest result; one of no hour gets the number of a final pane."""

    def create_accumulator(self) -> list[Result]:
        return []

    def add_input(self, accumulator: list[Result], element: Result) -> list[Result]:
        return [max([*accumulator, element], key=lambda result: result.pane)]

    def merge_accumulators(self, accumulators: Iterable[list[Result]]) -> list[Result]:
        results = [result for accumulator in accumulators for result in accumulator]
        return [max(results, key=lambda result: result.pane)] if results else []

    def extract_output(self, accumulator: list[Result]) -> Result:
        result = accumulator[0]
        return result if result.pane >= 0 else result._replace(pane=FINAL_PANE)


def _is_final(result: Result) -> bool:
    return result.final


@beam.typehints.with_output_types(Batch)
class _AsRowsFn(beam.DoFn):
    def process(self, hour: Result) -> Iterator[Batch]:
        yield Batch(hour.rows.select(pl.col(EDGES[0]).alias(HOUR_START), "visitors"), NO_BLOCK, is_counted=True)


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
