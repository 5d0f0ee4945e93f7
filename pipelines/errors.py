"""How many visitors met a server error, for each hour of the day: a visitor is an IP address, a date and an hour.

    python -m pipelines.errors --input responses.jsonl
    python -m pipelines.errors --input access.log --format clf --follow
    python -m pipelines.errors --input tcp://127.0.0.1:9000 --emit 1s

Only the status codes 500 to 599 count, and only Monday to Friday. Dates and hours are those of UTC.
"""

import apache_beam as beam
import polars as pl

from command_line.script_mode import script_mode
from pipelines.runtime.demo import demo_responses
from pipelines.runtime.lines_out import write_rows
from pipelines.runtime.pipeline import Built, Pipeline, Table, run_program
from pipelines.visitors.heat_map import HOURS, HeatMap
from pipelines.visitors.hour_board import PaintBoard
from pipelines.visitors.options import FORMATS, OPTIONS, WEEKDAYS, VisitorsOptions, settle
from pipelines.visitors.visitors import CountVisitors, ListVisitors, SumByHourOfDay
from schemas.elements.frames import EVENT_TIME
from sinks.console.screen import ShowLive
from transforms import HOUR, CountDistinctAbout, CountDistinctAddresses, SplitLate, parse_as
from transforms.counting import CountUsed

SERVER_ERRORS = range(500, 600)
BY_HOUR = Table("errors", key=("hour",), show=ShowLive(PaintBoard("visitors with errors")))
BY_DATE = Table("errors_by_date", key=("date", "hour"), part="by-date")


def met_an_error(weekdays: str) -> pl.Expr:
    """Return which responses are server errors of these days."""
    is_error = pl.col("status_code").is_between(SERVER_ERRORS.start, SERVER_ERRORS.stop - 1)
    return is_error & (pl.col(EVENT_TIME).dt.weekday() <= WEEKDAYS[weekdays])


def build(responses: beam.PCollection, options: VisitorsOptions) -> Built:
    """Parse, split off what is late, count visitors."""
    parse = parse_as(FORMATS[options.format], ("ip",), met_an_error(options.weekdays), windows=[HOUR])
    parsed = responses | "ParseResponses" >> parse
    timely = parsed["records"] | "SplitLate" >> SplitLate(HOUR, options.lateness_micros)
    records = timely["records"]
    if options.visitors_output is not None:
        records = records | "CountUsed" >> CountUsed()
        listed = records | "ListVisitors" >> ListVisitors(options.lateness_micros)
        write_rows(listed, options, options.visitors_output, key="ip")
    wanted = {"records": records, "tallies": parsed["tallies"]}
    visitors = CountDistinctAbout("ip") if options.approximate else CountDistinctAddresses("ip")
    hours = wanted | "CountVisitors" >> CountVisitors(visitors, options.emit_micros, options.lateness_micros)
    results = {BY_DATE: hours, BY_HOUR: hours | "SumByHourOfDay" >> SumByHourOfDay()}
    return Built(results, parsed["rejected"], timely["late"], {HOURS: hours} if options.plot else {})


PIPELINE = Pipeline(
    name="errors",
    doc=__doc__,
    options=(OPTIONS,),
    records=lambda options: FORMATS[options.format],
    build=build,
    tables=(BY_HOUR, BY_DATE),
    default_input=demo_responses,
    default_output=("-", "out/errors.jsonl"),
    settle=settle,
    chart=lambda options: HeatMap(WEEKDAYS[options.weekdays]),
    options_type=VisitorsOptions,
    translate=script_mode,
)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
