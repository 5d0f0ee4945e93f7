"""Finding out how the records of a file or connection are written: once, from its first bytes."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.record_type import Dialect, RecordType
from schemas.text.dialect import QUOTING_SEPARATORS, SAMPLE_BYTES, SEPARATORS, split_record
from schemas.text.header import clean_names, is_header, is_number_like, match_names
from schemas.text.text_encoding import find_encoding, read_words

_MAX_LINES = 2_000
#: So many of those have quotes; the others are quicker to look at.
_MAX_QUOTED = 150
#: A header row has so many lines before it at most, of a title, an account, or comments.
_MAX_BEFORE = 50
#: Of so many lines at most a record is made whose quotes are open at a line's end.
_MAX_JOINED = 20
_EXCEL = re.compile(rb'"?sep=(.)"?\r?', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9.]*[0-9],[0-9]+ ?.{0,3}")


class Line(NamedTuple):
    """A line that has something in it, without its line end, where it begins, and where the next one does."""

    text: str
    start: int
    after: int
    is_behind_blank: bool = False


class Style(NamedTuple):
    """What stands between and around fields; no quote where nothing may stand around them."""

    separator: str
    quote: str = ""
    escape: str = ""

    def split(self, line: str) -> list[str]:
        """Split a record; nothing where that cannot be."""
        try:
            return split_record(line, self.separator, bool(self.quote), self.quote, self.escape)
        except ValueError:
            return []


class Table(NamedTuple):
    """What the head of a file that nobody has described shows: its columns, and whether a row names them."""

    names: tuple[str, ...]
    has_header: bool


def sniff_dialect(head: bytes, record_type: RecordType) -> Dialect:
    """Find separator, quoting, encoding and header row from the first bytes of a file or connection.

    What was said of them (:attr:`RecordType.written`) goes first. Where the sample does not tell (it is empty, or
    garbage), the dialect is the record type's own. A sample without quotes does not tell whether there may be some
    later: where a comma or semicolon separates, there may, because programs that write those quote only what has to be.
    JSON lines and access logs have no dialects: they are UTF-8.

    A line is the header row if it has every name of the record type once, spelt as there, blanks and quotes around them
    left out; they may be in any order, with others among them. Where a row of words cannot be a record (see
    :attr:`RecordType.tells_words`), it is one as well if it has the names that are typed in another spelling, or, as
    the first line, as many words as there are columns. What stands before it is passed over, if no line of that is a
    record. So is a first line ``sep=;``, as Excel writes it.
    """
    written = record_type.written
    bom = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    if not record_type.form.has_dialects:
        return Dialect(skip=bom)
    sample = _Sample(head, bom, record_type)
    lines = sample.lines
    at, separator, names = sample.find_header(record_type)
    width = len(names) or len(record_type.names)
    body = lines[at + 1 :] if names else lines
    skip = lines[at].after if names else sample.start
    if not separator:
        own = record_type.separator
        separator = sample.likeliest(body, width, own)
    style = sample.style(body or lines[at : at + 1], separator, width)
    fitting = [line.text for line in body if len(style.split(line.text)) == width]
    encoding = written.encoding or ("utf-8" if bom else find_encoding(fitting))
    return Dialect(
        separator,
        quoted=bool(style.quote),
        encoding=encoding,
        header=match_names(names, record_type),
        skip=skip,
        quote=style.quote or '"',
        escape=style.escape,
        comment=sample.comment(lines[:at] if names else lines, body, style, width),
        repeated=lines[at].text.encode("latin-1").decode(encoding, "replace") if names else "",
        multiline=written.multiline,
    )


def sniff_table(head: bytes, record_type: RecordType) -> Table:
    """Find out which columns the records of a file have that nobody has described.

    They are called as its header row calls them, ``column_1``, ``column_2`` and so on where there is none, or where one
    of them has no name. ``record_type`` has what was said of how they are written.

    Raises:
        ValueError: the header row has a name twice.
    """
    bom = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    sample = _Sample(head, bom, record_type)
    lines = [line for line in sample.lines if not sample.is_comment(line)]
    if not lines:
        return Table((), has_header=False)
    style, width = sample.best(lines)
    written = record_type.written
    before = next((at for at, line in enumerate(lines) if len(style.split(line.text)) == width), 0)
    before = before if before <= _MAX_BEFORE and written.header is None else 0
    words = style.split(lines[before].text)
    rows = [fields for line in lines[before + 1 :] if len(fields := style.split(line.text)) == width]
    names = clean_names(read_words(words, written.encoding))
    is_first = not before or all(line.text.startswith("#") for line in lines[:before])
    has_header = written.header
    if has_header is None:
        has_header = is_header([word.strip() for word in words], rows, is_sure=not is_first)
        if has_header and not is_first and not (lines[before].is_behind_blank or _contrasts(words, rows)):
            has_header = False
    if not has_header:
        return Table(tuple(f"column_{number}" for number in range(1, width + 1)), has_header=False)
    again = next((name for name, count in Counter(names).items() if count > 1), None)
    if again is not None:
        raise ValueError(f"has {again!r} twice")
    return Table(names, has_header=True)


def _contrasts(words: list[str], rows: list[list[str]]) -> bool:
    return is_header(words, rows, is_sure=True)


class _Sample:
    """The first lines of some text, and what was said of them."""

    def __init__(self, head: bytes, bom: int, record_type: RecordType) -> None:
        self.written = written = record_type.written
        self.start = bom
        self.separators: Sequence[str] = (written.delimiter,) if written.delimiter else SEPARATORS
        whole = head if len(head) < SAMPLE_BYTES else head[: head.rfind(b"\n") + 1] or head
        for _ in range(written.skip_lines):
            self.start = whole.find(b"\n", self.start) + 1 or len(whole)
        self.lines = list(self._lines(whole))
        told = _EXCEL.fullmatch(self.lines[0].text.encode("latin-1")) if self.lines else None
        if told and len(self.lines) >= 1 and not written.skip_lines:
            if not written.delimiter and told[1].decode("latin-1") in (*SEPARATORS, " ", ":"):
                self.separators = (told[1].decode("latin-1"),)
            self.start = self.lines.pop(0).after

    def _lines(self, text: bytes) -> Iterator[Line]:
        start, is_behind_blank, quoted = self.start, False, 0
        comment = (self.written.comment or "").encode()
        for _ in range(_MAX_LINES):
            stop = text.find(b"\n", start)
            after = stop + 1 or len(text)
            line = text[start : len(text) if stop < 0 else stop].removesuffix(b"\r")
            quoted += b'"' in line or b"'" in line
            if quoted > _MAX_QUOTED:
                return
            if line.strip() and not (comment and line.startswith(comment)):
                yield Line(line.decode("latin-1"), start, after, is_behind_blank)
            is_behind_blank = not line.strip()
            start = after
            if start >= len(text):
                return

    def is_comment(self, line: Line) -> bool:
        """Return whether a line is a comment, as was said."""
        return bool(self.written.comment) and line.text.startswith(self.written.comment or "")

    def find_header(self, record_type: RecordType) -> tuple[int, str, tuple[str, ...]]:
        """Return which line is the header row, what separates its names, and these; no names where there is none."""
        if self.written.header is False:
            return 0, "", ()
        needed = _needed(record_type)
        for at, line in enumerate(self.lines[: _MAX_BEFORE + 1]):
            if at and not (
                needed and all(map(_plain_name(_read_line(line, self.written.encoding)).__contains__, needed))
            ):
                continue
            for separator in self.separators:
                for style in self._styles([line], separator):
                    fields = style.split(line.text)
                    names = _names_in(fields, record_type, self.written.encoding, is_first=not at)
                    if names and not any(len(style.split(before.text)) == len(names) for before in self.lines[:at]):
                        return at, separator, names
        if self.written.header and self.lines:
            separator = max(self.separators, key=lambda mark: self.covered(self.lines, mark, len(record_type.names)))
            words = self.style(self.lines, separator, len(record_type.names)).split(self.lines[0].text)
            return 0, separator, clean_names(read_words(words, self.written.encoding))
        return 0, "", ()

    def _styles(self, lines: Sequence[Line], separator: str) -> list[Style]:
        """Return the ways to split lines, the likelier ones first, but the one without quotes last."""
        written = self.written
        quotes = [written.quote] if written.quote is not None else ['"', "'"]
        found = []
        for quote in filter(None, quotes):
            if written.quote is None and not any(_begins_quoted(line.text, separator, quote) for line in lines):
                continue
            if written.escape is not None:
                escapes = ["" if written.escape == quote else written.escape]
            else:
                is_escaped = quote == '"' and any("\\" + quote in line.text for line in lines)
                escapes = ["", "\\"] if is_escaped else [""]
            found += [Style(separator, quote, escape) for escape in escapes]
        return (
            [*found, Style(separator, "", written.escape or "")]
            if written.quote is None
            else found or [Style(separator, "", written.escape or "")]
        )

    def covered(self, lines: Sequence[Line], separator: str, width: int) -> int:
        """Return how many lines are records of that width, or parts of one, by one way to split them or another."""
        if width > 1 and not any(separator in line.text for line in lines):
            return 0
        ways = [_widths(lines, style, width) for style in self._styles(lines, separator)]
        return sum(any(way[at] for way in ways) for at in range(len(lines)))

    def likeliest(self, lines: Sequence[Line], width: int, own: str) -> str:
        """Return the separator by which most lines have that width, the least looks odd then, or ``own``."""
        covered = {separator: self.covered(lines, separator, width) for separator in self.separators}
        best = [separator for separator in covered if covered[separator] == max(covered.values())]
        if len(best) == 1 or not covered[best[0]]:
            return own if own in best else best[0]
        odd = {mark: _untidiness(lines, self.style(lines, mark, width), width) for mark in best}
        return min(best, key=lambda mark: (odd[mark], mark != own))

    def style(self, lines: Sequence[Line], separator: str, width: int) -> Style:
        """Return what stands around fields: most lines in which a field begins with a quote are right by that."""
        plain = Style(separator, "", self.written.escape or "")
        styles = self._styles(lines, separator)
        if self.written.quote is not None:
            return max(styles, key=lambda style: sum(_widths(lines, style, width)))
        votes: dict[Style, int] = {}
        fits = _widths(lines, plain, width)
        for style in styles[:-1]:
            covered = _widths(lines, style, width)
            begins = [_begins_quoted(line.text, separator, style.quote) for line in lines]
            votes[style] = sum(
                (1 if is_covered else -is_plain)
                for is_covered, is_plain, does_begin in zip(covered, fits, begins, strict=True)
                if does_begin
            )
            if style.quote == "'" and 2 * votes[style] < len(lines):
                del votes[style]
        best = max(votes, key=lambda style: votes[style], default=None)
        if best is not None and votes[best] > 0:
            return best
        if (best is None or votes[best] == 0) and separator in QUOTING_SEPARATORS:
            return Style(separator, '"', self.written.escape or "")
        return plain

    def best(self, lines: Sequence[Line]) -> tuple[Style, int]:
        """Return how to split the lines, and into how many fields, where nobody knows."""
        found: list[tuple[tuple[float, ...], Style, int]] = []
        for order, separator in enumerate(self.separators):
            if not any(separator in line.text for line in lines):
                continue
            for width in self._usual_widths(lines, separator):
                style = self.style(lines, separator, width)
                covered = sum(_widths(lines, style, width))
                rank: tuple[float, ...] = (covered, -_untidiness(lines, style, width), width, -order)
                found.append((rank, style, width))
        alone = len(lines)
        for rank, style, width in sorted(found, reverse=True):
            alone = sum(len(style.split(line.text)) == 1 for line in lines)
            if rank[0] >= alone:
                return style, width
            break
        unused = next((mark for mark in self.separators if not any(mark in line.text for line in lines)), "\x01")
        return self.style(lines, unused, 1), 1

    def _usual_widths(self, lines: Sequence[Line], separator: str) -> list[int]:
        """Return the commonest numbers of fields, more than one, by each way to split."""
        found: dict[int, None] = {}
        for style in self._styles(lines, separator):
            counts = Counter(width for line in lines if (width := len(style.split(line.text))) > 1)
            if counts:
                most = max(counts.values())
                found[next(width for width in counts if counts[width] == most)] = None
        return list(found)

    def comment(self, before: Sequence[Line], body: Sequence[Line], style: Style, width: int) -> str:
        """Return what comments begin with: as was said, or ``#`` where a file begins with some."""
        if self.written.comment is not None:
            return self.written.comment
        is_headed = bool(before) and len(before[0].text) > 1 and before[0].text.startswith("#")
        marked = [line for line in (*before, *body) if line.text.startswith("#")] if is_headed else []
        return "#" if marked and not any(len(style.split(line.text)) == width for line in marked) else ""


