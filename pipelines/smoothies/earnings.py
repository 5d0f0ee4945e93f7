"""What a shop earns by each product: sums of its purchases, and the cost that its newest product message lets know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import polars as pl

from schemas.elements.frames import EDGES, EVENT_TIME, NO_BLOCK, Batch, Result
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Last, Sum
from transforms.parse.values import POLARS_TYPES

PRODUCT = "product_id"
#: What is read of purchases and products.
PURCHASE_COLUMNS = (PRODUCT, "price", "quantity", "is_member", "supplement_price", "total_purchase")
PRODUCT_COLUMNS = (PRODUCT, "category", "item", "cogs")
#: The category of products of which no message has told one.
UNKNOWN = "(unknown)"
_MONEY, _COUNT, _TEXT = POLARS_TYPES["decimal"], POLARS_TYPES["integer"], POLARS_TYPES["text"]
_FULL = (pl.col("price") + pl.col("supplement_price").fill_null(0)) * pl.col("quantity")
#: What is added up, and how it comes from purchases.
SUMS = {
    "sales": pl.col("total_purchase").sum(),
    "drinks": pl.col("quantity").sum(),
    "purchases": pl.len().cast(_COUNT),
    "members": pl.col("is_member").sum().cast(_COUNT),
    "discounts": (_FULL - pl.col("total_purchase")).sum(),
}
_SUM_TYPES = {"sales": _MONEY, "drinks": _COUNT, "purchases": _COUNT, "members": _COUNT, "discounts": _MONEY}
_FACTS = {"category": _TEXT, "item": _TEXT, "cogs": _MONEY}
TOTALS = {**{name: Last(name) for name in _FACTS}, **{name: Sum(name) for name in _SUM_TYPES}}


@dataclass
class TotalEarnings(beam.PTransform):
    """Give the totals of each product since the start, from its purchases and its product messages.

    It takes a dict of PCollections of :class:`Batch`, ``purchases`` (PURCHASE_COLUMNS) and ``products``
    (PRODUCT_COLUMNS), and gives :class:`Result`: a row for each product that either has named, with

    ``category``, ``item`` and ``cogs``, what one drink costs the shop, of its newest message; missing until there is
    one, while the sums go on; ``sales``, what was paid; ``drinks``; ``cost``, the drinks times ``cogs`` as it is known
    now, and ``profit``, the sales less that, both missing while it is not known; ``purchases``; ``members``, those by
    members, and ``member_share`` of all purchases, rounded once to 9 places; ``discounts``, by how much less was paid
    than price and supplement came to.

    Attributes:
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
    """

    emit_micros: int = 0

    def expand(self, pcolls: dict[str, beam.PCollection]) -> beam.PCollection:
        """Bring both into one form, add up, and work out the profit."""
        total = Aggregate((PRODUCT,), TOTALS, emit_micros=self.emit_micros)
        both = (
            pcolls["purchases"] | "SumPurchases" >> beam.ParDo(_EditFn(sums_of)),
            pcolls["products"] | "TakeProducts" >> beam.ParDo(_EditFn(facts_of)),
        )
        totals = both | "PurchasesAndProducts" >> beam.Flatten() | "Total" >> total
        return totals | "AddProfit" >> beam.Map(_edited, with_profit).with_output_types(Result)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass
class SumByCategory(beam.PTransform):
    """Sum the totals of TotalEarnings by category; products without one are in ``(unknown)``.

    The cost and the profit of a category are missing while those of one of its products are. Of an early result a later
    one may have fewer rows: a product becomes known.
    """

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return results | "SumByCategory" >> beam.Map(_edited, by_category).with_output_types(Result)


def sums_of(purchases: pl.DataFrame) -> pl.DataFrame:
    """Return a row per product, so that all that follows has little to do; its time is of no matter to sums."""
    sums = purchases.lazy().group_by(PRODUCT).agg(pl.col(EVENT_TIME).max(), **SUMS).collect()
    return sums.select(EVENT_TIME, PRODUCT, *_SUM_TYPES, *_missing(_FACTS))


def facts_of(products: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of products in the form that those of purchases have."""
    return products.select(EVENT_TIME, PRODUCT, *_missing(_SUM_TYPES), *_FACTS)


def with_profit(totals: pl.DataFrame) -> pl.DataFrame:
    """Add what comes from the sums, and put the columns in order."""
    cost = pl.col("cogs") * pl.col("drinks")
    both = (cost.alias("cost"), (pl.col("sales") - cost).alias("profit"))
    return totals.select(*EDGES, PRODUCT, *_FACTS, "sales", "drinks", *both, *_shares())


def by_category(products: pl.DataFrame) -> pl.DataFrame:
    """Return the sums of the products of each category."""
    is_known = pl.col("cost").is_not_null().all()
    return (
        products.group_by(*EDGES, pl.col("category").fill_null(UNKNOWN))
        .agg(
            pl.len().cast(_COUNT).alias("products"),
            pl.col("sales", "drinks", "purchases", "members", "discounts").sum(),
            *(pl.when(is_known).then(pl.col(name).sum()).alias(name) for name in ("cost", "profit")),
        )
        .sort("category")
        .select(*EDGES, "category", "products", "sales", "drinks", "cost", "profit", *_shares())
    )


def _shares() -> list[pl.Expr | str]:
    share = pl.col("members").cast(_MONEY) / pl.col("purchases")
    known = pl.when(pl.col("purchases") > 0).then(share)
    return ["purchases", "members", known.alias("member_share"), "discounts"]


def _missing(columns: dict[str, pl.DataType]) -> list[pl.Expr]:
    return [pl.lit(None, dtype).alias(name) for name, dtype in columns.items()]


def _edited(result: Result, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Result:
    return result._replace(rows=edit(result.rows))


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Batch)
class _EditFn(beam.DoFn):
    def __init__(self, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self._edit = edit

    def process(self, batch: Batch) -> Iterator[Batch]:
        yield Batch(self._edit(batch.rows), NO_BLOCK, batch.is_counted)
