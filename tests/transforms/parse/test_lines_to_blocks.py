from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, GlobalWindow, IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import arrival_micros
from schemas.record_type import Dialect
from tests import oracle
from tests.strategies import SALE, sale_lines
from tests.transforms.tools import counts_of
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Count
from transforms.parse import lines_to_blocks as lines_module
from transforms.parse.delimited import ParseDelimited, Parser
from transforms.parse.lines_to_blocks import BlocksOfLines, _GatherLinesFn
from transforms.windows import Windows

COMMA = Dialect(",", encoding="latin-1")
ALL = GlobalWindow()


def gather(elements: list, dialect: Dialect = Dialect()) -> list:
    """The windowed blocks of one bundle of (element, timestamp, window)."""
    step = _GatherLinesFn(dialect)
    step.start_bundle()
    blocks = [
        block for element, when, window in elements for block in step.process(element, Timestamp.of(when), window)
    ]
    return [*blocks, *step.finish_bundle()]


def bundle(*elements: str | bytes) -> list:
    return [(element, 0, ALL) for element in elements]


@given(st.data(), st.sampled_from([b"", b"\n"]), st.integers(1, 4), st.integers(1, 200))
def test_lines_parse_as_they_do_in_a_file(data, end, most_lines, most_bytes):
    lines = data.draw(st.lists(sale_lines(Dialect()), max_size=8))
    raw = b"".join(line + b"\n" for line in lines)
    rows, rejected, records = oracle.parse(raw, SALE, Dialect())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "MAX_BLOCK_LINES", most_lines)
        patch.setattr(lines_module, "MAX_BLOCK_BYTES", most_bytes)
        blocks = [windowed.value for windowed in gather(bundle(*(line + end for line in lines)))]
    parsed = [Parser(SALE)(block) for block in blocks]
    assert sum(each.records for each in parsed) == records
    assert [row for each in parsed for row in each.rows["key"]] == [values["key"] for _, values in rows]
    assert len([bad for each in parsed for bad in each.rejected]) == len(rejected)
    for each in parsed:
        for bad in each.rejected:
            assert bad.origin == "element"
            assert lines[bad.position].rstrip(b"\r") == bad.raw
    assert all(len(block.spans) <= most_lines for block in blocks)


def test_text_is_utf_8_whatever_the_dialect_says_of_bytes():
    text, raw = (windowed.value for windowed in gather(bundle("ä,b", "ä,b".encode("latin-1")), COMMA))
    assert (text.data, text.dialect.encoding) == ("ä,b\n".encode(), "utf-8")
    assert (raw.data, raw.dialect) == ("ä,b\n".encode("latin-1"), COMMA)


def test_what_utf_8_cannot_encode_is_rejected_and_not_lost():
    (windowed,) = gather(bundle("\udcff\t2011-04-01 10:00:00\t1\t1\t\t"))
    parsed = Parser(SALE)(windowed.value)
    assert [bad.reason for bad in parsed.rejected] == ["not UTF-8 at byte 0 of the record"]


def test_an_element_with_a_line_break_inside_is_one_rejected_record():
    first, rest = gather(bundle("a\nb\n", "c"))
    (rejected,) = Parser(SALE)(first.value).rejected
    assert rejected[:4] == ("element", 0, "line break inside the record", b"a\nb")
    assert rest.value.data == b"c\n"


def test_an_empty_line_is_no_record():
    (windowed,) = gather(bundle("", "\n", "\r\n"))
    assert Parser(SALE)(windowed.value).records == 0


def test_a_bundle_of_nothing_gives_no_block():
    assert gather([]) == []


def test_a_block_has_lines_of_one_window_and_the_earliest_of_their_times():
    early, late = IntervalWindow(0, 10), IntervalWindow(10, 20)
    blocks = gather([("a", 5, early), ("b", 15, late), ("c", 3, early), ("d", 11, late)])
    assert [(block.value.data, block.timestamp, block.windows) for block in blocks] == [
        (b"a\nc\n", Timestamp(3), (early,)),
        (b"b\nd\n", Timestamp(11), (late,)),
    ]
    assert [block.value.locate(2) for block in blocks] == [("element", 2), ("element", 3)]


def test_lines_have_arrived_at_the_earliest_of_their_timestamps_or_now() -> None:
    (stamped,) = gather([("a", 5, ALL), ("b", 3, ALL)])
    assert stamped.value.arrival == 3_000_000
    before = arrival_micros()
    (unstamped,) = gather([("a", MIN_TIMESTAMP, ALL)])
    assert before <= unstamped.value.arrival <= arrival_micros()


def test_a_block_is_closed_when_it_is_full(monkeypatch):
    monkeypatch.setattr(lines_module, "MAX_BLOCK_LINES", 2)
    blocks = gather(bundle("a", "b", "c", "d", "e"))
    assert [block.value.data for block in blocks] == [b"a\nb\n", b"c\nd\n", b"e\n"]
    monkeypatch.setattr(lines_module, "MAX_BLOCK_BYTES", 3)
    blocks = gather(bundle("abc", "d", "e"))
    assert [block.value.data for block in blocks] == [b"abc\n", b"d\ne\n"]


def sale_texts() -> list[str]:
    start = datetime(2011, 4, 1, 10)
    texts = [f"k{n % 7},{start + timedelta(minutes=n % 240)},1.5,2,,ä" for n in range(1000)]
    return [*texts, "broken", "k,2011-04-01 10:00:00,1,x,,"]


def check_counts(results: list) -> None:
    counts = Counter()
    for result in results:
        counts[result.label] += result.rows["rows"].sum()
    assert len(counts) == 4
    assert sum(counts.values()) == 1000


def test_lines_of_other_sources_are_counted_in_and_out(fn_api, tmp_path):
    texts = sale_texts()
    (tmp_path / "sales.csv").write_text("\n".join(texts) + "\n", "utf-8")
    pipeline = beam.Pipeline(options=fn_api)
    sources = {
        "Text": pipeline | beam.io.ReadFromText(str(tmp_path / "*.csv")),
        "Str": pipeline | "Str" >> beam.Create(texts),
        "Bytes": pipeline | "Bytes" >> beam.Create([text.encode() for text in texts]),
        "Windowed": pipeline
        | "Windowed" >> beam.Create([TimestampedValue(text, n) for n, text in enumerate(texts)])
        | beam.Map(lambda value: value).with_output_types(str)
        | beam.WindowInto(FixedWindows(100)),
    }
    for name, lines in sources.items():
        blocks = lines | f"Gather{name}" >> BlocksOfLines(Dialect(","))
        parsed = blocks | f"Parse{name}" >> ParseDelimited(SALE)
        totals = parsed["records"] | f"Count{name}" >> Aggregate(("key",), {"rows": Count()}, Windows.parse("1h"))
        assert_that(totals, check_counts, label=f"Check{name}")
    done = pipeline.run()
    done.wait_until_finish()
    counts = counts_of(done)
    assert counts == {"read": 1002 * len(sources), "used": 1000 * len(sources), "rejected": 2 * len(sources)}
