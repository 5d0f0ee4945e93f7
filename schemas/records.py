"""How a record type is described: its columns, their types, and which of them is the event time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from schemas.units import to_micros

Kind = Literal["text", "integer", "decimal", "time"]

#: Digits after the point that a decimal column keeps; more than these is a rejected record, never rounding. Real tape
#: has weights with six.
DECIMAL_PLACES = 9


class Rejected(NamedTuple):
    """A record that could not be used: where it was, why, and its bytes as they came."""

    origin: str
    position: int
    reason: str
    raw: bytes


class Dialect(NamedTuple):
    """How the records of one file or connection are written; found once, not per record.

    Attributes:
        separator: one character between two fields.
        quoted: whether a field may stand in double quotes (a double quote inside is doubled).
        encoding: ``utf-8`` or ``latin-1``.
        header: the names of the columns, where a header row puts them in another order than the record type does.
        skip: bytes before the first record (byte order mark and header row).
    """

    separator: str = "\t"
    quoted: bool = False
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    skip: int = 0


@dataclass(frozen=True)
class Column:
    """One typed column: its name, how its text is read, and whether a missing value rejects the record."""

    name: str
    kind: Kind = "text"
    required: bool = False


@dataclass(frozen=True)
class RecordType:
    """A kind of delimited record.

    Attributes:
        name: what people call it, for messages.
        names: every column, in the order in which they stand in a record without a header row.
        columns: those that are typed; the others are text.
        event_time: the column that says when it happened.
        time_format: its ``strptime`` format.
        separator: what to take where a sample does not tell.
    """

    name: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    event_time: str
    time_format: str = "%Y-%m-%d %H:%M:%S"
    separator: str = "\t"

    def __post_init__(self) -> None:
        """Checks that the typed columns and the event time are among the names."""
        for column in (*(c.name for c in self.columns), self.event_time):
            if column not in self.names:
                raise ValueError(f"{self.name} has no column {column!r}, only {', '.join(self.names)}")

    @property
    def typed(self) -> dict[str, Column]:
        """The typed columns by name."""
        return {column.name: column for column in self.columns}

    def column(self, name: str) -> Column:
        """Gives the column of that name; one that was not typed is text."""
        return self.typed.get(name, Column(name))

    def order(self, dialect: Dialect) -> tuple[str, ...]:
        """Gives the columns in the order in which they stand in records of that dialect."""
        return dialect.header or self.names

    def event_micros(self, record: bytes, dialect: Dialect) -> int | None:
        """Gives the event time of one raw record in microseconds, or None where it cannot be read.

        This is for watermarks, a record or two a block; parsing reads the rest.
        """
        place = self.order(dialect).index(self.event_time)
        fields = record.split(dialect.separator.encode(), place + 1)
        if len(fields) <= place:
            return None
        text = fields[place].strip(b'"\r\n').decode("ascii", "replace")
        try:
            return to_micros(datetime.strptime(text, self.time_format))
        except ValueError:
            return None
