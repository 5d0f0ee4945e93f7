"""Whether a run is stuck: it is alive, and moves wherever there is something to do."""

from __future__ import annotations

from typing import NamedTuple

from sources import progress as board

#: What a run is at. Before it is at any of these, it starts.
STARTING, RUNNING, DRAINING, ENDING = "starting", "running", "draining", "ending"
STATES = (STARTING, RUNNING, DRAINING, ENDING)
#: For so long nothing may move, unless it is said otherwise.
PATIENCE_SECONDS = 60.0


class Health(NamedTuple):
    """How a run is.

    Attributes:
        state: one of STATES.
        reason: why it is stuck; empty while it is not.
    """

    state: str
    reason: str = ""


def examine(now: float, patience_seconds: float = PATIENCE_SECONDS) -> Health:
    """Tell how the run of this process is.

    It is stuck if, for as long as the patience lasts, an input is open and none was asked for records (so that a step
    behind it hangs, or the runner does), or records wait and none was read, or the cluster has not said that it runs
    the job. An input that has nothing to give makes nobody stuck, nor does work that is left when all is read.

    Args:
        now: by the monotonic clock.
        patience_seconds: for how long nothing may move.
    """
    state = board.state() or STARTING
    if state not in (RUNNING, DRAINING):
        return Health(state)
    inputs = board.inputs()
    size, messages = sum(each.bytes for each in inputs), sum(sum(each.messages.values()) for each in inputs)
    waiting = " and ".join(f"{number:,} {what}" for number, what in ((size, "bytes"), (messages, "messages")) if number)
    for is_due, since, told in (
        (bool(inputs), board.moment(board.ASKED), "no input was asked for records"),
        (bool(waiting), board.moment(board.MOVED), f"{waiting} are waiting and nothing was read"),
        (True, board.moment(board.RUNS), "the cluster has not said that the job is running"),
    ):
        if is_due and since is not None and now - since >= patience_seconds:
            return Health(state, f"{told} for {now - since:.0f} s")
    return Health(state)
