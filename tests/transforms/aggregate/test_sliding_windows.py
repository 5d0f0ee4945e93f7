from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME, FINAL_PANE, NO_BLOCK, Batch
from schemas.times import to_micros
from tests.fakes import Bag, FakeClock, Steps, Value
from tests.strategies import shuffled_cuts, transfers
from transforms.aggregate.aggregations import Count, Mean, Sum
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.sliding_windows import ReduceStepsFn, SlideWindowsFn, SlidingAggregate
from transforms.windows import Windows

VALUES = {"count": Count(), "sum": Sum("value"), "mean": Mean("value")}
REDUCTION = FrameCombine(("region",), VALUES)
SCHEMA = {EVENT_TIME: pl.Datetime("us"), "region": pl.String, "value": pl.Decimal(38, 9)}
SECOND = 10**6
END = 2**62


class Worker:
    """Drives the step as a runner does: adds frames, lets the watermark rise, fires timers when they are due."""

    def __init__(self, windows: Windows, emit_micros: int = SECOND, lateness: int = 0, instances: int = 1) -> None:
        self.windows = windows
        self.clock = FakeClock(1e9)
        self.steps = Steps(SlideWindowsFn(REDUCTION, windows, emit_micros, lateness, self.clock), instances)
        self.whole, self.parts, self.standing, self.next, self.end = Value(), Bag(), Value(), Value(), Value()

    def add(self, rows):
        """Adds a frame, if there are rows, and gives the early result that is due."""
        if not rows:
            return []
        reduce = ReduceStepsFn(REDUCTION, self.windows)
        reduce.start_bundle()
        reduce.process(Batch(pl.DataFrame(rows, SCHEMA, orient="row"), NO_BLOCK))
        (reduced,) = reduce.finish_bundle()
        states = (self.whole, self.parts, self.standing, self.next, self.end)
        return list(self.steps.any().process(reduced.value, *states))

    def early(self):
        """Fires the timer of early results, if it is set."""
        if self.next.value is None:
            return []
        self.next.clear()
        return list(self.steps.any().give_next(self.whole, self.parts, self.standing))

    def rise(self, watermark: int):
        """Fires the timer of ends as often as it is due: runners know of milliseconds only."""
        results = []
        while self.end.value is not None and self.end.value.micros // 1_000 <= watermark // 1_000:
            self.end.clear()
            results += self.steps.any().give_ended(self.whole, self.parts, self.standing, self.next, self.end)
        return results


def by_hand(rows, windows: Windows):
    """Puts each row into each window that has it: a row per window and region of count and sum."""
    found = defaultdict(lambda: [0, Decimal(0)])
    for moment, region, value in rows:
        time = to_micros(moment)
        start = time - time % windows.step
        while start > time - windows.length:
            found[start, region][0] += 1
            found[start, region][1] += value
            start -= windows.step
    return {key: tuple(values) for key, values in found.items()}


def shown(results):
    return {
        (result.window_start, row["region"]): (row["count"], row["sum"])
        for result in results
        for row in result.rows.to_dicts()
    }


