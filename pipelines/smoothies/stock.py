"""The stock of a shop: the level of each product as the messages about it, in their order, make it.

Of one moment, a product's own message comes first (it says what the shelf had then), then what was put on the shelf,
then what was sold from it, and then what could not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam
import polars as pl

from schemas.elements.frames import EVENT_TIME, Batch, Frames, Result
from schemas.record_type import Rejected
from schemas.times import MICROS_PER_SECOND
from transforms.late import SplitLate
from transforms.parse.values import POLARS_TYPES
from transforms.time_sorted.fold import FoldOutput
from transforms.time_sorted.fold_time_sorted import FoldTimeSorted
from transforms.windows import Windows

#: The kinds of messages, in the order that they have within one moment.
KINDS = ("products", "inventories", "purchases", "lost_sales")
#: What comes out.
LEVELS, CONTRADICTIONS = "levels", "contradictions"
#: The columns, besides EVENT_TIME and the key, that each kind is read for; ``transaction_id`` may be missing.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "products": ("inventory",),
    "purchases": ("quantity", "transaction_id"),
    "lost_sales": ("quantity", "price", "transaction_id"),
    "inventories": ("existing_level", "stock_quantity", "new_level"),
}
_PRODUCTS, _INVENTORIES, _PURCHASES, _LOST_SALES = range(len(KINDS))
_MONEY = POLARS_TYPES["decimal"]
_TIME = pl.Datetime("us")
_HOUR = 3_600 * MICROS_PER_SECOND
#: What the levels are made of: those of _SUMS are sums over messages.
_SUMS: Mapping[str, pl.DataType] = {
    "sold": pl.Int64(),
    "restocked": pl.Int64(),
    "without_stock_micros": pl.Int64(),
    "times_out": pl.Int64(),
    "lost": pl.Int64(),
    "lost_value": _MONEY,
    "contradictions": pl.Int64(),
}
_STANDING: Mapping[str, pl.DataType] = {"level": pl.Int64(), "zero_since": _TIME, "last_change": _TIME}
_NEWEST = "newest"


def moves(kind: str, rows: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows of a kind of message in the form that all kinds share.

    The columns: EVENT_TIME; ``kind``, its place among KINDS; the key; ``quantity`` that was sold, lost or put on the
    shelf; ``stated``, the level that there should have been before; ``level``, the one that there is then; ``value``
    of what was lost; ``mark``, which tells two equal sales from one that is told twice.
    """
    nothing = pl.lit(None, pl.Int64)
    quantity, stated, level = {
        "products": (nothing, pl.col("inventory"), pl.col("inventory")),
        "inventories": (pl.col("stock_quantity"), pl.col("existing_level"), pl.col("new_level")),
    }.get(kind, (pl.col("quantity"), nothing, nothing))
    is_lost, has_mark = kind == "lost_sales", "transaction_id" in rows.columns
    value = (pl.col("price") * pl.col("quantity")).cast(_MONEY) if is_lost else pl.lit(None, _MONEY)
    mark = pl.col("transaction_id").hash(seed=0) if has_mark else pl.lit(None, pl.UInt64)
    return rows.select(
        EVENT_TIME,
        pl.lit(KINDS.index(kind), pl.UInt8).alias("kind"),
        *by,
        quantity.alias("quantity"),
        stated.alias("stated"),
        level.alias("level"),
        value.alias("value"),
        (pl.when(pl.col("transaction_id").is_not_null()).then(mark) if has_mark else mark).alias("mark"),
    )


