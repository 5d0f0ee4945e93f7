"""How many visitors met a server error, for each hour of the day: a visitor is an IP address, a date and an hour.

    python -m pipelines.errors --input responses.jsonl
    python -m pipelines.errors --input access.log --format clf --follow
    python -m pipelines.errors --input tcp://127.0.0.1:9000 --emit 1s

Only the status codes 500 to 599 count, and only Monday to Friday. Dates and hours are those of UTC.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import apache_beam as beam
import polars as pl

from command_line.script_mode import script_mode
from pipelines.runtime.demo import demo_responses
from pipelines.runtime.options import StreamOptions, UsageError, parse_command_line
from pipelines.runtime.program import run_program
from pipelines.runtime.results_out import check_outputs, open_input, write_records, write_results
from pipelines.runtime.run import refuse, run
from pipelines.visitors.hour_board import PrintBoard
from pipelines.visitors.visitors import CountVisitors, SumByHourOfDay
from schemas.elements.frames import EVENT_TIME
from schemas.http import ACCESS_LOG, RESPONSES
from sinks.output import Table
from sources.read import ReadAddresses
from transforms.aggregate.distinct import (
    DEFAULT_LG_K,
    CountDistinctAbout,
    CountDistinctAddresses,
    require_sketches,
    standard_error,
)
from transforms.late import SplitLate
from transforms.parse.by_form import parse_as
from transforms.windows import HOUR

FORMATS = {"json": RESPONSES, "clf": ACCESS_LOG}
SERVER_ERRORS = range(500, 600)
WEEKDAYS = {"mon-fri": 5, "all": 7}
#: How often the board of a live stream is drawn, if nothing is said.
EMIT = "1s"
BY_HOUR = Table("errors", key=("hour",))
BY_DATE = Table("errors_by_date", key=("date", "hour"), part="by-date")


class ErrorsOptions(StreamOptions):
    """The shared options, and those of this pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("errors")
        group.add_argument(
            "--weekdays", choices=WEEKDAYS, default="mon-fri", help="which days count (default: mon-fri)"
        )
        group.add_argument(
            "--format",
            choices=FORMATS,
            default="json",
            help="how responses are written: JSON lines, or the common or combined log format (default: json)",
        )
        group.add_argument(
            "--approximate",
            action="store_true",
            help=f"count visitors by a sketch of at most {2**DEFAULT_LG_K * 8 // 1024} KiB an hour: exact up to "
            f"{2**DEFAULT_LG_K:,} visitors an hour, beyond with a standard error of "
            f"{100 * standard_error(DEFAULT_LG_K):.1f} %% (needs the extra 'sketches')",
        )


def met_an_error(weekdays: str) -> pl.Expr:
    """Tells which responses are server errors of these days."""
    is_error = pl.col("status_code").is_between(SERVER_ERRORS.start, SERVER_ERRORS.stop - 1)
    return is_error & (pl.col(EVENT_TIME).dt.weekday() <= WEEKDAYS[weekdays])


def build(pipeline: beam.Pipeline, options: ErrorsOptions, read: ReadAddresses) -> None:
    """Reads, parses, splits off what is late, counts visitors, writes."""
    parse = parse_as(FORMATS[options.format], ("ip",), met_an_error(options.weekdays))
    parsed = pipeline | "ReadResponses" >> read | "ParseResponses" >> parse
    timely = parsed["records"] | "SplitLate" >> SplitLate(HOUR, options.lateness_micros)
    wanted = {"records": timely["records"], "tallies": parsed["tallies"]}
    hours = wanted | "CountVisitors" >> CountVisitors(
        CountDistinctAbout("ip") if options.approximate else CountDistinctAddresses("ip"),
        options.emit_micros,
        options.lateness_micros,
    )
    write_results(hours, options, BY_DATE)
    write_results(hours | "SumByHourOfDay" >> SumByHourOfDay(), options, BY_HOUR, PrintBoard("visitors with errors"))
    write_records(parsed["rejected"], options.rejected, "WriteRejected", options)
    write_records(timely["late"], options.late, "WriteLate", options)


def _check_sketches() -> None:
    try:
        require_sketches()
    except ValueError as error:
        raise UsageError(f"--approximate: {error}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline and gives the exit status."""
    options = parse_command_line(ErrorsOptions, "python -m pipelines.errors", __doc__, argv, script_mode)
    try:
        if options.windows.length:
            raise UsageError(f"errors are counted by the hour, so --window is not for them, got {options.windows}")
        if options.approximate:
            _check_sketches()
        if options.input is None:
            options.input = [demo_responses()]
        if options.output is None:
            options.output = ["-", "out/errors.jsonl"]
        if options.emit is None and options.needs_clock:
            options.emit = EMIT
        read = open_input(options, FORMATS[options.format])
        check_outputs(options, BY_HOUR, BY_DATE)
    except UsageError as error:
        return refuse(error)
    return run(options, lambda pipeline: build(pipeline, options, read), read.total_bytes, FORMATS[options.format].form)


if __name__ == "__main__":
    run_program(main)
