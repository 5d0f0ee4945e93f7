"""A run is stuck if it does nothing though there is something to do; silence is no fault."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pipelines.runtime.monitoring.health import DRAINING, ENDING, RUNNING, Health, examine
from sources import progress as board
from sources.progress import Waiting

PATIENCE = 1_000.0


@pytest.fixture(autouse=True)
def _board() -> Iterator[None]:
    board.reset()
    board.set_state(RUNNING)
    yield
    board.reset()


def later() -> float:
    """A moment at which the patience is over for all that has happened."""
    return time.monotonic() + PATIENCE


def reason() -> str:
    return examine(later(), PATIENCE).reason


def test_what_has_just_happened_makes_nobody_stuck():
    board.ask_input("tcp", Waiting(10))
    board.add("read", 1)
    board.set_moment(board.RUNS)
    assert examine(time.monotonic(), PATIENCE) == Health(RUNNING)


def test_an_input_that_nobody_asks_is_stuck_whatever_waits_in_it():
    board.ask_input("tcp", Waiting())
    assert reason().startswith("no input was asked for records for 1000")


def test_an_input_that_was_read_to_its_end_is_not():
    board.ask_input("file", Waiting())
    board.close_input("file")
    assert not reason()


@pytest.mark.parametrize(
    ("waiting", "told"),
    [
        (Waiting(1_234), "1,234 bytes are waiting and nothing was read"),
        (Waiting(0, {("sales", 0): 3, ("sales", 1): 2}), "5 messages are waiting and nothing was read"),
    ],
)
def test_what_waits_and_is_not_read_is_stuck(waiting, told):
    board.add("bytes", 1)
    then = later()
    board.ask_input("kafka", waiting)
    board._moments[board.ASKED] = then  # readers are asked all the time, and give nothing
    assert examine(then, PATIENCE).reason.startswith(told)
    board.add("rejected", 1)  # which is no reading
    board.add("dropped", 1)
    assert examine(then, PATIENCE).reason.startswith(told)
    board._moments[board.MOVED] = then
    assert not examine(then, PATIENCE).reason


def test_a_silent_input_is_no_fault():
    board.add("bytes", 1)
    then = later()
    board.ask_input("tcp", Waiting())
    board._moments[board.ASKED] = then
    assert not examine(then, PATIENCE).reason


def test_a_cluster_that_does_not_run_the_job_is_a_fault():
    board.set_moment(board.RUNS)
    assert reason().startswith("the cluster has not said that the job is running")


@pytest.mark.parametrize("state", ["", ENDING])
def test_before_and_after_the_work_nobody_is_stuck(state):
    board.set_state(state)
    board.ask_input("tcp", Waiting(5))
    assert not reason()


def test_a_drain_can_be_stuck():
    board.set_state(DRAINING)
    board.ask_input("tcp", Waiting())
    assert examine(later(), PATIENCE).state == DRAINING
    assert reason()
