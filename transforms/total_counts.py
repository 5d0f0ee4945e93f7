"""What became of all records of a job, as data: counted by its steps, summed in the runner's state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.coders import TupleCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MIN_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from transforms.counting import COUNTS, NOTHING, Balance, find_counted
from transforms.stateful import StatefulFn


class TotalCounts(beam.PTransform):
    """Give one :data:`transforms.counting.Balance` when the input has ended: that of all steps that there are so far.

    The sum is in the runner's state, so that what a bundle has counted is in it exactly if the rest of what that bundle
    did counts, too: a bundle that is tried again, a worker that dies, and a job that goes on from a savepoint change
    nothing. It is held for any length of time: a few numbers a bundle come to it.

    It is applied to the pipeline itself, after all else.
    """

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Sum up each bundle of each step, and all of them; nothing that was counted is a sum, too."""
        sums = [
            counted | f"AllTime {number}" >> beam.WindowInto(GlobalWindows()) | f"SumBundle {number}" >> _sum_bundles()
            for number, counted in enumerate(find_counted(pipeline.pipeline))
        ]
        nothing = pipeline | "Once" >> beam.Impulse() | "Nothing" >> beam.Map(_nothing).with_output_types(_KEYED)
        return (*sums, nothing) | "AllSums" >> beam.Flatten() | "SumUp" >> beam.ParDo(_SumFn())


_KEYED = tuple[int, Balance]


def _nothing(_: bytes) -> tuple[int, Balance]:
    return 0, NOTHING


def _sum_bundles() -> beam.PTransform:
    return beam.ParDo(_SumBundleFn()).with_output_types(_KEYED)


def _add(one: Balance, other: Balance) -> Balance:
    return tuple(map(sum, zip(one, other, strict=True)))


class _SumBundleFn(beam.DoFn):
    """Give the sum of what was counted in a bundle, under the one key that there is."""

    def start_bundle(self) -> None:
        self._sum = NOTHING

    def process(self, counts: Balance) -> None:
        self._sum = _add(self._sum, counts)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._sum != NOTHING:
            yield WindowedValue((0, self._sum), MIN_TIMESTAMP, (GlobalWindow(),))


@beam.typehints.with_output_types(Balance)
class _SumFn(StatefulFn):
    SUM = ReadModifyWriteStateSpec("sum_of_counts", TupleCoder([VarIntCoder()] * len(COUNTS)))
    END = TimerSpec("end_of_counts", TimeDomain.WATERMARK)

    def process(
        self,
        element: tuple[int, Balance],
        window: Any = beam.DoFn.WindowParam,
        total: Any = beam.DoFn.StateParam(SUM),
        end: Any = beam.DoFn.TimerParam(END),
    ) -> None:
        """Add to the sum."""
        known = total.read()
        if known is None:
            end.set(window.max_timestamp())
        total.write(_add(known or NOTHING, element[1]))

    @on_timer(END)
    def give(self, total: Any = beam.DoFn.StateParam(SUM)) -> Iterator[Balance]:
        """Give the sum, when nothing more comes."""
        yield total.read() or NOTHING
