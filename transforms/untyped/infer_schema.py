"""The shape of records that nobody has described: their columns and which are numbers, from the head of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from schemas.forms.json_lines import JSON_LINES
from schemas.object_path import bare
from schemas.record_type import Column, RecordType
from schemas.text.dialect import SAMPLE_BYTES, SEPARATORS, as_utf8, split_record
from schemas.time_formats import COMMON_TIMES, TimeFormat
from sources.files.chunks import ByteRange, read_chunks
from sources.files.opening import COMPRESSED_ENDINGS, one_line_errors, open_file

#: How records are written: fields with separators, one JSON object a line, or just lines.
InputForm = Literal["csv", "jsonl", "lines"]
FORMS: tuple[InputForm, ...] = ("csv", "jsonl", "lines")
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_MAX_LINES = 1_000
#: Of so many files of JSON the heads are looked at.
_MAX_HEADS = 100


class Shape(NamedTuple):
    """What is known of records before they are read.

    Attributes:
        form: how they are written.
        names: their columns in order; empty where nobody knows them, as of live JSON.
        numbers: the columns in which every value is a number, as far as one could see.
        time: the column with the event time, for the pace of a replay; empty for none.
        native: those of ``numbers`` whose values a whole number of 64 bits or a double keeps with every digit.
        times: how the event time is written.
        declared: whether somebody said which columns have numbers; an exponent is part of a number only then.
    """

    form: InputForm = "lines"
    names: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()
    time: str = ""
    native: frozenset[str] = frozenset()
    declared: bool = False
    times: TimeFormat = COMMON_TIMES

    @property
    def record_type(self) -> RecordType:
        """What sources have to know: where a header row may be, and the event time."""
        times = (Column(self.time, "time"),) if self.time else ()
        if self.form != "csv":
            names = (self.time,) if self.time else ()
            return RecordType("record", names, times, self.time, self.times, form=JSON_LINES)
        columns = (*times, *(Column(name) for name in self.names if name != self.time))
        return RecordType("record", self.names, columns, self.time, self.times, separator=",")


def find_shape(
    paths: Sequence[str], form: InputForm | None = None, names: str = "", time: str = "", *, looks_inside: bool = True
) -> Shape:
    """Find out what records are, from what was said of them, and from files.

    Args:
        paths: the files that they are in; none for live input.
        form: how they are written, where that was said.
        names: their columns as :func:`parse_names` takes them, where they were said.
        time: the column with the event time; empty for none.
        looks_inside: whether their fields are wanted, so that plain lines will not do.

    Raises:
        ValueError: what was said does not go together or with the files, or is not enough.
        OSError: a file cannot be read.
    """
    if names:
        columns, numbers = parse_names(names)
        if form == "lines":
            raise ValueError("lines have no columns: leave out --names, or say --read-as csv")
        if time and time not in columns:
            raise ValueError(f"--time asks for {time!r}, and there is only {', '.join(columns)}")
        return Shape(form or "csv", columns, numbers, time, native=numbers, declared=":" in names)
    shape = shape_of_files(paths, form, time) if paths else Shape(form or "lines", time=time)
    if paths and shape.form == "csv" and len(shape.names) < 2 and not looks_inside:  # noqa: PLR2004
        shape = Shape("lines")
    if looks_inside and (shape.form == "lines" or (shape.form == "csv" and not shape.names)):
        what = "lines are" if paths else "live input is"
        raise ValueError(
            f"nobody knows how {what} written: say --read-as jsonl, or --names a,b,c for delimited records"
        )
    return shape


def shape_of_files(paths: Sequence[str], form: InputForm | None, time: str = "") -> Shape:
    """Find the shape of the records of files from their heads.

    Delimited files have to have the columns of the first; those of JSON are all that the heads have.

    Files that end in ``.jsonl``, ``.ndjson`` or ``.json``, compressed or not, are JSON, others are delimited, unless
    ``form`` says it.

    Raises:
        ValueError: files have different forms or columns, or a header row has a name twice.
        OSError: a file cannot be read.
    """
    form = form or form_of(paths)
    if form == "lines":
        return Shape(form)
    if form == "jsonl":
        keys = (name for path in paths[:_MAX_HEADS] for name in _keys(_head(path)))
        return Shape(form, tuple(dict.fromkeys(keys)), time=time)
    shape: Shape | None = None
    for path in paths:
        names = _columns(_head(path), path)
        if shape is None:
            shape = Shape(form, names)
        elif names and set(names) != set(shape.names):
            raise ValueError(f"{path!r} has other columns than {paths[0]!r}: give them to relays of their own")
    assert shape is not None  # noqa: S101 - there is at least one path
    if time and time not in shape.names:
        raise ValueError(f"no column {time!r}, only {', '.join(shape.names)}")
    return shape._replace(time=time)


def form_of(paths: Iterable[str]) -> InputForm:
    """Tell by the endings of files how they are written.

    Raises:
        ValueError: not all in the same way.
    """
    forms: dict[InputForm, str] = {}
    for path in paths:
        name = bare(path).lower()
        for ending in COMPRESSED_ENDINGS:
            name = name.removesuffix(ending)
        forms["jsonl" if name.endswith(_JSON_ENDINGS) else "csv"] = path
    if len(forms) > 1:
        raise ValueError(f"{forms['jsonl']!r} has JSON lines by its name and {forms['csv']!r} has none: say --read-as")
    return next(iter(forms))


def parse_names(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Parse the names of columns: ``time,item,price:number``; give them, and those of numbers.

    Raises:
        ValueError: a name is empty or there twice, or a kind is unknown.
    """
    names: list[str] = []
    numbers = set()
    for part in text.split(","):
        name, _, kind = part.strip().partition(":")
        if not name or name in names or kind not in ("", "number", "text"):
            raise ValueError(f"expected names such as time,item,price:number, each once, got {text!r}")
        names.append(name)
        if kind == "number":
            numbers.add(name)
    return tuple(names), frozenset(numbers)


