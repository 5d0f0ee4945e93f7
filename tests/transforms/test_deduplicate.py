"""The laws: what is kept lies apart, what is not is near something kept, and copies that belong together leave one."""

from __future__ import annotations

import pickle
from collections import defaultdict
from datetime import datetime, timedelta

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME, NO_BLOCK, RECORD, Batch
from schemas.times import MICROS_PER_SECOND, to_micros
from sources import progress as board
from tests.fakes import Bag, Steps, Value
from tests.strategies import shuffled_cuts
from tests.transforms.tools import as_known, counts_of, without_counts
from transforms import Count, deduplicate
from transforms.aggregate.aggregate import Aggregate
from transforms.deduplicate import Deduplicate, DeduplicateFn, _AtEndFn, _BucketsFn, are_first

BASE = datetime(2024, 1, 1)
SCHEMA = {RECORD: pl.get_index_type(), EVENT_TIME: pl.Datetime("us"), "id": pl.String, "shop": pl.Int64, "n": pl.Int64}
BY = ("id", "shop")
WITHIN = 10
randoms = st.randoms(use_true_random=False)
#: Seconds, id, shop: few of each, so that many are copies, near and far.
events = st.tuples(st.integers(0, 60), st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, None]))
many = st.lists(events, max_size=30)


def frame_of(rows) -> pl.DataFrame:
    """The rows, each with the number that it was listed with."""
    listed = [(0, BASE + timedelta(seconds=second), key, shop, number) for number, (second, key, shop) in rows]
    return pl.DataFrame(listed, SCHEMA, orient="row")


def numbers(frames) -> list[int]:
    return sorted(number for frame in frames for number in frame["n"].to_list())


class Worker:
    """Drives the live step as a runner does; any of several instances may get the next call."""

    def __init__(self, within: int = WITHIN, lateness: int = 0, instances: int = 1) -> None:
        step = DeduplicateFn(BY, within * MICROS_PER_SECOND, lateness * MICROS_PER_SECOND)
        self.steps, self.kept, self.known, self.timer = Steps(step, instances), Bag(), Value(), Value()

    def add(self, rows) -> list[pl.DataFrame]:
        batch = Batch(frame_of(rows), NO_BLOCK)
        return [b.rows for b in without_counts(self.steps.any().process((0, batch), self.kept, self.known, self.timer))]

    def rise(self, second: float) -> int:
        """Lets the watermark rise; gives how often the timer fired."""
        fired = 0
        while self.timer.value is not None and self.timer.value.micros <= to_micros(BASE) + second * MICROS_PER_SECOND:
            self.timer.clear()
            self.steps.any().forget_keys(self.kept, self.known, self.timer)
            fired += 1
        return fired

    @property
    def held(self) -> int:
        return sum(frame.height for frame in self.kept.values)


def live(listed, random, lateness: int = 0, instances: int = 1) -> list[int]:
    """Deduplicates in any order and cut, while the watermark rises as far as what is still to come allows."""
    worker, kept = Worker(lateness=lateness, instances=instances), []
    parts = shuffled_cuts(random, list(enumerate(listed)))
    for place, part in enumerate(parts):
        kept += worker.add(part)
        rest = [second for later in parts[place + 1 :] for _, (second, *_) in later]
        if rest and random.random() < 0.7:
            worker.rise(min(rest) + lateness)
    worker.rise(10**6)
    assert worker.held == 0
    return numbers(kept)


def bounded(listed, random) -> list[int]:
    split, buckets = _BucketsFn(BY), defaultdict(list)
    for part in shuffled_cuts(random, list(enumerate(listed))):
        for bucket, frame in split.process(Batch(frame_of(part), NO_BLOCK)):
            buckets[bucket].append(frame)
    at_end = _AtEndFn(BY, WITHIN * MICROS_PER_SECOND)
    return numbers(batch.rows for element in buckets.items() for batch in without_counts(at_end.process(element)))


def by_hand(listed) -> list[int]:
    """What is kept of a whole input, row by row in event time."""
    kept, last = [], {}
    for number, (second, *key) in sorted(enumerate(listed), key=lambda row: (row[1][0], row[0])):
        if None in key or second - last.get(tuple(key), -WITHIN) >= WITHIN:
            kept.append(number)
            last[tuple(key)] = second
    return sorted(kept)


@given(many, randoms)
def test_of_bounded_input_the_first_in_event_time_is_kept_however_it_is_cut_and_ordered(listed, random):
    assert bounded(listed, random) == by_hand(listed)
    assert board.counts()["duplicate"] >= len(listed) - len(by_hand(listed))


@given(many, randoms, st.sampled_from([0, 5, 40]), st.integers(1, 3))
def test_what_is_kept_lies_apart_and_each_duplicate_is_near_something_kept(listed, random, lateness, instances):
    board.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deduplicate, "MOST_FRAMES", random.choice([1, 2, 1_000]))
        kept = live(listed, random, lateness, instances)
    assert board.counts()["duplicate"] == len(listed) - len(kept)
    times = defaultdict(list)
    for number in kept:
        second, *key = listed[number]
        if None not in key:
            assert all(abs(second - other) >= WITHIN for other in times[tuple(key)])
            times[tuple(key)].append(second)
    for number in set(range(len(listed))) - set(kept):
        second, *key = listed[number]
        assert any(abs(second - other) < WITHIN for other in times[tuple(key)])


