"""Files cut into pieces and chunks: every record once, from wherever one goes on."""

from __future__ import annotations

import bisect
import bz2
import gzip
import lzma
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import assume, example, given
from hypothesis import strategies as st

from schemas.record_type import RecordType
from schemas.text.records import find_records
from schemas.text.text_encoding import find_wide_encoding
from sources.files.chunks import SHOWN_BYTES, ByteRange, Chunk, file_dialect, find_files, piece_size, read_chunks
from sources.files.transcoding import has_return_ends

TICK = RecordType("tick", ("time", "n"), (), "time")
ENDINGS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress, ".bz2": bz2.compress, ".xz": lzma.compress}

blobs = st.lists(
    st.sampled_from([b"\n", b"\n\n", b"\r\n", b"a", b"bc\n", b"\t", b'"', b"\xff", b"x" * 30, b"y" * 7 + b"\n"])
    | st.binary(max_size=20),
    max_size=20,
).map(b"".join)
heads = st.sampled_from([b"", b"\xef\xbb\xbf", b"time\tn\n", b"\xef\xbb\xbfn;time\r\n", b"\r\n\ntime,n\n"])
PACKED = [ending for ending in ENDINGS if ending]
endings = st.sampled_from(list(ENDINGS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chunks")


def write(path: Path, data: bytes) -> str:
    path.write_bytes(ENDINGS[path.suffix if path.suffix in ENDINGS else ""](data))
    return str(path)


def cut(path: str, size: int, fractions: list[float]) -> tuple[ByteRange, ...]:
    bounds = sorted(round(size * fraction) for fraction in fractions)
    return tuple(ByteRange(path, start, stop) for start, stop in zip([0, *bounds], [*bounds, -1]))


def lines_of(data: bytes, skip: int) -> list[tuple[int, bytes]]:
    return [(found.start(), found[0]) for found in re.compile(rb"[^\n]*\n|[^\n]+").finditer(data, skip)]


def records_of(chunk: Chunk, data: bytes) -> list[tuple[int, bytes]]:
    """The records that a chunk stands for, the faulty one whole."""
    return [(chunk.offset + at, line) for at, line in lines_of(data[chunk.offset : chunk.after], 0)]


@given(heads, blobs, st.lists(st.floats(0, 1), max_size=5), st.integers(8, 64), endings)
@example(b"", b"", [], 8, "")
@example(b"", b"\n\n\n\n", [0.5], 8, ".zst")
@example(b"", b"1\t2\r3\t4\r\r5\t6\r", [0.2, 0.3, 0.6], 8, "")
@example(b"", b"12345678", [], 8, "")
@example(b"", b"1234567\n12345678\n1\n", [0.3, 0.3], 8, ".gz")
@example(b"", b"a\n" + b"x" * 99 + b"\nb", [0.9], 8, ".zst")
@example(b"time\tn\n", b"", [0.5], 8, "")
@example(b"time\tn", b"", [0.1, 0.9], 8, "")
def test_pieces_of_a_file_have_every_line_of_it_once(
    folder: Path, head: bytes, blob: bytes, fractions: list[float], chunk_bytes: int, ending: str
) -> None:
    data = head + blob
    assume(not find_wide_encoding(data))
    path = write(folder / f"file.txt{ending}", data)
    dialect = file_dialect(path, TICK)
    pieces = cut(path, len(data), fractions)
    chunks = list(read_chunks(pieces, TICK, chunk_bytes))

    if has_return_ends(data):
        data = data.replace(b"\r", b"\n")
    assert [record for chunk in chunks for record in records_of(chunk, data)] == lines_of(data, dialect.skip)
    starts = [piece.start for piece in pieces]
    for chunk in chunks:
        assert chunk.dialect._replace(width=0) == dialect
        assert len(chunk.data) <= chunk_bytes
        whole = data[chunk.offset : chunk.after]
        if chunk.fault:
            assert chunk.fault == f"record longer than {chunk_bytes} bytes"
            assert len(records_of(chunk, data)) == 1
            assert len(whole) > chunk_bytes
            assert whole.startswith(chunk.data)
            assert chunk.data
        else:
            assert chunk.data == whole
            assert chunk.data.endswith(b"\n") or chunk.after == len(data)
        for start in find_records(chunk.data, chunk.dialect).starts.tolist():
            offset = chunk.offset + start
            # What stands before the first record belongs to nobody.
            assert chunk.piece in (bisect.bisect(starts, offset) - 1, bisect.bisect(starts, dialect.skip) - 1)


@given(heads, blobs, st.lists(st.floats(0, 1), max_size=3), st.integers(8, 40), endings)
def test_going_on_after_any_chunk_gives_exactly_the_rest(
    folder: Path, head: bytes, blob: bytes, fractions: list[float], chunk_bytes: int, ending: str
) -> None:
    data = head + blob
    assume(not find_wide_encoding(data))
    path = write(folder / f"file.txt{ending}", data)
    pieces = cut(path, len(data), fractions)
    chunks = list(read_chunks(pieces, TICK, chunk_bytes))
    for number, chunk in enumerate(chunks, 1):
        assert list(read_chunks(pieces, TICK, chunk_bytes, chunk.piece, chunk.after)) == chunks[number:]


quoted = st.lists(
    st.sampled_from([b"\n", b"1,2\n", b'"', b'1,"a\nb"\n', b'"\n",', b'3,"c\r\n', b'"a""\n"', b'd"\n', b"e,f", b'""']),
    max_size=20,
).map(b"".join)


def places_of(pieces: Sequence[ByteRange], chunk_bytes: int) -> list[tuple[int, bytes]]:
    """Where the records of the pieces begin, and what is in them."""
    found = []
    for chunk in read_chunks(pieces, TICK, chunk_bytes):
        for start, stop in zip(*map(np.ndarray.tolist, find_records(chunk.data, chunk.dialect))):
            found.append((chunk.offset + start, chunk.data[start:stop] if not chunk.fault else b"fault"))
    return found


@given(quoted, st.lists(st.floats(0, 1), max_size=4), st.integers(8, 40), st.sampled_from(["", ".gz"]))
@example(b'1,"a\nb"\n1,2\n', [0.3, 0.4, 0.5, 0.6], 40, "")
@example(b'1,2\n1,"a\n1,b\n1,c"\n1,2\n', [0.45], 40, ".gz")
def test_records_of_several_lines_are_the_same_however_a_file_is_cut(
    folder: Path, blob: bytes, fractions: list[float], chunk_bytes: int, ending: str
) -> None:
    data = b'time,n\n1,"a, b"\n3,"c, d"\n' + blob
    path = write(folder / f"quoted.csv{ending}", data)
    whole = places_of([ByteRange(path)], chunk_bytes)
    assert places_of(cut(path, len(data), fractions), chunk_bytes) == whole
    dialect = file_dialect(path, TICK)
    lines = find_records(data[dialect.skip :], dialect._replace(width=2 * dialect.quoted))
    if all(stop - start < chunk_bytes - 2 for start, stop in zip(*lines)):
        assert [start for start, _ in whole] == [dialect.skip + start for start in lines.starts.tolist()]


@pytest.mark.parametrize("ending", ENDINGS)
def test_of_a_record_that_is_too_long_the_first_bytes_are_shown(tmp_path: Path, ending: str) -> None:
    long = b"x" * 200_000
    data = b"first\n" + long + b"\nlast\n" + long
    path = write(tmp_path / f"a{ending}", data)
    chunks = list(read_chunks((ByteRange(path),), TICK, 10_000))
    fault = "record longer than 10000 bytes"
    assert [(chunk.data, chunk.fault) for chunk in chunks] == [
        (b"first\n", ""),
        (long[:SHOWN_BYTES], fault),
        (b"last\n", ""),
        (long[:SHOWN_BYTES], fault),
    ]
    assert [chunk.offset for chunk in chunks] == [0, 6, 200_007, 200_012]


def test_a_last_record_without_line_end_may_fill_the_chunk(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"12345678")
    assert [chunk.fault for chunk in read_chunks((ByteRange(path),), TICK, 8)] == [""]
    assert [chunk.fault for chunk in read_chunks((ByteRange(path),), TICK, 7)] == ["record longer than 7 bytes"]


@pytest.mark.parametrize("ending", PACKED)
def test_a_compressed_file_of_several_parts_is_read_to_its_end(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes(ENDINGS[ending](b"a\nb") + ENDINGS[ending](b"") + ENDINGS[ending](b"c\n"))
    assert b"".join(chunk.data for chunk in read_chunks((ByteRange(str(path)),), TICK, 1 << 20)) == b"a\nbc\n"


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("lines", [2, 100_000])
def test_a_compressed_file_that_was_cut_off_is_an_error_that_names_it(tmp_path: Path, ending: str, lines: int) -> None:
    whole = ENDINGS[ending](b"".join(b"%d\t%d\n" % (number, number * 7919 % 104729) for number in range(lines)))
    path = tmp_path / f"a{ending}"
    for length in (len(whole) - 1, len(whole) // 2, 12):
        path.write_bytes(whole[:length])
        with pytest.raises(OSError, match=rf"^cannot read '{re.escape(str(path))}' to its end: [^\n]+$"):
            list(read_chunks((ByteRange(str(path)),), TICK, 1 << 16))


@given(st.sampled_from(PACKED), st.data())
def test_a_damaged_compressed_file_never_raises_anything_but_oserror(folder: Path, ending: str, data) -> None:
    whole = bytearray(ENDINGS[ending](b"".join(b"%d\t%d\n" % (number, number * 7919) for number in range(300))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = folder / f"damaged{ending}"
    path.write_bytes(whole)
    try:
        list(read_chunks((ByteRange(str(path)),), TICK, 1 << 10))
    except OSError as error:
        assert str(error).startswith(f"cannot read {str(path)!r} to its end: ")  # noqa: PT017


def test_a_file_that_has_become_shorter_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"1\n2\n3\n4\n")
    chunks = read_chunks((ByteRange(path, 0, 8), ByteRange(path, 8, -1)), TICK, 4)
    assert next(chunks).data == b"1\n2\n"
    os.truncate(path, 4)
    message = f"cannot read '{path}' to its end: it ends before byte 8"
    with pytest.raises(OSError, match=re.escape(message)):
        next(chunks)
    with pytest.raises(OSError, match="it ends before byte 7"):
        list(read_chunks((ByteRange(path, 8),), TICK, 4))
    with pytest.raises(OSError, match="it ends before byte 5"):
        list(read_chunks((ByteRange(path, 5),), TICK, 4))
    with pytest.raises(OSError, match=re.escape(message)):
        list(read_chunks((ByteRange(path),), TICK, 4, 0, 8))


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"1\n2\n3\n4\n")
    for left in (4, 2, 0):
        Path(path).write_bytes(b"1\n2\n3\n4\n")
        chunks = read_chunks((ByteRange(path),), TICK, 4)
        assert next(chunks).data == b"1\n2\n"
        os.truncate(path, left)
        with pytest.raises(OSError, match="to its end: it ends at byte 4, and had 8 when it was opened"):
            list(chunks)


@pytest.mark.parametrize("ending", PACKED)
def test_an_empty_file_that_should_be_compressed_is_an_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    path.touch()
    with pytest.raises(OSError, match=r"cannot read '.*' to its end: it is empty, which no compressed file is"):
        list(read_chunks((ByteRange(str(path)),), TICK, 4))


def test_a_file_that_has_vanished_is_an_error_after_the_ones_before_it(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", b"1\n"), write(tmp_path / "b", b"2\n")
    pieces = tuple(map(ByteRange, find_files([str(tmp_path)])))
    Path(second).unlink()
    chunks = read_chunks(pieces, TICK, 64)
    assert next(chunks).data == b"1\n"
    with pytest.raises(OSError, match=rf"cannot read '{re.escape(second)}' to its end: "):
        next(chunks)
    assert first == pieces[0].path


def test_a_file_that_grows_is_read_as_far_as_it_is_then(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"1\n")
    chunks = read_chunks((ByteRange(path),), TICK, 2)
    assert next(chunks).data == b"1\n"
    with Path(path).open("ab") as file:
        file.write(b"2\n")
    assert next(chunks).data == b"2\n"


def test_piece_size_is_that_on_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"12345678")
    assert [piece_size(ByteRange(path, *bounds)) for bounds in ((), (3,), (3, 5), (9,))] == [8, 5, 2, 0]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.txt", "a.txt", "c.csv", ".hidden.txt", "sub/d.txt", "sub/deep/e.txt", ".git/f.txt", "odd[1]*.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x\n")
    (tmp_path / "1.txt").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["b.txt"], ["b.txt"]),
        (["."], ["a.txt", "b.txt", "c.csv", "odd[1]*.txt"]),
        (["*.txt"], ["a.txt", "b.txt", "odd[1]*.txt"]),
        (["**/*.txt"], ["a.txt", "b.txt", "odd[1]*.txt", "sub/d.txt", "sub/deep/e.txt"]),
        (["sub", "a.txt"], ["sub/d.txt", "a.txt"]),
        (["b.txt", "*.txt", "./a.txt", "sub/../b.txt"], ["b.txt", "a.txt", "odd[1]*.txt"]),
        (["odd[1]*.txt"], ["odd[1]*.txt"]),
        (["odd[[]1[]]*"], ["odd[1]*.txt"]),
        ([".hidden.txt"], [".hidden.txt"]),
    ],
)
def test_paths_globs_and_folders_name_files_once(tree: Path, patterns: list[str], found: list[str]) -> None:
    assert find_files(patterns) == found


BESIDE = (
    *("_SUCCESS", "_metadata", "_common_metadata", "_committed_12", "_started_12"),
    *(".part-0.crc", "part-0.md5", "part-0.sha256", "SHA256SUMS", "MD5SUMS"),
)


def test_what_stands_beside_the_files_of_a_folder_is_none_of_them_unless_it_is_named(tmp_path: Path) -> None:
    meant = ["_data.csv", "_metadata.csv", "crc", "empty", "part-0"]
    for name in [*BESIDE, *meant]:
        (tmp_path / name).touch()
    for pattern in (str(tmp_path), f"{tmp_path}/*"):
        assert [Path(path).name for path in find_files([pattern])] == meant
    named = [f"{tmp_path}/_SUCC*", f"{tmp_path}/MD5SUMS"]
    assert [Path(path).name for path in find_files(named)] == ["_SUCCESS", "MD5SUMS"]


@pytest.mark.parametrize("pattern", ["nothing.txt", "*.json", "empty", "**/*.nothing"])
def test_a_pattern_that_names_nothing_is_an_error(tree: Path, pattern: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no file at '{re.escape(pattern)}'"):
        find_files(["a.txt", pattern])


def test_a_file_under_another_name_is_the_same_file(tree: Path) -> None:
    (tree / "link.csv").symlink_to("c.csv")
    assert find_files(["c.csv", "*.csv"]) == ["c.csv"]


def test_a_pipe_is_refused(tree: Path) -> None:
    os.mkfifo("pipe")
    with pytest.raises(OSError, match="no regular file: 'pipe'; give - and pipe it in instead"):
        find_files(["pipe"])


@pytest.mark.parametrize("pattern", [".", "*.txt", "lost.txt"])
def test_a_link_that_has_lost_its_file_is_an_error(tree: Path, pattern: str) -> None:
    (tree / "lost.txt").symlink_to("no such file")
    with pytest.raises(FileNotFoundError, match=r"no file at 'lost\.txt': it is a link to one that is not there"):
        find_files([pattern])


@pytest.mark.parametrize(
    ("pattern", "folder"), [("**/*.txt", "sub/deep"), ("sub/*/e.txt", "sub"), ("*/d.txt", "sub"), ("*.txt", ".")]
)
def test_a_folder_that_may_not_be_looked_into_is_an_error(tree: Path, monkeypatch, pattern: str, folder: str) -> None:
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.normpath(path) != folder and allowed(path, mode))
    with pytest.raises(PermissionError, match=f"cannot look into '{re.escape(folder)}/?': permission denied"):
        find_files([pattern])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error(tree: Path) -> None:
    Path("a.txt").chmod(0)
    with pytest.raises(PermissionError, match=r"cannot read 'a\.txt': permission denied"):
        find_files(["*.txt"])
