"""What a form of records is: all that sources, parsers and messages have to know of the way records are written."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from schemas.time_formats import TimeFormat

if TYPE_CHECKING:
    import polars as pl


class Field(NamedTuple):
    """A field that is looked for in raw records.

    Attributes:
        names: what it is called in records that name their fields; the first that a record has counts.
        place: which one it is in records that do not, from 0 on; -1 for none of them.
        separator: what stands between two fields there.
        quoted: whether fields there may be in double quotes.
    """

    names: tuple[str, ...]
    place: int = -1
    separator: str = "\t"
    quoted: bool = False


class Form(ABC):
    """How records are written: one class, in a file of its own, for each way.

    A record is a line in every form, so that sources can cut bytes without looking into them. A form has no state, and
    its objects are equal if their classes are.

    Attributes:
        name: what its records are called where they are expected, in the plural.
        parser: what parses blocks of it, a :class:`transforms.parse.parser.BlockParser`, as ``module:class``: schemas
            import no transforms, and simulators no Beam.
        times: how its records write times, if their type does not say otherwise.
        has_dialects: whether separator, quotes, encoding and header row differ from file to file.
        is_json: whether a record is a JSON object.
    """

    name: ClassVar[str]
    parser: ClassVar[str]
    times: ClassVar[TimeFormat]
    has_dialects: ClassVar[bool] = False
    is_json: ClassVar[bool] = False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @abstractmethod
    def find_time(self, record: str, field: Field) -> str | None:
        """Return the text of a time in one raw record; None where it has none.

        Raises:
            ValueError: this is no such record.
        """

    @abstractmethod
    def find_times(self, records: pl.Series, field: Field) -> pl.Series:
        """Return the texts of a time in raw records, null where one has none.

        This is for pacing: where records are odd, other texts may be found than ``find_time`` finds.
        """

    def sequence_pattern(self, field: Field) -> re.Pattern[bytes]:
        """Return what finds the sequence number, of up to SEQUENCE_DIGITS digits, of each record in a block.

        Raises:
            ValueError: records have none.
        """
        raise ValueError(f"{self.name} have no sequence numbers, got {field.names[0]!r}")


#: Sequence numbers have so many digits at most: these fit into 64 bits, whatever they are.
SEQUENCE_DIGITS = 18
SEQUENCE_NUMBER = rb"([0-9]{1,%d})" % SEQUENCE_DIGITS