clusters = st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, WITHIN - 1), min_size=1, max_size=5)))


@given(clusters, randoms, st.sampled_from([0, 5]))
def test_copies_that_all_lie_within_the_time_leave_one_live_and_in_a_replay(listed, random, lateness):
    rows = [(100 * place + by, "a", shop) for place, (shop, group) in enumerate(listed) for by in group]
    found = live(rows, random, lateness), bounded(rows, random)
    for kept in found:
        assert [rows[number][0] // 100 for number in kept] == list(range(len(listed)))


def test_what_is_held_does_not_grow_while_the_watermark_goes_on():
    worker, most, fired = Worker(lateness=5), 0, 0
    for second in range(2_000):
        worker.add([(second, (second, str(second), 1))])
        fired += worker.rise(second)
        most = max(most, worker.held)
    assert WITHIN <= most <= 4 * WITHIN
    assert fired <= 400


def test_many_keys_that_have_passed_are_forgotten_in_few_steps():
    worker = Worker()
    worker.add([(number, (1_000 * number, "a", number)) for number in range(5_000)])
    assert worker.rise(10**8) <= 15
    assert worker.held == 0


def test_one_wrong_clock_does_not_make_the_others_stay():
    worker = Worker()
    worker.add([(0, (10**9, "a", 1))])
    for second in range(300):
        worker.add([(second, (second, str(second), 1))])
        worker.rise(second)
    assert worker.held <= 5 * WITHIN


def test_a_row_of_which_copies_may_be_forgotten_is_late():
    worker = Worker()
    worker.add([(0, (1, "a", 1))])
    worker.rise(11)
    assert worker.held == 0
    assert worker.add([(1, (10, "a", 1))]) == []
    assert (board.counts()["late"], board.counts()["duplicate"]) == (1, 0)
    assert numbers(worker.add([(2, (11, "a", 1))])) == [2]


def test_a_bundle_that_is_tried_again_knows_nothing_of_the_one_that_failed():
    worker = Worker()
    worker.add([(0, (1, "a", 1))])
    states = worker.known.value, list(worker.kept.values)
    assert numbers(worker.add([(1, (2, "b", 1))])) == [1]
    worker.known.value, worker.kept.values = states
    assert numbers(worker.add([(1, (2, "b", 1)), (2, (3, "a", 1))])) == [1]


def test_a_single_key_of_any_length_takes_no_step_per_row():
    times = pl.Series(EVENT_TIME, range(100_000)).cast(pl.Datetime("us"))
    rows = pl.DataFrame({"id": ["a"] * 100_000, EVENT_TIME: times})
    kept = rows.filter(are_first(rows, pl.DataFrame(), ["id"], 7))
    assert kept[EVENT_TIME].to_physical().to_list() == list(range(0, 100_000, 7))


def test_copies_may_be_known_by_their_event_time():
    rows = frame_of(enumerate([(1, "a", 1), (1, "b", 1), (2, "c", 1)]))
    assert are_first(rows, rows.clear().select(EVENT_TIME), [EVENT_TIME], 1).to_list() == [True, False, True]


@pytest.mark.parametrize("is_bounded", [True, False])
def test_the_counts_balance_on_runners(options, is_bounded):
    listed = [(number % 50, f"{number % 300}", 1) for number in range(1_000)]
    frames = [frame_of(list(enumerate(listed))[start : start + 70]) for start in range(0, 1_000, 70)]
    batches = [Batch(frame, NO_BLOCK, is_counted=number % 5 == 0) for number, frame in enumerate(frames)]
    uncounted = sum(batch.rows.height for batch in batches if not batch.is_counted)
    pipeline = beam.Pipeline(options=options)
    given_in = as_known(pipeline | beam.Create(batches, reshuffle=False), is_bounded=is_bounded)
    given_in.element_type = Batch
    kept = given_in | Deduplicate(BY, "1h")
    as_known(kept["records"], is_bounded=True)
    totals = kept["records"] | Aggregate((), {"n": Count()})
    assert_that(totals | beam.Map(lambda result: result.rows["n"].item()), equal_to([300]))
    done = pipeline.run()
    done.wait_until_finish()
    counts = counts_of(done)
    assert counts["used"] + counts["duplicate"] == uncounted
    assert counts["duplicate"] > 0


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"by": (), "within": "1m"}, "by must be columns such as"),
        ({"by": "id", "within": "1m"}, "by must be columns such as .*, got 'id'"),
        ({"by": ("id",), "within": "0s"}, "within must be positive, got '0s'"),
        ({"by": ("id",), "within": "soon"}, "'soon'"),
        ({"by": ("id",), "within": "1m", "lateness_micros": -1}, "must not be negative, got -1 us"),
    ],
)
def test_fields_out_of_range_are_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        Deduplicate(**fields)


def test_it_can_be_pickled():
    assert pickle.loads(pickle.dumps(Deduplicate(BY, "10m"))).by == BY
