"""The watermark that partitions allow, and which reader has which."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sources.kafka.partitions import Partition, PartitionId, PartitionWatermark, Standing, reader_of

IDLE = 10.0


def partition(
    promised: int | None = None, heard: float = 0.0, *, is_caught_up: bool = False, number: int = 0
) -> Partition:
    return Partition(PartitionId("t", number), 0, heard, is_caught_up, promised)


def moved(own: list[Partition], listened: float = 0.0, others: list[Standing] | None = None, **options) -> int | None:
    otherwise = options.pop("otherwise", None)
    return PartitionWatermark(IDLE, **options).move(Standing(tuple(own), listened), others or [], otherwise)


def test_the_slowest_partition_holds_the_watermark() -> None:
    assert moved([partition(100), partition(70)], disorder_micros=5) == 65


def test_nothing_is_promised_before_every_partition_has_brought_something() -> None:
    assert moved([partition(100), partition(None)]) is None


def test_an_idle_partition_stops_holding_after_its_time() -> None:
    silent = partition(70, heard=5.0, is_caught_up=True)
    assert moved([partition(100, 15.0), silent], listened=14.9) == 70
    assert moved([partition(100, 15.0), silent], listened=15.0) == 100


def test_an_empty_partition_stops_holding_too() -> None:
    assert moved([partition(100, 15.0), partition(None, 5.0, is_caught_up=True)], listened=15.0) == 100


def test_a_silent_partition_with_messages_left_holds_for_ever() -> None:
    assert moved([partition(100, 999.0), partition(70, heard=0.0)], listened=1_000.0) == 70


def test_partitions_that_are_all_idle_leave_it_at_the_greatest_time() -> None:
    idle = [partition(100, is_caught_up=True), partition(70, is_caught_up=True)]
    assert moved(idle, listened=IDLE, disorder_micros=1) == 99


def test_an_idle_reader_goes_along_with_its_siblings() -> None:
    idle = partition(100, is_caught_up=True)
    sibling = Standing((partition(300), partition(200)), 0.0)
    assert moved([idle], listened=IDLE, others=[sibling]) == 200
    assert moved([], listened=IDLE, others=[sibling]) == 200


def test_an_idle_reader_waits_for_a_sibling_of_which_nothing_is_known_yet() -> None:
    sibling = Standing((partition(300), partition(None)), 0.0)
    assert moved([partition(100, is_caught_up=True)], listened=IDLE, others=[sibling]) is None


def test_idle_readers_all_come_to_the_greatest_time_of_any() -> None:
    early, late = partition(100, is_caught_up=True), partition(300, is_caught_up=True)
    assert moved([early], IDLE, [Standing((late,), IDLE)]) == moved([late], IDLE, [Standing((early,), IDLE)]) == 300


def test_siblings_do_not_move_a_reader_that_has_something_of_its_own() -> None:
    assert moved([partition(100)], others=[Standing((partition(300),), 0.0), Standing((partition(7),), 0.0)]) == 100


def test_another_time_takes_the_place_of_the_greatest_only_where_all_are_idle() -> None:
    assert moved([partition(100)], otherwise=500) == 100
    assert moved([partition(100, is_caught_up=True)], listened=IDLE, otherwise=500) == 500


STATES = st.builds(partition, st.none() | st.integers(0, 1_000), st.floats(0, 100), is_caught_up=st.booleans())


@given(st.lists(st.tuples(st.lists(STATES, max_size=4), st.floats(0, 200), st.lists(STATES, max_size=3))))
def test_watermark_never_goes_back(steps: list) -> None:
    watermark = PartitionWatermark(IDLE, 3)
    before = -1_000_000
    for own, listened, others in steps:
        value = watermark.move(Standing(tuple(own), listened), [Standing(tuple(others), listened)])
        assert value is None or value >= before
        before = before if value is None else value


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 8))
def test_every_partition_has_one_reader_and_those_are_about_as_many(counts: list[int], readers: int) -> None:
    for topic, count in enumerate(counts):
        shares = Counter(reader_of(topic, number, readers) for number in range(count))
        assert set(shares) <= set(range(readers))
        assert max(shares.values()) - min((shares[reader] for reader in range(readers)), default=0) <= 1
        # One that is added moves none of the others.
        assert reader_of(topic, count, readers) == (reader_of(topic, 0, readers) + count) % readers
