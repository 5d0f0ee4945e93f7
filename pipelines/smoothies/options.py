"""The options of the sales pipeline, and what follows from them: its tables, and what each kind of message is for."""

from __future__ import annotations

from collections.abc import Sequence

from command_line.arguments import positive
from command_line.option import Group, Option
from pipelines.runtime.deduplicate import DEDUPLICATE
from pipelines.runtime.lines_out import check_line_outputs, read_rows_output
from pipelines.runtime.options import StreamOptions
from pipelines.runtime.shared_options import PLOT
from pipelines.smoothies.earnings import PRODUCT, PRODUCT_COLUMNS, PURCHASE_COLUMNS
from pipelines.smoothies.low_stock import PrintShortage
from pipelines.smoothies.stock import COLUMNS as STOCK_COLUMNS
from pipelines.smoothies.stock import CONTRADICTION_KEY
from schemas.smoothies import TOPICS, name_topics
from schemas.times import parse_duration
from sinks.console.latest_windows import PrintNewest
from sinks.console.screen import PaintTable, ShowLive
from sinks.output import Output, Table
from sources.address import parse_address
from transforms.windows import HOUR, Windows

#: How often totals of a live stream are given to those who take early ones, if nothing is said.
EMIT = "1s"
#: What of the totals a person sees.
SHOWN = ("item", "category", "sales", "drinks", "profit", "member_share", "discounts")
PLACES = {"member_share": 4}
SHOWN_CATEGORIES = ("category", "products", "sales", "drinks", "cost", "profit", "discounts")
SHELF = ("store_id", PRODUCT)
WINDOWS = Table("sales", (PRODUCT,), show=PrintNewest("sold", windows=2, by="sales", place=0))
PRODUCTS = Table(
    *("sales_products", (PRODUCT,), "products"),
    show=ShowLive(PaintTable("since the start", 10, "sales", SHOWN, PLACES, {"item": PRODUCT}), place=1),
)
CATEGORIES = Table(
    *("sales_categories", ("category",), "categories"),
    shrinks=True,
    show=ShowLive(PaintTable("by category", by="sales", columns=SHOWN_CATEGORIES), place=2),
)
STOCK = Table("stock", SHELF, "stock", show=PrintShortage(place=3))
CONTRADICTED = Table("stock_contradictions", (*CONTRADICTION_KEY, *SHELF), "contradictions")
ANOMALIES = Table("anomalies", (PRODUCT,), "anomalies")
ENRICHED = ("purchases", "products")
PARTS = {
    "windows": (WINDOWS,),
    "products": (PRODUCTS,),
    "categories": (CATEGORIES,),
    "stock": (STOCK, CONTRADICTED),
    "anomalies": (ANOMALIES,),
}


OPTIONS = Group(
    "sales",
    Option("--tables", "what to work out (default: all)", choices=tuple(PARTS), default=list(PARTS), values="several"),
    Option(
        "--topics",
        f"topics, or files without their ending, of {', '.join(TOPICS)}, where they have other names than "
        f"{', '.join(topic for topic, _ in TOPICS.values())}",
        "KIND=NAME",
        check=name_topics,
        default=[],
        values="several",
    ),
    Option(
        "--enriched",
        "write each purchase with its product here, as it comes: kafka://host:port/topic, a path in .jsonl",
        "ADDRESS",
        check=read_rows_output,
    ),
    Option(
        "--enriched-wait",
        "how long a purchase waits there for its product, in event time (default: 1m)",
        "TIME",
        check=parse_duration,
        default="1m",
    ),
    Option("--low-level", "stock is low below (default: 10)", "N", type=positive, default=10),
    *DEDUPLICATE,
    PLOT,
)


class SalesOptions(StreamOptions):
    """The values of the options; properties give them parsed."""

    @property
    def parts(self) -> tuple[str, ...]:
        """What is worked out."""
        return tuple(part for part in PARTS if part in self.tables)

    @property
    def all_tables(self) -> list[Table]:
        """The tables that are asked for."""
        return [table for part in self.parts for table in PARTS[part]]

    @property
    def names(self) -> dict[str, str]:
        """The topics by kind."""
        return name_topics(*self.topics)

    @property
    def enriched_output(self) -> Output | None:
        """Where purchases with their products go."""
        return read_rows_output(self.enriched) if self.enriched else None

    @property
    def destinations(self) -> list[Output]:
        """The outputs, and where purchases with their products go."""
        enriched = self.enriched_output
        return [*self.outputs, *([] if enriched is None else [enriched])]

    @property
    def enriched_wait_micros(self) -> int:
        """How long a purchase waits for its product."""
        return parse_duration(self.enriched_wait)

    @property
    def is_total(self) -> bool:
        """Whether there are running totals; the chart has its categories from them."""
        return bool(self.plot) or not {"products", "categories"}.isdisjoint(self.parts)

    def columns(self, kind: str) -> tuple[str, ...]:
        """Return which columns of a kind of messages are read; none where nobody wants it."""
        if self.enriched_output is not None and kind in ENRICHED:
            return tuple(column.name for column in TOPICS[kind][1].columns)
        wanted: list[str] = []
        if kind == "purchases":
            wanted += PURCHASE_COLUMNS if self.is_total else (PRODUCT, "quantity", "total_purchase")
        if kind == "products" and self.is_total:
            wanted += PRODUCT_COLUMNS
        if "stock" in self.parts:
            wanted += (*SHELF, *STOCK_COLUMNS[kind])
        if kind == "purchases" and wanted:
            wanted += self.same
        return tuple(dict.fromkeys(wanted))

    @property
    def same(self) -> tuple[str, ...]:
        """The columns that copies of a purchase have in common; none for no look at copies.

        A basket has a purchase for each product in it, so the product is always one of them.
        """
        return (*self.deduplicate, PRODUCT) if self.deduplicate else ()

    def windows_of(self, kind: str) -> Windows:
        """Return the windows for which a message of a kind is late, if it is of no use to anything else either."""
        if kind in ENRICHED and (self.is_total or self.enriched_output is not None):
            return Windows()
        if kind != "purchases":
            return Windows(1)
        used = {"windows": self.windows, "anomalies": HOUR, "stock": Windows(1)}
        return max((used[part] for part in self.parts), key=lambda windows: windows.length or HOUR.length)


def with_topics(address: str, topics: Sequence[str]) -> str:
    """Return the address of an input; where it names brokers and no topic, with those of the shop."""
    parsed = parse_address(address)
    return (
        f"kafka://{parsed.endpoint}/{','.join(topics)}" if parsed.scheme == "kafka" and not parsed.topics else address
    )


def settle(options: SalesOptions) -> None:
    """Name the topics of a broker, and have a live stream give early results to those who take them.

    Raises:
        UsageError: purchases with their products cannot be written.
        ValueError: purchases have no such column to know copies by.
    """
    known = TOPICS["purchases"][1].names
    for name in options.deduplicate:
        if name not in known:
            raise ValueError(f"purchases have no column {name!r} to know copies by, only {', '.join(known)}")
    topics = list(options.names.values())
    options.input = [with_topics(address, topics) for address in options.input]
    takes_early = bool(options.plot) or any(output.takes_early for output in options.outputs)
    if options.emit is None and options.needs_clock and takes_early:
        options.emit = EMIT
    if options.enriched_output is not None:
        check_line_outputs(options, [options.enriched_output])
