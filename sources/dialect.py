"""Finding out how the records of a file or connection are written: once, from its first bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from schemas.records import Dialect, RecordType

SEPARATORS = ("\t", ",", ";", "|")
#: How much of a file is looked at.
SAMPLE_BYTES = 1 << 18
_MAX_LINES = 2_000


def split_record(line: str, separator: str, quoted: bool) -> list[str]:
    r"""Splits one record without its line end into fields: the rule that all faster ways have to equal.

    In a quoted dialect a field that begins with a double quote runs to the next lone double quote, which a separator or
    the end must follow; a double quote within is doubled. A double quote elsewhere is an ordinary character.

    Raises:
        ValueError: a quoted field is not closed, or something else than a separator follows its end.
    """
    if not quoted or '"' not in line:
        return line.split(separator)
    fields: list[str] = []
    place = 0
    while True:
        if line.startswith('"', place):
            text, place = _quoted_field(line, place + 1)
            fields.append(text)
            if place == len(line):
                return fields
            if line[place] != separator:
                raise ValueError("quoted field not closed, or text after its end")
        else:
            stop = line.find(separator, place)
            fields.append(line[place:] if stop < 0 else line[place:stop])
            if stop < 0:
                return fields
            place = stop
        place += 1


def _quoted_field(line: str, place: int) -> tuple[str, int]:
    """Gives the text of the field whose opening quote is behind us, and the place after its closing quote."""
    text = ""
    while True:
        stop = line.find('"', place)
        if stop < 0:
            raise ValueError("quoted field not closed, or text after its end")
        text += line[place:stop]
        if line[stop + 1 : stop + 2] != '"':
            return text, stop + 1
        text += '"'
        place = stop + 2


def sniff_dialect(head: bytes, record_type: RecordType) -> Dialect:
    """Finds separator, quoting, encoding and header row from the first bytes of a file or connection.

    Where the sample does not tell (it is empty, or garbage), the dialect is the record type's own.
    """
    skip = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    lines = [line.removesuffix(b"\r") for line in head[skip:].split(b"\n")[:_MAX_LINES] if line.strip()]
    if not lines:
        return Dialect(record_type.separator, skip=skip)
    width = len(record_type.names)
    header = _header(lines[0], record_type)
    if header is not None:
        separator, names = header
        width = len(names)
        line_end = head.find(b"\n", skip)
        skip = len(head) if line_end < 0 else line_end + 1
        mapped = names if set(names) >= _wanted(record_type) and len(set(names)) == width else ()
        sample = lines[1:]
    else:
        mapped = ()
        sample = lines
        separator = max(SEPARATORS, key=lambda mark: (_fitting(sample, mark, width), mark == record_type.separator))
    quoted = _is_quoted(sample, separator, width)
    encoding = "utf-8" if skip and head.startswith(codecs.BOM_UTF8) else _encoding(sample, separator, width)
    if header is not None and not quoted and lines[0].startswith(b'"'):
        quoted = True
    return Dialect(separator, quoted, encoding, mapped, skip)


def _wanted(record_type: RecordType) -> set[str]:
    return {record_type.event_time, *record_type.typed}


def _fields(line: bytes, separator: str) -> Iterator[list[str]]:
    """Gives the ways in which a line may be split: as it stands, and with quotes understood."""
    text = line.decode("latin-1")
    yield text.split(separator)
    if '"' in text:
        try:
            yield split_record(text, separator, quoted=True)
        except ValueError:
            return


def _fitting(lines: list[bytes], separator: str, width: int) -> int:
    return sum(any(len(fields) == width for fields in _fields(line, separator)) for line in lines)


def _is_quoted(lines: list[bytes], separator: str, width: int) -> bool:
    """Whether most of the lines in which a field begins with a quote are right by the rules of quoting."""
    mark = separator.encode()
    votes = 0
    for line in lines:
        if line.startswith(b'"') or mark + b'"' in line:
            *_, last = _fields(line, separator)
            votes += 1 if len(last) == width and '"' not in last[0][:1] else -1
    return votes > 0


def _encoding(lines: list[bytes], separator: str, width: int) -> str:
    """UTF-8, unless more of the otherwise right lines beyond ASCII are not UTF-8 than are."""
    votes = 0
    for line in lines:
        if line.isascii() or not any(len(fields) == width for fields in _fields(line, separator)):
            continue
        try:
            line.decode()
            votes += 1
        except UnicodeDecodeError:
            votes -= 1
    return "latin-1" if votes < 0 else "utf-8"


def _header(line: bytes, record_type: RecordType) -> tuple[str, tuple[str, ...]] | None:
    """Gives separator and names where the line is a header row: it has the names, or only words where values belong."""
    for separator in SEPARATORS:
        for fields in reversed(list(_fields(line, separator))):
            names = tuple(field.strip().strip('"').lower() for field in fields)
            if _wanted(record_type) <= set(names):
                return separator, names
            is_words = all(
                name.isascii() and name.replace("_", "").isalnum() and not name[0].isdigit() for name in names
            )
            if len(names) == len(record_type.names) and is_words:
                return separator, names
    return None
