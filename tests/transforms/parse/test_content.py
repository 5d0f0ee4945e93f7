"""What inputs seem to be: a table of examples, and that nothing makes it fail."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import zipfile

import fastavro
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.forms.access_log import ACCESS_LOG
from schemas.forms.delimited import DELIMITED
from schemas.forms.json_lines import JSON_LINES
from simulators.registers import write_tape
from transforms.parse.content import HEAD_BYTES, describe, identify

FORMS = (DELIMITED, JSON_LINES, ACCESS_LOG)
ROWS = [{"a": number, "b": "x"} for number in range(3)]
TABLE = pl.DataFrame(ROWS)
COMMON = '10.0.0.1 - - [06/May/2019:17:24:53 +0000] "GET / HTTP/1.1" 500 12\n'
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def written(write) -> bytes:
    sink = io.BytesIO()
    write(sink)
    return sink.getvalue()


def zipped(*names: str) -> bytes:
    def write(sink: io.BytesIO) -> None:
        with zipfile.ZipFile(sink, "w") as archive:
            for name in names:
                archive.writestr(name, "content")

    return written(write)


def database() -> bytes:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE TABLE t (a)")
        return connection.serialize() if hasattr(connection, "serialize") else b"SQLite format 3\0" + bytes(84)
    finally:
        connection.close()


SCHEMA = {"type": "record", "name": "row", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}
OTHER_LOG = "a log in another format than the common or combined one"
EXAMPLES = [
    (b"", "empty"),
    (b" \r\n\n", "empty"),
    (gzip.compress(LINES.encode()), "a gzip file"),
    (pa.compress(LINES.encode(), "zstd", asbytes=True), "a zstandard file"),
    (bz2.compress(b"a"), "a bzip2 file"),
    (lzma.compress(b"a"), "an xz file"),
    (zipped("data.csv"), "a zip archive"),
    (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook"),
    (zipped("docProps/app.xml", "xl/worksheets/sheet1.xml"), "an Excel workbook"),
    (written(TABLE.write_parquet), "a Parquet file"),
    (written(TABLE.write_ipc), "an Arrow file"),
    (written(lambda sink: fastavro.writer(sink, SCHEMA, ROWS)), "an Avro file"),
    (database(), "an SQLite database"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF file"),
    (LINES.encode("utf-16"), "UTF-16 text"),
    (LINES.encode("utf-16-le"), "UTF-16 text"),
    (LINES.encode("utf-16-be"), "UTF-16 text"),
    (LINES.encode("utf-32"), "UTF-32 text"),
    (bytes(range(256)), "a binary file"),
    (bytes(100), "a binary file"),
    (b"\x01\x02\x03\x04data", "a binary file"),
    (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "an HTML page"),
    (b"\n  <html lang='en'>", "an HTML page"),
    (b"<?xml version='1.0'?><rows/>", "XML"),
    (json.dumps(ROWS).encode(), "a JSON array"),
    (json.dumps(ROWS, indent=2).encode(), "a JSON array"),
    (b"\xef\xbb\xbf[\r\n", "a JSON array"),
    (b"[]", "a JSON array"),
    (b"[1.5, 2]", "a JSON array"),
    (json.dumps(ROWS[0], indent=4).encode(), "JSON over several lines"),
    (b'{"rows": [\n{"a": 1},\n{"a": 2}\n]}\n', "JSON over several lines"),
    (LINES.encode(), "JSON lines"),
    (b"\xef\xbb\xbf" + LINES.encode(), "JSON lines"),
    (COMMON.encode(), "an access log"),
    ((COMMON.rstrip() + ' "-" "curl/8"\n').encode(), "an access log"),
    (b"1.2.3.4 [06/May/2019:17:24:53 +0000] GET / 500\n", OTHER_LOG),
    (
        b"#Version: 1.0\n#Fields: date time c-ip\n2019-05-06 17:24:53 1.2.3.4\n",
        OTHER_LOG,
    ),
    (
        b"[Wed Oct 11 14:32:52.123 2000] [error] [client 127.0.0.1] denied\n",
        OTHER_LOG,
    ),
    (b"time,ip,status\n1,2,3\n", "delimited text"),
    (b'a;"b;c"\n1;2\n3;', "delimited text"),
    (b"a\tb\r\n1\t2\r\n", "delimited text"),
    ("preis;stück\n1;2\n".encode("latin-1"), "delimited text"),
    (b"[2024-01-01 12:00:00] it began\n", None),
    (b"just words\nand more, of them\n", None),
    (b"{", None),
]


@pytest.mark.parametrize(("head", "name"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_what_it_seems_to_be(head, name):
    found = identify(head)
    assert (found and found.name) == name


def test_tape_is_delimited(tmp_path):
    assert identify(write_tape(tmp_path / "tape.tsv", 50).read_bytes()).form == DELIMITED


pieces = (
    st.sampled_from([magic for magic, _ in EXAMPLES]) | st.binary(max_size=50) | st.text(max_size=50).map(str.encode)
)


@given(st.lists(pieces, max_size=4).map(b"".join), st.integers(0, 500), st.sampled_from(FORMS))
@example(b"[" * 5_000, 5_000, JSON_LINES)
@example(b'{"a":' * 900, 5_000, DELIMITED)
def test_no_bytes_make_it_fail_and_what_is_said_is_one_line(head, most, form):
    head = head[:most]
    said = describe(head, form)
    assert "\n" not in said
    assert identify(head) == identify(head[:HEAD_BYTES])
    content = identify(head)
    # It says something of all that it knows and that was not expected, and what to do.
    assert bool(said) == (content is not None and content.form != form)
    assert not said or not said.endswith((": ", ":"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("head", "name"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_whatever_was_expected_there_is_something_to_do(head, name, form):
    said = describe(head, form)
    assert (said == "") == (name is None or identify(head).form == form)
