"""Lines: how bytes are cut into records, and the standard input as a source of them."""

from __future__ import annotations

from typing import NamedTuple

#: How much of an overlong record is kept to show.
OVERLONG_KEPT_BYTES = 4096


class Piece(NamedTuple):
    r"""Some whole records, each ended by ``\n``, and the position of the first byte; or one record with a fault.

    ``arrival`` is when they were there, in microseconds of the wall clock.
    """

    data: bytes
    position: int
    fault: str = ""
    arrival: int = 0


class LineCutter:
    r"""Cuts the bytes of one stream into whole records, however they were packed. Pure.

    A record is what stands before a ``\n``; an empty one is a record too. One longer than ``max_record_bytes`` (its
    ``\n`` not counted) becomes a fault that keeps its first 4 KiB, and the stream goes on behind its end. Nothing is
    done per record.

    >>> cutter = LineCutter(max_record_bytes=100)
    >>> cutter.feed(b"a\nb")
    [Piece(data=b'a\n', position=0, fault='', arrival=0)]
    >>> cutter.feed(b"c\n")
    [Piece(data=b'bc\n', position=2, fault='', arrival=0)]
    """

    def __init__(self, max_record_bytes: int) -> None:
        self._max_record_bytes = max_record_bytes
        self._tail = bytearray()
        self._position = 0
        self._skipping = False

    @property
    def received(self) -> int:
        """How many bytes came so far."""
        return self._position + len(self._tail)

    @property
    def is_in_record(self) -> bool:
        """Whether a record has begun that has no line end yet."""
        return bool(self._tail)

    def feed(self, packet: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete, in order."""
        if self._skipping:
            end = packet.find(b"\n") + 1
            self._position += end or len(packet)
            if not end:
                return []
            self._skipping = False
            packet = packet[end:]
        pieces: list[Piece] = []
        end = packet.rfind(b"\n") + 1
        if end:
            pieces = self._cut(bytes(self._tail) + packet[:end] if self._tail else packet[:end])
            self._tail = bytearray(packet[end:])
        else:
            self._tail += packet
        if len(self._tail) > self._max_record_bytes:
            pieces.append(self._overlong(self._tail, self._position))
            self._position += len(self._tail)
            self._tail.clear()
            self._skipping = True
        return pieces

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes of a record wait for its line end."""
        return len(self._tail)

    def give_up(self, fault: str) -> list[Piece]:
        """Make a fault of the record that has begun, whose rest is passed over when it comes."""
        if not self._tail:
            return []
        piece = self._overlong(self._tail, self._position)._replace(fault=fault)
        self._position += len(self._tail)
        self._tail = bytearray()  # clearing it would keep its memory
        self._skipping = True
        return [piece]

    def end(self, torn: str = "") -> list[Piece]:
        r"""End the stream: bytes without a ``\n`` are a last record, or a faulty one where ``torn`` says why."""
        if not self._tail:
            return []
        data, position = bytes(self._tail), self._position
        self._position += len(data)
        self._tail.clear()
        return [Piece(data, position, torn) if torn else Piece(data + b"\n", position)]

    def _cut(self, data: bytes) -> list[Piece]:
        """Cut whole records where one of them is too long."""
        base, limit = self._position, self._max_record_bytes
        self._position += len(data)
        pieces: list[Piece] = []
        start = place = 0
        # Every record up to `place` is short enough; a look back from the farthest end that the next may have skips
        # as many records as fit.
        while len(data) - place > limit + 1:
            end = data.rfind(b"\n", place, place + limit + 1) + 1
            if end:
                place = end
                continue
            if place > start:
                pieces.append(Piece(data[start:place], base + start))
            pieces.append(self._overlong(data[place : place + OVERLONG_KEPT_BYTES], base + place))
            start = place = data.find(b"\n", place) + 1
        if start < len(data):
            pieces.append(Piece(data[start:] if start else data, base + start))
        return pieces

    def _overlong(self, data: bytes | bytearray, position: int) -> Piece:
        """Return the fault for a record that begins with ``data``."""
        kept = bytes(data[: min(OVERLONG_KEPT_BYTES, self._max_record_bytes)])
        return Piece(kept, position, f"record longer than {self._max_record_bytes} bytes")
