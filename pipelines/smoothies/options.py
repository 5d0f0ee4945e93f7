"""The options of the sales pipeline, and what follows from them: its tables, and what each kind of message is for."""

from __future__ import annotations

import argparse

from command_line.arguments import checked, positive
from pipelines.runtime.options import StreamOptions
from pipelines.smoothies.earnings import PRODUCT, PRODUCT_COLUMNS, PURCHASE_COLUMNS
from pipelines.smoothies.stock import COLUMNS as STOCK_COLUMNS
from pipelines.smoothies.stock import CONTRADICTION_KEY
from schemas.smoothies import TOPICS, name_topics
from schemas.times import parse_duration
from sinks.address import parse_output
from sinks.output import Output, Table
from transforms.windows import HOUR, Windows

SHELF = ("store_id", PRODUCT)
WINDOWS = Table("sales", (PRODUCT,))
PRODUCTS = Table("sales_products", (PRODUCT,), "products")
CATEGORIES = Table("sales_categories", ("category",), "categories", shrinks=True)
STOCK = Table("stock", SHELF, "stock")
CONTRADICTED = Table("stock_contradictions", (*CONTRADICTION_KEY, *SHELF), "contradictions")
ANOMALIES = Table("anomalies", (PRODUCT,), "anomalies")
#: The files that take one purchase after the other, and what these are made of.
ROW_FORMATS = ("jsonl", "ndjson")
ENRICHED = ("purchases", "products")
PARTS = {
    "windows": (WINDOWS,),
    "products": (PRODUCTS,),
    "categories": (CATEGORIES,),
    "stock": (STOCK, CONTRADICTED),
    "anomalies": (ANOMALIES,),
}


def read_enriched(text: str) -> Output:
    """Reads the address that takes purchases with their products.

    Raises:
        ValueError: it is none, or takes no lines of JSON.
    """
    output = parse_output(text)
    if output.is_table or output.format not in (None, *ROW_FORMATS):
        raise ValueError(f"expected kafka://host:port/topic or a path ending in .jsonl or .ndjson, got {output.path!r}")
    return output


class SalesOptions(StreamOptions):
    """The shared options, and those of this pipeline. The properties give them parsed."""

    default_window = "10m/5m"
    default_lateness = "10m"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("sales")
        group.add_argument(
            "--tables", nargs="+", choices=PARTS, default=list(PARTS), help="what to work out (default: all)"
        )
        group.add_argument(
            "--topics",
            nargs="+",
            default=[],
            type=checked(name_topics),
            metavar="KIND=NAME",
            help=f"topics, or files without their ending, of {', '.join(TOPICS)}, where they have other names than "
            f"{', '.join(topic for topic, _ in TOPICS.values())}",
        )
        group.add_argument(
            "--enriched",
            type=checked(read_enriched),
            metavar="ADDRESS",
            help="write each purchase with its product here, as it comes: kafka://host:port/topic, a path in .jsonl",
        )
        group.add_argument(
            "--enriched-wait",
            default="1m",
            type=checked(parse_duration),
            metavar="TIME",
            help="how long a purchase waits there for its product, in event time (default: 1m)",
        )
        group.add_argument(
            "--low-level", type=positive, default=10, metavar="N", help="stock is low below (default: 10)"
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """What is worked out."""
        return tuple(part for part in PARTS if part in self._get("tables"))

    @property
    def names(self) -> dict[str, str]:
        """The topics by kind."""
        return name_topics(*self._get("topics"))

    @property
    def enriched_output(self) -> Output | None:
        """Where purchases with their products go."""
        return read_enriched(self._get("enriched")) if self._get("enriched") else None

    @property
    def destinations(self) -> list[Output]:
        """The outputs, and where purchases with their products go."""
        enriched = self.enriched_output
        return [*self.outputs, *([] if enriched is None else [enriched])]

    @property
    def is_total(self) -> bool:
        """Whether there are running totals."""
        return not {"products", "categories"}.isdisjoint(self.parts)

    def columns(self, kind: str) -> tuple[str, ...]:
        """Gives which columns of a kind of messages are read; none where nobody wants it."""
        if self.enriched_output is not None and kind in ENRICHED:
            return tuple(column.name for column in TOPICS[kind][1].columns)
        wanted: list[str] = []
        if kind == "purchases":
            wanted += PURCHASE_COLUMNS if self.is_total else (PRODUCT, "quantity", "total_purchase")
        if kind == "products" and self.is_total:
            wanted += PRODUCT_COLUMNS
        if "stock" in self.parts:
            wanted += (*SHELF, *STOCK_COLUMNS[kind])
        return tuple(dict.fromkeys(wanted))

    def windows_of(self, kind: str) -> Windows:
        """Gives the windows for which a message of a kind is late, if it is of no use to anything else either."""
        if kind in ENRICHED and (self.is_total or self.enriched_output is not None):
            return Windows()
        if kind != "purchases":
            return Windows(1)
        used = {"windows": self.windows, "anomalies": HOUR, "stock": Windows(1)}
        return max((used[part] for part in self.parts), key=lambda windows: windows.length or HOUR.length)
