import errno
import io
import json
import os
import resource
from pathlib import Path

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to

from schemas.elements.frames import Result, Written
from sinks import WriteResults, WriteSettings
from sinks.files import write_one
from sinks.files.atomic import SinkError
from sinks.files.write_one import WriteOneFile
from tests.sinks.conftest import HOUR, result, totals
from tests.transforms.tools import as_known

WINDOWS = 500


def some_windows(start: int) -> list[Result]:
    """Every fifth window of those from a start on, the last ones first; a window has one to three rows."""
    rows = totals(*((str(key), f"ITEM {key}", "1", "0", "0.01") for key in range(3)))
    return [result(rows.head(at % 3 + 1), (at * HOUR, (at + 1) * HOUR)) for at in range(WINDOWS - start - 1, -1, -5)]


def make(pipeline: beam.Pipeline) -> beam.PCollection:
    made = pipeline | beam.Create(range(5)) | "Spread" >> beam.Reshuffle()
    return made | "Windows" >> beam.FlatMap(some_windows).with_output_types(Result)


@pytest.mark.parametrize("spills", [True, False])
def test_all_windows_are_in_one_file_in_their_order_whatever_the_runner(tmp_path, options, spills, monkeypatch):
    monkeypatch.setattr(write_one, "RUN_RESULTS", 30)
    monkeypatch.setattr(write_one, "SPILL_BYTES", 1)
    monkeypatch.setattr(write_one, "MEMORY_BYTES", 1)
    count = sum(at % 3 + 1 for at in range(WINDOWS))
    with beam.Pipeline(options=options) as pipeline:
        results = make(pipeline)
        for ending in ("jsonl", "avro", "parquet"):
            path = str(tmp_path / "out" / f"x.{ending}")
            written = results | ending >> WriteOneFile(path, ("upc",), spills=spills)
            assert written.element_type is Written
            assert_that(written, equal_to([Written(path, count)]), f"Compare_{ending}")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.avro", "x.jsonl", "x.parquet"]
    rows = pl.read_parquet(tmp_path / "out" / "x.parquet")
    assert rows.select(pl.col("window_start").to_physical() // HOUR, "upc").rows() == [
        (at, str(key)) for at in range(WINDOWS) for key in range(at % 3 + 1)
    ]
    lines = map(json.loads, (tmp_path / "out" / "x.jsonl").read_text().splitlines())
    assert [line["upc"] for line in lines] == rows["upc"].to_list()
    assert pl.read_avro(tmp_path / "out" / "x.avro")["upc"].to_list() == rows["upc"].to_list()


def test_it_replaces_what_was_there_and_without_results_leaves_it(tmp_path, fn_api):
    target = tmp_path / "x.jsonl"
    target.write_text("of an earlier run\n")
    early = result(totals(("1", "A", "1", "0", "1")), (0, HOUR), final=False)
    for given, left in (([early], "of an earlier run\n"), ([result(totals(), (0, HOUR))], "")):
        with beam.Pipeline(options=fn_api) as pipeline:
            _ = pipeline | beam.Create(given) | WriteOneFile(str(target), ("upc",))
        assert target.read_text() == left
    assert os.listdir(tmp_path) == ["x.jsonl"]  # noqa: PTH208


def test_results_without_end_are_a_file_per_window_unless_told_otherwise(tmp_path, fn_api):
    with beam.Pipeline(options=fn_api) as pipeline:
        made = make(pipeline)
        made | "One" >> WriteResults(str(tmp_path / "one.jsonl"), "upc")
        each = WriteSettings(files_as="per-window")
        made | "Each" >> WriteResults(str(tmp_path / "each.jsonl"), "upc", settings=each)
        endless = as_known(made | "Endless" >> beam.Map(lambda one: one).with_output_types(Result), is_bounded=False)
        endless | "Live" >> WriteResults(str(tmp_path / "live.jsonl"), "upc")
        single = WriteSettings(files_as="single")
        endless | "AtTheEnd" >> WriteResults(str(tmp_path / "end.jsonl"), "upc", settings=single)
    for name in ("each", "live"):
        assert len(list(tmp_path.glob(f"{name}-*.jsonl"))) == WINDOWS
        text = b"".join(path.read_bytes() for path in sorted(tmp_path.glob(f"{name}-*.jsonl")))
        assert text == (tmp_path / "one.jsonl").read_bytes()
    assert (tmp_path / "end.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


@pytest.mark.parametrize(("spill_bytes", "place"), [(1, "a temporary file in {}"), (1 << 30, "{}/x.jsonl")])
def test_a_full_disk_is_one_line_and_leaves_the_old_file_and_nothing_else(
    tmp_path, fn_api, monkeypatch, spill_bytes, place
):
    """The limit of this process to the size of files stands for the end of a disk."""
    monkeypatch.setattr(write_one, "SPILL_BYTES", spill_bytes)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    target = tmp_path / "x.jsonl"
    target.write_text("old\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with (
            pytest.raises(SinkError, match=rf"^cannot write {place.format(tmp_path)}: (\[Errno \d+\] )?File too large"),
            beam.Pipeline(options=fn_api) as pipeline,
        ):
            _ = make(pipeline) | WriteOneFile(str(target), ("upc",), spills=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert target.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["x.jsonl"]  # noqa: PTH208


def test_what_reads_back_is_read_once_by_the_store(tmp_path, fn_api, monkeypatch):
    """An object is there when all of it is, or not at all."""
    kept: dict[str, bytes] = {}

    class Store:
        def write(self, path: str, data: io.BufferedIOBase) -> None:
            data.seek(0)
            kept[path] = data.read()

    monkeypatch.setattr("sinks.files.atomic.place_of", lambda _: Store())
    with beam.Pipeline(options=fn_api) as pipeline:
        made = make(pipeline)
        made | "There" >> WriteOneFile("s3://bucket/x.parquet", ("upc",))
        made | "Here" >> WriteOneFile(str(tmp_path / "x.parquet"), ("upc",))
    assert kept == {"s3://bucket/x.parquet": (tmp_path / "x.parquet").read_bytes()}


def test_a_store_that_refuses_is_one_line(fn_api, monkeypatch):
    class Full:
        def write(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sinks.files.atomic.place_of", lambda _: Full())
    with (
        pytest.raises(SinkError, match=r"^cannot write s3://bucket/x\.avro: No space left on device"),
        beam.Pipeline(options=fn_api) as pipeline,
    ):
        _ = make(pipeline) | WriteOneFile("s3://bucket/x.avro", ("upc",))


def test_an_ending_that_is_none_is_refused_when_made():
    with pytest.raises(ValueError, match=r"unknown ending in 'x\.xls': expected \.jsonl, \.avro, \.parquet$"):
        WriteOneFile("x.xls")
    assert WriteOneFile(str(Path("x.avro"))).kind == "avro"
