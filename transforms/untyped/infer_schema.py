"""The shape of records that nobody has described: their columns and which are numbers, from the head of a file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from schemas.forms.json_lines import JSON_LINES
from schemas.object_path import bare
from schemas.record_type import Column, RecordType
from schemas.text.dialect import SAMPLE_BYTES
from schemas.text.dialect_options import DialectOptions
from schemas.text.sniff import Table, sniff_table
from schemas.time_formats import COMMON_TIMES, TimeFormat
from sources.files.chunks import ByteRange, Chunk, read_chunks
from sources.files.opening import COMPRESSED_ENDINGS, one_line_errors, open_file

#: How records are written: fields with separators, one JSON object a line, or just lines.
InputForm = Literal["csv", "jsonl", "lines"]
FORMS: tuple[InputForm, ...] = ("csv", "jsonl", "lines")
_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_MAX_LINES = 1_000
#: Of so many files of JSON the heads are looked at.
_MAX_HEADS = 100
NOTHING_SAID = DialectOptions()


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
        written: what was said of how they are written.
    """

    form: InputForm = "lines"
    names: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()
    time: str = ""
    native: frozenset[str] = frozenset()
    declared: bool = False
    times: TimeFormat = COMMON_TIMES
    written: DialectOptions = DialectOptions()

    @property
    def record_type(self) -> RecordType:
        """What sources have to know: where a header row may be, and the event time."""
        times = (Column(self.time, "time"),) if self.time else ()
        if self.form != "csv":
            return RecordType(
                "record",
                (self.time,) if self.time else (),
                times,
                self.time,
                self.times,
                form=JSON_LINES,
                written=self.written,
            )
        columns = (*times, *(Column(name) for name in self.names if name != self.time))
        return RecordType("record", self.names, columns, self.time, self.times, separator=",", written=self.written)


def find_shape(
    paths: Sequence[str],
    form: InputForm | None = None,
    names: str = "",
    time: str = "",
    *,
    looks_inside: bool = True,
    written: DialectOptions = NOTHING_SAID,
) -> Shape:
    """Find out what records are, from what was said of them, and from files.

    Args:
        paths: the files that they are in; none for live input.
        form: how they are written, where that was said.
        names: their columns as :func:`parse_names` takes them, where they were said.
        time: the column with the event time; empty for none.
        looks_inside: whether their fields are wanted, so that plain lines will not do.
        written: what was said of how they are written.

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
        return Shape(form or "csv", columns, numbers, time, numbers, ":" in names, written=written)
    shape = shape_of_files(paths, form, time, written) if paths else Shape(form or "lines", time=time)
    if paths and shape.form == "csv" and len(shape.names) < 2 and not looks_inside and written == NOTHING_SAID:  # noqa: PLR2004
        shape = Shape("lines")
    shape = shape._replace(written=written)
    if looks_inside and (shape.form == "lines" or (shape.form == "csv" and not shape.names)):
        what = "lines are" if paths else "live input is"
        raise ValueError(
            f"nobody knows how {what} written: say --read-as jsonl, or --names a,b,c for delimited records"
        )
    return shape


def shape_of_files(
    paths: Sequence[str], form: InputForm | None, time: str = "", written: DialectOptions = NOTHING_SAID
) -> Shape:
    """Find the shape of the records of files from their heads.

    Delimited files have to have the columns of the first that has any, or as many without a header row; those of JSON
    are all that the heads have.

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
        known = Shape(form, written=written).record_type
        keys = (name for path in paths[:_MAX_HEADS] for name in _keys(_head(path, known)))
        return Shape(form, tuple(dict.fromkeys(keys)), time=time)
    shape, first = Shape(form), ""
    for path in paths:
        table = _table(path, written)
        if not table.names:
            continue
        if not first:
            shape, first = Shape(form, table.names), path
        is_bare = not table.has_header and len(table.names) == len(shape.names)
        if set(table.names) != set(shape.names) and not is_bare:
            raise ValueError(f"{path!r} has other columns than {first!r}: give them to relays of their own")
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


def head_of(paths: Sequence[str], shape: Shape) -> Chunk | None:
    """Return the first records of the first file that has some, without its header row; None where none has.

    Raises:
        OSError: a file cannot be read.
    """
    chunks = read_chunks(tuple(map(ByteRange, paths)), shape.record_type, SAMPLE_BYTES)
    return next((chunk for chunk in chunks if chunk.fault or chunk.data.strip()), None)


def _head(path: str, record_type: RecordType) -> bytes:
    with one_line_errors(path), open_file(path, record_type.wide_encoding) as file:
        head = file.read(SAMPLE_BYTES) or b""
    return head if len(head) < SAMPLE_BYTES else head[: head.rfind(b"\n") + 1] or head


def _table(path: str, written: DialectOptions) -> Table:
    """Return what the head of a file shows.

    Raises:
        ValueError: its header row has a name twice.
        OSError: it cannot be read.
    """
    record_type = RecordType("record", (), (), "", separator=",", written=written)
    try:
        return sniff_table(_head(path, record_type), record_type.in_utf8)
    except ValueError as error:
        raise ValueError(
            f"the header row of {path!r} {error}, so it names no columns: say --no-header, or --read-as lines"
        ) from None


def _keys(head: bytes) -> tuple[str, ...]:
    """Return the fields of the JSON objects in the order in which they come."""
    names: dict[str, None] = {}
    for line in head.removeprefix(codecs.BOM_UTF8).split(b"\n")[:_MAX_LINES]:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            names |= dict.fromkeys(fields)
    return tuple(names)
