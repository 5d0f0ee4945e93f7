from __future__ import annotations

import pickle
import random
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.coders import registry
from apache_beam.testing.util import assert_that
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import get_dofn_specs, is_stateful_dofn
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.elements.frames import EVENT_TIME, FINAL_PANE, Batch, Result
from schemas.times import to_micros
from sources import progress as board
from tests import oracle
from tests.strategies import SALE, merged_by_any_tree, sale_frame, sale_rows, shuffled_cuts, windows
from tests.transforms.tools import as_known, counts_of, without_counts
from transforms.aggregate import aggregate
from transforms.aggregate.aggregate import Aggregate, ResultsFn, WindowsFn, compact_if_long
from transforms.aggregate.aggregations import Count, CountDistinct, Last, Mean, Sum, TopN
from transforms.aggregate.combine import BUCKET, FrameCombine
from transforms.late import SplitLate
from transforms.parse.delimited import ParseDelimited
from transforms.windows import Windows

MINUTE = 60 * 10**6
VALUES = {"amount": Sum("amount"), "rows": Count(), "note": Last("note")}
BLOCK = Block(b"raw", (Span(0, "test", 0),))
reduction = FrameCombine(("key",), VALUES)
randoms = st.randoms(use_true_random=False)


def simply(rows: list[dict]) -> list[tuple]:
    """The keys with their sum, count and last note, by plain Python, sorted."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["key"]].append(row)
    results = [(key, *amount_count_note(group)) for key, group in groups.items()]
    return sorted(results, key=lambda result: (result[0] is not None, result[0]))


def amount_count_note(group: list[dict]) -> tuple:
    notes = [(row[EVENT_TIME], row["note"]) for row in group if row["note"] is not None]
    return sum((row["amount"] or 0 for row in group), Decimal(0)), len(group), max(notes, default=(None, None))[1]


@given(sale_rows, randoms)
def test_several_values_at_once_are_as_right_as_each_alone(rows, random):
    parts = [reduction.reduce(sale_frame(part)) for part in shuffled_cuts(random, rows)]
    merged = merged_by_any_tree(random, parts, reduction.merge)
    assert reduction.results(merged).rows() == simply(rows)


@settings(max_examples=60)
@given(sale_rows, randoms)
def test_several_keys_tell_rows_apart_and_sort_the_results(rows, random):
    both = FrameCombine(("note", "key"), {"rows": Count()})
    parts = [both.reduce(sale_frame(part)) for part in shuffled_cuts(random, rows)]
    results = both.results(merged_by_any_tree(random, parts, both.merge)).rows()
    counts = Counter((row["note"], row["key"]) for row in rows)
    in_order = sorted(counts, key=lambda key: [(part is not None, part) for part in key])
    assert results == [(*key, counts[key]) for key in in_order]


@settings(max_examples=60)
@given(sale_rows, randoms)
def test_without_a_key_there_is_one_row(rows, random):
    alone = FrameCombine((), {"rows": Count(), "amount": Sum("amount")})
    bucket = pl.lit(0).alias("bucket")
    parts = [alone.reduce(sale_frame(part), bucket).drop("bucket") for part in shuffled_cuts(random, rows)]
    (result,) = alone.results(merged_by_any_tree(random, parts, alone.merge)).rows()
    assert result == (len(rows), sum((row["amount"] or 0 for row in rows), Decimal(0)))


@given(sale_rows, randoms, st.integers(0, 12), st.integers(1, 4))
def test_accumulators_are_compacted_on_the_way_and_give_the_same(rows, random, most_rows, most_frames):
    frames = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregate, "COMPACT_ROWS", most_rows)
        patch.setattr(aggregate, "COMPACT_FRAMES", most_frames)
        for part in shuffled_cuts(random, rows):
            reduced = reduction.reduce(sale_frame(part), pl.lit(0).alias(BUCKET))
            frames = compact_if_long(reduction, [*frames, reduced], BUCKET)
            assert len(frames) <= most_frames
    assert reduction.results(reduction.merge(frames)).rows() == simply(rows) if frames else not rows


def test_many_different_keys_are_not_merged_again_with_every_frame(monkeypatch):
    monkeypatch.setattr(aggregate, "COMPACT_ROWS", 10)
    merges = []
    counting = FrameCombine(("key",), VALUES)
    merge = counting.merge
    object.__setattr__(counting, "merge", lambda *args: merges.append(args) or merge(*args))
    frames = []
    for number in range(300):
        frame = counting.reduce(sale_frame([{"key": str(number)}]), pl.lit(0).alias(BUCKET))
        frames = compact_if_long(counting, [*frames, frame], BUCKET)
    assert counting.merge(frames).height == 300
    assert len(merges) < 20


@given(sale_rows, randoms, windows(), st.integers(0, 3))
def test_a_bundle_is_reduced_to_a_row_per_bucket_and_key_and_no_row_is_lost(rows, random, some, most):
    board.reset()
    step = aggregate.ReduceFn(reduction, some)
    step.start_bundle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aggregate, "REDUCE_ROWS", most)
        for part in shuffled_cuts(random, rows):
            assert not without_counts(step.process(Batch(sale_frame(part), BLOCK)))
        found = [(value.timestamp.micros, value.value[1]) for value in step.finish_bundle()]
    assert list(step.finish_bundle()) == []
    assert len(found) == bool(rows)
    buckets = defaultdict(list)
    for row in rows:
        buckets[to_micros(row[EVENT_TIME]) // some.bucket * some.bucket if some.length else 0].append(row)
    for micros, frame in found:
        assert micros == min(buckets)
        parts = frame.partition_by(BUCKET, as_dict=True, include_key=False)
        assert {start: reduction.results(part).rows() for (start,), part in parts.items()} == {
            start: simply(bucket) for start, bucket in buckets.items()
        }
    assert board.counts()["used"] == len(rows)


def test_steps_pickle():
    values = VALUES | {"mean": Mean("amount"), "top": TopN(3, "amount", "note"), "distinct": CountDistinct("note")}
    step = pickle.loads(pickle.dumps(aggregate.ReduceFn(FrameCombine(("key",), values), Windows(MINUTE))))
    step.start_bundle()
    step.process(Batch(sale_frame([{"key": "k", EVENT_TIME: datetime(2011, 4, 1)}]), BLOCK))
    assert len(list(step.finish_bundle())) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"values": {}}, "expected at least one value, got {}"),
        ({"emit_micros": -1}, "must not be negative, got -1 us"),
        ({"lateness_micros": -5}, "must not be negative, got -5 us"),
        ({"values": {"key": Count()}}, "'key' is both a key column and a value"),
        ({"values": {"window_end": Count()}}, "'window_end' is the name of a column of every result"),
    ],
)
def test_options_out_of_range_are_refused_by_their_value(fields, message):
    with pytest.raises(ValueError, match=message):
        Aggregate(**{"by": ("key",), "values": VALUES, **fields})


def sale_blocks() -> tuple[list[Block], list[dict]]:
    """Blocks of 600 sales over two hours, of which some are broken, and the rows that they should become."""
    chance = random.Random(7)  # noqa: S311 - the same data each time
    lines = []
    for number in range(600):
        moment = datetime(2011, 4, 1, 9, 30) + timedelta(seconds=chance.randrange(7200))
        amount = "broken" if number % 50 == 0 else f"{chance.randrange(-500, 5000)}.{chance.randrange(1000):03}"
        pieces = chance.choice(["1", "2", "-1"])
        lines.append(f"k{chance.randrange(20)}\t{moment}\t{amount}\t{pieces}\t\tnote{number}".encode())
    blocks = []
    while lines:
        size = chance.randint(1, 90)
        blocks.append(Block(b"\n".join(lines[:size]), (Span(0, "test", 0),)))
        lines = lines[size:]
    rows = []
    for block in blocks:
        wanted = (["pieces"], lambda values: values["pieces"] > 0)
        rows += [row for _, row in oracle.parse(block.data, SALE, block.dialect, wanted)[0]]
    return blocks, [{**row, EVENT_TIME: row["when"]} for row in rows]


def totals_by_window(rows: list[dict], some: Windows) -> dict:
    groups = defaultdict(list)
    for row in rows:
        for window in oracle.windows_of(row[EVENT_TIME], some.length, some.step):
            groups[window, row["key"]].append(row)
    return {key: amount_count_note(group) for key, group in groups.items()}


#: name: (windows, lateness); what is called Newest gives only the newest window early
AGGREGATES = {
    "AllTime": (Windows(), 0),
    "AllTimeLate": (Windows(), 10 * MINUTE),
    "Fixed": (Windows.parse("10m"), 0),
    "FixedLate": (Windows.parse("10m"), 7 * MINUTE),
    "Sliding": (Windows.parse("10m/5m"), 0),
    "SlidingLate": (Windows.parse("10m/5m"), 13 * MINUTE),
    "SlidingUneven": (Windows.parse("10m/4m"), 0),
    "Day": (Windows.parse("1d"), MINUTE),
    "NewestFixed": (Windows.parse("10m"), 0),
    "NewestSlidingLate": (Windows.parse("10m/5m"), 13 * MINUTE),
}


def check_results(name: str, rows: list[dict]):
    some, _ = AGGREGATES[name]
    expected = totals_by_window(rows, some)

    def check(results: list[Result]) -> None:
        finals = [result for result in results if result.final]
        found = {}
        for result in finals:
            assert result.pane == FINAL_PANE
            for start, end, key, *values in result.rows.iter_rows():
                edges = tuple(edge and to_micros(edge) for edge in (start, end))
                assert edges == (result.window_start, result.window_end)
                assert (edges, key) not in found, "a key was given twice"
                found[edges, key] = tuple(values)
        assert found == expected
        assert len({result.label for result in finals}) == len(finals)
        for result in results:
            if not result.final:
                assert result.pane < FINAL_PANE

    return check


@pytest.mark.parametrize("is_bounded", [True, False])
def test_rows_in_are_rows_out_over_many_windows_of_each_kind(options, is_bounded):
    blocks, rows = sale_blocks()
    assert len({oracle.windows_of(row[EVENT_TIME], 10 * MINUTE, 10 * MINUTE)[0] for row in rows}) > 3
    pipeline = beam.Pipeline(options=options)
    made = as_known(pipeline | beam.Create(blocks), is_bounded=is_bounded)
    parsed = made | ParseDelimited(SALE, where=pl.col("pieces") > 0)
    for name, (some, lateness) in AGGREGATES.items():
        split = parsed["records"] | f"SplitLate{name}" >> SplitLate(some, lateness)
        aggregate_by = Aggregate(("key",), VALUES, some, 0, lateness, newest_only=name.startswith("Newest"))
        results = split["records"] | name >> aggregate_by
        assert_that(results, check_results(name, rows), label=f"Check{name}")
    done = pipeline.run()
    done.wait_until_finish()
    counts = counts_of(done)
    assert counts["used"] == len(rows) * len(AGGREGATES)
    assert counts["read"] == 600 == len(rows) + counts["filtered"] + counts["rejected"]
    assert min(counts["filtered"], counts["rejected"]) > 0
    assert counts["late"] == 0


@pytest.mark.parametrize("is_bounded", [True, False])
@pytest.mark.parametrize("lateness", [0, 1])
def test_what_is_shuffled_has_types_and_deterministic_keys(is_bounded, lateness):
    pipeline = beam.Pipeline()
    batches = as_known(pipeline | beam.Create([Batch(sale_frame([]), BLOCK)]), is_bounded=is_bounded)
    results = batches | Aggregate(("key",), VALUES, Windows(MINUTE), lateness_micros=lateness)
    assert results.element_type is Result
    keyed = []

    class Keys(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node):
            if isinstance(node.transform, beam.GroupByKey) or (
                isinstance(node.transform, beam.ParDo) and is_stateful_dofn(node.transform.fn)
            ):
                keyed.extend(node.inputs)

    pipeline.visit(Keys())
    assert keyed
    for collection in keyed:
        coder = registry.get_coder(collection.element_type)
        assert coder.key_coder().is_deterministic()
        assert coder.value_coder() == registry.get_coder(pl.DataFrame)


@pytest.mark.parametrize("emit_micros", [0, 1])
def test_without_early_results_no_runner_needs_a_clock(emit_micros):
    pipeline = beam.Pipeline()
    batches = as_known(pipeline | beam.Create([Batch(sale_frame([]), BLOCK)]), is_bounded=False)
    batches | Aggregate(("key",), VALUES, Windows(MINUTE), emit_micros, lateness_micros=1)
    timers = set()

    class Timers(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node):
            if isinstance(node.transform, beam.ParDo):
                timers.update(spec.time_domain for spec in get_dofn_specs(node.transform.fn)[1])

    pipeline.visit(Timers())
    assert (TimeDomain.REAL_TIME in timers) == bool(emit_micros)
    assert TimeDomain.WATERMARK in timers


@pytest.mark.parametrize("text", ["all", "1d", "2d/1d", "1h"])
def test_a_window_of_more_bundles_than_are_merged_at_once_is_whole(text):
    """As of a long replay: what was merged before is put together with what comes after it."""
    cut, bundles = Windows.parse(text), 2 * aggregate.COMPACT_FRAMES + 1
    reduction = FrameCombine(("upc",), {"rows": Count()})
    start = pl.datetime(2011, 4, 1, time_unit="us")
    rows = pl.DataFrame({"upc": ["a", "b"]}).with_columns(start.alias(EVENT_TIME))
    reduced = reduction.reduce(rows, cut.bucket_start(pl.col(EVENT_TIME)).alias(BUCKET))
    groups = defaultdict(list)
    for _ in range(bundles):
        for placed in WindowsFn(reduction, cut, 64).process((0, reduced)):
            groups[placed.value[0]].append(placed.value[1])
    results = [each for group in groups.items() for each in ResultsFn(reduction, cut).process(group)]
    assert len(results) == (2 if text == "2d/1d" else 1)
    assert all(result.rows.select("upc", "rows").rows() == [("a", bundles), ("b", bundles)] for result in results)