@dataclass(frozen=True)
class FoldStock:
    """Fold the rows of :func:`moves` into levels, and tell which messages contradict them.

    Attributes:
        by: the key columns; of several shops, ``("store_id", "product_id")``.
        low_level: a level below is low.
        report_micros: the contradictions of such a stretch of event time are one result.
    """

    by: tuple[str, ...] = ("product_id",)
    low_level: int = 10
    report_micros: int = _HOUR

    @property
    def outputs(self) -> tuple[str, ...]:
        """The levels, and the contradictions."""
        return LEVELS, CONTRADICTIONS

    def begin(self) -> Frames:
        """Know no product."""
        keys = dict.fromkeys(self.by, pl.String())
        report = {EVENT_TIME: _TIME, **keys, "message": pl.String(), "ours": pl.Int64(), "stated": pl.Int64()}
        return {
            LEVELS: pl.DataFrame(schema={**keys, **_STANDING, **_SUMS}),
            CONTRADICTIONS: pl.DataFrame(schema=report),
            _NEWEST: pl.DataFrame(schema={EVENT_TIME: _TIME}),
        }

    def fold(self, state: Frames, rows: pl.DataFrame, until: int | None) -> tuple[Frames, list[FoldOutput]]:
        """Move the levels; give the contradictions of what is over, and at the end the levels."""
        if rows.height:
            worked = self._work(state[LEVELS], without_doubles(rows))
            reports = self._contradictions(worked)
            state = {
                LEVELS: self._levels(worked),
                CONTRADICTIONS: pl.concat([state[CONTRADICTIONS], reports]),
                _NEWEST: pl.concat([state[_NEWEST], rows.select(EVENT_TIME)]).max(),
            }
        start = pl.col(EVENT_TIME).to_physical() // self.report_micros * self.report_micros
        is_over = pl.lit(value=True) if until is None else start + self.report_micros <= until
        pieces = self._reports(state[CONTRADICTIONS].filter(is_over))
        if until is None:
            pieces.append(FoldOutput(LEVELS, None, None, self.results(state)))
        return {**state, CONTRADICTIONS: state[CONTRADICTIONS].filter(~is_over)}, pieces

    def peek(self, settled: Frames, ahead: Frames) -> list[FoldOutput]:
        """Return the levels with all that has come, and the contradictions that no message can take back."""
        return [FoldOutput(LEVELS, None, None, self.results(ahead)), *self._reports(settled[CONTRADICTIONS])]

    def results(self, state: Frames) -> pl.DataFrame:
        """Return the levels as they are shown."""
        level, zero_since = pl.col("level"), pl.col("zero_since")
        newest = pl.lit(state[_NEWEST][EVENT_TIME].max(), _TIME)
        still_out = (newest - zero_since).dt.total_microseconds().fill_null(0)
        low = pl.when(level <= 0).then(pl.lit("out")).when(level < self.low_level).then(pl.lit("low"))
        times = (pl.col(name).dt.replace_time_zone("UTC") for name in ("zero_since", "last_change"))
        return (
            state[LEVELS]
            .with_columns(pl.col("without_stock_micros") + still_out, *times)
            .select(
                *self.by,
                level,
                low.when(level.is_not_null()).then(pl.lit("ok")).alias("state"),
                *("sold", "restocked", "zero_since", "without_stock_micros", "times_out"),
                *("lost", "lost_value", "contradictions", "last_change"),
            )
        )

    def _work(self, levels: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the level after each row, and what it adds to the sums; the levels so far are the first rows."""
        kind, quantity = pl.col("kind"), pl.col("quantity")
        is_sale, is_filled = kind == _PURCHASES, kind == _INVENTORIES
        steps = rows.with_columns(
            pl.when(is_sale).then(quantity).otherwise(0).alias("sold"),
            pl.when(is_filled).then(quantity).otherwise(0).alias("restocked"),
            pl.when(kind == _LOST_SALES).then(quantity).otherwise(0).alias("lost"),
            pl.col("value").fill_null(0).alias("lost_value"),
            pl.when(is_sale | pl.col("level").is_not_null()).then(EVENT_TIME).alias("last_change"),
        )
        whole = pl.concat([levels, steps], how="diagonal").sort(*self.by, maintain_order=True)
        moved = -pl.when(kind.is_null()).then(0).otherwise(pl.col("sold")).cum_sum().over(self.by)
        whole = whole.with_columns(moved.alias("_moved"))
        after = (pl.col("level") - pl.col("_moved")).forward_fill().over(self.by) + pl.col("_moved")
        whole = whole.with_columns(after.alias("_after"), (after <= 0).fill_null(value=False).alias("_is_out"))
        before = whole.select(
            pl.col("_after").shift(1).over(self.by),
            pl.col("_is_out").shift(1, fill_value=False).over(self.by).alias("_was_out"),
        )
        whole = whole.with_columns(before["_after"].alias("_before"), before["_was_out"])
        is_new = kind.is_not_null()
        ran_out = is_new & pl.col("_is_out") & ~pl.col("_was_out")
        since = pl.when(is_new).then(pl.when(ran_out).then(EVENT_TIME)).otherwise("zero_since")
        whole = whole.with_columns(since.forward_fill().over(self.by).alias("zero_since"))
        away = (pl.col(EVENT_TIME) - pl.col("zero_since")).dt.total_microseconds()
        is_back = is_new & ~pl.col("_is_out") & pl.col("_was_out")
        is_wrong = is_new & (pl.col("stated") != pl.col("_before")).fill_null(value=False)
        return whole.with_columns(
            pl.when(is_new)
            .then(pl.when(is_back).then(away))
            .otherwise("without_stock_micros")
            .alias("without_stock_micros"),
            pl.when(is_new).then(ran_out.cast(pl.Int64)).otherwise("times_out").alias("times_out"),
            pl.when(is_new).then(is_wrong.cast(pl.Int64)).otherwise("contradictions").alias("contradictions"),
            is_wrong.alias("_is_wrong"),
        )

    def _levels(self, worked: pl.DataFrame) -> pl.DataFrame:
        grouped = worked.group_by(self.by, maintain_order=True).agg(
            pl.col("_after").last().alias("level"),
            pl.when(pl.col("_is_out").last()).then(pl.col("zero_since").last()).alias("zero_since"),
            pl.col("last_change").max(),
            *(pl.col(name).sum() for name in _SUMS),
        )
        return grouped.select(pl.col(name).cast(dtype) for name, dtype in self.begin()[LEVELS].schema.items())

    def _contradictions(self, worked: pl.DataFrame) -> pl.DataFrame:
        names = dict(enumerate(KINDS))
        return worked.filter("_is_wrong").select(
            EVENT_TIME,
            *self.by,
            pl.col("kind").replace_strict(names, return_dtype=pl.String).alias("message"),
            pl.col("_before").alias("ours"),
            "stated",
        )

    def _reports(self, rows: pl.DataFrame) -> list[FoldOutput]:
        """Return the contradictions, those of each stretch of time for themselves."""
        start = pl.col(EVENT_TIME).to_physical() // self.report_micros * self.report_micros
        by_start = rows.sort(EVENT_TIME, *self.by).with_columns(start.alias("_start"))
        by_start = by_start.with_columns(pl.col(EVENT_TIME).dt.replace_time_zone("UTC"))
        return [
            FoldOutput(CONTRADICTIONS, int(key[0]), int(key[0]) + self.report_micros, part)
            for key, part in by_start.partition_by(
                "_start", as_dict=True, include_key=False, maintain_order=True
            ).items()
        ]


def without_doubles(rows: pl.DataFrame) -> pl.DataFrame:
    """Take out rows that say the same as the one before, but for sales that have no mark: they may be two.

    The rows are in order. Those that are equal have one moment, so they always come together.
    """
    is_same = pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1)))
    is_telling = pl.col("mark").is_not_null() | pl.col("level").is_not_null()
    return rows.filter(~(is_same & is_telling).fill_null(value=False))


@dataclass
class TrackStock(beam.PTransform):
    """Give the level of each product, and which messages contradict it, from all that the shop tells.

    It takes a dict of PCollections of :class:`Batch` by kind; of KINDS some may be missing. Gives a dict of:

    ``levels``, of :class:`Result`, all time in one: a row per key with ``level`` (null until a message states one),
    ``state`` (``ok``, ``low`` below ``low_level``, ``out`` at zero and below), ``sold``, ``restocked``, ``zero_since``,
    ``without_stock_micros`` (up to the newest message of all), ``times_out``, ``lost`` and ``lost_value`` (quantity
    and price of what was asked for in vain), ``contradictions`` (how many), ``last_change``;

    ``contradictions``, of :class:`Result`, one per ``report_micros`` that has any: a row per message that states
    another level than the messages before make it, with ``event_time``, the key, ``message`` (``products`` or
    ``inventories``), ``ours`` and ``stated``; the level goes on from what the message says. CONTRADICTION_KEY tells
    them apart, with the key;

    ``late``, of Rejected: the records that came too late to be put in order.

    Attributes:
        by: the key columns.
        low_level: a level below is low.
        report_micros: the contradictions of such a stretch of event time are one result.
        lateness_micros: how long after the watermark a message may come.
        emit_micros: how often to give early results, in microseconds of real time; 0 for never.
        settle_micros: see FoldTimeSorted.
    """

    by: tuple[str, ...] = ("product_id",)
    low_level: int = 10
    report_micros: int = _HOUR
    lateness_micros: int = 0
    emit_micros: int = 0
    settle_micros: int = MICROS_PER_SECOND

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: there is no key, or a number is out of its range.
        """
        super().__init__()
        self.by = tuple(self.by)
        if not self.by:
            raise ValueError("expected the key columns of the stock, got none")
        if self.report_micros <= 0:
            raise ValueError(f"report_micros must be positive, got {self.report_micros}")
        self._in_order()

    def _in_order(self) -> FoldTimeSorted:
        fold = FoldStock(self.by, self.low_level, self.report_micros)
        return FoldTimeSorted(fold, self.lateness_micros, self.emit_micros, self.settle_micros)

    def expand(self, pcolls: Mapping[str, beam.PCollection]) -> dict[str, beam.PCollection]:
        """Take out what is late, put the kinds together, and fold them."""
        timely, late = [], []
        for kind, batches in pcolls.items():
            split = batches | f"SplitLate {kind}" >> SplitLate(Windows(1), self.lateness_micros)
            timely.append(split["records"] | f"Moves {kind}" >> beam.ParDo(_MovesFn(kind, self.by)))
            late.append(split["late"])
        folded = tuple(timely) | "FoldStock" >> self._in_order()
        all_late = late | "AllLate" >> beam.Flatten()
        all_late.element_type = Rejected
        return {**folded, "late": all_late}


#: What tells contradictions apart, besides the key.
CONTRADICTION_KEY = (EVENT_TIME, "message")


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(pl.DataFrame)
class _MovesFn(beam.DoFn):
    def __init__(self, kind: str, by: tuple[str, ...]) -> None:
        self._kind = kind
        self._by = by

    def process(self, batch: Batch) -> Iterator[pl.DataFrame]:
        yield moves(self._kind, batch.rows, self._by)


__all__ = ["COLUMNS", "CONTRADICTION_KEY", "KINDS", "LEVELS", "FoldStock", "Result", "TrackStock", "moves"]
