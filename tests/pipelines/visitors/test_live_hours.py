from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.visitors.live_hours import HOUR_START, USABLE, LiveHours
from schemas.elements.frames import FINAL_PANE
from schemas.times import to_micros
from tests.strategies import lists_up_to
from tests.transforms.live import END, LiveWorker
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.distinct import CountDistinctAddresses

SECOND = 10**6
HOUR = 3_600 * SECOND
reduction = FrameCombine((HOUR_START,), {"visitors": CountDistinctAddresses("ip")})
FIRST = datetime(2020, 2, 28, 20, tzinfo=timezone.utc)
#: (hour, visitor), those of one frame together.
rows_of_a_frame = lists_up_to(8, st.tuples(st.integers(0, 3) | st.integers(0, 30), st.integers(0, 5)))
frames = lists_up_to(12, rows_of_a_frame.filter(bool))


class Worker(LiveWorker):
    """Takes rows as (hour, visitor)."""

    def __init__(self, emit_micros=SECOND, lateness=0, instances=1):
        super().__init__(LiveHours(reduction, lateness), emit_micros, instances)

    def add_rows(self, rows):
        return self.add(reduction.reduce(frame(rows)))

    @property
    def closed(self):
        return self.base.read()["closed"]


def start_of(hour):
    return FIRST + timedelta(hours=hour)


def frame(rows):
    schema = {HOUR_START: pl.Datetime("us", "UTC"), "ip": pl.String}
    return pl.DataFrame([(start_of(hour), f"10.0.0.{ip}") for hour, ip in rows], schema, orient="row")


def by_hand(rows):
    visitors = defaultdict(set)
    for hour, ip in rows:
        visitors[start_of(hour)].add(ip)
    return sorted((start, len(ips)) for start, ips in visitors.items())


def shown(result):
    return result.rows.drop("window_start", "window_end").rows()


@settings(max_examples=60)
@given(frames, st.randoms(use_true_random=False), st.sampled_from([0, HOUR // 2, 3 * HOUR]), st.integers(1, 3))
def test_each_result_is_the_whole_so_far_whichever_hours_have_closed(parts, random, lateness, instances):
    worker = Worker(lateness=lateness, instances=instances)
    watermark, seen, panes = to_micros(start_of(0)), [], []
    for part in parts:
        timely = [row for row in part if to_micros(start_of(row[0])) + HOUR + lateness > watermark]
        given_now = worker.add_rows(timely) if timely else []
        seen += timely
        worker.clock.pass_seconds(random.choice([0, 0.4, 2]))
        if random.random() < 0.5:
            watermark += random.randrange(4 * HOUR)
            worker.rise(watermark)
        if random.random() < 0.5:
            given_now += worker.early()
        for early in given_now:
            assert not early.final
            panes.append(early.pane)
        if given_now:
            assert shown(given_now[-1]) == by_hand(seen)
    if seen:
        (final,) = worker.finish()
        assert shown(final) == by_hand(seen)
        assert (final.final, final.pane, final.window_start, final.window_end) == (True, FINAL_PANE, None, None)
    assert panes == list(range(len(panes)))


def test_the_visitors_of_an_hour_are_let_go_when_the_watermark_and_the_lateness_have_passed_it():
    worker = Worker(lateness=HOUR // 2)
    worker.add_rows([(0, ip) for ip in range(200)])
    full = worker.deltas.values[0].estimated_size()
    worker.rise(to_micros(start_of(1)) + HOUR // 2 - 1)
    assert worker.base.value is None
    worker.rise(to_micros(start_of(1)) + HOUR // 2)
    assert not worker.deltas.values
    assert worker.held.height == 0
    assert worker.closed.estimated_size() < full / 10
    assert worker.wake.value is None


def test_an_hour_whose_lateness_has_not_passed_stays_open_when_one_before_it_closes():
    worker = Worker(lateness=2 * HOUR)
    worker.add_rows([(0, 1), (1, 1)])
    worker.rise(to_micros(start_of(3)))
    assert worker.closed[HOUR_START].to_list() == [start_of(0)]
    worker.add_rows([(1, 2)])
    (final,) = worker.finish()
    assert shown(final) == by_hand([(0, 1), (1, 1), (1, 2)])


def test_many_hours_close_at_once():
    worker = Worker()
    worker.add_rows([(hour, 1) for hour in range(40)])
    worker.rise(END)
    assert worker.wakes <= 3
    assert worker.closed.height == 40


def test_a_busy_key_gives_its_result_with_the_frame_that_comes_when_it_is_due():
    worker = Worker(emit_micros=SECOND)
    worker.add_rows([(0, 1)])
    worker.early()
    assert worker.add_rows([(0, 2)]) == []
    worker.clock.pass_seconds(0.9)
    assert worker.add_rows([(0, 3)]) == []
    worker.clock.pass_seconds(0.2)
    (early,) = worker.add_rows([(0, 4)])
    assert shown(early) == by_hand([(0, 1), (0, 2), (0, 3), (0, 4)])
    assert worker.early() == []  # nothing is new since
    assert worker.add_rows([(0, 5)]) == []


def test_a_result_is_given_once_a_period_while_records_come():
    worker = Worker(emit_micros=SECOND)
    given_at = []
    for _ in range(1_000):
        worker.clock.pass_seconds(0.05)
        if worker.add_rows([(0, 1)]):
            given_at.append(worker.clock.now)
    assert 45 <= len(given_at) <= 51


def test_without_early_results_only_the_final_one_is_given():
    worker = Worker(emit_micros=0)
    assert worker.add_rows([(0, 1)]) == worker.add_rows([(3, 1)]) == []
    assert worker.emit.value is None
    worker.rise(to_micros(start_of(2)))
    (final,) = worker.finish()
    assert shown(final) == by_hand([(0, 1), (3, 1)])


#: Frames of no hour: nothing is known, a record was of use, records were read and none was of use.
NOTHING, USE, NO_USE = pl.DataFrame(), pl.DataFrame({USABLE: [True]}), pl.DataFrame({USABLE: [False]})


@pytest.mark.parametrize(
    ("told", "early", "final"),
    [
        ([NOTHING], False, True),
        ([USE], True, True),
        ([NOTHING, NO_USE, NO_USE], False, False),
        ([NO_USE, USE], True, True),
        ([USE, NO_USE], True, True),
    ],
)
def test_there_is_a_result_of_no_hour_unless_all_that_was_read_was_of_no_use(told, early, final):
    worker = Worker()
    for each in told:
        assert worker.add(each) == []
    assert worker.wake.value is None
    assert (worker.emit.value is not None) == early
    results = worker.early() + worker.finish()
    assert [result.final for result in results] == [False] * early + [True] * final
    for result in results:
        assert shown(result) == []
        assert result.rows.columns == ["window_start", "window_end", HOUR_START, "visitors"]


def test_rows_are_proof_enough_that_records_are_of_use():
    worker = Worker()
    worker.add(NO_USE)
    worker.add_rows([(0, 1)])
    worker.add(NO_USE)
    (result,) = worker.finish()
    assert shown(result) == by_hand([(0, 1)])
