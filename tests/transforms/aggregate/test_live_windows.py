"""The law: each window is given finally once, and is what is counted by hand; early results are the count so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME, FINAL_PANE, NO_BLOCK, Batch
from schemas.times import to_micros
from tests import oracle
from tests.strategies import shuffled_cuts, transfers
from tests.transforms.live import END, LiveWorker
from transforms.aggregate import live
from transforms.aggregate.aggregate import ReduceFn
from transforms.aggregate.aggregations import Count, Mean, Sum
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.live_windows import LiveWindows
from transforms.windows import Windows

VALUES = {"count": Count(), "sum": Sum("value"), "mean": Mean("value")}
REDUCTION = FrameCombine(("region",), VALUES)
SCHEMA = {EVENT_TIME: pl.Datetime("us"), "region": pl.String, "value": pl.Decimal(38, 9)}
SECOND = 10**6
BASE = to_micros(datetime(2024, 1, 1))
steps = st.sampled_from([SECOND // 10, 100_037, 7 * SECOND])
some_windows = st.one_of(
    st.just(Windows()),
    st.builds(lambda steps, step: Windows(steps * step, step), st.integers(1, 12), steps),
    st.builds(lambda length, step: Windows(length * step // 3, step), st.integers(3, 20), steps.map(lambda s: 3 * s)),
)
latenesses = st.sampled_from([0, 1_500, 3 * SECOND])


class Worker(LiveWorker):
    """Takes rows as (time, region, value)."""

    def __init__(self, windows: Windows, emit_micros: int = SECOND, lateness: int = 0, *, newest=True, instances=1):
        self.windows = windows
        logic = LiveWindows(REDUCTION, windows, lateness, emit_micros, newest_only=newest)
        super().__init__(logic, emit_micros, instances)

    def add_rows(self, rows):
        """Adds a frame, if there are rows, and gives what is due."""
        reduce = ReduceFn(REDUCTION, self.windows)
        reduce.start_bundle()
        reduce.process(Batch(pl.DataFrame(rows, SCHEMA, orient="row"), NO_BLOCK))
        return [result for reduced in reduce.finish_bundle() for result in self.add(reduced.value[1])]


def by_hand(rows, windows: Windows):
    """Puts each row into each window that has it: a row per window and region of count and sum."""
    found = defaultdict(lambda: [0, Decimal(0)])
    for moment, region, value in rows:
        for window in oracle.windows_of(moment, windows.length, windows.step) if windows.length else [(None, None)]:
            found[window[0], region][0] += 1
            found[window[0], region][1] += value
    return {key: tuple(values) for key, values in found.items()}


def shown(results):
    return {
        (result.window_start, row["region"]): (row["count"], row["sum"])
        for result in results
        for row in result.rows.to_dicts()
    }


@given(
    rows=transfers,
    windows=some_windows,
    lateness=latenesses,
    emit=st.sampled_from([0, SECOND]),
    newest=st.booleans(),
    instances=st.integers(1, 3),
    is_played=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_each_window_is_given_finally_once_and_early_ones_are_what_has_come(
    rows, windows, lateness, emit, newest, instances, is_played, random
):
    worker, finals, seen = Worker(windows, emit, lateness, newest=newest, instances=instances), [], []
    newest_given, given_now = {}, []
    parts = shuffled_cuts(random, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "COMPACT_BYTES", random.choice([1, 500, 2**20]))
        for number, part in enumerate(parts):
            seen += part
            worker.clock.pass_seconds(random.choice([0, 0.4, 2]))
            given_now = worker.add_rows(part) + (worker.early() if random.random() < 0.5 else [])
            so_far = by_hand(seen, windows)
            # Nothing comes that would be too late.
            coming = [to_micros(row[0]) for later in parts[number + 1 :] for row in later]
            if coming and random.random() < 0.7:
                risen = worker.rise(min(coming) + random.choice([0, lateness]))
                finals += [result for result in risen if result.final]
                given_now += [result for result in risen if not result.final]
            for early in given_now:
                assert not early.final
                assert shown([early]) == {key: so_far[key] for key in so_far if key[0] == early.window_start}
                newest_given[early.window_start] = early
        if rows and emit and not newest and windows.length:
            given_now = worker.early()
            newest_given |= {early.window_start: early for early in given_now}
            closed = {result.window_start for result in finals}
            expected = by_hand(rows, windows)
            assert (
                shown(newest_given.values()).items()
                >= {key: expected[key] for key in expected if key[0] not in closed}.items()
            ), "each open window was given as it stands"
        finals += [result for result in worker.finish(rise=is_played) if result.final]
    assert shown(finals) == by_hand(rows, windows)
    ends = [result.window_end for result in finals]
    assert ends == ([None] if ends == [None] else sorted(set(ends)))
    assert all(result.pane == FINAL_PANE for result in finals)
    panes = [(result.pane, result.window_start) for _, result in worker.results if not result.final]
    assert panes == sorted(set(panes))
    assert not panes or (emit or (lateness and not newest))


def at(second: float) -> tuple:
    return (datetime(2024, 1, 1, 0, 0, int(second), round(second % 1 * SECOND)), "a", Decimal(1))


def test_the_newest_window_is_the_one_that_ends_next_and_moves_on_when_nothing_comes():
    worker = Worker(Windows(10 * SECOND, SECOND))
    worker.add_rows([at(5.5)])
    (first,) = worker.early()
    assert (first.window_end - BASE, first.pane) == (6 * SECOND, 0)
    (final,) = worker.rise(BASE + 6 * SECOND)
    assert (final.window_end - BASE, final.pane) == (6 * SECOND, FINAL_PANE)
    (second,) = worker.early()
    assert (second.window_end - BASE, second.pane, second.rows["count"].to_list()) == (7 * SECOND, 1, [1])


@pytest.mark.parametrize("newest", [True, False])
def test_a_busy_key_gives_its_result_with_the_frame_that_comes_when_it_is_due(newest):
    worker = Worker(Windows(10 * SECOND), newest=newest)
    assert worker.add_rows([at(5.1)]) == []
    (early,) = worker.add_rows([at(5.2)])
    assert early.rows["count"].to_list() == [2]
    assert worker.add_rows([at(5.3)]) == []
    worker.clock.pass_seconds(0.9)
    assert worker.add_rows([at(5.3)]) == []
    worker.clock.pass_seconds(0.2)
    (early,) = worker.add_rows([at(5.3)])
    assert early.rows["count"].to_list() == [5]
    assert worker.early() == []  # nothing is new since
    assert worker.add_rows([at(5.4)]) == []


def test_a_window_waits_for_late_rows_and_takes_them():
    worker = Worker(Windows(2 * SECOND, SECOND), emit_micros=0, lateness=5 * SECOND)
    worker.add_rows([at(1.5)])
    assert worker.rise(BASE + 6 * SECOND) == []
    worker.add_rows([at(0.5)])
    results = worker.rise(BASE + 8 * SECOND)
    assert [(result.window_end - BASE) // SECOND for result in results] == [1, 2, 3]
    assert [result.rows["count"].to_list() for result in results] == [[1], [2], [1]]


def test_without_a_clock_a_window_is_given_at_its_end_and_with_each_late_frame():
    worker = Worker(Windows(10 * SECOND), emit_micros=0, lateness=5 * SECOND, newest=False)
    assert worker.add_rows([at(1)]) == []
    (early,) = worker.rise(BASE + 10 * SECOND)
    assert worker.rise(BASE + 12 * SECOND) == []
    assert worker.add_rows([at(13)]) == []
    (late,) = worker.add_rows([at(2), at(14)])
    assert [(r.pane, r.rows["count"].sum(), r.final) for r in (early, late)] == [(0, 1, False), (1, 2, False)]
    (final,) = worker.rise(BASE + 15 * SECOND)
    assert (final.window_end, final.rows["count"].sum(), final.final) == (BASE + 10 * SECOND, 2, True)


def test_a_window_that_ends_between_two_milliseconds_is_not_given_before():
    step = 100_037
    worker = Worker(Windows(step, step))
    worker.add_rows([at(0.5)])
    start = (BASE + SECOND // 2) // step * step
    assert worker.rise(start + step - 1) == []
    (result,) = worker.rise(start + step + 1_000)
    assert (result.window_start, result.window_end) == (start, start + step)


def test_what_no_open_window_has_is_forgotten():
    worker = Worker(Windows(2 * SECOND, SECOND))
    for second in range(30):
        worker.add_rows([at(second)])
        worker.rise(BASE + second * SECOND)
        assert worker.held.height + len(worker.deltas.values) <= 6


def test_what_is_kept_and_rewritten_does_not_grow_with_time():
    worker = Worker(Windows(), emit_micros=1_000)
    written = 0
    for number in range(2_000):
        worker.add_rows([(datetime(2024, 1, 1), f"r{number % 50}", Decimal(1))])
        if number % 10 == 0:
            before = worker.base.value
            worker.early()
            written += worker.base.value is not before
            assert len(worker.deltas.values) <= 60
    assert worker.held.height == 50
    assert written < 210


def test_without_early_results_deltas_are_compacted_as_they_come(monkeypatch):
    monkeypatch.setattr(live, "COMPACT_BYTES", 2_000)
    worker = Worker(Windows(), emit_micros=0)
    for number in range(500):
        assert worker.add_rows([(datetime(2024, 1, 1), f"r{number % 50}", Decimal(1))]) == []
    assert len(worker.deltas.values) < 100
    (final,) = worker.finish()
    assert final.rows["count"].sum() == 500


def test_far_jumps_in_time_take_no_walk():
    worker = Worker(Windows(10 * SECOND, SECOND), emit_micros=0)
    worker.add_rows([(datetime(1970, 1, 1), "a", Decimal(1)), (datetime(2200, 1, 1), "a", Decimal(1))])
    assert Counter(result.window_end > BASE for result in worker.rise(END)) == {False: 10, True: 10}


def test_without_early_results_no_timer_of_the_clock_is_set():
    worker = Worker(Windows(10 * SECOND, SECOND), emit_micros=0)
    worker.add_rows([at(5)])
    assert worker.emit.value is None


def test_a_stream_that_catches_up_is_woken_few_times_and_gives_every_window():
    windows, count = Windows(2 * SECOND, SECOND), 1_000
    worker = Worker(windows, emit_micros=0)
    rows = [(datetime(2024, 1, 1) + timedelta(seconds=second), "a", Decimal(1)) for second in range(count)]
    worker.add_rows(rows)
    results = [result for second in range(0, count + 200, 100) for result in worker.rise(BASE + second * SECOND)]
    assert shown(results) == by_hand(rows, windows)
    assert worker.wakes < count // 5


@pytest.mark.parametrize("lateness", [0, 90 * SECOND])
def test_of_many_windows_that_a_row_is_in_none_waits(lateness):
    windows = Windows(200 * SECOND, SECOND)
    worker = Worker(windows, emit_micros=0, lateness=lateness)
    rows = [(datetime(2024, 1, 1) + timedelta(seconds=second), "a", Decimal(1)) for second in range(300)]
    for second, row in enumerate(rows):
        worker.add_rows([row])
        for result in worker.rise(BASE + second * SECOND):
            assert result.window_end + lateness == BASE + second * SECOND
