from __future__ import annotations

import threading

import pytest

from schemas.record_type import Rejected
from sources import progress as board


@pytest.fixture(autouse=True)
def _clean_board():
    board.reset()
    yield
    board.reset()


def test_counts_add_up_whichever_thread_adds() -> None:
    threads = [threading.Thread(target=lambda: [board.add("read", 2) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    board.add("bytes", 7)
    assert board.counts() == {"read": 4_000, "bytes": 7}


def test_counts_are_a_copy() -> None:
    board.add("read", 1)
    board.counts()["read"] = 99
    assert board.counts()["read"] == 1
    assert board.counts()["never"] == 0


def test_the_watermark_is_unknown_until_it_is_set() -> None:
    assert board.watermark() is None
    board.set_watermark(5)
    board.set_watermark(9)
    assert board.watermark() == 9


def test_notes_are_taken_once_in_their_order_and_only_the_latest_are_kept() -> None:
    for number in range(1_500):
        board.note(str(number))
    assert board.take_notes() == [str(number) for number in range(500, 1_500)]
    assert board.take_notes() == []


def test_a_failure_is_noted_only_where_somebody_looks() -> None:
    assert not board.fail("nobody looks")
    assert board.failures() == []
    board.watch()
    assert board.fail("broken")
    assert board.failures() == ["broken"]


def test_a_reset_forgets_everything() -> None:
    board.add("read", 1)
    board.set_watermark(5)
    board.watch()
    board.fail("broken")
    board.note("listening")
    board.reset()
    assert board.take_notes() == board.failures() == []
    assert not board.fail("nobody looks any more")
    assert board.counts() == {}
    assert board.watermark() is None


def test_the_first_rejected_records_are_kept_and_the_head_of_the_first() -> None:
    records = [Rejected("x", number, "no", b"raw") for number in range(5)]
    board.show_rejected([], b"nothing was rejected of this")
    for record in records:
        board.show_rejected([record], b"head %d" % record.position)
    assert board.first_rejected() == records[: board.MAX_REJECTED]
    assert board.rejected_head() == b"head 0"
    board.reset()
    assert (board.first_rejected(), board.rejected_head()) == ([], b"")
