"""Each file of the corpus is read as it is meant, whatever wrote it."""

from __future__ import annotations

import re

import pytest

from schemas.elements.block import Block, Span
from schemas.text.dialect_options import DialectOptions
from sources.files.chunks import ByteRange, read_chunks
from sources.files.follow import FollowLines
from sources.read import Read
from tests.schemas.text.corpus import CASES, Case, Row
from transforms.untyped.fields import FieldParser
from transforms.untyped.infer_schema import find_shape
from transforms.untyped.json_fields import FIELD

PLAIN = DialectOptions()


def read(path: str, written: DialectOptions = PLAIN, chunk_bytes: int = 1 << 20) -> Case:
    """Read a file as a relay does that looks into its records."""
    shape = find_shape([path], "csv", written=written)
    parser = FieldParser(shape, shape.names)
    rows: list[Row] = []
    rejected = records = 0
    for chunk in read_chunks((ByteRange(path),), shape.record_type, chunk_bytes):
        parsed = parser(Block(chunk.data, (Span(0, path, chunk.offset),), chunk.dialect, fault=chunk.fault))
        rejected += len(parsed.rejected)
        records += parsed.records
        if parsed.rows.height:
            rows += parsed.rows.select(FIELD + name for name in shape.names).rows()
    is_named = any(name != f"column_{number}" for number, name in enumerate(shape.names, 1))
    others = "-" * rejected + "#" * (records - rejected - len(rows))
    return Case(b"", shape.names if is_named else None, tuple(rows), others)


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_read_as_it_is_meant(name, tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(CASES[name].data)
    assert read(str(path)) == CASES[name]._replace(data=b"")


MANY_LINES = b'id,note\n1,"two\nlines"\n2,one\n3,"a\n\n""b"", c"\n'


@pytest.mark.parametrize(
    ("data", "options", "names", "rows", "others"),
    [
        (MANY_LINES, {"multiline": True}, "id note", ("1~two\nlines", "2~one", '3~a\n\n"b", c'), ""),
        (b"a:b\n1:2\n", {"delimiter": ":"}, "a b", ("1~2",), ""),
        (b"1,2\n3,4\n", {"header": True}, "1 2", ("3~4",), ""),
        (b"a,b\nc,d\n", {"header": False}, "", ("a~b", "c~d"), ""),
        (b"x\ny,z,w\na,b\n1,2\n", {"skip_lines": 2}, "a b", ("1~2",), ""),
        (b"a,b\n// no\n1,2\n# 3,4\n", {"comment": "//"}, "a b", ("1~2", "# 3~4"), "#"),
        (b"a,b\n^x,y^,z\n", {"quote": "^"}, "a b", ("x,y~z",), ""),
        (b'a,b\n"x,y\n', {"quote": ""}, "a b", ('"x~y',), ""),
        (b"a,b\nx!,y,z\n", {"escape": "!"}, "a b", ("x,y~z",), ""),
        ("a,b\nż,ó\n".encode("cp1250"), {"encoding": "cp1250"}, "a b", ("ż~ó",), ""),
        ("名,b\n日本,語\n".encode("shift_jis"), {"encoding": "shift_jis"}, "名 b", ("日本~語",), ""),
        ("a,b\nx,y\n".encode("utf-16-be"), {"encoding": "utf-16-be"}, "a b", ("x~y",), ""),
        ("é,b\nx,y\n".encode("utf-16-le")[:-1], {}, "é b", (), "-"),
        (b"a,b\nx,\x81\n\xe9,y\n", {"encoding": "cp1252"}, "a b", ("é~y",), "-"),
    ],
)
def test_what_is_said_goes_first(data, options, names, rows, others, tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    expected = tuple(tuple(row.split("~")) for row in rows)
    found = read(str(path), DialectOptions(**options))
    assert found == Case(b"", tuple(names.split()) or None, expected, others)


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "cp1251", "cp437"])
def test_text_in_an_encoding_that_its_bytes_do_not_tell_is_refused_by_name(encoding, tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes("a,b\n表示、ü Привет\n".encode(encoding, "ignore") * 3)
    message = rf"cannot read '{re.escape(str(path))}': its text is neither UTF-8 .*: say .* as --encoding [a-z0-9_]+$"
    with pytest.raises(OSError, match=message):
        Read(path, find_shape([str(path)], "csv").record_type)
    written = DialectOptions(encoding=encoding)
    Read(path, find_shape([str(path)], "csv", written=written).record_type)


@pytest.mark.parametrize("data", ["a,b\n1,2\n".encode("utf-16"), "a,b\n1,2\n".encode("utf-16-be"), b"a,b\r1,2\r" * 2])
def test_what_cannot_be_followed_is_refused(data, tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    source = FollowLines((str(path),), find_shape([str(path)], "csv").record_type, idle_timeout_seconds=1e-9)
    reader = source.create_reader(None, None)
    with pytest.raises(
        OSError, match=rf"cannot follow '{re.escape(str(path))}': its (?:text is UTF-16|lines end in CR)"
    ):
        list(iter(lambda: reader.start() or reader.advance(), None))
    reader.close()


def test_an_empty_file_among_others_decides_nothing_and_one_without_header_may_follow(tmp_path):
    for name, data in (("a", b""), ("b", b"id,n\n1,2\n"), ("c", b""), ("d", b"3,4\n")):
        (tmp_path / name).write_bytes(data)
    assert find_shape([str(tmp_path / name) for name in "abcd"]).names == ("id", "n")
