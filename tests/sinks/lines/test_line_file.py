"""Files of lines: appended to, or replaced from the first line of a run on."""

from __future__ import annotations

import os
import pickle
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.files.atomic import SinkError
from sinks.lines.line_file import FileLines, check_lines
from sources import drain
from sources import progress as board

HEADER = b"a,b\n"


def write(place: FileLines, *elements: bytes) -> None:
    """Write as a worker does: open at the first element, close at the end."""
    with closing(place.open()) as file:
        file.make()
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
        write(FileLines(str(tmp_path)), b"")
    path = tmp_path / "x.csv"
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(SinkError, match=r"^cannot write .*: No space left on device$"):
        write(FileLines(str(path), HEADER), b"")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.fixture
def watched() -> Iterator[None]:
    board.reset()
    board.watch()
    yield
    board.reset()
    drain.reset()


steps = st.lists(st.sampled_from(["write", "write", "rename", "rename and make", "copytruncate", "look"]), max_size=12)


@given(steps)
def test_no_line_is_lost_whatever_logrotate_does(steps):
    with tempfile.TemporaryDirectory() as folder, closing(FileLines(f"{folder}/x.csv", HEADER).open()) as file:
        path, number, rotated = Path(folder) / "x.csv", 0, 0
        for step in steps:
            if step == "write":
                file.write(b"%d\n" % number)
                number += 1
            elif step == "look":
                file.look()
                assert path.exists() or not number
            elif path.exists():
                rotated += 1
                old = path.with_name(f"x.csv.{rotated}")
                if step == "copytruncate":
                    old.write_bytes(path.read_bytes())
                    os.truncate(path, 0)
                else:
                    path.rename(old)
                if step == "rename and make":
                    path.touch()
        files = sorted(
            (each for each in Path(folder).iterdir()), key=lambda each: int(each.suffix[1:].strip("csv") or 99)
        )
        parts = [each.read_bytes() for each in files]
        assert all(not part or part.startswith(HEADER) for part in parts)
        assert b"".join(part.removeprefix(HEADER) for part in parts) == b"".join(b"%d\n" % n for n in range(number))
        assert not board.failures()


def test_a_file_that_was_removed_is_made_again_and_fails_the_run(tmp_path, watched):
    path = tmp_path / "out" / "x.txt"
    with closing(FileLines(str(path)).open()) as file:
        file.write(b"one\n")
        path.unlink()
        path.parent.rmdir()
        file.write(b"two\n")
        path.unlink()
        file.look()
        assert path.exists()
    reason = f"{path} was removed while it was written: 4 bytes are not there any more"
    assert board.failures() == [reason, reason]


def test_a_pipe_is_opened_once_and_closed_at_the_end(tmp_path, watched):
    pipe = tmp_path / "x.csv"
    os.mkfifo(pipe)
    got: list[bytes] = []
    place = FileLines.for_run(str(pipe), replace=True, header=HEADER)
    check_lines(place.path)
    file = place.open()
    writer = threading.Thread(target=file.make)
    writer.start()
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    writer.join()
    for line in (b"1\n", b"2\n"):
        file.write(line)
    file.look()
    file.close()
    reader.join()
    assert got == [HEADER + b"1\n2\n"]


def test_nobody_who_reads_a_pipe_is_waited_for_until_a_drain(tmp_path, watched):
    pipe = tmp_path / "x.txt"
    os.mkfifo(pipe)
    drain.drain()
    with pytest.raises(SinkError, match=r"^cannot write .*x\.txt: nobody reads it$"):
        FileLines(str(pipe)).open().make()
    assert board.take_notes() == []


def test_a_reader_that_goes_away_ends_the_run(watched):
    reading, writing = os.pipe()
    with closing(FileLines(f"/dev/fd/{writing}").open()) as file:
        file.write(b"one\n")
        assert os.read(reading, 10) == b"one\n"
        os.close(reading)
        file.write(b"two\n")
        file.write(b"three\n")
    os.close(writing)
    assert drain.draining()
    assert not board.failures()


def test_an_open_descriptor_is_written_to_where_it_is(tmp_path):
    path = tmp_path / "x"
    with path.open("wb", buffering=0) as there:
        there.write(b"before\n")
        place = FileLines.for_run(f"/dev/fd/{there.fileno()}", replace=True)
        check_lines(place.path)
        write(place, b"one\n")
        there.write(b"behind\n")
    assert path.read_bytes() == b"before\none\nbehind\n"


def test_what_takes_no_lines_is_refused_and_not_changed(tmp_path):
    server = socket.socket(socket.AF_UNIX)
    with server, (tmp_path / "read-only").open("wb") as made, (tmp_path / "read-only").open("rb") as reading:
        server.bind(str(tmp_path / "socket"))
        for path, reason in (
            (tmp_path / "socket", "it is a socket; expected a file, a pipe or /dev/null"),
            (tmp_path, "Is a directory"),
            ("/dev/zero", "it is a device; expected a file, a pipe or /dev/null"),
            ("/dev/fd/999", "Bad file descriptor"),
            (f"/dev/fd/{reading.fileno()}", "it is open for reading only"),
        ):
            with pytest.raises(SinkError) as told:
                check_lines(str(path))
            assert str(told.value) == f"cannot write {path}: {reason}"
        check_lines(f"/dev/fd/{made.fileno()}")
    check_lines("/dev/null")
    check_lines(str(tmp_path / "new" / "x.txt"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "read-only", "socket"]
