"""From the messages of a shop to batches by kind, and to the totals of what was sold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import apache_beam as beam
import polars as pl

from pipelines.runtime.deduplicate import deduplicate
from pipelines.runtime.lines_out import write_rows
from pipelines.smoothies.earnings import PRODUCT
from pipelines.smoothies.options import SalesOptions
from schemas.elements.frames import EVENT_TIME, Batch
from schemas.smoothies import OTHER_TYPES, PRODUCTS_AS_TOLD, TELLING, TOPICS
from transforms import HOUR, Aggregate, AggregateOverTime, SplitByType, SplitLate, Sum, TypeRules, Windows, parse_as
from transforms.aggregate.live import is_live
from transforms.counting import CountUsed

#: So many hours are drawn at most: as many as there are in ten weeks.
MOST_HOURS = 1_680
SOLD = {"sales": Sum("total_purchase"), "drinks": Sum("quantity")}


def read_kinds(
    messages: beam.PCollection, options: SalesOptions
) -> tuple[dict[str, beam.PCollection], list[beam.PCollection], list[beam.PCollection]]:
    """Parse and count each kind; return the batches by kind, what is rejected, and what is late."""
    columns = {kind: options.columns(kind) for kind in TOPICS if options.columns(kind)}
    telling = TypeRules(options.names, TELLING, OTHER_TYPES)
    blocks = messages | "SplitByType" >> SplitByType(telling, tuple(columns))
    kinds, rejected, late = {}, [blocks["rejected"]], []
    for kind, names in columns.items():
        parsed = _parsed(blocks[kind], kind, names, [options.windows, HOUR])
        timely = parsed["records"] | f"SplitLate {kind}" >> SplitLate(options.windows_of(kind), options.lateness_micros)
        rejected.append(parsed["rejected"])
        late.append(timely["late"])
        if kind == "purchases" and options.same:
            same = [EVENT_TIME if name == TOPICS[kind][1].event_time else name for name in options.same]
            timely = timely["records"] | deduplicate(options, same, [options.windows, HOUR])
            late.append(timely["late"])
        kinds[kind] = timely["records"] | f"CountUsed {kind}" >> CountUsed()
    return kinds, rejected, late


def _parsed(blocks: beam.PCollection, kind: str, names: tuple[str, ...], windows: list[Windows]) -> Any:
    """Parse the messages of a kind; products have been told in other ways, too."""
    if kind != "products":
        return blocks | f"Parse {kind}" >> parse_as(TOPICS[kind][1], names, windows=windows)
    of = replace(PRODUCTS_AS_TOLD, untimed=None) if is_live(blocks) else PRODUCTS_AS_TOLD
    if "inventory" not in names:
        return blocks | "Parse products" >> parse_as(of, names, windows=windows)
    parsed = blocks | "Parse products" >> parse_as(of, (*names, "inventory_level"), windows=windows)
    told = parsed["records"] | "TellInventory" >> beam.Map(_tell_inventory).with_output_types(Batch)
    return {**parsed, "records": told}


def _tell_inventory(products: Batch) -> Batch:
    inventory = pl.coalesce("inventory", "inventory_level").alias("inventory")
    return products._replace(rows=products.rows.with_columns(inventory).drop("inventory_level"))


def total_sold(options: SalesOptions, windows: Windows, emit_micros: int) -> beam.PTransform:
    """Return what totals per product and window."""
    return Aggregate(
        (PRODUCT,), SOLD, windows, emit_micros, options.lateness_micros, newest_only=True, tells_times=True
    )


def sold_over_time(options: SalesOptions) -> beam.PTransform:
    """Return what totals per product and hour, or more hours of a long stream, since the start."""
    return AggregateOverTime(
        (PRODUCT,), SOLD, emit_micros=options.plot_emit_micros, finest=HOUR.length, most=MOST_HOURS
    )


def write_enriched(purchases: beam.PCollection, options: SalesOptions) -> None:
    """Write purchases with their products where that was asked for."""
    if options.enriched_output is not None:
        write_rows(purchases, options, options.enriched_output, key=PRODUCT)
