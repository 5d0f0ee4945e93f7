"""The law: whatever the order, the cuts, the settlings and the workers, a fold gets all rows in their order, once."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import datetime, timedelta

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import EDGES, EVENT_TIME, FINAL_PANE, Frames, FramesCoder
from sources import progress as board
from tests.strategies import lists_up_to
from tests.transforms.ordering import SECOND, Worker
from tests.transforms.tools import as_known
from transforms.aggregate import live
from transforms.counting import LATE
from transforms.time_sorted import fold, sort_in_parts
from transforms.time_sorted import speculate as ahead
from transforms.time_sorted.fold import FoldOutput, between, in_order
from transforms.time_sorted.fold_time_sorted import FoldTimeSorted

SCHEMA = {EVENT_TIME: pl.Datetime("us"), "kind": pl.UInt8, "text": pl.String}
START = datetime(2022, 8, 30, 12)
times = st.integers(0, 40).map(lambda number: START + timedelta(microseconds=250_001 * number))
rows = lists_up_to(30, st.tuples(times, st.integers(0, 2), st.sampled_from(["a", "b", None])))
randoms = st.randoms(use_true_random=False)
latenesses = st.sampled_from([0, 1, 1_500, 3 * SECOND, 3_600 * SECOND])


@dataclass(frozen=True)
class Listing:
    """Lists what it is given: ``rows`` as they are settled, and ``all`` as they stand."""

    outputs: tuple[str, ...] = ("all", "rows")

    def begin(self) -> Frames:
        return {"all": pl.DataFrame(schema=SCHEMA)}

    def fold(self, state: Frames, rows: pl.DataFrame, until: int | None) -> tuple[Frames, list[FoldOutput]]:
        assert rows.equals(in_order(rows))
        assert until is None or not rows.height or rows[EVENT_TIME].to_physical().max() < until
        listed = pl.concat([state["all"], rows]) if rows.height else state["all"]
        pieces = [FoldOutput("rows", 0, 1, rows)] if rows.height else []
        return {"all": listed}, pieces + ([FoldOutput("all", None, None, listed)] if until is None else [])

    def peek(self, settled: Frames, ahead: Frames) -> list[FoldOutput]:
        assert ahead["all"][: settled["all"].height].equals(settled["all"])
        return [FoldOutput("all", None, None, ahead["all"])]


def frame_of(listed) -> pl.DataFrame:
    return pl.DataFrame(listed, SCHEMA, orient="row")


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop(EDGES)


@given(rows, randoms, latenesses, st.integers(1, 3), st.sampled_from([0, 1, SECOND]), st.integers(0, 1))
def test_all_rows_are_folded_in_their_order_however_they_come(listed, random, lateness, instances, settle, emit):
    worker = Worker(Listing(), lateness, emit=emit, settle=settle, instances=instances)
    frame = frame_of(listed)
    with pytest.MonkeyPatch.context() as patch:
        part_rows = random.choice([1, 3, 10**6])
        patch.setattr(fold, "PART_ROWS", part_rows)
        patch.setattr(sort_in_parts, "PART_ROWS", part_rows)
        patch.setattr(sort_in_parts, "HELD_BYTES", random.choice([1, 100, 10**6]))
        patch.setattr(sort_in_parts, "_SAMPLE_ROWS", random.choice([1, 2]))
        worker.play(frame, random)
        bounded = Worker(Listing()).play_bounded(frame, random)
    if not listed:
        assert worker.results == bounded.results == []
        return
    for each in (worker, bounded):
        assert plain(each.rows("rows")).equals(in_order(frame))
        assert plain(each.rows("all")).equals(in_order(frame))
    early = [result.pane for _, result in worker.results if not result.final]
    assert early == list(range(len(early)))
    assert all(result.pane == FINAL_PANE for _, result in worker.results if result.final)


@given(rows.filter(bool), randoms, st.integers(1, 3))
def test_each_look_has_all_that_has_come_in_its_order(listed, random, instances):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ahead, "FRESH_ROWS", 2)
        patch.setattr(ahead, "MOST_STOPS", 3)
        patch.setattr(live, "COMPACT_BYTES", random.choice([1, 200, 10**6]))
        worker = Worker(Listing(), lateness=2 * SECOND, emit=1, instances=instances)
        seen = []
        order = sorted(listed, key=lambda row: row[0] + timedelta(seconds=random.uniform(0, 2)))
        for place, row in enumerate(order):
            worker.add(frame_of([row]))
            seen.append(row)
            for result in worker.early():
                assert plain(result.rows).equals(in_order(frame_of(seen)))
            rest = [other[0] for other in order[place + 1 :]]
            if rest:
                worker.rise(int(frame_of([(min(rest), 0, None)])[EVENT_TIME].to_physical()[0]) + 2 * SECOND)
        worker.finish()
        assert plain(worker.rows("rows")).equals(in_order(frame_of(listed)))


def second(number: float, kind: int = 0) -> tuple:
    return (START + timedelta(seconds=number), kind, None)


def micros(number: float) -> int:
    return int(frame_of([second(number)])[EVENT_TIME].to_physical()[0])


def test_a_row_that_comes_after_its_moment_was_settled_is_counted_and_left_out():
    worker = Worker(Listing())
    worker.add(frame_of([second(1), second(2)]))
    worker.rise(micros(2.5))
    worker.add(frame_of([second(1.5), second(3)]))
    worker.finish()
    assert plain(worker.rows("rows")).height == 3
    assert board.counts()[LATE] == 1


def test_what_waits_does_not_grow_while_the_watermark_goes_on():
    worker = Worker(Listing(), lateness=10 * SECOND)
    most = 0
    for number in range(400):
        worker.add(frame_of([second(number)]))
        worker.rise(micros(number))
        most = max(most, sum(part.height for part in worker.deltas.values) + worker.held.height)
    assert 10 <= most <= 30
    assert worker.wakes <= 80


def test_one_wrong_clock_does_not_make_the_others_wait():
    worker = Worker(Listing())
    worker.add(frame_of([second(0), second(1e9), second(1)]))
    worker.add(frame_of([second(2e9)]))
    for number in range(2, 30):
        worker.add(frame_of([second(number)]))
        worker.rise(micros(number))
    assert plain(worker.rows("rows")).height >= 27


def test_many_rows_that_have_passed_are_settled_in_few_steps():
    worker = Worker(Listing())
    worker.add(frame_of([second(number) for number in range(5_000)]))
    worker.rise(micros(10_000))
    assert worker.rows("rows").height >= 4_999
    assert worker.wakes <= 15


def test_it_is_settled_at_most_so_often():
    worker = Worker(Listing(), settle=60 * SECOND)
    for number in range(300):
        worker.add(frame_of([second(number)]))
        worker.rise(micros(number))
    assert worker.wakes <= 6


def test_a_busy_key_gives_its_look_with_the_frame_that_comes_when_it_is_due():
    worker = Worker(Listing(), emit=SECOND)
    assert worker.add(frame_of([second(1)])) == []
    worker.clock.pass_seconds(0.5)
    assert [result.rows.height for result in worker.add(frame_of([second(2)]))] == [2]
    assert worker.add(frame_of([second(3)])) == []
    worker.clock.pass_seconds(0.4)
    assert worker.add(frame_of([second(4)])) == []
    worker.clock.pass_seconds(1)
    assert [result.rows.height for result in worker.add(frame_of([second(5)]))] == [5]
    assert worker.early() == []


def test_timers_of_whole_milliseconds_do_not_come_too_early():
    worker = Worker(Listing(), settle=0)
    worker.add(frame_of([second(0.0000015)]))
    assert worker.wake.value.micros % 1_000 == 0
    assert worker.wake.value.micros > micros(0.000001)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"lateness_micros": -1}, "lateness_micros must not be negative, got -1 us"),
    ],
)
def test_fields_out_of_range_are_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        FoldTimeSorted(Listing(), **fields)


def test_frames_by_name_are_coded():
    frames = {"one": frame_of([second(1)]), "none": frame_of([])}
    coder = FramesCoder()
    found = coder.decode(coder.encode(frames))
    assert found.keys() == frames.keys()
    assert all(found[name].equals(frames[name]) for name in frames)
    assert pickle.loads(pickle.dumps(coder)).encode(frames) == coder.encode(frames)


def test_the_bounds_of_rows_are_exact():
    frame = frame_of([second(1), second(2), second(3)])
    assert between(frame, micros(2), None).height == 2
    assert between(frame, None, micros(2)).height == 1
    assert between(frame, micros(2), micros(3)).height == 1


@pytest.mark.parametrize("is_bounded", [True, False])
def test_rows_in_and_rows_out_balance_on_runners(options, is_bounded):
    listed = [(START + timedelta(minutes=number % 200), number % 3, f"{number}") for number in range(1_000)]
    frames = [frame_of(listed[start : start + 70]) for start in range(0, 1_000, 70)]
    expected = in_order(frame_of(listed))

    def is_right(results) -> None:
        (final,) = [result for result in results if result.final]
        assert plain(final.rows).equals(expected)

    def are_right(results) -> None:
        assert all(result.final for result in results)
        assert sum(result.rows.height for result in results) == 1_000

    with beam.Pipeline(options=options) as pipeline:
        frames_in = pipeline | beam.Create(frames) | "Shuffle" >> beam.Reshuffle()
        frames_in.element_type = pl.DataFrame
        as_known(frames_in, is_bounded=is_bounded)
        found = frames_in | FoldTimeSorted(Listing(), SECOND, emit_micros=0 if is_bounded else SECOND)
        assert_that(found["all"], is_right, "all")
        assert_that(found["rows"], are_right, "rows")
