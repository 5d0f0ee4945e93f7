from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import MICROS_PER_SECOND
from sources.pacing import Pace, Times

steps = st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=60)
times = st.lists(st.integers(-(10**15), 10**15), max_size=60).map(lambda found: np.array(found, np.int64))
NO_TIMES = np.empty(0, np.int64)


def leave(pace: Pace, event_times: Times, steps: list[float]) -> list[tuple[float, int]]:
    """Asks at the given steps of time; gives when and how many left."""
    schedule = pace.schedule()
    elapsed, sent, left = 0.0, 0, []
    for step in steps:
        elapsed += step
        count = schedule.due(elapsed, event_times[sent:])
        assert 0 <= count <= len(event_times) - sent
        sent += count
        left.append((elapsed, sent))
    return left


@given(st.floats(0.1, 1e6), steps, st.integers(0, 100_000))
def test_a_rate_never_sends_more_than_due(rate: float, steps: list[float], waiting: int) -> None:
    schedule = Pace(rate=rate).schedule()
    elapsed, sent = 0.0, 0
    for step in steps:
        elapsed += step
        sent += schedule.due(elapsed, NO_TIMES, waiting - sent)
        assert sent <= min(waiting, elapsed * rate + 1)
    assert sent >= min(waiting, math.floor(elapsed * rate))


@given(st.floats(0.5, 1e6))
def test_a_rate_is_exact_in_the_long_run(rate: float) -> None:
    schedule = Pace(rate=rate).schedule()
    elapsed, sent = 0.0, 0
    for _ in range(200):
        sent += schedule.due(elapsed, NO_TIMES, 10**9)
        elapsed += schedule.wait(elapsed) + 1e-9
    assert abs(sent - elapsed * rate) <= max(2, 1e-6 * sent)


@given(st.floats(0.01, 1e4), times, steps)
def test_a_speed_never_sends_a_record_before_its_time(speed: float, event_times: Times, steps: list[float]) -> None:
    sent_before = 0
    for elapsed, sent in leave(Pace(speed=speed), event_times, steps):
        horizon = (int(event_times[0]) if len(event_times) else 0) + elapsed * speed * MICROS_PER_SECOND
        assert all(moment <= horizon for moment in event_times[sent_before:sent].tolist())
        sent_before = sent


@given(st.floats(0.01, 1e4), times.filter(len))
def test_a_speed_sends_all_once_the_latest_is_due(speed: float, event_times: Times) -> None:
    schedule = Pace(speed=speed).schedule()
    sent = schedule.due(0.0, event_times)
    assert sent >= 1
    span = (int(event_times.max()) - int(event_times[0])) / MICROS_PER_SECOND
    sent += schedule.due(max(0.0, span / speed * (1 + 1e-9) + 1), event_times[sent:])
    assert sent == len(event_times)


@given(st.floats(0.1, 1e3), st.lists(st.integers(0, 10**7), min_size=1, max_size=40).map(sorted))
def test_waiting_as_told_is_enough_for_the_next_record(speed: float, found: list[int]) -> None:
    event_times = np.array(found, np.int64)
    schedule = Pace(speed=speed).schedule()
    elapsed, sent = 0.0, 0
    for _ in range(3 * len(found)):
        sent += schedule.due(elapsed, event_times[sent:])
        if sent == len(found):
            break
        elapsed += schedule.wait(elapsed, int(event_times[sent])) + 1e-6
    assert sent == len(found)


@given(st.floats(0, 2), st.floats(0, 2), steps, st.integers(0, 2**32))
def test_an_interval_stays_between_its_bounds(one: float, other: float, steps: list[float], seed: int) -> None:
    low, high = sorted((one, other))
    waiting = 500
    for elapsed, sent in leave(Pace(interval=(low, high), seed=seed), np.arange(waiting), steps):
        # The first leaves at once; n gaps take between n times the shortest and n times the longest.
        assert (sent - 1) * low <= elapsed + 1e-9
        assert sent == waiting or sent * high >= elapsed - 1e-9


@given(st.integers(0, 2**32))
def test_the_seed_decides_the_intervals(seed: int) -> None:
    asked = [0.5] * 50
    pace = Pace(interval=(0.1, 2), seed=seed)
    assert leave(pace, np.arange(100), asked) == leave(pace, np.arange(100), asked)


@given(times)
def test_without_a_pace_everything_is_due(event_times: Times) -> None:
    schedule = Pace().schedule()
    assert not Pace().is_paced
    assert schedule.due(0.0, event_times) == len(event_times)
    assert schedule.wait(0.0) == 0.0


@given(st.floats(0.1, 1e4), st.floats(0, 1e3))
def test_a_speed_taken_up_in_the_middle_goes_on_from_there(speed: float, elapsed: float) -> None:
    event_times = np.arange(1_000) * MICROS_PER_SECOND
    whole = Pace(speed=speed).schedule(0, 0).due(elapsed, event_times)
    rest = Pace(speed=speed).schedule(500, 0).due(elapsed, event_times[500:])
    assert rest == max(0, whole - 500)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"speed": 0}, "speed must be positive, got 0"),
        ({"rate": -1.5}, "rate must be positive, got -1.5"),
        ({"rate": math.inf}, "rate must be positive, got inf"),
        ({"speed": math.nan}, "speed must be positive, got nan"),
        ({"interval": (3, 1)}, "ascending numbers of seconds"),
        ({"speed": 1, "rate": 2}, "give one of speed, rate and interval, got speed and rate"),
    ],
)
def test_wrong_paces_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pace(**wrong)  # type: ignore[arg-type]
