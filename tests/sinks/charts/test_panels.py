from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from sinks.charts.panels import draw_stretches, main_span, told_span, told_width
from transforms.aggregate.over_time import WIDTHS

SECOND = 10**6
STARTS = st.sets(st.integers(0, 10**6), min_size=1, max_size=300).map(lambda found: np.array(sorted(found)) * SECOND)


@given(STARTS)
def test_the_area_that_is_drawn_is_the_sum(starts):
    axes = Figure().subplots()
    values = np.arange(1.0, len(starts) + 1)
    draw_stretches(axes, starts, SECOND, values, "red")
    (line,) = axes.lines
    days, heights = line.get_xdata(orig=False), line.get_ydata()
    area = np.sum(np.diff(days) * 86_400 * heights[:-1])
    assert abs(area - values.sum()) < 1e-3 * values.sum()


@given(STARTS)
def test_hardly_anything_is_left_out_of_the_axis(starts):
    first, last = main_span(starts, SECOND)
    inside = (starts >= first) & (starts < last)
    assert inside.sum() >= len(starts) * (1 - 2 * 0.02)
    assert first in starts
    assert last - SECOND in starts


def test_a_wrong_time_on_each_side_does_not_widen_the_axis():
    right = np.arange(1_000, 1_200)
    starts = np.array([-(10**9), *right, 10**9]) * SECOND
    assert main_span(starts, SECOND) == (1_000 * SECOND, 1_200 * SECOND)


def test_times_are_told_in_words():
    assert told_span(0, 60 * SECOND) == "1970-01-01 00:00 – 00:01 UTC"
    assert told_span(0, 86_401 * SECOND) == "1970-01-01 00:00:00 – 1970-01-02 00:00:01 UTC"
    assert [told_width(width) for width in WIDTHS[3:6]] == ["30 seconds", "minute", "5 minutes"]
    assert told_width(WIDTHS[-3]) == "7 days"
