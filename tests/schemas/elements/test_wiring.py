"""Wrong use is told when the pipeline is built, in one line: what was given, what was expected, and the cure."""

from __future__ import annotations

from decimal import Decimal

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to

from schemas.elements.wiring import known_rows
from schemas.record_type import Column, RecordType
from sinks import WriteResults
from transforms import (
    Aggregate,
    Count,
    CountUsed,
    Deduplicate,
    FromRows,
    JoinTable,
    KeepRows,
    Mean,
    ParseDelimited,
    ParseJson,
    RejectUnknown,
    SplitLate,
    Sum,
    ToBeamRows,
    TopN,
    Windows,
)

SALE = RecordType(
    "sale",
    ("time", "item", "price"),
    (Column("time", "time"), Column("item"), Column("price", "decimal")),
    event_time="time",
    separator=",",
)
COUNT = Aggregate(("item",), {"n": Count()})


def lines(pipeline: beam.Pipeline) -> beam.PCollection:
    return pipeline | beam.Create(["2011-04-01 10:00:00,roll,1"])


def parsed(pipeline: beam.Pipeline) -> dict[str, beam.PCollection]:
    return lines(pipeline) | ParseDelimited(SALE)


def records(pipeline: beam.Pipeline) -> beam.PCollection:
    return parsed(pipeline)["records"]


WRONG = {
    "an unknown kind": (
        lambda p: RecordType("s", ("a",), (Column("a", "money"),), ""),
        "unknown kind 'money': expected text,",
    ),
    "lines of no known type": (
        lambda p: lines(p) | beam.Map(lambda s: s.strip()) | ParseDelimited(SALE),
        "with_output_types",
    ),
    "JSON of no known type": (
        lambda p: lines(p) | beam.Map(lambda s: s.strip()) | ParseJson(SALE),
        "with_output_types",
    ),
    "numbers for lines": (lambda p: p | beam.Create([1]) | ParseDelimited(SALE), "takes lines .* got .*int"),
    "a dict": (lambda p: p | beam.Create([{"item": "a"}]) | COUNT, r"FromRows\(columns=\(Column\('item'\)"),
    "rows of Beam": (lambda p: p | beam.Create([beam.Row(item="a")]) | COUNT, r"FromRows\(\) makes frames of rows"),
    "lines": (lambda p: lines(p) | COUNT, "got one of str: a parser such as ParseDelimited"),
    "all outputs": (lambda p: parsed(p) | COUNT, r"got the outputs records, rejected, tallies: take one"),
    "all outputs to be split": (lambda p: parsed(p) | SplitLate(Windows()), r"parsed\['records'\]"),
    "all outputs as rows": (lambda p: parsed(p) | ToBeamRows({"item": str}), r"parsed\['records'\]"),
    "frames for totals": (lambda p: records(p) | WriteResults("x.jsonl"), "Aggregate makes totals of frames"),
    "no key": (lambda p: records(p) | COUNT | WriteResults("sqlite:///x.db"), r"expected key=\(\.\.\.\), got none"),
    "another key": (
        lambda p: records(p) | COUNT | WriteResults("sqlite:///x.db", ("itme",)),
        "no column 'itme', only window_start,",
    ),
    "no such key": (
        lambda p: records(p) | Aggregate(("itme",), {"n": Count()}),
        "no column 'itme', only event_time, item, price",
    ),
    "no such value": (lambda p: records(p) | Aggregate((), {"n": Sum("prize")}), "no column 'prize'"),
    "no such value in a sum": (
        lambda p: records(p) | Aggregate((), {"n": Sum(pl.col("prize") * 2)}),
        "no column 'prize'",
    ),
    "a sum of texts": (lambda p: records(p) | Aggregate((), {"n": Sum("item")}), r"not supported .*item \(String\)"),
    "no such column to filter": (
        lambda p: records(p) | KeepRows(pl.col("prize") > 1),
        "KeepRows: there is no column 'prize'",
    ),
    "a text compared with a number": (
        lambda p: records(p) | KeepRows(pl.col("item") > 1),
        "KeepRows: cannot compare string",
    ),
    "no such column of copies": (lambda p: records(p) | Deduplicate(("id",), "1h"), "no column 'id'"),
    "no such column to reject": (lambda p: records(p) | RejectUnknown("city", ("a",)), "no column 'city'"),
    "no such column to join": (
        lambda p: records(p) | JoinTable(pl.DataFrame({"city": ["a"]}), "city"),
        "no column 'city'",
    ),
    "no such field": (lambda p: records(p) | COUNT | ToBeamRows({"itme": str}), "no column 'itme', only .*item, n"),
    "a column that was not parsed": (
        lambda p: (lines(p) | ParseDelimited(SALE, ("item",)))["records"] | KeepRows(pl.col("price") > 1),
        "no column 'price'",
    ),
    "no such column of rows": (
        lambda p: p | beam.Create([beam.Row(a=1)]) | FromRows(columns=(Column("b"),)),
        "no column 'b', only a",
    ),
    "none after rows": (lambda p: p | beam.Create([beam.Row(a=1)]) | FromRows() | COUNT, "no column 'item', only a"),
    "a key that is a text": (lambda p: Aggregate("item", {"n": Count()}), r"as in by=\('item',\)"),
    "no aggregation": (
        lambda p: Aggregate(("item",), {"n": "price"}),
        r"an aggregation such as Sum\('price'\) for 'n'",
    ),
    "windows as a text": (lambda p: Aggregate(("item",), {"n": Count()}, "1h"), r"Windows.parse\('1h'\)"),
    "windows as a text, late": (lambda p: SplitLate("1h"), r"Windows.parse\('1h'\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told_when_the_pipeline_is_built(name):
    build, message = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=message) as told:
        build(beam.Pipeline())
    assert "\n" not in str(told.value)


def test_columns_are_known_from_the_first_transform_to_the_last():
    table = pl.DataFrame({"item": ["roll"], "shelf": [1]})
    timely = (
        records(beam.Pipeline())
        | KeepRows(pl.col("price") > 1)
        | JoinTable(table, "item", (Column("shelf", "integer"),))
        | SplitLate(Windows.parse("1h"))
    )
    once = (timely["records"] | Deduplicate(("item",), "1h"))["records"] | CountUsed()
    totals = once | Aggregate(("item", "shelf"), {"sum": Sum("price"), "mean": Mean("price"), "top": TopN(3, "price")})
    assert known_rows(totals).columns == ["window_start", "window_end", "item", "shelf", "sum", "mean", "top"]
    assert known_rows(totals).schema["sum"] == pl.Decimal(38, 9)


def test_of_functions_of_somebodys_own_nothing_is_known_and_nothing_refused(fn_api):
    def upper(batch):
        return batch._replace(rows=batch.rows.with_columns(pl.col("item").str.to_uppercase().alias("name")))

    with beam.Pipeline(options=fn_api) as pipeline:
        named = records(pipeline) | beam.Map(upper)
        assert known_rows(named) is None
        totals = named | Aggregate(("name",), {"sum": Sum("price")}) | ToBeamRows({"name": str, "sum": Decimal})
        assert_that(totals | beam.Map(lambda row: (row.name, row.sum)), equal_to([("ROLL", Decimal(1))]))


def test_an_expression_that_wants_rows_is_not_refused():
    wants_rows = KeepRows(pl.col("price") > pl.col("price").item())
    assert known_rows(records(beam.Pipeline()) | wants_rows) is None
