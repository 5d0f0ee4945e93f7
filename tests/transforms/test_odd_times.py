"""Event times that results, or what they are written to, cannot carry: a rejected record each, never a failed run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as MadePipeline
from fastavro import reader
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.produce import PIPELINE
from schemas.elements.block import Block, Span
from schemas.record_type import Column, Dialect, RecordType
from schemas.time_formats import COMMON_TIMES
from schemas.times import to_micros
from sinks import WriteResults
from tests.strategies import windows as few_windows
from tests.transforms.test_windows import any_windows
from transforms import Aggregate, Count, Windows, parse_as
from transforms.aggregate.aggregate import ResultsFn, WindowsFn
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.live_windows import LiveWindows

DATED = RecordType("dated", ("when",), (Column("when", "time", required=True),), "when", COMMON_TIMES)
COMBINE = FrameCombine((), {"rows": Count()})
ENDS = ["0001-01-01", "0001-01-01T00:00:01", "9999-12-31", "9999-12-31T23:59:59.999999", "2024-05-06", "1600-02-29"]
written = st.sampled_from(ENDS) | st.datetimes().map(datetime.isoformat)


def block_of(*texts: str) -> Block:
    return Block("".join(f"{text}\n" for text in texts).encode(), (Span(0, "dated", 0),), Dialect())


@given(st.lists(written, max_size=6), few_windows() | any_windows)
@example(ENDS, Windows.parse("1d"))
@example(ENDS, Windows.parse("1d/1h"))
@example(ENDS, Windows.parse("100000d"))
@example(ENDS, Windows())
def test_every_time_makes_results_that_are_dates_or_a_rejected_record(texts: list[str], windows: Windows) -> None:
    parsed = parse_as(DATED, windows=[windows]).parser()(block_of(*texts))
    assert parsed.rows.height + len(parsed.rejected) == parsed.records == len(texts)
    for rejected in parsed.rejected:
        assert f"is in a window of {windows} that is not within the years 1 to 9999" in rejected.reason
        first, last = windows.range
        assert not first <= to_micros(datetime.fromisoformat(rejected.raw.decode())) <= last
    if windows.length == 0:
        assert not parsed.rejected
    if not parsed.rows.height:
        return
    reduced = COMBINE.reduce(parsed.rows, windows.bucket_start(pl.col("event_time")).alias("_bucket"))
    parts = WindowsFn(COMBINE, windows, 1).process((0, reduced))
    results = [r for part in parts for r in ResultsFn(COMBINE, windows).process((0, [part.value[1]]))]
    live = LiveWindows(COMBINE, windows)
    added = live.add(None, reduced)
    settled = live.settle(added.memo, added.rows, {}, None)
    assert {result.label for result in settled.results} == {result.label for result in results}
    # Each can be had in Python, and shows in JSON.
    for result in results:
        (row,) = result.rows.to_dicts()
        assert row["window_start"] is None or row["window_end"] - row["window_start"] == timedelta(0, 0, windows.length)
        result.rows.write_json()
        assert "\n" not in result.label
    in_each = -(-windows.length // windows.step) if windows.length else 1
    if not windows.length or windows.length % windows.step == 0:
        assert sum(result.rows["rows"].sum() for result in results) == in_each * parsed.rows.height


def starts_in(folder: Path, ending: str) -> list[str]:
    if ending == "db":
        with closing(sqlite3.connect(folder / "totals.db")) as found:
            return sorted(row[0] for row in found.execute("SELECT window_start FROM totals"))
    starts = []
    for path in folder.iterdir():
        if ending == "avro":
            with path.open("rb") as file:
                starts += [row["window_start"].isoformat() for row in reader(file)]
        else:
            rows = pl.read_ndjson(path) if ending == "jsonl" else pl.read_parquet(path)
            starts += [start if ending == "jsonl" else start.isoformat() for start in rows["window_start"]]
    return sorted(starts)


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "avro", "db"])
def test_the_first_and_the_last_windows_that_there_are_can_be_written_anywhere(tmp_path: Path, ending: str) -> None:
    windows = Windows.parse("1d/8h")
    first, last = (datetime(1970, 1, 1) + timedelta(microseconds=micros) for micros in windows.range)
    path = f"sqlite:///{tmp_path}/totals.db" if ending == "db" else str(tmp_path / f"totals.{ending}")
    with MadePipeline() as pipeline:
        lines = pipeline | beam.Create([*ENDS, first.isoformat(), last.isoformat()], reshuffle=False)
        records = (lines | parse_as(DATED, windows=[windows]))["records"]
        records | Aggregate(("event_time",), {"rows": Count()}, windows) | WriteResults(path, ("event_time",), "totals")
    starts = starts_in(tmp_path, ending)
    assert len(starts) == 3 * 4
    assert (starts[0][:19], starts[-1][:19]) == ("0001-01-01T00:00:00", "9999-12-30T16:00:00")


@pytest.mark.parametrize("window", ["all", "1d", "1d/6h"])
def test_one_record_that_is_dated_at_the_end_of_all_time_does_not_fail_a_run(
    tmp_path: Path, capsys, window: str
) -> None:
    from tests.strategies import COLUMNS

    fields = dict.fromkeys(COLUMNS, "0") | {"upc": "1", "description": "KALE", "trans_type": "I", "department": "2"}
    lines = [
        "\t".join((fields | {"datetime": when}).values()) for when in ("2024-05-06 10:00:00", "9999-12-31 00:00:00")
    ]
    (tmp_path / "tape.tsv").write_text("\n".join([*lines, ""]))
    out = tmp_path / "totals.jsonl"
    status = PIPELINE.main(["--input", str(tmp_path / "tape.tsv"), "--window", window, "--output", str(out)])
    told = capsys.readouterr().err
    assert status == 0
    assert ("2 read = 2 used" if window == "all" else "2 read = 1 used + 0 filtered + 1 rejected") in told


def test_results_tell_their_first_and_last_time_but_for_one_that_nobody_believes() -> None:
    windows = Windows.parse("2h/1h")
    parsed = parse_as(DATED).parser()(
        block_of("2024-05-06 10:10", "2024-05-06 10:50", "2024-05-06 11:30", "9999-01-01")
    )
    combine = FrameCombine((), {"rows": Count()}, tells_times=True)
    ten, ten_to, half_past = (to_micros(moment.replace(tzinfo=None)) for moment in parsed.rows["event_time"][:3])
    for each, bounds in ((windows, [(ten, ten_to), (ten, half_past), (half_past,) * 2, None, None]), (Windows(), [])):
        reduced = combine.reduce(parsed.rows, each.bucket_start(pl.col("event_time")).alias("_bucket"))
        parts = [part.value[1] for part in WindowsFn(combine, each, 1).process((0, reduced))]
        results = [result for part in parts for result in ResultsFn(combine, each).process((0, [part]))]
        live = LiveWindows(combine, each)
        added = live.add(None, reduced)
        lively = list(live.settle(added.memo, added.rows, {}, None).results)
        for found in (results, lively):
            found.sort(key=lambda result: result.window_start or 0)
            assert [result.times for result in found] == (bounds or [(ten, half_past)])