def head_of(path: str, shape: Shape) -> tuple[bytes, ByteRange]:
    """Return the first records of a file, without its header row, and the piece that they are of."""
    piece = ByteRange(path)
    chunk = next(iter(read_chunks((piece,), shape.record_type, SAMPLE_BYTES)), None)
    return (b"" if chunk is None or chunk.fault else chunk.data), piece


def _head(path: str) -> bytes:
    with one_line_errors(path), open_file(path) as file:
        head = file.read(SAMPLE_BYTES) or b""
    whole = head if len(head) < SAMPLE_BYTES else head[: head.rfind(b"\n") + 1] or head
    return whole.removeprefix(b"\xef\xbb\xbf")


def _keys(head: bytes) -> tuple[str, ...]:
    """Return the fields of the JSON objects in the order in which they come."""
    names: dict[str, None] = {}
    for line in head.split(b"\n")[:_MAX_LINES]:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            names |= dict.fromkeys(fields)
    return tuple(names)


def _columns(head: bytes, path: str) -> tuple[str, ...]:
    """Return the names of the header row, or ``column_1``, ``column_2`` and so on where there is none.

    A header row has no empty field, none that begins like a number, and no name twice.
    """
    lines = [line.rstrip(b"\r").decode("latin-1") for line in head.split(b"\n")[:_MAX_LINES] if line.strip()]
    if not lines:
        return ()
    words = [word.strip().strip('"') for word in max(_ways(lines), key=lambda way: way[0])[1]]
    is_header = all(word and not word[0].isdigit() and word[0] not in "+-." for word in words)
    if is_header and len(set(words)) < len(words):
        again = next(word for word in words if words.count(word) > 1)
        raise ValueError(f"the first line of {path!r} has {again!r} twice, so it names no columns: say --read-as lines")
    if not is_header:
        return tuple(f"column_{number}" for number in range(1, len(words) + 1))
    return tuple(map(as_utf8, words))


def _ways(lines: list[str]) -> Iterable[tuple[tuple[int, int], list[str]]]:
    """Return the ways to split the first line, each with how many lines have as many fields, and how many these are."""
    yield (0, 1), [lines[0]]
    for separator in SEPARATORS:
        for quoted in (False, True):
            fields = _split(lines[0], separator, quoted=quoted)
            if len(fields) > 1:
                fitting = sum(len(_split(line, separator, quoted=quoted)) == len(fields) for line in lines)
                yield (fitting, len(fields)), fields


def _split(line: str, separator: str, *, quoted: bool) -> list[str]:
    try:
        return split_record(line, separator, quoted)
    except ValueError:
        return []
