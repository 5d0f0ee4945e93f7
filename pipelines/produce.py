"""Which vegetables sell best: totals per UPC of what a department of a co-op sold, from its register tape.

    python -m pipelines.produce --runner=DirectRunner
    python -m pipelines.produce --input tape/ --window 1d --output totals.parquet
    python -m pipelines.produce --input tcp://127.0.0.1:12000 --window 10s --output -

Per UPC: the description of the latest row, the quantity (pieces and pounds alike), the part of it that came from the
scale, the spend, and the number of rows. Only sales count (items and department rings), less voids and refunds.
"""

from dataclasses import replace

import apache_beam as beam
import polars as pl

from pipelines.runtime.demo import demo_tape
from pipelines.runtime.pipeline import Built, Group, Option, Pipeline, StreamOptions, Table, run_program
from schemas.tape import PRODUCE, SALE_TYPES, TAPE, check_department
from sinks.console.latest_windows import PrintNewest
from sinks.console.tables import PrintResults, is_terminal
from transforms import Aggregate, Count, Last, ParseDelimited, SplitLate, Sum

COLUMNS = ("upc", "description", "quantity", "scale", "total")
TOTALS = {
    "description": Last("description"),
    "quantity": Sum("quantity"),
    "scale": Sum(pl.col("quantity").filter(pl.col("scale") != 0)),
    "spend": Sum("total"),
    "rows": Count(),
}
DOCUMENT = ("description", "quantity", "scale", "spend")
TABLE = Table("produce", key=("upc",), show=PrintResults(by="spend"))
SHAPES = {"rows": TABLE, "by-upc": Table("produce", ("upc",), document=DOCUMENT, show=TABLE.show)}
#: What live input shows on a terminal: the newest window, redrawn in place.
LIVE = PrintNewest("sold", windows=1, top=20, by="spend")
DEPARTMENT = Option(
    "--department", f"departments by number, or all (default: {PRODUCE}, produce)", "N",
    check=check_department, default=[str(PRODUCE)], values="several",
)  # fmt: skip
SHAPE = Option(
    "--shape", f"a row per UPC, or per window one document {{upc: [{', '.join(DOCUMENT)}]}} (default: rows)",
    choices=tuple(SHAPES), default="rows",
)  # fmt: skip


def sold(departments: list[str]) -> pl.Expr:
    """Return which rows of the tape are sales of these departments."""
    is_sale = pl.col("trans_type").is_in(SALE_TYPES)
    return is_sale if "all" in departments else is_sale & pl.col("department").is_in(list(map(int, departments)))


def table_of(options: StreamOptions) -> Table:
    """Return the table that is given."""
    table = SHAPES[options.shape]
    return replace(table, show=LIVE) if options.needs_clock and is_terminal() else table


def build(tape: beam.PCollection, options: StreamOptions) -> Built:
    """Parse, split off what is late, total."""
    parsed = tape | "ParseTape" >> ParseDelimited(TAPE, COLUMNS, sold(options.department), windows=[options.windows])
    timely = parsed["records"] | "SplitLate" >> SplitLate(options.windows, options.lateness_micros)
    totals = timely["records"] | "TotalPerUpc" >> Aggregate(
        ("upc",), TOTALS, options.windows, options.emit_micros, options.lateness_micros
    )
    return Built({table_of(options): totals}, parsed["rejected"], timely["late"])


PIPELINE = Pipeline(
    name="produce",
    doc=__doc__,
    options=(Group("produce", DEPARTMENT, SHAPE),),
    records=TAPE,
    build=build,
    tables=lambda options: [table_of(options)],
    default_input=demo_tape,
    default_output=("-", "out/produce.jsonl"),
)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
