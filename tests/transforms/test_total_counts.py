"""What all steps have counted is a sum that the job itself gives: the same numbers as its metrics, and data."""

from __future__ import annotations

import ast
from datetime import datetime
from pathlib import Path

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.record_type import Column, Dialect
from schemas.times import to_micros
from sinks.files.atomic import write_whole
from tests.strategies import SALE
from tests.transforms.tools import as_known, counts_of
from transforms import Aggregate, Count, ParseDelimited, SplitLate
from transforms.counting import COUNTED, COUNTS, CountUsed, count, find_counted
from transforms.filter import KeepRows
from transforms.join_table import JoinTable
from transforms.reject_unknown import RejectUnknown
from transforms.total_counts import NOTHING, TotalCounts, _SumBundleFn
from transforms.windows import Windows

ROOT = Path(__file__).parents[2]
#: Each block has these keys: of the first letters some step takes some out; the rest is used.
KEYS = ("filtered", "dropped", "odd", "unjoined", "used", "used", "late")
HOURS = Windows.parse("1h")


def block(number: int) -> Block:
    moments = (datetime(2011, 4, 1 if key == "late" else 2, 10) for key in KEYS)
    lines = [f"{key}\t{moment:%Y-%m-%d %H:%M:%S}\t1\t{number}\t\t" for key, moment in zip(KEYS, moments)]
    data = "\n".join([*lines, "torn"]).encode()
    return Block(data, (Span(0, "here", 1_000 * number),), Dialect(), to_micros(datetime(2011, 4, 2, 9)))


def build(pipeline: beam.Pipeline, blocks: int, *, is_bounded: bool) -> None:
    """A step of each kind that counts."""
    made = pipeline | "Blocks" >> beam.Create(range(blocks)) | "Make" >> beam.Map(block).with_output_types(Block)
    parsed = as_known(made, is_bounded=is_bounded) | ParseDelimited(SALE, where=pl.col("key") != "filtered")
    timely = parsed["records"] | SplitLate(HOURS)
    kept = timely["records"] | KeepRows(pl.col("key") != "dropped")
    known = kept | RejectUnknown("key", ("used", "unjoined"))
    table = pl.DataFrame({"key": ["used"], "city": ["Oslo"]})
    joined = known["records"] | JoinTable(table, "key", (Column("city"),), how="inner")
    twice = joined | CountUsed()
    for number in range(2):
        twice | f"Total {number}" >> Aggregate(("key",), {"rows": Count()}, HOURS)


def write(counts: tuple[int, ...], path: str) -> None:
    write_whole(path, repr(counts).encode())


@pytest.mark.parametrize("is_bounded", [True, False])
@pytest.mark.parametrize("blocks", [0, 7])
def test_the_sum_is_that_of_the_metrics_whatever_the_runner(options, tmp_path, blocks, is_bounded):
    path = tmp_path / "counts"
    with beam.Pipeline(options=PipelineOptions.from_dictionary(options.get_all_options())) as pipeline:
        build(pipeline, blocks, is_bounded=is_bounded)
        pipeline | TotalCounts() | beam.Map(write, str(path))
    assert path.read_text() == repr((8 * blocks, 2 * blocks, 3 * blocks, 0, 2 * blocks, blocks))
    metrics = counts_of(pipeline.result)
    assert path.read_text() == repr(tuple(metrics[name] for name in COUNTS))


def test_what_is_counted_is_given_too():
    """Nobody calls what counts and leaves what it returns."""
    for path in (ROOT / "transforms").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and isinstance(node.value.func, ast.Name)
            ):
                assert node.value.func.id not in {"count", "count_rows", "count_rejected"}, f"{path}:{node.lineno}"


def test_each_step_that_counts_is_found_once():
    pipeline = beam.Pipeline()
    build(pipeline, 1, is_bounded=True)
    found = find_counted(pipeline)
    assert len(found) == len(set(found)) == 8
    assert {each.tag for each in found} == {COUNTED}


@given(st.lists(st.tuples(st.sampled_from(COUNTS), st.integers(0, 2**40))))
def test_a_bundle_gives_the_sum_of_what_it_has_counted_or_nothing(counts):
    step = _SumBundleFn()
    for _ in range(2):  # a bundle knows nothing of the one before
        step.start_bundle()
        for name, amount in counts:
            for output in count(name, amount):
                step.process(output.value)
        found = [value.value for value in step.finish_bundle()]
        expected = tuple(sum(amount for name, amount in counts if name == each) for each in COUNTS)
        assert found == ([(0, expected)] if expected != NOTHING else [])
