"""What is made of a job on a cluster: which failures end it for good."""

from __future__ import annotations

import pytest

from pipelines.runtime.flink import job as module
from pipelines.runtime.flink.job import FlinkJobWatch
from pipelines.runtime.flink.rest import FlinkJob
from pipelines.runtime.flink.settings import FlinkTarget

_PYTHON = "java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):\n"
GONE = "java.io.IOException: UNAVAILABLE: io exception\n\tat x.y(Z.java:1)"
BUG = f'{_PYTHON}  File "x.py", line 1\nZeroDivisionError: division by zero\n\tat x.y(Z.java:1)'
SINK = f'{_PYTHON}  File "x.py", line 1\nsinks.files.atomic.SinkError: cannot write x: full\n\tat x.y(Z.java:1)'


class Cluster:
    """A cluster whose job has failed as it is told."""

    master = "127.0.0.1:8081"

    def __init__(self, stacks):
        self.stacks = stacks

    def jobs(self):
        return [FlinkJob("1", "older", "FINISHED", 0)]

    def state(self, job):
        return "RUNNING"

    def counters(self, job, namespace):
        return {}

    def is_read_to_its_end(self, job):
        return True

    def savepoint(self, job, *, is_last):
        assert is_last
        return "a savepoint"

    def remove_savepoint(self, path):
        assert path == "a savepoint"

    def failures(self, job):
        return [(str(number), stack) for number, stack in enumerate(self.stacks)]


@pytest.mark.parametrize(
    ("stacks", "reason"),
    [
        ([], None),
        ([GONE] * 9, None),
        ([BUG, BUG], None),
        ([BUG, GONE, BUG, BUG], "division by zero"),
        ([GONE, SINK], "cannot write x: full"),
    ],
)
def test_what_cannot_go_away_ends_the_job_and_what_was_killed_does_not(stacks, reason):
    target = FlinkTarget("127.0.0.1:8081", is_here=True, is_loopback=False)
    watch = FlinkJobWatch(Cluster(stacks), "job", target, None, print)
    for _ in range(3):  # the same failures are told of again at each look
        watch._look_for_failures()
    assert watch.death(0) == reason
    assert watch.has_begun_again == bool(stacks)


def test_a_job_is_stopped_only_once_it_has_told_that_it_is_at_its_end(monkeypatch):
    """Watermarks are at the end of time for a moment, too, after a job has gone on from a savepoint."""
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    watch = FlinkJobWatch(
        Cluster([]), "job", FlinkTarget("127.0.0.1:8081", is_here=True, is_loopback=False), None, print
    )
    watch.id = "2"
    answers = [False, False, True]
    watch.has_told_its_end = lambda: answers.pop(0)
    watch._watch()
    assert not answers
