"""Marks of a reader of Kafka: the same bytes for the same place, and nothing is lost on the way."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from sources.kafka.checkpoint import KAFKA_MARK_CODER, KafkaMark
from sources.kafka.partitions import PartitionId

PLACES = st.builds(PartitionId, st.text(min_size=1, max_size=5), st.integers(0, 99))
MARKS = st.builds(
    KafkaMark,
    st.text(max_size=5),
    st.dictionaries(PLACES, st.integers(0, 2**62), max_size=4),
    st.integers(0, 2**40),
    st.none() | st.integers(-(2**60), 2**60),
    st.booleans(),
)


@given(MARKS)
def test_a_mark_is_the_same_after_its_coder(mark: KafkaMark) -> None:
    coder = KAFKA_MARK_CODER
    assert coder.decode(coder.encode(mark)) == mark
    assert pickle.loads(pickle.dumps(mark)) == mark


def test_equal_marks_have_equal_bytes() -> None:
    one = KafkaMark("t", {PartitionId("a", 0): 1, PartitionId("b", 1): 2})
    other = KafkaMark("t", {PartitionId("b", 1): 2, PartitionId("a", 0): 1}, commit=print)
    assert one == other
    assert KAFKA_MARK_CODER.encode(one) == KAFKA_MARK_CODER.encode(other)
    assert KAFKA_MARK_CODER.is_deterministic()


def test_finalizing_commits_the_offsets_if_somebody_wants_that() -> None:
    committed: list = []
    KafkaMark("t", {PartitionId("a", 0): 1}, commit=committed.append).finalize_checkpoint()
    KafkaMark("t", {}, commit=committed.append).finalize_checkpoint()
    KafkaMark("t", {PartitionId("a", 0): 1}).finalize_checkpoint()
    assert committed == [{PartitionId("a", 0): 1}]
