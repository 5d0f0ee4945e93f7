"""Rows of ours in Beam's own transforms and files, and back: each value as it was."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.io.parquetio import (
    ReadFromParquet,
    ReadFromParquetBatched,
    WriteToParquet,
    WriteToParquetBatched,
)
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.schemas import typing_to_runner_api
from apache_beam.utils.timestamp import Timestamp

from schemas.record_type import Column
from transforms import Aggregate, Count, FromRows, Sum, ToArrow, ToBeamRows, Windows

ROWS = [
    beam.Row(item=item, price=Decimal(price), at=Timestamp(second))
    for item, price, second in (
        ("roll", "0.35", 10),
        ("bread", "123456789012345678.123456789", 20),
        ("roll", "0.7", 4000),
    )
]
SCHEMA = pa.schema({
    "window_start": pa.timestamp("us", "UTC"), "item": pa.string(), "turnover": pa.decimal128(38, 9),
    "rows": pa.int64(),
})  # fmt: skip
FIELDS = {"item": str, "turnover": Decimal, "rows": int}
TOTALS = [
    ("roll", Decimal("0.35"), 1), ("bread", Decimal("123456789012345678.123456789"), 1), ("roll", Decimal("0.70"), 1),
]  # fmt: skip


def totals_of(pipeline: beam.Pipeline) -> beam.PCollection:
    hours = Aggregate(("item",), {"turnover": Sum("price"), "rows": Count()}, Windows.parse("1h"))
    return pipeline | beam.Create(ROWS) | FromRows(time="at") | hours


def listed(rows: beam.PCollection, label: str, expected: list[Any] = TOTALS) -> None:
    values = rows | f"{label} values" >> beam.Map(lambda row: (row.item, row.turnover, row.rows))
    assert_that(values, equal_to(expected), label)


def test_parquet_of_beam_has_exact_decimals_and_comes_back(fn_api, tmp_path):
    place = str(tmp_path / "totals")
    with beam.Pipeline(options=fn_api) as pipeline:
        _ = totals_of(pipeline) | ToArrow(SCHEMA) | WriteToParquetBatched(place, SCHEMA)
    columns = (
        Column("window_start", "time"), Column("item"), Column("turnover", "decimal"), Column("rows", "integer"),
    )  # fmt: skip
    with beam.Pipeline(options=fn_api) as pipeline:
        tables = pipeline | "Tables" >> ReadFromParquetBatched(f"{place}*")
        listed(tables | "OfTables" >> FromRows(columns) | "A" >> ToBeamRows(FIELDS), "tables")
        dicts = pipeline | "Dicts" >> ReadFromParquet(f"{place}*")
        listed(dicts | "OfDicts" >> FromRows(columns) | "B" >> ToBeamRows(FIELDS), "dicts")


def test_rows_without_decimals_are_written_by_beam_as_they_are(fn_api, tmp_path):
    place = str(tmp_path / "totals")
    with beam.Pipeline(options=fn_api) as pipeline:
        _ = totals_of(pipeline) | ToBeamRows({"item": str, "rows": int}) | WriteToParquet(place)
    with beam.Pipeline(options=fn_api) as pipeline:
        rows = pipeline | ReadFromParquet(f"{place}*", as_rows=True)
        counts = rows | FromRows() | Aggregate(("item",), {"n": Sum("rows")}) | ToBeamRows({"item": str, "n": int})
        assert_that(counts | beam.Map(lambda row: (row.item, row.n)), equal_to([("roll", 2), ("bread", 1)]))


def test_a_schema_that_is_none_or_names_no_column_is_refused_when_the_pipeline_is_built():
    with pytest.raises(TypeError, match="expected a schema such as"):
        ToArrow({"item": str})
    with pytest.raises(ValueError, match="ToArrow: there is no column 'itme'"):
        _ = totals_of(beam.Pipeline()) | ToArrow(pa.schema({"itme": pa.string()}))


def test_beam_yaml_takes_our_rows_and_we_take_those_of_it(fn_api):
    pytest.importorskip("pandas", reason="Beam YAML needs the extra yaml")
    pytest.importorskip("jinja2", reason="Beam YAML needs the extra yaml")
    from apache_beam.yaml.yaml_transform import YamlTransform

    steps = """
        type: chain
        transforms:
          - type: Filter
            config: {language: python, keep: turnover < 100}
          - type: MapToFields
            config:
              language: python
              fields:
                item: item
                turnover: {callable: "lambda row: row.turnover * 2"}
                rows: rows
    """
    with beam.Pipeline(options=fn_api) as pipeline:
        made = totals_of(pipeline) | ToBeamRows(FIELDS) | YamlTransform(steps)
        listed(made, "yaml", [("roll", Decimal("0.70"), 1), ("roll", Decimal("1.40"), 1)])
        columns = (Column("item"), Column("turnover", "decimal"))
        back = made | "Back" >> FromRows(columns) | "Sum" >> Aggregate((), {"turnover": Sum("turnover")})
        assert_that(back | beam.Map(lambda result: result.rows["turnover"].item()), equal_to([Decimal("2.10")]), "back")


def test_the_schema_is_what_other_languages_read():
    """SqlTransform runs in Java, which is not started here: it gets the rows by this schema, and by no pickle."""
    fields = {"item": str, "turnover": Decimal, "rows": int, "window_start": Timestamp | None}
    made = totals_of(beam.Pipeline()) | ToBeamRows(fields)
    schema = typing_to_runner_api(made.element_type).row_type.schema
    kinds = [field.type.logical_type.urn or field.type.atomic_type for field in schema.fields]
    assert [field.name for field in schema.fields] == list(fields)
    assert not [kind for kind in kinds if "python" in str(kind) or "pickle" in str(kind)]
    assert [field.type.nullable for field in schema.fields] == [False, False, False, True]