def _begins_quoted(line: str, separator: str, quote: str) -> bool:
    return line.startswith(quote) or separator + quote in line


def _widths(lines: Sequence[Line], style: Style, width: int) -> list[bool]:
    """Return which lines are records of that width, or parts of one whose quotes are open at a line's end."""
    if not style.quote and not style.escape:
        return [line.text.count(style.separator) == width - 1 for line in lines]
    found = [False] * len(lines)
    at = 0
    while at < len(lines):
        fields = style.split(lines[at].text)
        last = at
        if not fields and style.quote:
            text = lines[at].text
            for last in range(at + 1, min(at + _MAX_JOINED, len(lines))):
                text += "\n" + lines[last].text
                if style.quote in lines[last].text and (fields := style.split(text)):
                    break
            if len(fields) != width:
                last = at
        if len(fields) == width:
            found[at : last + 1] = [True] * (last + 1 - at)
        at = last + 1
    return found


def _untidiness(lines: Sequence[Line], style: Style, width: int) -> float:
    """Return how much of the fields look as if something else separated: 0 for none of them."""
    others = set("\t,;|\x01") - {style.separator}
    total, odd = 1, 0.0
    for line in lines:
        fields = style.split(line.text)
        if len(fields) != width:
            continue
        total += len(fields)
        for field in fields:
            marks = others & set(field)
            if "," in marks and (_DECIMAL_COMMA.fullmatch(field) or ", " in field):
                marks -= {","}
            odd += 0.5 if marks == {","} else float(bool(marks))
    return odd / total


