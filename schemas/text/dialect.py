"""Finding out how the records of a file or connection are written: once, from its first bytes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from schemas.record_type import Dialect, RecordType

SEPARATORS = ("\t", ",", ";", "|")
_QUOTING_SEPARATORS = (",", ";")
#: How much of a file is looked at.
SAMPLE_BYTES = 1 << 18
_MAX_LINES = 2_000


def split_record(line: str, separator: str, quoted: bool) -> list[str]:
    r"""Split one record without its line end into fields: the rule that all faster ways have to equal.

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
    """Return the text of the field whose opening quote is behind us, and the place after its closing quote."""
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
    """Find separator, quoting, encoding and header row from the first bytes of a file or connection.

    Where the sample does not tell (it is empty, or garbage), the dialect is the record type's own. A sample without
    quotes does not tell whether there may be some later: where a comma or semicolon separates, there may, because
    programs that write those quote only what has to be. JSON lines and access logs have no dialects: they are UTF-8.

    The first line is a header row if it has every name of the record type once, spelt as there, blanks and quotes
    around them left out; they may be in any order, with others among them. Where a row of words cannot be a record (see
    :attr:`RecordType.tells_words`), it is one as well if it has the names that are typed in another spelling, or as
    many words as there are columns.
    """
    bom = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    if not record_type.form.has_dialects:
        return Dialect(skip=bom)
    text = head if len(head) < SAMPLE_BYTES else head[: head.rfind(b"\n") + 1] or head
    lines = [line.removesuffix(b"\r") for line in text[bom:].split(b"\n")[:_MAX_LINES] if line.strip()]
    if not lines:
        return Dialect(record_type.separator, quoted=record_type.separator in _QUOTING_SEPARATORS, skip=bom)
    header = _header(lines[0], record_type)
    if header is not None:
        separator, names = header
        sample, width = lines[1:], len(names)
        line_end = head.find(b"\n", head.index(lines[0], bom))
        skip = len(head) if line_end < 0 else line_end + 1
        mapped = _mapped(names, record_type)
    else:
        sample, width, skip, mapped = lines, len(record_type.names), bom, ()
        separator = max(SEPARATORS, key=lambda mark: (_fitting(sample, mark, width), mark == record_type.separator))
    votes = _quote_votes(sample, separator, width)
    if votes == 0 and header is not None:
        votes = lines[0].count(b'"')
    return Dialect(
        separator,
        quoted=votes > 0 or (votes == 0 and separator in _QUOTING_SEPARATORS),
        encoding="utf-8" if bom else _encoding(sample, separator, width),
        header=mapped,
        skip=skip,
    )


def _wanted(record_type: RecordType) -> set[str]:
    return {record_type.event_time, *record_type.typed} - {""}


def _fields(line: bytes, separator: str) -> Iterator[list[str]]:
    """Return the ways in which a line may be split: as it stands, and with quotes understood."""
    text = line.decode("latin-1")
    yield text.split(separator)
    if '"' in text:
        try:
            yield split_record(text, separator, quoted=True)
        except ValueError:
            return


def _fitting(lines: list[bytes], separator: str, width: int) -> int:
    return sum(any(len(fields) == width for fields in _fields(line, separator)) for line in lines)


def _quote_votes(lines: list[bytes], separator: str, width: int) -> int:
    """Of the lines in which a field begins with a quote: how many more are right by the rules of quoting than not."""
    mark = separator.encode()
    votes = 0
    for line in lines:
        if line.startswith(b'"') or mark + b'"' in line:
            as_it_stands, *understood = map(len, _fields(line, separator))
            if width in understood:
                votes += 1
            elif width == as_it_stands:
                votes -= 1
    return votes


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
    """Return separator and names where the line is a header row."""
    known = {_plain_name(name): name for name in record_type.names}
    for separator in SEPARATORS:
        for fields in reversed(list(_fields(line, separator))):
            words = [as_utf8(field.strip().strip('"')) for field in fields]
            if record_type.names and all(words.count(name) == 1 for name in record_type.names):
                return separator, tuple(words)
            if not record_type.tells_words:
                continue
            names = tuple(known.get(_plain_name(word), word.lower()) for word in words)
            if _wanted(record_type) <= set(names):
                return separator, names
            is_words = all(
                word.isascii() and word.replace("_", "").isalnum() and not word[0].isdigit() for word in words
            )
            if len(names) == len(record_type.names) and is_words:
                return separator, names
    return None


def as_utf8(text: str) -> str:
    """Return a text whose bytes were read as Latin-1 as UTF-8, where they are that."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _plain_name(name: str) -> str:
    """``unitPrice``, ``Unit Price`` and ``unit_price`` are one name."""
    return name.replace("_", "").replace(" ", "").lower()


def _mapped(names: tuple[str, ...], record_type: RecordType) -> tuple[str, ...]:
    """Return the names in their order, or none where the columns stand as usual, however some are called here."""
    order = record_type.names
    is_usual = len(names) == len(order) and all(
        name == usual or name not in order for name, usual in zip(names, order, strict=True)
    )
    if is_usual or len(set(names)) < len(names) or not _wanted(record_type) <= set(names):
        return ()
    return names
