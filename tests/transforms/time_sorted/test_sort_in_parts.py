from __future__ import annotations

import tempfile
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME
from transforms.time_sorted import sort_in_parts
from transforms.time_sorted.fold import in_order
from transforms.time_sorted.sort_in_parts import SortInParts

START = datetime(2022, 8, 30, 12)
SCHEMA = {EVENT_TIME: pl.Datetime("us"), "text": pl.String}
rows = st.lists(
    st.tuples(st.integers(0, 20).map(lambda at: START + timedelta(seconds=at)), st.sampled_from(["a", "b", None])),
    max_size=40,
)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def frame(some: list) -> pl.DataFrame:
    return pl.DataFrame(some, SCHEMA, orient="row")


@given(rows, st.lists(st.integers(0, 40), max_size=4), st.integers(1, 9), st.integers(1, 3), st.sampled_from([1, 400]))
def test_parts_are_all_rows_in_order_and_no_moment_is_in_two(some, ends, part_rows, sample, held):
    whole = frame(some)
    ends = sorted(min(end, whole.height) for end in ends)
    with pytest.MonkeyPatch.context() as patch, SortInParts() as sort:
        patch.setattr(sort_in_parts, "PART_ROWS", part_rows)
        patch.setattr(sort_in_parts, "_SAMPLE_ROWS", sample)
        patch.setattr(sort_in_parts, "HELD_BYTES", held)
        for start, end in zip([0, *ends], [*ends, whole.height], strict=True):
            sort.add(whole[start:end])
        parts = list(sort.parts())
    assert pl.concat(part for part, _ in parts).equals(in_order(whole))
    since = None
    for number, (part, until) in enumerate(parts):
        assert (until is None) == (number == len(parts) - 1)
        times = part[EVENT_TIME].to_physical()
        assert since is None or not part.height or times.min() >= since
        assert until is None or (part.height and times.max() < until)
        since = until


def test_parts_are_small_and_files_are_removed_also_where_nobody_takes_them_all(temporary, monkeypatch):
    monkeypatch.setattr(sort_in_parts, "HELD_BYTES", 10_000)
    monkeypatch.setattr(sort_in_parts, "PART_ROWS", 1_000)
    whole = frame([(START + timedelta(seconds=at * 7 % 10_000), None) for at in range(10_000)])
    with SortInParts() as sort:
        for start in range(0, 10_000, 500):
            sort.add(whole[start : start + 500])
        parts = sort.parts()
        assert [next(parts)[0].height <= 3_000 for _ in range(3)] == [True] * 3
        assert len(list(temporary.rglob("*.arrow"))) > 3
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(temporary, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", fail)
    monkeypatch.setattr(sort_in_parts, "HELD_BYTES", 1)
    with (
        pytest.raises(OSError, match=r"^cannot write a temporary file in [^\n]*: No space left on device$"),
        SortInParts() as sort,
    ):
        sort.add(frame([(START, "a")]))
    assert list(temporary.iterdir()) == []