def _names_in(
    fields: Sequence[str], record_type: RecordType, encoding: str | None, *, is_first: bool
) -> tuple[str, ...]:
    """Return the names in a line, as the record type has them, where it is a header row; else none."""
    if not fields or not record_type.names:
        return ()
    words = clean_names(read_words(fields, encoding))
    counts = Counter(words)
    if all(counts[name] == 1 for name in record_type.names):
        return words
    if not record_type.tells_words:
        return ()
    known = {_plain_name(name): name for name in record_type.names}
    names = tuple(known.get(_plain_name(word), word.lower()) for word in words)
    wanted = {record_type.event_time, *record_type.typed} - {""}
    if wanted <= set(names):
        return names
    is_words = all(
        word.isascii() and word.replace("_", "").isalnum() and not is_number_like(word)
        for word in map(str.strip, fields)
    )
    return names if is_first and len(names) == len(record_type.names) and is_words else ()


def _needed(record_type: RecordType) -> list[str]:
    """Return what a header row has to have somewhere, as plain names."""
    wanted = {record_type.event_time, *record_type.typed} - {""} if record_type.tells_words else record_type.names
    return [_plain_name(name) for name in wanted if not re.fullmatch("column_[0-9]+", name)]


def _read_line(line: Line, encoding: str | None) -> str:
    return read_words([line.text], encoding)[0]


def _plain_name(name: str) -> str:
    """``unitPrice``, ``Unit Price`` and ``unit_price`` are one name."""
    return name.replace("_", "").replace(" ", "").lower()
