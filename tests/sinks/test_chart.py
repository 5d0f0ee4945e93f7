from __future__ import annotations

import struct
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import datetime
from decimal import Decimal

import apache_beam as beam
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import Result
from schemas.times import to_micros
from sinks.chart import MOST_KEYS, MOST_MOMENTS, OTHERS, DrawFlow, Flow, _Easel, check_plot, draw
from sinks.files.atomic import SinkError

SECOND = 10**6


def flow_of(*history: dict[str, int]) -> Flow:
    flow = Flow([0])
    for number, totals in enumerate(history):
        assert flow.add((number + 1) * SECOND, number, {key: Decimal(value) for key, value in totals.items()})
    return flow


def result(pane: int = 0, final: bool = False, **totals: int) -> Result:
    rows = pl.DataFrame({"region": list(totals), "sum": [Decimal(value) for value in totals.values()]})
    return Result(None, None, pane, final, rows)


def texts_of(svg: bytes) -> str:
    """Gives the comments of a picture, which are the texts that it draws as shapes."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))  # noqa: S314 - our own picture
    root = ET.fromstring(svg, parser)  # noqa: S314
    return "\n".join(element.text for element in root.iter() if element.tag is ET.Comment)


@given(st.lists(st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(0, 99)), min_size=2, max_size=5))
def test_what_is_drawn_adds_up_to_the_totals(added):
    history, standing = [], Counter()
    for more in added:
        standing.update(more)
        history.append(dict(standing))
    flow = flow_of(*history)
    if not standing:
        assert flow.totals() == []
        return
    assert [sum(series) for series in zip(*flow.totals())] == [sum(totals.values()) for totals in [{}, *history]]
    assert len(flow.keys()) == len(flow.colors()) == len(flow.totals()) <= MOST_KEYS
    # A second lies between two results, so a rate is what was added; the first one is not among them.
    _, rates = flow.rates()
    assert [sum(rate) for rate in zip(*rates)] == [sum(more.values()) for more in added[1:]]


def test_an_older_result_is_passed_over_and_time_never_goes_back():
    flow = Flow([5 * SECOND])
    assert flow.add(SECOND, 3, {})
    assert not flow.add(9 * SECOND, 3, {})
    assert not flow.add(9 * SECOND, 2, {})
    assert flow.moments == [5 * SECOND, 5 * SECOND + 1]


def test_totals_of_the_same_moment_take_the_place_of_those_before():
    flow = flow_of({"a": 1}, {"a": 2})
    assert flow.add(2 * SECOND, 7, {"a": Decimal(5)})
    assert flow.add(SECOND, 8, {"a": Decimal(6)})
    assert (flow.moments, flow.history[1:]) == ([0, SECOND, 2 * SECOND], [{"a": 1}, {"a": 6}])
    assert flow.rates()[1] == [[5.0]]


def test_results_that_tell_their_event_times_are_drawn_over_those(tmp_path):
    start = to_micros(datetime(2011, 4, 1, 10))
    easel = _Easel(Flow([to_micros(datetime(2026, 1, 1))]))
    options = DrawFlow(str(tmp_path / "x.svg"), "region")
    for pane, (first, newest) in enumerate([(60, 120), (0, 180), (0, 180), (0, 240)]):
        times = (start + first * SECOND, start + newest * SECOND)
        easel.show(options, result(pane, final=pane == 3, a=60 * (pane + 1))._replace(times=times))
    assert easel.flow.moments == [start, *(start + seconds * SECOND for seconds in (120, 180, 240))]
    assert easel.flow.rates()[1] == [[2.0, 1.0]]


def test_a_long_history_is_thinned_and_keeps_its_ends():
    flow = flow_of(*({"a": number} for number in range(5 * MOST_MOMENTS)))
    assert MOST_MOMENTS // 2 <= len(flow.moments) <= MOST_MOMENTS
    assert (flow.moments[0], flow.moments[-1]) == (0, 5 * MOST_MOMENTS * SECOND)
    assert flow.history[-1] == {"a": 5 * MOST_MOMENTS - 1}
    _, (rates,) = flow.rates()
    assert rates[-2] == pytest.approx(1)


def test_a_region_keeps_its_colour_when_another_overtakes_it():
    flow = flow_of({"a": 2, "b": 1})
    before = dict(zip(flow.keys(), flow.colors()))
    flow.add(9 * SECOND, 9, {"a": Decimal(2), "b": Decimal(5), "0": Decimal(1)})
    after = dict(zip(flow.keys(), flow.colors()))
    assert flow.keys() == ["b", "a", "0"]
    assert before == {key: after[key] for key in before}
    assert len(set(after.values())) == 3


def test_small_regions_become_one_where_there_are_many():
    flow = flow_of({f"r{number:02}": 100 - number for number in range(20)})
    assert flow.keys() == [f"r{number:02}" for number in range(7)] + [OTHERS]
    assert flow.totals()[-1] == [0, sum(100 - number for number in range(7, 20))]


def test_names_are_drawn_as_they_are():
    svg = draw(flow_of({"$x_1$ & <b>": 3_000, "\x1b[2J": 1, "N" * 99: 0}), "svg", "Volume")
    texts = texts_of(svg)
    assert "$x_1$ & <b>" in texts.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    assert "3.0 k · 100.0%" in texts
    assert "N" * 27 + "…" in texts
    assert "\x1b" not in texts


def test_nothing_at_all_can_be_drawn():
    assert draw(flow_of({"a": 0}), "png", "Volume").startswith(b"\x89PNG")


def test_each_result_draws_the_file_anew_and_the_last_one_stands(tmp_path, fn_api):
    path = tmp_path / "new" / "credit.svg"
    with beam.Pipeline(options=fn_api) as pipeline:
        results = [result(0, a=1), result(1, a=2, b=1), result(9, final=True, a=3_000, b=1_000)]
        pipeline | beam.Create(results) | DrawFlow(str(path), "region")
    assert "since the start: 4.0 k" in texts_of(path.read_bytes())
    assert [file.name for file in path.parent.iterdir()] == ["credit.svg"]


def test_a_png_has_its_size(tmp_path, fn_api):
    path = tmp_path / "credit.png"
    with beam.Pipeline(options=fn_api) as pipeline:
        pipeline | beam.Create([result(9, final=True, a=1)]) | DrawFlow(str(path), "region")
    assert struct.unpack(">II", path.read_bytes()[16:24]) == (1265, 550)


def test_what_cannot_be_drawn_is_told_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"expected a chart's path to end in \.png or \.svg, got 'x\.jpg'"):
        check_plot("x.jpg")
    with pytest.raises(ValueError, match=r"got 'x\.jpg'"):
        DrawFlow("x.jpg", "region")
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot write .*x\.png: Not a directory"):
        check_plot(str(tmp_path / "file" / "x.png"))
    check_plot(str(tmp_path / "x.PNG"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ValueError, match=r"charts need matplotlib: pip install 'transaction-streams\[plot\]'"):
        check_plot(str(tmp_path / "x.png"))
