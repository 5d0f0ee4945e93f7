"""How a record type is described: its columns, their types, and which of them is the event time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from schemas.forms.delimited import DELIMITED
from schemas.forms.form import Field, Form
from schemas.text.dialect_options import DialectOptions
from schemas.text.text_encoding import is_bytewise
from schemas.time_formats import TimeFormat
from schemas.times import to_micros

ColumnKind = Literal["text", "integer", "decimal", "time", "ip", "boolean"]

#: Digits after the point that a decimal column keeps; more than these is a rejected record, never rounding. Real tape
#: has weights with six.
DECIMAL_PLACES = 9
#: The kinds of which no value is a word.
_NO_WORDS = ("integer", "decimal", "time", "ip")


class Rejected(NamedTuple):
    """A record that could not be used: where it was, why, its bytes as they came, and the receipt of its block."""

    origin: str
    position: int
    reason: str
    raw: bytes
    receipt: str = ""


class Dialect(NamedTuple):
    """How the records of one file or connection are written; found once, not per record.

    Attributes:
        separator: one character between two fields.
        quoted: whether a field may stand in quotes (a quote inside is doubled).
        encoding: ``utf-8``, ``cp1252`` or another in which each byte is a character, and ASCII is ASCII.
        header: the names of the columns, where a header row puts them in another order than the record type does.
        skip: bytes before the first record (byte order mark, what stands before a table, and header row).
        quote: the quote.
        escape: what takes away the meaning of a quote, a separator or itself behind it; empty where nothing does.
        comment: what lines begin with that are no records; empty where none are.
        repeated: a header row, which is no record where it comes again; empty for none.
        width: how many fields a record has whose quotes may be open at a line's end, so that it goes on in the next
            one; 0 where a line is a record.
        multiline: whether such a record is read; otherwise it is rejected.
    """

    separator: str = "\t"
    quoted: bool = False
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    skip: int = 0
    quote: str = '"'
    escape: str = ""
    comment: str = ""
    repeated: str = ""
    width: int = 0
    multiline: bool = False


@dataclass(frozen=True)
class Column:
    """One typed column: its name, how its text is read, and whether a missing value rejects the record."""

    name: str
    kind: ColumnKind = "text"
    required: bool = False

    def __post_init__(self) -> None:
        """Check the kind.

        Raises:
            ValueError: there is none of that name.
        """
        if self.kind not in get_args(ColumnKind):
            kinds = ", ".join(get_args(ColumnKind))
            raise ValueError(f"the column {self.name!r} is of an unknown kind {self.kind!r}: expected {kinds}")


@dataclass(frozen=True)
class RecordType:
    """A kind of record.

    A record without an event time happened when it arrived, if its type allows that: where the event time's column is
    not required, or where there is none.

    Attributes:
        name: what people call it, for messages.
        names: every column, in the order in which they stand in a delimited record without a header row. Of JSON they
            are the fields that are known: others are passed over.
        columns: those that are typed; the others are text.
        event_time: the column that says when it happened; empty where none does.
        time_format: how that is written, where not as all records of the form have it.
        separator: what to take where a sample does not tell.
        form: how the records are written.
        other_times: names that the event time may have in its place, of JSON records of several kinds.
        untimed: the event time, in UTC and without a zone, of a record that has none; None for when it arrived.
        written: what was said of how they are written, before anything is found out.
    """

    name: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    event_time: str
    time_format: TimeFormat | None = None
    separator: str = "\t"
    form: Form = DELIMITED
    other_times: tuple[str, ...] = ()
    untimed: datetime | None = None
    written: DialectOptions = DialectOptions()

    def __post_init__(self) -> None:
        """Check that the typed columns and the event time are among the names."""
        known = set(self.names)
        for column in (*(c.name for c in self.columns), self.event_time):
            if column not in known and column:
                raise ValueError(f"{self.name} has no column {column!r}, only {', '.join(self.names)}")

    @property
    def typed(self) -> dict[str, Column]:
        """The typed columns by name."""
        return {column.name: column for column in self.columns}

    def column(self, name: str) -> Column:
        """Return the column of that name; one that was not typed is text."""
        return self.typed.get(name, Column(name))

    def order(self, dialect: Dialect) -> tuple[str, ...]:
        """Return the columns in the order in which they stand in records of that dialect."""
        return dialect.header or self.names

    def field(self, name: str, dialect: Dialect) -> Field:
        """Return where the column of that name is in records of that dialect."""
        order = self.order(dialect)
        names = (name, *self.other_times) if name == self.event_time else (name,)
        return Field(names, order.index(name) if name in order else -1, dialect.separator, dialect.quoted)

    @property
    def times(self) -> TimeFormat:
        """How times are written."""
        return self.time_format or self.form.times

    @property
    def wide_encoding(self) -> str | None:
        """The encoding that bytes have to be turned from before they are lines; empty for none, None if not known."""
        encoding = self.written.encoding
        return "" if encoding and is_bytewise(encoding) and self.form.has_dialects else encoding

    @property
    def in_utf8(self) -> RecordType:
        """The record type of the same records once their bytes were turned into UTF-8."""
        return replace(self, written=replace(self.written, encoding="utf-8")) if self.wide_encoding else self

    @property
    def tells_words(self) -> bool:
        """Whether a row of words cannot be a record: so it is a header row, whatever it calls the columns."""
        return any(column.required and column.kind in _NO_WORDS for column in self.columns)

    @property
    def takes_arrival(self) -> bool:
        """Whether a record without an event time happened when it arrived."""
        return not (self.event_time and self.column(self.event_time).required)

    def event_micros(self, record: bytes, dialect: Dialect, arrival: int | None = None) -> int | None:
        """Return the event time of one raw record in microseconds, or None where it cannot be read.

        It is ``arrival`` where the record has none and its type allows that. This is for watermarks, a record or two a
        block; parsing reads the rest.
        """
        try:
            field, written = self.field(self.event_time, dialect), record.decode(dialect.encoding, "replace")
            text = self.form.find_time(written, field) if self.event_time else None
            moment = None if text is None else self.times.read(text)
        except (ValueError, RecursionError):
            return None
        if moment is None:
            return arrival if self.takes_arrival else None
        return to_micros(moment)


#: Decimals have 38 digits, the most that Arrow, Avro and Parquet share.
DECIMAL_DIGITS = 38
