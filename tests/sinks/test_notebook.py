from __future__ import annotations

import apache_beam as beam
import polars as pl
import pytest

from schemas.elements.frames import FINAL_PANE, Result
from sinks.notebook import Results, _keep, show
from transforms import Aggregate, FromRows, Sum


def test_results_of_a_pipeline_are_kept_in_this_process(options):
    results = Results()
    with beam.Pipeline(options=options) as pipeline:
        rows = pipeline | beam.Create([beam.Row(zone=zone, rides=n) for zone, n in (("a", 1), ("b", 2), ("a", 3))])
        _ = rows | FromRows() | Aggregate(("zone",), {"rides": Sum("rides")}) | results.keep()
    assert results.frame().select("zone", "rides").rows() == [("a", 4), ("b", 2)]


def test_the_newest_of_each_window_stands_and_others_see_nothing_of_it():
    results, others = Results(), Results()
    for start, pane, value in ((60, 0, 1), (0, 0, 2), (60, FINAL_PANE, 3), (60, 1, 4)):
        _keep(Result(start, start + 60, pane, pane == FINAL_PANE, pl.DataFrame({"value": [value]})), results._name)
    assert results.frame()["value"].to_list() == [2, 3]
    assert others.frame().width == 0


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no column 'fare' to show, only zone"):
        show(pl.DataFrame({"zone": ["a"]}), "zone", "fare")
