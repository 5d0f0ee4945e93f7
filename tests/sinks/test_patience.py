"""Pauses that double, one warning, and an end, by a clock of the test's own."""

from __future__ import annotations

import logging

import pytest

from sinks import patience
from sinks.patience import Patience


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    return clock


def test_pauses_double_up_to_the_longest_and_end_with_the_time(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    tried = Patience("there", 10)
    with caplog.at_level(logging.WARNING):
        while tried.wait("nobody listens"):
            pass
    assert clock.slept[:-1] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert tried.elapsed_seconds == pytest.approx(10)
    assert [record.getMessage() for record in caplog.records] == ["there: nobody listens; trying again for 8 s"]


def test_without_time_nothing_is_tried_again(clock: Clock) -> None:
    assert not Patience("there", 0).wait("nobody listens")
    assert not clock.slept
