from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import read_ahead
from storage.read_ahead import ReadAhead


class Memory:
    """An object in memory, whose ranges are noted."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data, self.size = data, len(data) if size is None else size
        self.fetched: list[tuple[int, int]] = []

    def close(self) -> None:
        pass

    def fetch(self, start: int, stop: int) -> bytes:
        self.fetched.append((start, stop))
        return self.data[start:stop]


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch):
    monkeypatch.setattr(read_ahead, "FIRST_BYTES", 3)
    monkeypatch.setattr(read_ahead, "RANGE_BYTES", 5)


STEPS = st.lists(
    st.tuples(st.just("read"), st.integers(-1, 20))
    | st.tuples(st.just("seek"), st.integers(0, 40))
    | st.tuples(st.just("readinto"), st.integers(0, 20)),
    max_size=12,
)


@given(st.binary(max_size=40), STEPS)
def test_it_reads_as_a_file_of_the_same_bytes(data, steps):
    expected = io.BytesIO(data)
    with ReadAhead(Memory(data)) as file:
        for step, number in steps:
            if step == "readinto":
                ours, theirs = bytearray(number), bytearray(number)
                assert (file.readinto(ours), ours) == (expected.readinto(theirs), theirs)
            else:
                assert getattr(file, step)(number) == getattr(expected, step)(number)
            assert file.tell() == expected.tell()


@given(st.binary(min_size=1, max_size=60))
def test_each_byte_is_fetched_once_where_it_is_read_in_order(data):
    source = Memory(data)
    with ReadAhead(source) as file:
        assert file.read() == data
    assert min(source.fetched)[0] == 0
    assert sum(stop - start for start, stop in source.fetched) == len(data)


def test_a_look_at_the_head_fetches_only_that():
    source = Memory(bytes(1_000))
    with ReadAhead(source) as file:
        file.read(2)
    assert source.fetched == [(0, 3)]


def test_an_object_that_is_shorter_than_it_was_is_no_end():
    with (
        ReadAhead(Memory(b"abcdefgh", size=20)) as file,
        pytest.raises(EOFError, match="it ends at byte 8, and had 20"),
    ):
        file.read()
