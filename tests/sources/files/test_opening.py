"""What a file is compressed by is told by its bytes, whatever it is called, and it is read to its end or not at all."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.record_type import RecordType
from sources.files.chunks import ByteRange, read_chunks
from sources.files.opening import is_compressed, one_line_errors, open_file

TICK = RecordType("tick", ("time", "n"), (), "time")
PACK = {"gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress, "xz": lzma.compress, "": bytes}
NAMES = ["a.txt", "a", "a.gz", "a.GZ", "a.Zst", "a.BZ2", "a.xz", "a.csv.gz"]
#: A frame of zstandard that is to be skipped, as pzstd writes it.
SKIPPED = bytes.fromhex("502a4d180400000001020304")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("opening")


def plain(data: bytes) -> bytes:
    """Leave out what would make it UTF-16, or have other line ends."""
    return data.translate(None, b"\0\r")


def read(path: Path) -> bytes:
    with one_line_errors(str(path)), open_file(str(path)) as file:
        return b"".join(iter(lambda: file.read(7), b""))


@given(st.sampled_from(NAMES), st.sampled_from(list(PACK)), st.lists(st.binary(min_size=1).map(plain), max_size=3))
@example("a.gz", "", [b"time\tn\n"])
@example("a.csv.gz", "xz", [b"1\n", b"2\n"])
@example("a", "bzip2", [b"", b""])
def test_what_was_compressed_by_anything_is_read_under_any_name(folder: Path, name: str, kind: str, parts) -> None:
    path = folder / name
    data = b"text" + b"".join(parts) if kind else b"text"
    path.write_bytes(b"".join(map(PACK[kind], [b"text", *parts])) if kind else data)
    assert read(path) == data
    assert is_compressed(str(path)) == bool(kind)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("behind", [b"garbage", b"\x00\x00garbage", b"BZh9"])
def test_what_follows_a_stream_and_is_none_is_an_error(tmp_path: Path, kind: str, behind: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(PACK[kind](b"1\t2\n" * 99) + behind)
    with pytest.raises(OSError, match=rf"^cannot read '{re.escape(str(path))}' to its end: [^\n]+$"):
        list(read_chunks((ByteRange(str(path)),), TICK, 1 << 16))


def test_streams_may_be_padded_and_frames_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(lzma.compress(b"1\n") + b"\0" * 8 + lzma.compress(b"2\n") + b"\0" * 4)
    assert read(path) == b"1\n2\n"
    path.write_bytes(SKIPPED + zstandard.compress(b"1\n"))
    assert read(path) == b"1\n"


def test_a_zip_archive_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b.csv", "1,2\n")
    told = re.escape(f"cannot read {str(path)!r} to its end: it is a zip archive")
    message = rf"^{told}, .*: unpack it first, as with unzip$"
    with pytest.raises(OSError, match=message):
        is_compressed(str(path))
    with pytest.raises(OSError, match=message):
        read(path)


@pytest.mark.parametrize("data", [b"\x00\x01\x02", b"\x1f\x8c\x08\x00", b"BZh\x00"])
def test_a_file_that_is_neither_compressed_as_its_name_says_nor_text_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(data)
    with pytest.raises(OSError, match="by its name it is compressed, and it begins as neither gzip, zstandard"):
        read(path)
