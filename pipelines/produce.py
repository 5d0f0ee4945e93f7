"""Which vegetables sell best: totals per UPC of what a department of a co-op sold, from its register tape.

    python -m pipelines.produce --runner=DirectRunner
    python -m pipelines.produce --input tape/ --window 1d --output totals.parquet
    python -m pipelines.produce --input tcp://127.0.0.1:12000 --window 10s --output -

Per UPC: the description of the latest row, the quantity (pieces and pounds alike), the part of it that came from the
scale, the spend, and the number of rows. Only sales count (items and department rings), less voids and refunds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import apache_beam as beam
import polars as pl

from pipelines.runtime.demo import demo_tape
from pipelines.runtime.options import StreamOptions, UsageError, parse_command_line
from pipelines.runtime.program import run_program
from pipelines.runtime.results_out import check_outputs, open_input, write_records, write_results
from pipelines.runtime.run import refuse, run
from schemas.tape import PRODUCE, SALE_TYPES, TAPE
from sinks.console.tables import PrintResults
from sinks.output import Table
from sources.read import ReadAddresses
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Count, Last, Sum
from transforms.late import SplitLate
from transforms.parse.delimited import ParseDelimited

COLUMNS = ("upc", "description", "quantity", "scale", "total")
TOTALS = {
    "description": Last("description"),
    "quantity": Sum("quantity"),
    "scale": Sum(pl.col("quantity").filter(pl.col("scale") != 0)),
    "spend": Sum("total"),
    "rows": Count(),
}
DOCUMENT = ("description", "quantity", "scale", "spend")


class ProduceOptions(StreamOptions):
    """The shared options, and those of this pipeline."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("produce")
        group.add_argument(
            "--department",
            nargs="+",
            default=[str(PRODUCE)],
            type=_department,
            metavar="N",
            help=f"departments by number, or all (default: {PRODUCE}, produce)",
        )
        group.add_argument(
            "--shape",
            choices=("rows", "by-upc"),
            default="rows",
            help="a row per UPC, or per window one document {upc: [description, quantity, scale, spend]} "
            "(default: rows)",
        )


def _department(text: str) -> str:
    if text != "all" and not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a department's number or all, got {text!r}")
    return text


def sold(departments: Sequence[str]) -> pl.Expr:
    """Tells which rows of the tape are sales of these departments."""
    is_sale = pl.col("trans_type").is_in(SALE_TYPES)
    if "all" in departments:
        return is_sale
    return is_sale & pl.col("department").is_in([int(number) for number in departments])


def table_of(options: ProduceOptions) -> Table:
    """Tells how the totals are named, and in which shape."""
    return Table("produce", key=("upc",), document=DOCUMENT if options.shape == "by-upc" else ())


def build(pipeline: beam.Pipeline, options: ProduceOptions, read: ReadAddresses) -> None:
    """Reads, parses, splits off what is late, totals, writes."""
    parsed = pipeline | "ReadTape" >> read | "ParseTape" >> ParseDelimited(TAPE, COLUMNS, sold(options.department))
    timely = parsed["records"] | "SplitLate" >> SplitLate(options.windows, options.lateness_micros)
    totals = timely["records"] | "TotalPerUpc" >> Aggregate(
        by=("upc",),
        values=TOTALS,
        windows=options.windows,
        emit_micros=options.emit_micros,
        lateness_micros=options.lateness_micros,
    )
    write_results(totals, options, table_of(options), PrintResults(by="spend"))
    write_records(parsed["rejected"], options.rejected, "WriteRejected", options)
    write_records(timely["late"], options.late, "WriteLate", options)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline and gives the exit status."""
    options = parse_command_line(ProduceOptions, "python -m pipelines.produce", __doc__, argv)
    try:
        if options.input is None:
            options.input = [demo_tape()]
        if options.output is None:
            options.output = ["-", "out/produce.jsonl"]
        read = open_input(options, TAPE)
        check_outputs(options, table_of(options))
    except UsageError as error:
        return refuse(error)
    return run(options, lambda pipeline: build(pipeline, options, read), read.total_bytes, TAPE.form)


if __name__ == "__main__":
    run_program(main)
