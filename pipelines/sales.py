"""What a smoothie shop sells, earns and runs out of, from the messages that it sends to Kafka.

    python -m pipelines.sales
    python -m pipelines.sales --input kafka://127.0.0.1:9092 --output - sqlite:///sales.db
    python -m pipelines.sales --input demo/ --window 1h --tables windows products --output sales.parquet

Per product: sales and drinks in windows that slide, and running totals with cost, profit and discounts, also by
category; what is on the shelf, and what could not be sold; hours that are far from what their weekday lets expect.
"""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam

from pipelines.runtime.demo import demo_messages
from pipelines.runtime.lines_out import check_line_outputs, write_rows
from pipelines.runtime.options import UsageError, parse_command_line
from pipelines.runtime.program import run_program
from pipelines.runtime.results_out import check_outputs, open_input, write_records, write_results
from pipelines.runtime.run import refuse, run
from pipelines.smoothies.anomalies import FindAnomalies
from pipelines.smoothies.earnings import PRODUCT, SumByCategory, TotalEarnings
from pipelines.smoothies.enrich import EnrichPurchases
from pipelines.smoothies.low_stock import PrintShortage
from pipelines.smoothies.options import (
    ANOMALIES,
    CATEGORIES,
    CONTRADICTED,
    PARTS,
    PRODUCTS,
    SHELF,
    STOCK,
    WINDOWS,
    SalesOptions,
)
from pipelines.smoothies.stock import CONTRADICTIONS, LEVELS, TrackStock
from schemas.smoothies import MESSAGES, OTHER_TYPES, TELLING, TOPICS
from schemas.times import parse_duration
from sinks.console.latest_windows import PrintNewest
from sinks.console.screen import PrintLive
from sources.address import parse_address
from sources.read import ReadAddresses
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Sum
from transforms.aggregate.sliding_windows import SlidingAggregate
from transforms.counting import CountUsed
from transforms.late import SplitLate
from transforms.parse.by_form import parse_as
from transforms.split_by_type import SplitByType, TypeRules
from transforms.windows import HOUR, Windows

#: How often totals of a live stream are given to those who take early ones, if nothing is said.
EMIT = "1s"
SOLD = {"sales": Sum("total_purchase"), "drinks": Sum("quantity")}
#: What of the totals a person sees.
SHOWN = ("item", "category", "sales", "drinks", "profit", "member_share", "discounts")
PLACES = {"member_share": 4}
SHOWN_CATEGORIES = ("category", "products", "sales", "drinks", "cost", "profit", "discounts")


def sold(options: SalesOptions, windows: Windows, emit_micros: int) -> beam.PTransform:
    """Return what totals per product and window."""
    if windows.length and windows.length % windows.step == 0:
        return SlidingAggregate((PRODUCT,), SOLD, windows, emit_micros, options.lateness_micros)
    return Aggregate((PRODUCT,), SOLD, windows, emit_micros, options.lateness_micros)


def read_kinds(
    pipeline: beam.Pipeline, options: SalesOptions, read: ReadAddresses
) -> tuple[dict[str, beam.PCollection], beam.PCollection, list[beam.PCollection]]:
    """Reads, parses each kind, and counts; gives the batches by kind, what is rejected, and what is late."""
    columns = {kind: options.columns(kind) for kind in TOPICS if options.columns(kind)}
    telling = TypeRules(options.names, TELLING, OTHER_TYPES)
    blocks = pipeline | "ReadMessages" >> read | "SplitByType" >> SplitByType(telling, tuple(columns))
    kinds, rejected, late = {}, [blocks["rejected"]], []
    for kind, names in columns.items():
        parsed = blocks[kind] | f"Parse {kind}" >> parse_as(TOPICS[kind][1], names)
        timely = parsed["records"] | f"SplitLate {kind}" >> SplitLate(options.windows_of(kind), options.lateness_micros)
        kinds[kind] = timely["records"] | f"CountUsed {kind}" >> CountUsed()
        rejected.append(parsed["rejected"])
        late.append(timely["late"])
    return kinds, rejected | "AllRejected" >> beam.Flatten(), late


def build(pipeline: beam.Pipeline, options: SalesOptions, read: ReadAddresses) -> None:
    """Reads the kinds of messages, and works out what is asked for."""
    kinds, rejected, late = read_kinds(pipeline, options, read)
    parts, emit, lateness = options.parts, options.emit_micros, options.lateness_micros
    if "windows" in parts:
        timely = kinds["purchases"] | "TimelyForWindows" >> SplitLate(options.windows, lateness)
        windows = timely["records"] | "SumWindows" >> sold(options, options.windows, emit)
        write_results(windows, options, WINDOWS, PrintNewest("sold", windows=2, by="sales", place=0))
        late += [timely["late"]] if "stock" not in parts else []
    if options.is_total:
        totals = kinds | "TotalEarnings" >> TotalEarnings(emit)
        if "products" in parts:
            show = PrintLive("since the start", 10, by="sales", columns=SHOWN, places=PLACES, place=1)
            write_results(totals, options, PRODUCTS, show)
        if "categories" in parts:
            categories = totals | "SumByCategory" >> SumByCategory()
            show = PrintLive("by category", by="sales", columns=SHOWN_CATEGORIES, place=2)
            write_results(categories, options, CATEGORIES, show)
    if "stock" in parts:
        track = TrackStock(SHELF, options.low_level, lateness_micros=lateness, emit_micros=emit)
        stock = kinds | "TrackStock" >> track
        write_results(stock[LEVELS], options, STOCK, PrintShortage(place=3))
        write_results(stock[CONTRADICTIONS], options, CONTRADICTED)
        late.append(stock["late"])
    if "anomalies" in parts:
        timely = kinds["purchases"] | "TimelyForHours" >> SplitLate(HOUR, lateness)
        hours = timely["records"] | "SumHours" >> sold(options, HOUR, 0)
        find = FindAnomalies((PRODUCT,), lateness_micros=lateness)
        write_results(hours | "FindAnomalies" >> find, options, ANOMALIES)
    if options.enriched_output is not None:
        enrich = EnrichPurchases(parse_duration(options.enriched_wait))
        write_rows(kinds | "Enrich" >> enrich, options, options.enriched_output, key=PRODUCT)
    write_records(rejected, options.rejected, "WriteRejected", options)
    write_records(late | "AllLate" >> beam.Flatten(), options.late, "WriteLate", options)


def with_topics(address: str, topics: Sequence[str]) -> str:
    """Gives the address of an input; where it names brokers and no topic, with those of the shop."""
    parsed = parse_address(address)
    return (
        f"kafka://{parsed.endpoint}/{','.join(topics)}" if parsed.scheme == "kafka" and not parsed.topics else address
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the pipeline and gives the exit status."""
    options = parse_command_line(SalesOptions, "python -m pipelines.sales", __doc__, argv)
    try:
        topics = list(options.names.values())
        options.input = [with_topics(address, topics) for address in options.input or [demo_messages()]]
        if options.output is None:
            options.output = ["-", "sqlite:///out/sales.db"]
        if options.emit is None and options.needs_clock and any(output.takes_early for output in options.outputs):
            options.emit = EMIT
        read = open_input(options, MESSAGES)
        if options.enriched_output is not None:
            check_line_outputs(options, [options.enriched_output])
        check_outputs(options, *(table for part in options.parts for table in PARTS[part]))
    except (UsageError, ValueError) as error:
        return refuse(UsageError(str(error)))
    return run(options, lambda pipeline: build(pipeline, options, read), read.total_bytes, MESSAGES.form)


if __name__ == "__main__":
    run_program(main)
