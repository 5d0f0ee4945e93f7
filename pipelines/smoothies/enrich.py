"""Purchases with what is known of their products: a stream for other tools, each purchase once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows

from schemas.elements.frames import EVENT_TIME, NO_BLOCK, RECORD, Batch, FrameCoder
from schemas.times import MICROS_PER_SECOND
from transforms.aggregate.live import is_live, not_before
from transforms.parse.values import POLARS_TYPES
from transforms.stateful import StatefulFn
from transforms.time_sorted.fold_time_sorted import GatherFn

KEY = "product_id"
#: What is taken from products, and worked out with it.
FACTS = ("category", "item", "size", "cogs")
ADDED = (*FACTS, "cost", "profit")
#: How long a purchase waits for its product, in event time, if nothing is said.
WAIT_MICROS = 60 * MICROS_PER_SECOND
#: So many messages of products are remembered as they are.
MOST_KNOWN = 10_000
_KNOWN = "_known"
#: When what is told first of a product begins to be true: purchases before it were of no other.
_BEGINNING = datetime(1, 1, 1)


@dataclass
class EnrichPurchases(beam.PTransform):
    """Join each purchase with its product, as it was told to be when the purchase was made.

    It takes a dict of PCollections of :class:`Batch`, ``purchases`` and ``products``, and gives one of :class:`Batch`
    without raw records: the columns of the purchases, the event time as ``transaction_time``, and ADDED. ``cost`` is
    the quantity times ``cogs``, and ``profit`` what was paid less that.

    The product is that of its newest message that is not later than the purchase, of those that have come; where all
    are later, that of the first. A purchase whose product is unknown waits until a message names it, or until the
    watermark is ``wait_micros`` past the purchase, or the input ends; then it goes with missing values. Every purchase
    goes once, whatever comes. Of bounded input all wait until it ends, so that none misses a message.

    Attributes:
        wait_micros: how long a purchase waits for its product, in event time.
    """

    wait_micros: int = WAIT_MICROS

    def __post_init__(self) -> None:
        """Check the time.

        Raises:
            ValueError: it is negative.
        """
        super().__init__()
        if self.wait_micros < 0:
            raise ValueError(f"wait_micros must not be negative, got {self.wait_micros} us")

    def expand(self, pcolls: dict[str, beam.PCollection]) -> beam.PCollection:
        """Gather the rows of each bundle, and join them under one key."""
        keyed = [
            pcolls[kind]
            | f"Rows of {kind}" >> beam.ParDo(_RowsFn(kind))
            | f"AllTime {kind}" >> beam.WindowInto(GlobalWindows())
            | f"Gather {kind}" >> beam.ParDo(GatherFn())
            for kind in ("products", "purchases")
        ]
        rows = keyed | "PurchasesAndProducts" >> beam.Flatten()
        if is_live(rows):
            joined = rows | "Enrich" >> beam.ParDo(EnrichFn(self.wait_micros))
        else:
            joined = rows | "AllTogether" >> beam.GroupByKey() | "Enrich" >> beam.FlatMap(_enriched_at_end)
        return joined | "AsBatches" >> beam.Map(_as_batch).with_output_types(Batch)


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(pl.DataFrame)
class _RowsFn(beam.DoFn):
    def __init__(self, kind: str) -> None:
        self._is_product = kind == "products"

    def process(self, batch: Batch) -> Iterator[pl.DataFrame]:
        yield facts_of(batch.rows) if self._is_product else batch.rows.drop(RECORD)


def facts_of(products: pl.DataFrame) -> pl.DataFrame:
    """Return what is kept of products; the column ``_known`` tells them from purchases."""
    return products.select(EVENT_TIME, KEY, *FACTS, pl.lit(value=True).alias(_KNOWN))


def learn(known: pl.DataFrame | None, products: pl.DataFrame) -> pl.DataFrame:
    """Return what is known of products with more messages: a row for each.

    Of very many, those are left out in which nothing has changed; that could matter only to messages still to come that
    belong before them.
    """
    whole = pl.concat([products] if known is None else [known, products])
    # Of several at one time the greatest stands, so that it does not matter how they came.
    whole = whole.sort(KEY, EVENT_TIME, *FACTS).unique([KEY, EVENT_TIME], keep="last", maintain_order=True)
    if whole.height <= MOST_KNOWN:
        return whole
    facts = pl.struct(FACTS)
    return whole.filter((facts != facts.shift(1).over(KEY)).fill_null(value=True))


def enriched(purchases: pl.DataFrame, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return purchases by time, with ADDED, and whether the product is ``_known``."""
    facts = facts_of(purchases.clear().with_columns(_nothing())) if known is None else known
    is_first = pl.col(EVENT_TIME) == pl.col(EVENT_TIME).min().over(KEY)
    time = pl.when(is_first).then(pl.lit(_BEGINNING, pl.Datetime("us"))).otherwise(EVENT_TIME).alias(EVENT_TIME)
    joined = purchases.sort(EVENT_TIME).join_asof(
        facts.with_columns(time).sort(EVENT_TIME), on=EVENT_TIME, by=KEY, strategy="backward", check_sortedness=False
    )
    cost = pl.col("cogs") * pl.col("quantity")
    return joined.select(
        *purchases.columns,
        *FACTS,
        cost.alias("cost"),
        (pl.col("total_purchase") - cost).alias("profit"),
        pl.col(_KNOWN).fill_null(value=False),
    )


