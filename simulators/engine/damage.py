"""Damage to records: each kind of it leaves something that no reader can take for a good record."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from schemas.record_type import ColumnKind, Dialect, RecordType

T = TypeVar("T")

_RANDOM_BYTES = bytes(byte for byte in range(256) if byte not in b"\0\t\n\r\"',;|")
_NO_NUMBERS = (b"produce", b"2x", b"??", b"--")
_NO_TIMES = (b"yesterday", b"2011-13-45 10:00:00", b"10:00:00", b"\xff\xfe")
_KINDS = 5
_MOST_EXTRA, _MOST_RANDOM = 5, 240


@dataclass(frozen=True)
class DelimitedDamage:
    """Cuts records short, adds fields, puts random bytes in their place, or spoils the number or the time.

    Attributes:
        record: the kind of record.
        dialect: how the records are written.
        number: the column of whole numbers that is spoilt.
    """

    record: RecordType
    dialect: Dialect
    number: str

    def __call__(self, line: bytes, rng: np.random.Generator) -> bytes:
        """Return a damaged record; never one with a line feed in it."""
        separator = self.dialect.separator.encode()
        fields = line.split(separator)
        kind = int(rng.integers(_KINDS))
        if kind == 0 and len(fields) > 1:
            # Between fields, so that no quote stays open and swallows the records behind.
            return separator.join(fields[: int(rng.integers(1, len(fields)))])
        if kind == 1:
            return line + separator * int(rng.integers(1, _MOST_EXTRA, endpoint=True)) + b"0"
        if kind in {0, 2}:
            chosen = rng.integers(len(_RANDOM_BYTES), size=int(rng.integers(1, _MOST_RANDOM)))
            return b"\xff" + bytes(_RANDOM_BYTES[place] for place in chosen.tolist())
        columns = self.record.order(self.dialect)
        name, spoilt = (self.number, _NO_NUMBERS) if kind == 3 else (self.record.event_time, _NO_TIMES)  # noqa: PLR2004
        place = columns.index(name)
        if place < len(fields):
            fields[place] = spoilt[int(rng.integers(len(spoilt)))]
        return separator.join(fields)


_WRONG_TYPES: dict[ColumnKind, tuple[object, ...]] = {
    "integer": ("many", [202], {}, 20.5),
    "decimal": ("a lot", [], {"value": 1}, "1.2.3"),
    "time": ("yesterday", "2019-13-45 10:00:00", [], {}),
    "ip": ("10.0.300.1", "somewhere", "1::2::3", []),
    "boolean": ("perhaps", [], 7),
    "text": ([], {}),
}
_NO_OBJECTS = (b"null", b"[1,2,3]", b'"closed"', b"{'time': 1}", b"<html>502 Bad Gateway</html>", b"NaN")


@dataclass(frozen=True)
class JsonDamage:
    """Cuts records short, gives what is no JSON or no object, leaves fields out, spoils types, or makes bytes no UTF-8.

    Attributes:
        record: the kind of record; only its required columns are left out or spoilt, for others may be anything.
    """

    record: RecordType

    def __call__(self, line: bytes, rng: np.random.Generator) -> bytes:
        """Return a damaged record; never one with a line feed in it."""
        kind = int(rng.integers(5))
        if kind == 0:
            return line[: int(rng.integers(1, len(line)))]
        if kind == 1:
            return _one_of(_NO_OBJECTS, rng)
        if kind == 2:  # noqa: PLR2004
            place = int(rng.integers(len(line), endpoint=True))
            return line[:place] + b"\xff\xfe" + line[place:]
        fields = json.loads(line)
        column = _one_of([column for column in self.record.columns if column.required], rng)
        if kind == 3:  # noqa: PLR2004
            fields.pop(column.name, None)
        else:
            fields[column.name] = _one_of(_WRONG_TYPES[column.kind], rng)
        return json.dumps(fields, separators=(",", ":")).encode()


_LOG_TIME = re.compile(rb"\[[^\]]*\]")
_LOG_STATUS = re.compile(rb'" \d{3} ')
_NO_LOG_TIMES = (b"[yesterday]", b"[06/Foo/2019:17:24:53 +0000]", b"[31/Feb/2019:17:24:53 +0000]", b"[]")
_NO_STATUSES = (b'" OK ', b'" - ', b'" ', b'" 2x2 ')
_NO_LOGS = (b"<html>502 Bad Gateway</html>", b"- - -", b'{"time":1}')


def _one_of(choices: Sequence[T], rng: np.random.Generator) -> T:
    return choices[int(rng.integers(len(choices)))]
