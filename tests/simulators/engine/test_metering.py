from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.engine.batch import Batch
from simulators.engine.metering import Clock, Supply, metered
from sources.pacing import Pace


class FakeClock(Clock):
    """A clock whose rests cost no time, and that goes on a little each time somebody looks."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 100.0

    def now(self) -> float:
        self.seconds += 0.0001
        return self.seconds

    def rest(self, seconds: float) -> None:
        self.seconds += seconds


def batch(first: int, rows: int) -> Batch:
    times = np.arange(first, first + rows) * 1_000_000
    return Batch(b"".join(b"%d\n" % number for number in range(first, first + rows)), times)


@given(
    st.lists(st.integers(0, 50), max_size=5),
    st.sampled_from([Pace(), Pace(rate=70), Pace(speed=5), Pace(interval=(0, 1))]),
)
def test_every_record_leaves_once_and_in_order(sizes: list[int], pace: Pace) -> None:
    batches, at = [], 0
    for size in sizes:
        batches.append(batch(at, size))
        at += size
    out = b"".join(bytes(piece.data) for piece in metered(batches, pace, FakeClock()))
    assert out == b"".join(b"%d\n" % number for number in range(at))


def test_a_rate_is_held_over_batches() -> None:
    clock = FakeClock()
    began = clock.seconds
    sent = 0
    for piece in metered([batch(0, 700), batch(700, 301)], Pace(rate=100), clock):
        sent += piece.rows
        assert sent <= (clock.seconds - began) * 100 + 1
    assert sent == 1_001
    assert abs(clock.seconds - began - 10) < 0.05


def test_a_speed_follows_event_time() -> None:
    clock = FakeClock()
    began = clock.seconds
    sent = sum(piece.rows for piece in metered([batch(1_000, 601)], Pace(speed=60), clock))
    assert sent == 601
    assert abs(clock.seconds - began - 10) < 0.05


def test_a_stop_ends_the_stream() -> None:
    clock = FakeClock()
    pieces = metered([batch(0, 100)], Pace(rate=10), clock)
    assert next(pieces).rows == 1
    clock.stop()
    assert list(pieces) == []


@given(st.lists(st.integers(0, 20), max_size=6), st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=60))
def test_a_supply_loses_nothing_that_is_put_back(sizes: list[int], takes: list[tuple[int, bool]]) -> None:
    batches = [batch(sum(sizes[:place]), size) for place, size in enumerate(sizes)]
    supply = Supply(iter(batches))
    got = b""
    for most, refused in takes:
        taken = supply.take(most)
        if taken is None:
            assert not supply.has_more()
            break
        assert 1 <= taken.rows <= most
        if refused:
            supply.put_back(taken)
        else:
            got += bytes(taken.data)
    assert b"".join(b"%d\n" % number for number in range(sum(sizes))).startswith(got)
