from __future__ import annotations

from datetime import datetime

from apache_beam.transforms.window import GlobalWindow, IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME, FINAL_PANE
from tests.fakes import Bag, FakeClock, Steps, Value
from tests.strategies import sale_frame, sale_rows, shuffled_cuts
from transforms.aggregate.aggregations import Count, Last, Sum
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.live_windows import LiveWindowsFn

reduction = FrameCombine(("key",), {"amount": Sum("amount"), "rows": Count(), "note": Last("note")})
randoms = st.randoms(use_true_random=False)
MINUTE = 60 * 10**6


class Worker:
    """Drives the steps of one key as a runner does: any of several instances may get the next call."""

    def __init__(self, emit_micros=0, shift=0, window=None, instances=1):
        self.window = window or GlobalWindow()
        self.clock = FakeClock(1e9)
        self.steps = Steps(LiveWindowsFn(reduction, emit_micros, shift, self.clock), instances)
        self.whole, self.parts, self.standing = Value(), Bag(), Value()
        self.next, self.over, self.end = Value(), Value(), Value()

    def add(self, frame):
        states = (self.whole, self.parts, self.standing, self.next, self.over, self.end)
        return list(self.steps.any().process((3, frame), self.window, *states))

    def fire(self, name):
        timer = getattr(self, name)
        assert timer.value is not None, f"timer {name} is not set"
        timer.clear()
        step = self.steps.any()
        states = (3, self.window, self.whole, self.parts, self.standing)
        if name == "end":
            return list(step.give_final(*states, self.next))
        return list({"next": step.give_next, "over": step.give_over}[name](*states))


def whole_total(rows):
    return reduction.results(reduction.reduce(sale_frame(rows))).rows()


def shown(result):
    return result.rows.drop("window_start", "window_end").rows()


@given(sale_rows, randoms, st.integers(1, 3))
def test_each_early_result_is_the_whole_total_so_far_and_the_final_one_has_all(rows, random, instances):
    worker = Worker(emit_micros=1_000, instances=instances)
    seen, panes = [], []
    for part in [*shuffled_cuts(random, rows), *shuffled_cuts(random, rows)]:
        worker.add(reduction.reduce(sale_frame(part)))
        seen += part
        if random.random() < 0.5:
            (early,) = worker.fire("next")
            assert shown(early) == whole_total(seen)
            assert (early.final, early.shard, early.shards) == (False, 0, 1)
            panes.append(early.pane)
    (final,) = worker.fire("end")
    assert shown(final) == whole_total(rows + rows)
    assert (final.final, final.pane) == (True, FINAL_PANE)
    assert panes == list(range(len(panes)))
    assert worker.next.value is None
    assert not list(worker.parts.read())
    assert worker.whole.read() is worker.standing.read() is None


def one_row(number):
    row = {EVENT_TIME: datetime(2011, 4, 1), "key": f"k{number % 50}", "amount": None, "pieces": 1, "note": None}
    return reduction.reduce(sale_frame([row]))


def test_what_is_kept_and_rewritten_does_not_grow_with_time():
    worker = Worker(emit_micros=1_000)
    written = 0
    for number in range(2_000):
        worker.add(one_row(number))
        if number % 10 == 0:
            before = worker.whole.read()
            worker.fire("next")
            written += worker.whole.read() is not before
            assert len(worker.parts.values) <= 60
    assert worker.whole.read().height == 50
    assert written < 60


def test_a_busy_key_need_not_wait_for_its_timer():
    worker = Worker(emit_micros=1_000_000)
    assert worker.add(one_row(1)) == []
    worker.clock.pass_seconds(0.9)
    assert worker.add(one_row(1)) == []
    worker.clock.pass_seconds(0.2)
    (early,) = worker.add(one_row(1))
    assert early.rows["rows"].sum() == 3
    assert worker.fire("next") == []
    assert worker.add(one_row(1)) == []
    assert worker.next.value.micros == round((worker.clock.now + 1) * 10**6)


def test_without_early_results_the_parts_are_tidied_up_and_nothing_is_given():
    worker = Worker()
    for number in range(500):
        assert worker.add(one_row(number)) == []
        if number % 100 == 0:
            assert worker.fire("next") == []
    assert len(worker.parts.values) == 99
    (final,) = worker.fire("end")
    assert final.rows["rows"].sum() == 500


def test_with_lateness_a_window_is_given_at_its_end_and_with_each_late_frame():
    window = IntervalWindow(Timestamp(micros=5 * MINUTE), Timestamp(micros=15 * MINUTE))
    worker = Worker(shift=5 * MINUTE, window=window)
    assert worker.add(one_row(1)) == []
    assert worker.over.value.micros == window.max_timestamp().micros - 5 * MINUTE
    (early,) = worker.fire("over")
    assert (early.window_start, early.window_end) == (0, 10 * MINUTE)
    (late,) = worker.add(one_row(1))
    assert [(r.pane, r.rows["rows"].sum(), r.final) for r in (early, late)] == [(0, 1, False), (1, 2, False)]
    (final,) = worker.fire("end")
    assert (final.rows["rows"].sum(), final.final) == (2, True)


def test_late_frames_are_all_there_when_the_parts_were_tidied_up_between_them():
    worker = Worker(shift=5 * MINUTE, window=IntervalWindow(Timestamp(0), Timestamp(micros=10 * MINUTE)))
    for number in (1, 2):
        worker.add(one_row(number))
    worker.fire("over")
    assert worker.fire("next") == []
    (late,) = worker.add(one_row(3))
    (final,) = worker.fire("end")
    assert [result.rows["rows"].sum() for result in (late, final)] == [3, 3]


def test_a_timer_that_fires_after_the_end_of_its_window_gives_nothing():
    worker = Worker(emit_micros=1_000)
    worker.add(one_row(1))
    worker.fire("end")
    worker.next.set(Timestamp(0))
    assert worker.fire("next") == []
