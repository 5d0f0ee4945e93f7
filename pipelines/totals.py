"""Totals of any records: grouped by any columns, in windows of event time, from anywhere to anywhere.

    python -m pipelines.totals
    python -m pipelines.totals --input trips.csv --by zone --sum fare --mean distance --time pickup_at --window 1h
    python -m pipelines.totals --input orders.jsonl --join customers.csv --on customer_id --by city --sum amount
    python -m pipelines.totals --input access.log --by status_code --count --follow --emit 1s

What columns there are and which are numbers is seen from the head of a file, or said: fare:decimal. Sums are exact.
"""

import apache_beam as beam

from pipelines.adhoc.plan import OPTIONS, TotalsOptions, plan
from pipelines.adhoc.script import script
from pipelines.runtime.demo import demo_trips
from pipelines.runtime.pipeline import Built, Pipeline, run_program
from transforms import SplitLate, parse_as


def settle(options: TotalsOptions) -> None:
    """Work out what is asked for; print the lines of Python that do it, and end, where they are wanted."""
    options.plan = plan(options)
    if options.explain:
        print(script(options))
        raise SystemExit(0)


def build(records: beam.PCollection, options: TotalsOptions) -> Built:
    """Parse, split off what is late, total."""
    planned = options.plan
    parsed = records | "ParseRecords" >> parse_as(
        planned.record_type, planned.columns, planned.wanted, windows=[options.windows]
    )
    enriched = parsed["records"] | "Join" >> planned.join if planned.join else parsed["records"]
    timely = enriched | "SplitLate" >> SplitLate(options.windows, options.lateness_micros)
    late = [timely["late"]]
    if planned.deduplicate:
        timely = timely["records"] | planned.deduplicate
        late.append(timely["late"])
    return Built({planned.table: timely["records"] | "Total" >> planned.total}, parsed["rejected"], late)


PIPELINE = Pipeline(
    name="totals",
    doc=__doc__,
    options=OPTIONS,
    records=lambda options: options.plan.record_type,
    build=build,
    tables=lambda options: [options.plan.table],
    default_input=demo_trips,
    settle=settle,
    options_type=TotalsOptions,
)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
