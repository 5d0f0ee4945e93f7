"""Files of lines: appended to, or replaced from the first line of a run on."""

from __future__ import annotations

import os
import pickle
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.disk import SinkError
from sinks.line_file import FileLines

HEADER = b"a,b\n"


def write(place: FileLines, *elements: bytes) -> None:
    """Write as a worker does: open at the first element, close at the end."""
    with closing(place.open()) as file:
        for lines in elements:
            file.write(lines)


def test_what_is_there_goes_with_the_first_line_of_a_run_and_not_before(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"old\n")
    place = FileLines.for_run(str(path), replace=True)
    assert path.read_bytes() == b"old\n"
    write(place, b"one\n")
    assert path.read_bytes() == b"one\n"


def test_a_worker_that_comes_later_and_one_that_tries_again_append(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"old\n" * 100)
    place = FileLines.for_run(str(path), replace=True, header=HEADER)
    elsewhere = pickle.loads(pickle.dumps(place))
    write(place, b"1,2\n")
    write(elsewhere, b"1,2\n", b"3,4\n")
    assert path.read_bytes() == HEADER + b"1,2\n1,2\n3,4\n"


def test_without_a_record_the_file_is_made_with_its_header(tmp_path):
    path = tmp_path / "new" / "x.csv"
    for _ in range(2):
        write(FileLines.for_run(str(path), replace=True, header=HEADER))
        assert path.read_bytes() == HEADER
        path.write_bytes(b"something else\n")


@given(
    runs=st.lists(st.lists(st.binary(max_size=5).map(lambda data: data.replace(b"\n", b"") + b"\n"), max_size=3)),
    cut=st.integers(0, 8),
)
@settings(deadline=None)
def test_appended_runs_keep_every_line_and_a_torn_one_stands_alone(runs, cut):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        expected = b""
        for lines in runs:
            write(FileLines.for_run(str(path), replace=False, header=HEADER), *lines)
            expected = (expected or HEADER) + b"".join(lines)
            assert path.read_bytes() == expected
            # A writer that is killed leaves some of a line.
            torn = b"torn, and long"[:cut]
            with path.open("ab") as file:
                file.write(torn)
            expected += torn + (b"\n" if torn else b"")
        write(FileLines.for_run(str(path), replace=False, header=HEADER))
        assert path.read_bytes() == (expected or HEADER)


def test_another_header_is_refused_and_the_same_one_is_not(tmp_path):
    path = tmp_path / "x.csv"
    place = FileLines.for_run(str(path), replace=False, header=HEADER)
    place.check_header()
    path.write_bytes(b"")
    place.check_header()
    for same in (HEADER, b"a,b", b"a,b\r\n1,2\r\n"):
        path.write_bytes(same)
        place.check_header()
    for other in (b"a,b,c\n", b"a\n", b"\n", b"\xff\n", b"x" * 10_000):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=r"^cannot append to .*: its header row is '.*', expected 'a,b'; ") as told:
            place.check_header()
        assert len(str(told.value)) < 400
        FileLines.for_run(str(path), replace=True, header=HEADER).check_header()


def test_a_file_that_may_not_be_read_is_appended_to(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"old\n")
    path.chmod(0o200)
    write(FileLines(str(path)), b"new\n")
    path.chmod(0o600)
    assert path.read_bytes() == b"old\nnew\n"


def test_what_cannot_be_opened_is_one_line_and_leaves_no_descriptor(tmp_path, monkeypatch):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(SinkError, match=r"^cannot write .*: Is a directory$"):
        FileLines(str(tmp_path)).open()
    path = tmp_path / "x.csv"
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(SinkError, match=r"^cannot write .*: No space left on device$"):
        FileLines(str(path), HEADER).open()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
