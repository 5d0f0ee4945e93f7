"""Damage to delimited records: each kind of it leaves something that no reader can take for a good record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from schemas.records import Dialect, RecordType

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
        """Gives a damaged record; never one with a line feed in it."""
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
