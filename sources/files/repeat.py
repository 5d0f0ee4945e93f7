"""Files that begin again at their end: the pieces of a replay, repeated without end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.record_type import RecordType
from sources.files.chunks import ByteRange, read_chunks

#: More laps than anybody waits for.
_LAPS = 1 << 40


class Repeat(Sequence[ByteRange]):
    """The same pieces over and over, in order: what a looping :class:`sources.files.replay.FileReplay` reads.

    A mark into it is one as into any other pieces: the number of the piece goes on from lap to lap.

    >>> laps = Repeat([ByteRange("a.csv"), ByteRange("b.csv")])
    >>> laps[3].path
    'b.csv'
    """

    def __init__(self, pieces: Iterable[ByteRange]) -> None:
        """Repeat these."""
        self._pieces = tuple(pieces)

    def __len__(self) -> int:
        return _LAPS * len(self._pieces)

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int) or not 0 <= index < len(self):
            raise IndexError(index)
        return self._pieces[index % len(self._pieces)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Repeat) and self._pieces == other._pieces

    def __hash__(self) -> int:
        return hash(self._pieces)

    def check(self, record_type: RecordType) -> None:
        """See that there is a record: without one the first lap would never give anything.

        Raises:
            ValueError: there is none.
            OSError: a file cannot be read.
        """
        if not any(chunk.data.strip() for chunk in read_chunks(self._pieces, record_type, 1 << 20)):
            raise ValueError(f"no record to loop over in {', '.join(piece.path for piece in self._pieces)}")
