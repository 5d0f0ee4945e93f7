import io
import json
import os
import pickle
from datetime import datetime
from decimal import Decimal

import apache_beam as beam
import fastavro
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.frames import Result, Written
from schemas.times import to_micros
from sinks.files.atomic import SinkError
from sinks.files.table_layout import lay_out
from sinks.files.write import WriteFiles, check_no_partitions
from tests.sinks.conftest import HOUR, TIME, micros, result, totals
from tests.sinks.frames import frames

DAY = (micros(2011, 4, 1), micros(2011, 4, 2))
ROWS = totals(
    ("94237", "LETTUCE", "1", "0", "1.99"),
    ("4011", "BANANAS", "3", "2.66", "2.37"),
)


ENDINGS = ("jsonl", "avro", "parquet")


def test_all_time_goes_to_the_very_path():
    assert WriteFiles("out/./x.JSONL").path_of(result(ROWS)) == "out/./x.JSONL"


def test_a_window_is_named():
    path = WriteFiles("out/totals.parquet").path_of(result(ROWS, DAY))
    assert path == "out/totals-20110401T000000Z-20110402T000000Z.parquet"


def test_rows_as_json_lines():
    assert WriteFiles("x.jsonl").encode(result(ROWS, DAY)).decode() == (
        '{"window_start":"2011-04-01T00:00:00Z","window_end":"2011-04-02T00:00:00Z",'
        '"upc":"4011","description":"BANANAS","quantity":3,"scale":2.66,"spend":2.37}\n'
        '{"window_start":"2011-04-01T00:00:00Z","window_end":"2011-04-02T00:00:00Z",'
        '"upc":"94237","description":"LETTUCE","quantity":1,"scale":0,"spend":1.99}\n'
    )


def test_by_key_is_one_document_in_one_line():
    encoded = WriteFiles("x.json", shape="by_key").encode(result(ROWS))
    assert encoded == b'{"4011":["BANANAS",3,2.66,2.37],"94237":["LETTUCE",1,0,1.99]}\n'
    assert WriteFiles("x.json", shape="by_key").encode(result(totals())) == b"{}\n"


@settings(max_examples=20)
@given(frames(), st.sampled_from(["x.jsonl", "x.avro", "x.parquet"]))
def test_a_second_try_writes_the_same_bytes(rows, path):
    again = pl.concat([rows.clear(), *(rows[place] for place in reversed(range(rows.height)))], rechunk=False)
    assert WriteFiles(path).encode(result(again, DAY)) == WriteFiles(path).encode(result(rows, DAY))


def test_parquet_has_wide_decimals_and_utc_microseconds():
    schema = pl.read_parquet_schema(io.BytesIO(WriteFiles("x.parquet").encode(result(ROWS, DAY))))
    assert schema["spend"] == pl.Decimal(38, 9)
    assert schema["window_start"] == TIME


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "x.csv"}, r"unknown ending in 'x\.csv': expected \.jsonl, \.avro, \.parquet$"),
        ({"path": "x.json"}, r"unknown ending in 'x\.json': expected \.jsonl, \.avro, \.parquet \(.json is for"),
        ({"path": "x.avro", "shape": "by_key"}, r"shape by_key is JSON: .* got 'x\.avro'"),
        ({"path": "x.json", "shape": "by_key", "key": ("a", "b")}, "one key column"),
        ({"path": "x.json", "shape": "by_key", "hive": True}, "a folder of partitions is a table"),
        ({"path": "x.json", "shape": "tree"}, "shape must be rows or by_key, got 'tree'"),
    ],
)
def test_what_does_not_go_together_is_refused_when_made(options, message):
    with pytest.raises(ValueError, match=message):
        WriteFiles(**options)


def test_by_key_names_the_value_that_is_missing():
    with pytest.raises(ValueError, match="results have no column 'profit'"):
        WriteFiles("x.json", shape="by_key", values=("profit",)).encode(result(ROWS))


def test_it_pickles():
    assert pickle.loads(pickle.dumps(WriteFiles("x.avro"))).path == "x.avro"


def some_windows(count: int) -> list[Result]:
    rows = totals(*((str(key), f"ITEM {key}", "1", "0", "0.01") for key in range(3)))
    return [result(rows.head(window % 3 + 1), bounds(window)) for window in range(count)]


def bounds(window: int) -> tuple[int, int]:
    return window * HOUR, (window + 1) * HOUR


def test_a_thousand_windows_in_one_bundle_keep_every_row(tmp_path, options):
    count = 1_000
    with beam.Pipeline(options=options) as pipeline:
        results = (
            pipeline
            | "Start" >> beam.Create([count])
            | "MakeWindows" >> beam.FlatMap(some_windows).with_output_types(Result)
        )
        for ending in ENDINGS:
            written = results | f"Write_{ending}" >> WriteFiles(str(tmp_path / ending / f"x.{ending}"))
            assert written.element_type is Written
            rows = written | f"Take_{ending}" >> beam.Map(lambda one: one.rows) | ending >> beam.CombineGlobally(sum)
            assert_that(rows, equal_to([sum(window % 3 + 1 for window in range(count))]), f"Compare_{ending}")
    for ending in ENDINGS:
        files = sorted((tmp_path / ending).iterdir())
        assert len(files) == count
        for window, file in enumerate(files):
            assert rows_of(file) == [(bounds(window)[0], str(key)) for key in range(window % 3 + 1)]


