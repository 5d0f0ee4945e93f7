"""Signals that were sent twice."""

from __future__ import annotations

import signal

from hypothesis import given
from hypothesis import strategies as st

from sources.signals import ECHO_SECONDS, Echoes
from tests.fakes import FakeClock

moments = st.lists(st.floats(0, 10), max_size=20).map(sorted)


@given(moments)
def test_what_counts_is_never_closer_than_an_echo_and_nothing_else_is_left_out(times):
    clock = FakeClock()
    echoes = Echoes(clock)
    counted: list[float] = []
    for clock.now in times:
        is_close = bool(counted) and clock.now - counted[-1] < ECHO_SECONDS
        assert echoes.is_echo(signal.SIGINT) == is_close
        if not is_close:
            counted.append(clock.now)


def test_another_signal_is_no_echo():
    echoes = Echoes(FakeClock())
    assert not echoes.is_echo(signal.SIGINT)
    assert not echoes.is_echo(signal.SIGTERM)
    assert echoes.is_echo(signal.SIGTERM)
