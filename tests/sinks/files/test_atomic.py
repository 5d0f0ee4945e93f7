import errno
import os
from pathlib import Path

import pytest

from sinks.files.atomic import SinkError, remove_left_behind, temporary_beside, whole_file, write_whole


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes half of what is written, and then nothing."""
    write = os.write
    calls = []

    def half(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    return calls


def test_a_file_is_written_whole_and_its_folders_are_made(tmp_path):
    write_whole(str(tmp_path / "a" / "b" / "x.jsonl"), b"one\n")
    assert (tmp_path / "a" / "b" / "x.jsonl").read_bytes() == b"one\n"
    assert os.listdir(tmp_path / "a" / "b") == ["x.jsonl"]  # noqa: PTH208 (hidden ones, too)


def test_a_file_has_the_rights_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_whole(str(tmp_path / "x"), b"")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_no_half_file_and_one_line(tmp_path, full_disk):
    path = str(tmp_path / "x.jsonl")
    with pytest.raises(SinkError) as caught:
        write_whole(path, b"one\ntwo\n")
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert full_disk == [8, 4]
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path, full_disk):
    target = tmp_path / "x.jsonl"
    target.write_bytes(b"old\n")
    with pytest.raises(SinkError):
        write_whole(str(target), b"one\ntwo\n")
    assert target.read_bytes() == b"old\n"
    assert os.listdir(tmp_path) == ["x.jsonl"]  # noqa: PTH208


def test_a_rename_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(SinkError, match=r"cannot write .*x\.jsonl: Is a directory$"):
        write_whole(str(tmp_path / "x.jsonl"), b"one\n")
    assert os.listdir(tmp_path) == ["x.jsonl"]  # noqa: PTH208


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "out").touch()
    for path in ("out/x.jsonl", "out/deeper/x.jsonl"):
        with pytest.raises(SinkError, match=rf"cannot write .*{path}: Not a directory$"):
            write_whole(str(tmp_path / path), b"")


def test_no_descriptor_is_left_open_when_writing_fails(tmp_path, full_disk):
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    with pytest.raises(SinkError):
        write_whole(str(tmp_path / "x"), b"one\ntwo\n")
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    assert after == before


def test_what_dead_writers_left_is_removed_and_what_others_write_is_not(tmp_path):
    target, window = tmp_path / "totals.jsonl", tmp_path / "totals-20110401T000000Z-20110402T000000Z.jsonl"
    left = [temporary_beside(path) for path in (target, window)]
    kept = [tmp_path / ".totals.jsonl.swp", tmp_path / "totals.jsonl", temporary_beside(tmp_path / "others.jsonl")]
    for path in (*left, *kept):
        path.write_bytes(b"half")
    with whole_file(window) as descriptor:
        os.write(descriptor, b"whole")
        remove_left_behind(target)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, window])
    assert window.read_bytes() == b"whole"


def test_a_long_name_is_written(tmp_path):
    for name in ("\N{SNOWMAN}" * 80 + ".jsonl", "x" * 250):
        write_whole(str(tmp_path / name), b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"
