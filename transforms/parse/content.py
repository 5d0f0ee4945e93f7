"""What bytes seem to be that no parser could use: told from their head, once, when a run has failed."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from schemas.forms.access_log import ACCESS_LOG
from schemas.forms.delimited import DELIMITED
from schemas.forms.form import Form
from schemas.forms.json_lines import JSON_LINES
from schemas.text.dialect import SEPARATORS, split_record
from transforms.counting import HEAD_BYTES
from transforms.parse.access_log import LOG_LINE

_CONVERT = "write its rows as CSV or JSON lines"
_UNPACK = "unpack it first"
_NO_RECORDS = "it holds no records"


class Content(NamedTuple):
    """What bytes seem to be.

    Attributes:
        name: what people call it, with its article where it has one.
        remedy: what to do about it; empty where that depends on what was expected.
        form: the form of records that it is, or None for another thing.
    """

    name: str
    remedy: str = ""
    form: Form | None = None


_EXCEL = Content("an Excel workbook", "save the sheet as CSV in UTF-8")
_ZIP = Content("a zip archive", _UNPACK)
_UTF_16 = Content("UTF-16 text", "iconv -f UTF-16 -t UTF-8 turns it into UTF-8")
_UTF_32 = Content("UTF-32 text", "iconv -f UTF-32 -t UTF-8 turns it into UTF-8")
_MAGIC: tuple[tuple[bytes, Content], ...] = (
    (b"\x1f\x8b", Content("a gzip file", "unpack it with gunzip")),
    (b"\x28\xb5\x2f\xfd", Content("a zstandard file", "unpack it with unzstd")),
    (b"BZh", Content("a bzip2 file", _UNPACK)),
    (b"\xfd7zXZ\x00", Content("an xz file", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Content("a 7z archive", _UNPACK)),
    (b"PAR1", Content("a Parquet file", _CONVERT)),
    (b"Obj\x01", Content("an Avro file", _CONVERT)),
    (b"ORC", Content("an ORC file", _CONVERT)),
    (b"ARROW1", Content("an Arrow file", _CONVERT)),
    (b"SQLite format 3\x00", Content("an SQLite database", _CONVERT)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content("an old Excel or Office file", "save the sheet as CSV in UTF-8")),
    (b"\x89PNG", Content("a PNG picture", _NO_RECORDS)),
    (b"\xff\xd8\xff", Content("a JPEG picture", _NO_RECORDS)),
    (b"GIF8", Content("a GIF picture", _NO_RECORDS)),
    (b"%PDF-", Content("a PDF file", _NO_RECORDS)),
    (b"\x7fELF", Content("a program", _NO_RECORDS)),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (codecs.BOM_UTF32_LE, _UTF_32),
    (codecs.BOM_UTF32_BE, _UTF_32),
    (codecs.BOM_UTF16_LE, _UTF_16),
    (codecs.BOM_UTF16_BE, _UTF_16),
)
_BINARY = Content("a binary file", _NO_RECORDS)
_EMPTY = Content("empty", "there is nothing to read in it")
_HTML = Content("an HTML page", "look what its server has sent: it may be an error or a login")
_XML = Content("XML", _CONVERT)
_ARRAY = Content("a JSON array", "jq -c '.[]' writes its objects one a line")
_DOCUMENT = Content("JSON over several lines", "jq -c . writes each object in one line")
_JSON_LINES = Content("JSON lines", form=JSON_LINES)
_DELIMITED = Content("delimited text", form=DELIMITED)
_ACCESS_LOG = Content("an access log", form=ACCESS_LOG)
_OTHER_LOG = Content(
    "a log in another format than the common or combined one", "have the server write one of these, or JSON lines"
)
#: What turns a form into the one that was expected.
_TURN: dict[tuple[Form, Form], str] = {
    (DELIMITED, JSON_LINES): "pipelines.relay --as jsonl makes those of it",
    (JSON_LINES, DELIMITED): "pipelines.relay --as csv makes those of them",
    (ACCESS_LOG, JSON_LINES): "pipelines.errors --format clf reads it",
    (JSON_LINES, ACCESS_LOG): "--format json reads them",
    (DELIMITED, ACCESS_LOG): "have the server write one of these, or JSON lines",
    (ACCESS_LOG, DELIMITED): "pipelines.errors --format clf reads it",
}
_ARRAY_HEAD = re.compile(r'\[\s*(?:$|[{\["\]]|-?[0-9.eE+]+\s*[,\]]|(?:true|false|null)\s*[,\]])')
_TAG = re.compile(r"<(?:\?xml|[a-z!][^>]*>)", re.IGNORECASE)
_HTML_HEAD = re.compile(r"<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
#: A time or a request as web servers log them, the directives of the W3C's format, a time as Apache's error log has it.
_LOG_MARKS = re.compile(
    r"\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}[: ]|^#(?:Fields|Version): "
    r'|"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S+ HTTP/'
    r"|^\[?[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]{2} [0-9:.]+ [0-9]{4}\]"
)
_MOST_LINES = 20
_BLANK = b" \t\r\n\v\f"
#: Control characters that text has.
_OF_TEXT = b"\t\n\v\f\r\x1b"
#: Bytes of which more than a tenth are other control characters are no text.
_MOST_ODD = 0.1
#: So many pairs of bytes have their NUL at the same place, in UTF-16 without a mark.
_LEAST_PAIRS = 0.9


def identify(head: bytes) -> Content | None:
    r"""Return what the first bytes of an input seem to be, or None for text that is nothing known. Pure.

    Only the first HEAD_BYTES count. No bytes make it fail.

    >>> identify(b"\x1f\x8b\x08").name
    'a gzip file'
    >>> identify(b'[\n  {"a": 1},\n  {"a": 2}\n]\n').name
    'a JSON array'
    """
    head = head[:HEAD_BYTES]
    if not head.strip(_BLANK):
        return _EMPTY
    binary = next((content for magic, content in _MAGIC if head.startswith(magic)), None) or _identify_encoding(head)
    if binary is _ZIP and (b"xl/" in head or b"[Content_Types].xml" in head):
        return _EXCEL
    return binary or _identify_text(head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace"))


def describe(head: bytes, form: Form) -> str:
    r"""Return what an input seems to be that is not of the expected form, and what to do; empty where nothing tells.

    >>> describe(b"time,ip\n1,2\n3,4\n", JSON_LINES)
    'seems to be delimited text, and JSON lines are expected: pipelines.relay --as jsonl makes those of it'
    """
    content = identify(head)
    if content is None or content.form == form:
        return ""
    remedy = content.remedy if content.form is None else _TURN.get((content.form, form), _CONVERT)
    return f"seems to be {content.name}, and {form.name} are expected: {remedy}"


def _identify_encoding(head: bytes) -> Content | None:
    """Return what bytes are that are no text in UTF-8 or a code page: text in units of more bytes, or none at all."""
    pairs = len(head) // 2
    zeros = sorted(head[first : 2 * pairs : 2].count(0) for first in (0, 1))
    if not zeros[0] and pairs > 1 and zeros[1] >= pairs * _LEAST_PAIRS:
        return _UTF_16
    odd = sum(byte < ord(" ") and byte not in _OF_TEXT for byte in head)
    return _BINARY if b"\0" in head or odd > len(head) * _MOST_ODD else None


def _identify_text(text: str) -> Content | None:
    start = text.lstrip()
    lines = [line for line in text.splitlines() if line.strip()][:_MOST_LINES]
    kinds: tuple[tuple[Content, Callable[[], object]], ...] = (
        (_HTML, lambda: _HTML_HEAD.match(start)),
        (_XML, lambda: _TAG.match(start)),
        (_ARRAY, lambda: _ARRAY_HEAD.match(start)),
        (_JSON_LINES, lambda: _is_object(lines[0])),
        (_DOCUMENT, lambda: start.startswith("{") and len(lines) > 1),
        (_ACCESS_LOG, lambda: any(LOG_LINE.fullmatch(line) for line in lines)),
        (_OTHER_LOG, lambda: any(_LOG_MARKS.search(line) for line in lines)),
        # The last line may be cut off, where there are others.
        (_DELIMITED, lambda: _is_delimited(lines[:-1] or lines)),
    )
    return next((content for content, is_it in kinds if is_it()), None)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_delimited(lines: list[str]) -> bool:
    """Tell whether some separator cuts all lines into as many fields, more than one."""
    for separator in SEPARATORS:
        try:
            widths = {len(split_record(line, separator, quoted=True)) for line in lines}
        except ValueError:
            continue
        if len(widths) == 1 and widths.pop() > 1:
            return True
    return False
