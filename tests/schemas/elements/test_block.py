from __future__ import annotations

import numpy as np
from apache_beam.coders import registry
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import NOTHING_IS_LATE, Block, Span
from schemas.record_type import Dialect, Rejected

parts = st.lists(
    st.tuples(st.binary(min_size=1, max_size=9), st.sampled_from(["a.txt", "till:1", "stdin"]), st.integers(0, 2**50)),
    min_size=1,
    max_size=6,
)


def make_block(parts: list[tuple[bytes, str, int]]) -> Block:
    spans, start = [], 0
    for data, origin, position in parts:
        spans.append(Span(start, origin, position))
        start += len(data)
    return Block(b"".join(data for data, _, _ in parts), tuple(spans))


@given(parts)
def test_every_byte_is_located_in_the_part_that_it_came_from(parts: list[tuple[bytes, str, int]]) -> None:
    block = make_block(parts)
    expected = [(origin, position + at) for data, origin, position in parts for at in range(len(data))]
    assert [block.locate(offset) for offset in range(len(block.data))] == expected


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([b"", b"a", b"bc"]), min_size=1, max_size=4), st.integers(0, 2**50), st.booleans()
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_many_places_are_what_each_of_them_is_alone(parts: list[tuple[list[bytes], int, bool]], is_torn: bool) -> None:
    spans, data = [], b""
    for number, (lines, position, numbered) in enumerate(parts):
        spans.append(Span(len(data), f"t[{number % 2}]", position, numbered))
        data += b"\n".join(lines) + b"\n"
    block = Block(data[: len(data) - is_torn] or b"x", tuple(spans))
    offsets = np.arange(len(block.data))
    origins, positions = block.locate_all(offsets)
    assert list(zip(origins.to_list(), positions.tolist())) == [block.locate(offset) for offset in offsets.tolist()]


def test_a_rejected_record_lacks_its_line_end_only() -> None:
    block = make_block([(b"one\n", "a", 100), (b" two \r\n", "b", 7)])
    assert block.rejected(4, 11, "odd") == Rejected("b", 7, "odd", b" two ")


@given(parts, st.sampled_from([NOTHING_IS_LATE, 0, -1, 2**62]), st.sampled_from(["", "torn"]))
def test_blocks_pass_through_their_coder(parts: list[tuple[bytes, str, int]], watermark: int, fault: str) -> None:
    dialect = Dialect("|", quoted=True, encoding="latin-1", header=("a", "ä"), skip=9)
    block = make_block(parts)._replace(dialect=dialect, watermark=watermark, fault=fault, arrival=1_300_000_000_000_000)
    block = block._replace(scope="run")
    coder = registry.get_coder(Block)
    decoded = coder.decode(coder.encode(block))
    assert decoded == block
    assert type(decoded) is Block
    assert decoded.locate(0) == block.locate(0)
    assert decoded.dialect.header == ("a", "ä")


def test_a_numbered_message_is_an_origin_of_its_own() -> None:
    spans = (Span(0, "sales[0]", 7, numbered=True), Span(6, "sales[1]", 3, numbered=True), Span(9, "file", 40))
    block = Block(b"ab\nc\n\nde\nfg\n", spans)
    places = [block.locate(start) for start in (0, 1, 3, 4, 5, 6, 7, 9, 10)]
    assert places == [
        ("sales[0]@7", 0), ("sales[0]@7", 1), ("sales[0]@8", 0), ("sales[0]@8", 1), ("sales[0]@9", 0),
        ("sales[1]@3", 0), ("sales[1]@3", 1), ("file", 40), ("file", 41),
    ]  # fmt: skip