@settings(max_examples=80)
@given(
    transfers,
    st.integers(1, 12),
    st.sampled_from([SECOND // 10, 100_037, 7 * SECOND]),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_each_window_is_given_finally_once_and_equals_a_count_by_hand(rows, steps, step, instances, random):
    windows = Windows(steps * step, step)
    worker, finals, seen, panes = Worker(windows, instances=instances), [], [], []
    parts = shuffled_cuts(random, rows)
    for number, part in enumerate(parts):
        seen += part
        worker.clock.pass_seconds(random.choice([0, 0.4, 2]))
        for result in [*worker.add(part), *(worker.early() if random.random() < 0.5 else [])]:
            assert not result.final
            so_far = by_hand(seen, windows)
            assert shown([result]) == {key: so_far[key] for key in so_far if key[0] == result.window_start}
            panes.append(result.pane)
        # Nothing comes from before it any more.
        coming = [to_micros(row[0]) for later in parts[number + 1 :] for row in later]
        finals += worker.rise(min(coming, default=END))
    assert shown(finals) == by_hand(rows, windows)
    ends = [result.window_end for result in finals]
    assert ends == sorted(set(ends))
    assert all(result.pane == FINAL_PANE for result in finals)
    assert panes == list(range(len(panes)))
    assert worker.early() == []
    assert (worker.end.value, worker.next.value) == (None, None)


def at(second: float) -> tuple:
    return (datetime(2024, 1, 1, 0, 0, int(second), round(second % 1 * SECOND)), "a", Decimal(1))


BASE = to_micros(datetime(2024, 1, 1))


def test_early_results_are_of_the_window_that_ends_next_and_move_on_when_nothing_comes():
    worker = Worker(Windows(10 * SECOND, SECOND))
    worker.add([at(5.5)])
    (first,) = worker.early()
    assert (first.window_end - BASE, first.pane) == (6 * SECOND, 0)
    (final,) = worker.rise(BASE + 6 * SECOND)
    assert (final.window_end - BASE, final.pane) == (6 * SECOND, FINAL_PANE)
    (second,) = worker.early()
    assert (second.window_end - BASE, second.pane, second.rows["count"].to_list()) == (7 * SECOND, 1, [1])


def test_a_busy_key_gives_its_result_with_the_frame_that_comes_when_it_is_due():
    worker = Worker(Windows(10 * SECOND, SECOND))
    assert worker.add([at(5.1)]) == []
    worker.clock.pass_seconds(0.9)
    assert worker.add([at(5.2)]) == []
    worker.clock.pass_seconds(0.2)
    (early,) = worker.add([at(5.3)])
    assert (early.window_end - BASE, early.rows["count"].to_list()) == (6 * SECOND, [3])
    assert worker.early() == []  # nothing is new since
    assert worker.add([at(5.4)]) == []


def test_a_window_waits_for_late_rows_and_takes_them():
    worker = Worker(Windows(2 * SECOND, SECOND), lateness=5 * SECOND)
    worker.add([at(1.5)])
    assert worker.rise(BASE + 6 * SECOND) == []
    worker.add([at(0.5)])
    results = worker.rise(BASE + 8 * SECOND)
    assert [(result.window_end - BASE) // SECOND for result in results] == [1, 2, 3]
    assert [result.rows["count"].to_list() for result in results] == [[1], [2], [1]]


def test_a_window_that_ends_between_two_milliseconds_is_not_given_before():
    step = 100_037
    worker = Worker(Windows(step, step))
    worker.add([at(0.5)])
    start = (BASE + SECOND // 2) // step * step
    assert worker.rise(start + step - 1) == []
    (result,) = worker.rise(start + step + 1_000)
    assert (result.window_start, result.window_end) == (start, start + step)


def test_what_no_open_window_has_is_forgotten():
    worker = Worker(Windows(2 * SECOND, SECOND))
    for second in range(30):
        worker.add([at(second)])
        worker.rise(BASE + second * SECOND)
        assert worker.whole.value is None or worker.whole.value.height <= 3


def test_far_jumps_in_time_take_no_walk():
    worker = Worker(Windows(10 * SECOND, SECOND))
    worker.add([(datetime(1970, 1, 1), "a", Decimal(1)), (datetime(2200, 1, 1), "a", Decimal(1))])
    assert Counter(result.window_end > BASE for result in worker.rise(END)) == {False: 10, True: 10}


def test_without_early_results_no_timer_of_the_clock_is_set():
    worker = Worker(Windows(10 * SECOND, SECOND), emit_micros=0)
    worker.add([at(5)])
    assert worker.next.value is None


@pytest.mark.parametrize(
    ("windows", "why"),
    [(Windows(), "multiple of their step, got all"), (Windows(10, 4), "multiple of their step, got 10us/4us")],
)
def test_windows_that_are_not_made_of_steps_are_refused(windows, why):
    with pytest.raises(ValueError, match=why):
        SlidingAggregate(("region",), VALUES, windows)


def test_a_stream_that_catches_up_is_woken_few_times_and_gives_every_window():
    windows, count = Windows(2 * SECOND, SECOND), 1_000
    worker = Worker(windows, emit_micros=0)
    rows = [(datetime(2024, 1, 1) + timedelta(seconds=second), "a", Decimal(1)) for second in range(count)]
    worker.add(rows)
    wakes: set[int] = set()
    results = []
    for second in range(0, count + 200, 100):
        while worker.end.value is not None and worker.end.value.micros <= BASE + second * SECOND:
            wakes.add(worker.end.value.micros)
            worker.end.clear()
            results += worker.steps.any().give_ended(
                worker.whole, worker.parts, worker.standing, worker.next, worker.end
            )
    assert shown(results) == by_hand(rows, windows)
    assert len(wakes) < count // 5
