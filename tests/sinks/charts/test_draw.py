from __future__ import annotations

import errno
import os
from dataclasses import dataclass

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to

from schemas.elements.frames import FINAL_PANE, Result, Written
from sinks.charts import draw
from sinks.charts.draw import MOST_WINDOWS, DrawChart, Easel
from sinks.charts.figure import new_figure
from sinks.files.atomic import SinkError
from tests.sinks.charts.tools import texts_of


def result(pane: int, value: int, start: int | None = None) -> Result:
    end = None if start is None else start + 10
    return Result(start, end, pane, pane == FINAL_PANE, pl.DataFrame({"value": [value]}))


@dataclass(frozen=True)
class Told:
    """Draws what it is given as a text; nothing until it has ``least`` parts."""

    least: int = 1

    def draw(self, parts):
        told = {part: [one.rows["value"][0] for one in results] for part, results in sorted(parts.items())}
        return new_figure(str(told), "", 1) if len(parts) >= self.least else None


def drawn(path) -> str:
    return texts_of(path.read_bytes())[0]


def test_each_result_draws_the_file_anew_and_the_last_one_stands(tmp_path, fn_api):
    path = tmp_path / "new" / "chart.svg"
    with beam.Pipeline(options=fn_api) as pipeline:
        first = pipeline | "First" >> beam.Create([result(0, 1), result(FINAL_PANE, 3), result(1, 2)])
        windows = pipeline | "Windows" >> beam.Create([result(FINAL_PANE, at, at) for at in (10, 20)])
        written = {"first": first, "windows": windows} | DrawChart(str(path), Told(2))
        assert_that(written | beam.Distinct(), equal_to([Written(str(path), 1)]))
    assert drawn(path) == "{'first': [3], 'windows': [10, 20]}"
    assert [file.name for file in path.parent.iterdir()] == ["chart.svg"]


def test_nothing_is_written_where_there_is_nothing_to_draw(tmp_path, fn_api):
    with beam.Pipeline(options=fn_api) as pipeline:
        results = pipeline | beam.Create([result(FINAL_PANE, 3)])
        assert_that({"first": results} | DrawChart(str(tmp_path / "x.png"), Told(2)), equal_to([]))
    assert not list(tmp_path.iterdir())


def test_an_older_pane_is_passed_over_and_the_oldest_window_goes():
    easel = Easel()
    for pane, value in ((5, 1), (4, 2), (5, 3)):
        easel.take("a", result(pane, value))
    assert [one.rows["value"][0] for one in easel.results["a"].values()] == [1]
    for at in range(MOST_WINDOWS + 3):
        easel.take("b", result(FINAL_PANE, at, at))
    assert min(easel.results["b"]) == (3, 13)
    assert len(easel.results["b"]) == MOST_WINDOWS


def test_what_is_early_waits_while_drawing_would_take_too_long_and_what_is_final_does_not(tmp_path, monkeypatch):
    clock = iter([0.0, 1.0, 3.9, 4.0, 4.1, 5.0, 5.1, 6.0])
    monkeypatch.setattr(draw.time, "monotonic", lambda: next(clock))
    path, easel = tmp_path / "x.svg", Easel()

    def offer(pane: int, value: int) -> str:
        easel.take("a", result(pane, value))
        easel.draw(str(path), Told())
        return drawn(path)

    assert offer(1, 1) == "{'a': [1]}"  # takes a second: the next three are not for drawing
    assert offer(2, 2) == "{'a': [1]}"
    assert offer(3, 3) == "{'a': [3]}"
    assert offer(FINAL_PANE, 4) == "{'a': [4]}"


def test_a_full_disk_fails_the_drawing_and_leaves_the_old_picture(tmp_path, monkeypatch):
    path, easel = tmp_path / "x.svg", Easel()
    path.write_text("old")
    easel.take("a", result(FINAL_PANE, 1))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SinkError, match=r"cannot write .*x\.svg: No space left on device"):
        easel.draw(str(path), Told())
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.svg"]


def test_an_unknown_ending_is_refused_when_the_transform_is_made():
    with pytest.raises(ValueError, match=r"got 'x\.jpg'"):
        DrawChart("x.jpg", Told())
