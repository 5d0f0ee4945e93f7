"""Where the money moves: totals of bank transfers per region, since the start of the stream and in the last minutes.

    python -m pipelines.credit
    python -m pipelines.credit --last 5m 1h --plot credit.png
    python -m pipelines.credit --input transfers.jsonl --output sqlite:///credit.db

Per region: the number of transfers, their sum, their mean, and the share of the whole; and which regions are the first
by each. A transfer without a time happened when it arrived.
"""

import apache_beam as beam

from pipelines.runtime.pipeline import Built, Pipeline, Table, run_program
from pipelines.transfers.flow_chart import FLOW, FlowChart
from pipelines.transfers.options import KEY, OPTIONS, CreditOptions, settle, tables, tables_of, words_of
from schemas.bank import TRANSFERS
from transforms import (
    AddShare,
    Aggregate,
    AggregateOverTime,
    Count,
    Mean,
    Rank,
    RejectUnknown,
    SplitLate,
    Sum,
    parse_as,
)
from transforms.counting import CountUsed

COLUMNS = ("account_id", KEY, "transaction_value")
#: So many stretches of time are drawn at most.
MOST_STRETCHES = 240
TOTALS = {"count": Count(), "sum": Sum("transaction_value"), "mean": Mean("transaction_value")}


def build(transfers: beam.PCollection, options: CreditOptions) -> Built:
    """Parse, reject unknown regions, total, rank, draw."""
    parsed = transfers | "ParseTransfers" >> parse_as(TRANSFERS, COLUMNS, windows=options.all_windows)
    records, rejected, late = parsed["records"], [parsed["rejected"]], []
    results: dict[Table, beam.PCollection] = {}
    if options.known_regions:
        known = records | "RejectUnknown" >> RejectUnknown(KEY, options.known_regions)
        records = known["records"]
        rejected.append(known["rejected"])
    records = records | "CountUsed" >> CountUsed()  # by the totals since the start, for which none is late
    for windows in options.all_windows:
        (table, ranks), words = tables_of(windows, options), words_of(windows)
        timely = records | f"SplitLate {words}" >> SplitLate(windows, options.lateness_micros)
        late.append(timely["late"])
        total = Aggregate(
            (KEY,), TOTALS, windows, options.emit_micros, options.lateness_micros, newest_only=True, tells_times=True
        )
        totals = timely["records"] | f"Total {words}" >> total | f"AddShare {words}" >> AddShare("sum")
        results |= {table: totals, ranks: totals | f"Rank {words}" >> Rank(KEY, options.rankings)}
    drawn = {}
    if options.plot:
        flow = AggregateOverTime(
            (KEY,), {"sum": TOTALS["sum"]}, emit_micros=options.plot_emit_micros, most=MOST_STRETCHES
        )
        drawn = {FLOW: records | "FlowOverTime" >> flow}
    return Built(results, rejected, late, drawn)


PIPELINE = Pipeline(
    name="credit",
    doc=__doc__,
    options=(OPTIONS,),
    records=TRANSFERS,
    build=build,
    tables=tables,
    default_input="tcp://127.0.0.1:9999",
    default_output=("-", "out/credit.jsonl"),
    settle=settle,
    chart=lambda _: FlowChart(KEY),
    options_type=CreditOptions,
)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
