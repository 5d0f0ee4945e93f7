from __future__ import annotations

from datetime import datetime

import pytest
from apache_beam.pvalue import TaggedOutput
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import NOTHING_IS_LATE, Block, Span
from schemas.elements.frames import Batch
from schemas.record_type import Dialect
from schemas.times import to_micros
from sources import progress as board
from tests import oracle
from tests.strategies import SALE, moments, windows
from tests.transforms.tools import without_counts
from transforms.late import SplitLate, _SplitLateFn
from transforms.parse.delimited import Parser
from transforms.windows import Windows

TEN_MINUTES = 600 * 10**6


def line(moment: datetime, key: str = "k") -> bytes:
    return f"{key}\t{moment:%Y-%m-%d %H:%M:%S}\t1.5\t2\t\t".encode()


def split(block: Block, some: Windows, lateness: int):
    """Gives the parsed batch, the rows that were kept, and the late records."""
    batch = Batch(Parser(SALE)(block).rows, block)
    kept, late = [], []
    for output in without_counts(_SplitLateFn(some, lateness).process(batch)):
        if isinstance(output, TaggedOutput):
            assert output.tag == "late"
            late.append(output.value)
        else:
            kept.extend(output.rows.to_dicts())
    return batch, kept, late


watermarks = st.just(NOTHING_IS_LATE) | st.builds(
    lambda moment, by: to_micros(moment) + by, moments, st.integers(-2, 2) | st.integers(-(10**10), 10**10)
)


@given(
    st.lists(st.tuples(moments, st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b"\n\r\n"])), max_size=8),
    windows(),
    st.sampled_from([0, 1, 10**6, TEN_MINUTES]),
    watermarks,
    st.booleans(),
)
def test_a_row_is_late_exactly_when_its_last_window_and_the_lateness_are_behind_the_watermark(
    records, some, lateness, watermark, has_last_line_end
):
    board.reset()
    data, places = b"\n", []
    for number, (moment, end) in enumerate(records):
        places.append(len(data))
        data += line(moment, f"k{number}") + end
    if not has_last_line_end:
        data = data.rstrip(b"\r\n")
    # The block came from two places; the second begins in the middle of it.
    half = places[len(places) // 2] if places else 1
    block = Block(data, (Span(0, "one", 1000), Span(half, "two", 0)), Dialect(), watermark)

    batch, kept, late = split(block, some, lateness)

    expected = []
    for place, (number, (moment, _)) in zip(places, enumerate(records)):
        last_end = max((end for _, end in oracle.windows_of(moment, some.length, some.step)), key=lambda end: end or 0)
        if watermark != NOTHING_IS_LATE and last_end is not None and last_end + lateness <= watermark:
            origin = ("two", place - half) if place >= half else ("one", 1000 + place)
            expected.append((*origin, line(moment, f"k{number}")))
    assert [(record.origin, record.position, record.raw) for record in late] == expected
    assert {row["key"] for row in kept} == {f"k{n}" for n in range(len(records))} - {
        record.raw.split(b"\t")[0].decode() for record in late
    }
    assert batch.rows.height == len(kept) + len(late)
    assert board.counts()["late"] == len(late)


def test_the_reason_tells_the_watermark():
    promised = to_micros(datetime(2011, 4, 1, 12))
    block = Block(line(datetime(2011, 4, 1, 10)), (Span(0, "test", 0),), Dialect(), promised)
    _, kept, (late,) = split(block, Windows(TEN_MINUTES), 0)
    assert kept == []
    assert late.reason == "late: its last window had closed when the watermark was 2011-04-01T12:00:00.000000Z"


def test_a_batch_without_late_rows_is_handed_on_as_it_is():
    block = Block(line(datetime(2011, 4, 1, 10)), (Span(0, "test", 0),), Dialect(), 0)
    batch = Batch(Parser(SALE)(block).rows, block)
    (same,) = _SplitLateFn(Windows(TEN_MINUTES), 0).process(batch)
    assert same is batch


def test_of_all_time_nothing_is_late():
    block = Block(line(datetime(2011, 4, 1, 10)), (Span(0, "test", 0),), Dialect(), 2**62)
    _, kept, late = split(block, Windows(), 0)
    assert (len(kept), late) == (1, [])


def test_a_negative_lateness_is_refused_by_its_value():
    with pytest.raises(ValueError, match="lateness must not be negative, got -1 us"):
        SplitLate(Windows(), -1)


def test_late_rows_that_were_counted_before_are_not_counted_again():
    board.reset()
    block = Block(line(datetime(2011, 4, 1, 10)), (Span(0, "test", 0),), Dialect(), to_micros(datetime(2012, 1, 1)))
    batch = Batch(Parser(SALE)(block).rows, block, is_counted=True)
    (late,) = _SplitLateFn(Windows(TEN_MINUTES), 0).process(batch)
    assert late.tag == "late"
    assert board.counts()["late"] == 0