@beam.typehints.with_output_types(pl.DataFrame)
class EnrichFn(StatefulFn):
    """Take (key, frame) of products or purchases, and give the purchases with their products.

    What is known of products is one frame, and what waits some; nothing is looked at row by row.
    """

    KNOWN = ReadModifyWriteStateSpec("known_products", FrameCoder())
    WAITING = BagStateSpec("waiting_purchases", FrameCoder())
    WAKES = ReadModifyWriteStateSpec("enrich_wakes", PickleCoder())
    LET_GO = TimerSpec("enrich_let_go", TimeDomain.WATERMARK)
    END = TimerSpec("enrich_end", TimeDomain.WATERMARK)

    def __init__(self, wait_micros: int) -> None:
        """Take how long a purchase waits."""
        super().__init__()
        self._wait = wait_micros

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        known: Any = beam.DoFn.StateParam(KNOWN),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        wakes: Any = beam.DoFn.StateParam(WAKES),
        let_go_timer: Any = beam.DoFn.TimerParam(LET_GO),
        end_timer: Any = beam.DoFn.TimerParam(END),
    ) -> Iterator[pl.DataFrame]:
        """Let purchases go whose product is known, and keep the others."""
        _, frame = element
        end_timer.set(window.max_timestamp())
        if _KNOWN in frame.columns:
            facts = learn(known.read(), frame)
            known.write(facts)
            frames = list(waiting.read())
            if not frames:
                return
            waiting.clear()
            frame = pl.concat(frames)
        else:
            facts = known.read()
        joined = enriched(frame, facts)
        yield from _told(joined.filter(_KNOWN))
        self._keep(joined.filter(~pl.col(_KNOWN)), waiting, wakes, let_go_timer)

    @on_timer(LET_GO)
    def let_go(
        self,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        wakes: Any = beam.DoFn.StateParam(WAKES),
        let_go_timer: Any = beam.DoFn.TimerParam(LET_GO),
    ) -> Iterator[pl.DataFrame]:
        """Let the purchases go that have waited long enough."""
        now = wakes.read()
        frames = list(waiting.read())
        wakes.clear()
        if now is None or not frames:
            return
        waiting.clear()
        joined = enriched(pl.concat(frames), None)
        is_over = pl.col(EVENT_TIME).to_physical() + self._wait <= now
        yield from _told(joined.filter(is_over))
        self._keep(joined.filter(~is_over), waiting, wakes, let_go_timer)

    @on_timer(END)
    def give_rest(
        self,
        known: Any = beam.DoFn.StateParam(KNOWN),
        waiting: Any = beam.DoFn.StateParam(WAITING),
        wakes: Any = beam.DoFn.StateParam(WAKES),
        let_go_timer: Any = beam.DoFn.TimerParam(LET_GO),
    ) -> Iterator[pl.DataFrame]:
        """Let all go that wait."""
        facts = known.read()
        frames = list(waiting.read())
        let_go_timer.clear()
        for state in (known, waiting, wakes):
            state.clear()
        for frame in frames:
            yield from _told(enriched(frame, facts))

    def _keep(self, joined: pl.DataFrame, waiting: Any, wakes: Any, timer: Any) -> None:
        """Let purchases wait, and set the timer for the newest of them, if none is set."""
        if not joined.height:
            return
        waiting.add(joined.drop(*ADDED, _KNOWN))
        if wakes.read() is None:
            newest = int(joined[EVENT_TIME].to_physical().max())  # type: ignore[arg-type]  # none is missing
            until = newest + self._wait
            timer.set(not_before(until))
            wakes.write(until)


def _enriched_at_end(element: tuple[int, Iterable[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """Join all purchases, frame by frame, when all that is told of products is there."""
    products: list[pl.DataFrame] = []
    purchases: list[pl.DataFrame] = []
    for frame in element[1]:
        (products if _KNOWN in frame.columns else purchases).append(frame)
    facts = learn(None, pl.concat(products)) if products else None
    for frame in purchases:
        yield from _told(enriched(frame, facts))


def _told(joined: pl.DataFrame) -> Iterator[pl.DataFrame]:
    if joined.height:
        yield joined.drop(_KNOWN)


def _as_batch(joined: pl.DataFrame) -> Batch:
    return Batch(joined.rename({EVENT_TIME: "transaction_time"}), NO_BLOCK)


def _nothing() -> list[pl.Expr]:
    return [pl.lit(None, POLARS_TYPES["decimal" if name == "cogs" else "text"]).alias(name) for name in FACTS]