def rows_of(file) -> list[tuple[int, str]]:
    """The start of the window and the key of each row of a file, by a reader of that format."""
    if file.suffix == ".parquet":
        return pl.read_parquet(file).select(pl.col("window_start").to_physical(), "upc").rows()
    if file.suffix == ".avro":
        with file.open("rb") as opened:
            return [(int(row["window_start"].timestamp()) * 10**6, row["upc"]) for row in fastavro.reader(opened)]
    rows = map(json.loads, file.read_text().splitlines())
    return [(to_micros(datetime.strptime(row["window_start"], "%Y-%m-%dT%H:%M:%SZ")), row["upc"]) for row in rows]


def test_early_results_are_left_out(tmp_path, fn_api):
    with beam.Pipeline(options=fn_api) as pipeline:
        results = [result(ROWS, bounds(window), final=bool(window % 2), pane=window) for window in range(6)]
        _ = pipeline | beam.Create(results) | WriteFiles(str(tmp_path / "x.jsonl"))
    assert [file.name for file in sorted(tmp_path.iterdir())] == [
        f"x-19700101T{hour:02}0000Z-19700101T{hour + 1:02}0000Z.jsonl" for hour in (1, 3, 5)
    ]


def test_a_pipeline_that_cannot_write_fails_with_the_path_and_the_reason(tmp_path, fn_api):
    (tmp_path / "out").touch()
    with (
        pytest.raises(SinkError, match=r"cannot write .*out/x\.jsonl: Not a directory"),
        beam.Pipeline(options=fn_api) as pipeline,
    ):
        _ = pipeline | beam.Create([result(ROWS)]) | WriteFiles(str(tmp_path / "out" / "x.jsonl"))


def test_writing_twice_replaces(tmp_path, fn_api):
    for spend in ("1.00", "2.50"):
        with beam.Pipeline(options=fn_api) as pipeline:
            only = result(totals(("1", "A", "1", "0", spend)))
            _ = pipeline | beam.Create([only]) | WriteFiles(str(tmp_path / "x.jsonl"))
    assert os.listdir(tmp_path) == ["x.jsonl"]  # noqa: PTH208
    assert json.loads((tmp_path / "x.jsonl").read_bytes(), parse_float=Decimal)["spend"] == Decimal("2.5")


def write_partitions(folder, fn_api, results):
    with beam.Pipeline(options=fn_api) as pipeline:
        written = pipeline | beam.Create(results) | WriteFiles(str(folder), key="upc", hive=True)
        assert_that(written | beam.Map(lambda one: one.rows), equal_to([one.rows.height for one in results]))


def test_a_folder_of_partitions_is_read_as_one_table_by_those_who_know_hive(tmp_path, fn_api):
    halves = [micros(2011, 4, 1), micros(2011, 4, 1, 0, 0, 0, 500_000), micros(1999, 12, 31), micros(1, 1, 2)]
    results = [result(ROWS.head(place % 2 + 1), (start, start + HOUR)) for place, start in enumerate(halves)]
    folder = tmp_path / "a b" / "x.parquet"
    write_partitions(folder, fn_api, results)
    names = ["0001-01-02T00%3A00%3A00Z", "1999-12-31T00%3A00%3A00Z", "2011-04-01T00%3A00%3A00.500000Z"]
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [f"window_start={name}/part.parquet" for name in sorted([*names, "2011-04-01T00%3A00%3A00Z"])]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["x.parquet"]
    ordered = sorted(results, key=lambda one: one.window_start)
    expected = pl.concat(lay_out(one, ("upc",)) for one in ordered)
    table = pl.read_parquet(folder).select(expected.columns).sort("window_start", "upc")
    assert table.schema == expected.schema
    assert table.equals(expected)
    duckdb = pytest.importorskip("duckdb")
    query = (
        "SELECT epoch_us(window_start), upc, spend FROM read_parquet(?, hive_partitioning=true, "
        "hive_types={'window_start': TIMESTAMPTZ}) ORDER BY window_start, upc"
    )
    rows = duckdb.execute(query, [f"{folder}/**/*.parquet"]).fetchall()
    assert rows == expected.select(pl.col("window_start").to_physical(), "upc", "spend").rows()


def test_a_partition_of_all_time_has_the_name_that_hive_has_for_none(tmp_path, fn_api):
    write_partitions(tmp_path / "x.parquet", fn_api, [result(ROWS)])
    assert pl.read_parquet(tmp_path / "x.parquet")["window_start"].null_count() == 2
    assert pytest.importorskip("duckdb").execute(
        "SELECT count(*), count(window_start) FROM read_parquet(?, hive_partitioning=true)",
        [f"{tmp_path}/x.parquet/**/*.parquet"],
    ).fetchall() == [(2, 0)]


def test_a_folder_that_has_partitions_is_refused(tmp_path, fn_api):
    folder = tmp_path / "x[1].parquet"
    check_no_partitions(str(folder))
    write_partitions(folder, fn_api, [result(ROWS, DAY)])
    with pytest.raises(SinkError, match=r"x\[1\]\.parquet has the windows of an earlier run: remove it, or choose ano"):
        check_no_partitions(str(folder))


def test_a_partition_that_cannot_be_written_leaves_no_half_file(tmp_path, fn_api, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(SinkError, match="No space left on device"):
        WriteFiles(str(tmp_path / "x.parquet"), key="upc", hive=True).write(result(ROWS, DAY))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
