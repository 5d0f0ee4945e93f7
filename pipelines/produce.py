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
from pipelines.runtime.shared_options import PLOT
from pipelines.tape.sellers_chart import SELLERS, SPEND, SellersChart
from schemas.tape import PRODUCE, SALE_TYPES, TAPE, check_department
from sinks.console.latest_windows import PrintNewest
from sinks.console.tables import PrintResults, is_terminal
from transforms import Aggregate, AggregateOverTime, Count, Last, ParseDelimited, SplitLate, Sum
from transforms.counting import CountUsed

COLUMNS = ("upc", "description", "quantity", "scale", "total")
TOTALS = {
    "description": Last("description"),
    "quantity": Sum("quantity"),
    "scale": Sum(pl.col("quantity").filter(pl.col("scale") != 0)),
    "spend": Sum("total"),
    "rows": Count(),
}
#: So many stretches of time are drawn at most.
MOST_STRETCHES = 240
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


def settle(options: StreamOptions) -> None:
    """Have each window be a file where it is one document.

    Raises:
        ValueError: they are all to be in one.
    """
    if options.shape == "by-upc" and options.windows.length:
        if options.files not in (None, "per-window"):
            raise ValueError(
                f"--shape by-upc is a document per window: expected --files per-window, got {options.files}"
            )
        options.files = "per-window"


def table_of(options: StreamOptions) -> Table:
    """Return the table that is given."""
    table = SHAPES[options.shape]
    return replace(table, show=LIVE) if options.needs_clock and is_terminal() else table


def build(tape: beam.PCollection, options: StreamOptions) -> Built:
    """Parse, split off what is late, total."""
    parsed = tape | "ParseTape" >> ParseDelimited(TAPE, COLUMNS, sold(options.department), windows=[options.windows])
    timely = parsed["records"] | "SplitLate" >> SplitLate(options.windows, options.lateness_micros)
    records = timely["records"] | "CountUsed" >> CountUsed()
    totals = records | "TotalPerUpc" >> Aggregate(
        ("upc",), TOTALS, options.windows, options.emit_micros, options.lateness_micros
    )
    drawn = drawn_of(records, options.plot_emit_micros) if options.plot else {}
    return Built({table_of(options): totals}, parsed["rejected"], timely["late"], drawn)


def drawn_of(records: beam.PCollection, emit_micros: int) -> dict[str, beam.PCollection]:
    """Return what the chart is made of: totals since the start, per UPC and over time."""
    values = {"description": TOTALS["description"], "spend": TOTALS["spend"]}
    over_time = AggregateOverTime((), {"spend": TOTALS["spend"]}, emit_micros=emit_micros, most=MOST_STRETCHES)
    sellers = records | "SpendPerUpc" >> Aggregate(("upc",), values, emit_micros=emit_micros)
    return {SELLERS: sellers, SPEND: records | "SpendOverTime" >> over_time}


PIPELINE = Pipeline(
    name="produce",
    doc=__doc__,
    options=(Group("produce", DEPARTMENT, SHAPE, PLOT),),
    records=TAPE,
    build=build,
    tables=lambda options: [table_of(options)],
    default_input=demo_tape,
    default_output=("-", "out/produce.jsonl"),
    chart=lambda _: SellersChart(),
    settle=settle,
)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
