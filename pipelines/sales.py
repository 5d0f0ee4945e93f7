"""What a smoothie shop sells, earns and runs out of, from the messages that it sends to Kafka.

    python -m pipelines.sales
    python -m pipelines.sales --input kafka://127.0.0.1:9092 --output - sqlite:///sales.db
    python -m pipelines.sales --input demo/ --window 1h --tables windows products --output sales.parquet

Per product: sales and drinks in windows that slide, and running totals with cost, profit and discounts, also by
category; what is on the shelf, and what could not be sold; hours that are far from what their weekday lets expect.
"""

import apache_beam as beam

from pipelines.runtime.demo import demo_messages
from pipelines.runtime.pipeline import Built, Pipeline, run_program
from pipelines.smoothies import options as declared
from pipelines.smoothies.anomalies import FindAnomalies
from pipelines.smoothies.earnings import PRODUCT, SumByCategory, TotalEarnings
from pipelines.smoothies.enrich import EnrichPurchases
from pipelines.smoothies.messages import read_kinds, sold_over_time, total_sold, write_enriched
from pipelines.smoothies.sales_chart import ANOMALIES, PRODUCTS, SOLD, SalesChart
from pipelines.smoothies.stock import CONTRADICTIONS, LEVELS, TrackStock
from schemas.smoothies import MESSAGES
from transforms import HOUR, SplitLate


def build(messages: beam.PCollection, options: declared.SalesOptions) -> Built:
    """Parse the kinds of messages, and work out what is asked for."""
    kinds, rejected, late = read_kinds(messages, options)
    emit, lateness = options.emit_micros, options.lateness_micros
    results, drawn = {}, {}
    if "windows" in options.tables:
        timely = kinds["purchases"] | "TimelyForWindows" >> SplitLate(options.windows, lateness)
        results[declared.WINDOWS] = timely["records"] | "SumWindows" >> total_sold(options, options.windows, emit)
        late += [timely["late"]] if "stock" not in options.tables else []
    if options.is_total:
        totals = kinds | "TotalEarnings" >> TotalEarnings(emit)
        results |= {declared.PRODUCTS: totals} if "products" in options.tables else {}
        if "categories" in options.tables:
            results[declared.CATEGORIES] = totals | "SumByCategory" >> SumByCategory()
        if options.plot:
            drawn = {SOLD: kinds["purchases"] | "SoldOverTime" >> sold_over_time(options), PRODUCTS: totals}
    if "stock" in options.tables:
        track = TrackStock(declared.SHELF, options.low_level, lateness_micros=lateness, emit_micros=emit)
        stock = kinds | "TrackStock" >> track
        results |= {declared.STOCK: stock[LEVELS], declared.CONTRADICTED: stock[CONTRADICTIONS]}
        late.append(stock["late"])
    if "anomalies" in options.tables:
        timely = kinds["purchases"] | "TimelyForHours" >> SplitLate(HOUR, lateness)
        hours = timely["records"] | "SumHours" >> total_sold(options, HOUR, 0)
        results[declared.ANOMALIES] = hours | "FindAnomalies" >> FindAnomalies((PRODUCT,), lateness_micros=lateness)
        drawn |= {ANOMALIES: results[declared.ANOMALIES]} if options.plot else {}
    if options.enriched_output is not None:
        write_enriched(kinds | "Enrich" >> EnrichPurchases(options.enriched_wait_micros), options)
    return Built(results, rejected, late, drawn)


PIPELINE = Pipeline(
    name="sales",
    doc=__doc__,
    options=(declared.OPTIONS,),
    records=MESSAGES,
    build=build,
    tables=lambda options: options.all_tables,
    default_input=demo_messages,
    default_output=("-", "sqlite:///out/sales.db"),
    window="10m/5m",
    lateness="10m",
    settle=declared.settle,
    chart=lambda _: SalesChart(),
    options_type=declared.SalesOptions,
)
main = PIPELINE.main

if __name__ == "__main__":
    run_program(main)
