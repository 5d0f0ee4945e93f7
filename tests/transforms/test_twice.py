"""The law: a transform that is applied twice to one stream gives its result twice, on each runner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer

from pipelines.smoothies.enrich import EnrichPurchases
from pipelines.visitors.visitors import CountVisitors
from schemas.elements.beam_patches import patch_beam
from schemas.elements.frames import EVENT_TIME, NO_BLOCK, RECORD, Batch
from tests.transforms.time_sorted.test_fold_time_sorted import Listing
from tests.transforms.tools import as_known
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Count
from transforms.deduplicate import Deduplicate
from transforms.time_sorted.fold_time_sorted import FoldTimeSorted
from transforms.windows import Windows

ROWS = 300
_START = datetime(2022, 8, 30, 12)


class _CountFn(beam.DoFn):
    """A stateful step of somebody's own, with an ordinary name for its timer."""

    SEEN = ReadModifyWriteStateSpec("seen", VarIntCoder())
    END = TimerSpec("end", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[int, pl.DataFrame],
        window: Any = beam.DoFn.WindowParam,
        seen: Any = beam.DoFn.StateParam(SEEN),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        seen.write((seen.read() or 0) + element[1].height)
        end.set(window.max_timestamp())

    @on_timer(END)
    def tell(self, seen: Any = beam.DoFn.StateParam(SEEN)) -> Any:
        yield seen.read()


def _frames() -> list[pl.DataFrame]:
    rows = pl.DataFrame(
        {
            RECORD: range(ROWS),
            EVENT_TIME: [_START + timedelta(minutes=number % 200) for number in range(ROWS)],
            "kind": [number % 3 for number in range(ROWS)],
            "text": ["a"] * ROWS,
            "ip": [f"10.0.0.{number % 200}" for number in range(ROWS)],
            "product_id": ["P"] * ROWS,
            "quantity": [1] * ROWS,
            "total_purchase": [1] * ROWS,
        },
        schema_overrides={
            RECORD: pl.get_index_type(),
            EVENT_TIME: pl.Datetime("us"),
            "kind": pl.UInt8,
            "total_purchase": pl.Decimal(38, 9),
        },
    )
    return list(rows.iter_slices(70))


def _count_of_results(results: beam.PCollection, column: str) -> beam.PCollection:
    return results | beam.Filter(lambda result: result.final) | beam.Map(lambda result: int(result.rows[column].sum()))


def _aggregated(batches: beam.PCollection) -> beam.PCollection:
    return _count_of_results(batches | Aggregate((), {"n": Count()}, Windows()), "n")


def _sliding(batches: beam.PCollection) -> beam.PCollection:
    last = Aggregate(("kind",), {"n": Count()}, Windows.parse("2h/1h"))
    return _count_of_results(batches | last, "n")


def _visitors(batches: beam.PCollection) -> beam.PCollection:
    return _count_of_results(batches | CountVisitors(), "visitors")


def _folded(batches: beam.PCollection) -> beam.PCollection:
    frames = batches | beam.Map(lambda batch: batch.rows.select(EVENT_TIME, "kind", "text"))
    frames.element_type = pl.DataFrame
    found = frames | FoldTimeSorted(Listing())
    return found["all"] | beam.Filter(lambda result: result.final) | beam.Map(lambda result: result.rows.height)


def _enriched(batches: beam.PCollection) -> beam.PCollection:
    none = batches | "NoProducts" >> beam.Filter(lambda _: False)
    none.element_type = Batch
    joined = {"purchases": batches, "products": none} | EnrichPurchases()
    return joined | beam.Map(lambda batch: batch.rows.height)


def _deduplicated(batches: beam.PCollection) -> beam.PCollection:
    return (batches | Deduplicate(("ip",), "1d"))["records"] | beam.Map(lambda batch: batch.rows.height)


def _counted(batches: beam.PCollection) -> beam.PCollection:
    return batches | beam.Map(lambda batch: (0, batch.rows)) | beam.ParDo(_CountFn())


#: What each gives in all; a row is in two of the sliding windows, and a visitor counts once an hour.
TRANSFORMS: dict[str, tuple[Callable[[beam.PCollection], beam.PCollection], int]] = {
    "all time": (_aggregated, ROWS),
    "sliding": (_sliding, 2 * ROWS),
    "visitors": (_visitors, 200),
    "fold": (_folded, ROWS),
    "enriched": (_enriched, ROWS),
    "deduplicated": (_deduplicated, 200),
    "somebody's own": (_counted, ROWS),
}


@pytest.mark.parametrize("is_bounded", [True, False])
def test_a_transform_applied_twice_to_one_stream_gives_both_results(options, is_bounded):
    patch_beam()  # as each step of ours with state does; of bounded input none has
    with beam.Pipeline(options=options) as pipeline:
        batches = as_known(
            pipeline | beam.Create([Batch(frame, NO_BLOCK) for frame in _frames()]), is_bounded=is_bounded
        )
        batches.element_type = Batch
        for name, (apply, number) in TRANSFORMS.items():
            for time in (1, 2):
                label = f"{name} {time}"
                found = batches | label >> beam.ptransform_fn(lambda pcoll, apply=apply: apply(pcoll))()
                total = (
                    as_known(found, is_bounded=True) | f"Total {label}" >> beam.CombineGlobally(sum).without_defaults()
                )
                assert_that(total, equal_to([number]), label)
