"""What a run tells of itself is read as it was meant."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from pages.jobs.balance import Balance, is_progress, read_metrics, read_summary
from pipelines.runtime.monitoring.collector import make_registry
from pipelines.runtime.progress_line import Progress, summary
from sources import progress as board
from transforms.counting import COUNTS

NUMBERS = st.dictionaries(st.sampled_from(COUNTS), st.integers(0, 10**12))


@given(NUMBERS, st.floats(0, 1e6))
def test_a_summary_is_read_to_the_last_digit(counts, seconds):
    told = read_summary(summary(Counter(counts), seconds), Balance({}))
    assert {name: number for name, number in told.counts.items() if number} == {
        name: number for name, number in counts.items() if number
    }
    assert told.is_final


def test_metrics_are_read_as_they_are_written():
    board.reset()
    registry = make_registry("produce", "DirectRunner")
    told = read_metrics(generate_latest(registry).decode())
    assert told.counts == dict.fromkeys(COUNTS, 0)
    assert (told.state, told.is_healthy, told.percent) == ("starting", True, None)


def test_a_line_of_progress_is_told_from_others():
    assert is_progress(Progress(quiet=True, total_bytes=None)._line())
    assert not is_progress("failed: none of 3 rows · could be used")
    assert read_summary("wrote 3 files", Balance({})) is None
