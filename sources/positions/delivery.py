"""Which blocks of a source are in the outputs: who has still to acknowledge them, in the order in which they were read.

A source that is wrapped by :class:`sources.positions.source.PositionedSource` gives each block a receipt. The parser
tells
what became of the block, and each sink acknowledges what it was given of it, once that is written, sent or committed.
Where a source stood behind a block is *covered* when this block and all before it are acknowledged by everybody,
whatever the runner did with bundles, threads or the order of steps. A block without a receipt costs nothing.

All of it is in one process: a receipt means nothing in another one.
"""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

_SEPARATOR = "/"


class Position(Protocol):
    """Where reading goes on in one file or partition."""

    @property
    def key(self) -> Hashable:
        """Names the file or partition."""


class Stand(NamedTuple):
    """Where a source is.

    Attributes:
        positions: of each file or partition, or only of those that changed.
        is_whole: whether these are all; the others are done with then.
    """

    positions: tuple[Position, ...] = ()
    is_whole: bool = False

    def then(self, later: Stand) -> Stand:
        """Return the stand after a later one."""
        return later if later.is_whole else Stand((*self.positions, *later.positions), self.is_whole)


@dataclass(eq=False)
class _Block:
    """A block that is under way: where its source was behind it, and how many acknowledgements are missing."""

    stand: Stand
    missing: int = 0
    is_sorted_out: bool = False

    @property
    def is_delivered(self) -> bool:
        return self.is_sorted_out and not self.missing


class Ledger:
    """The blocks of one source, in the order in which it handed them out. Threads may call it as they like."""

    def __init__(self, tracker: Any, sinks: int, *, keeps_rejected: bool, positions: Iterable[Position] = ()) -> None:
        """Start with nothing handed out.

        Args:
            tracker: the source's own memory, for its readers.
            sinks: how many sinks get each batch.
            keeps_rejected: whether a sink gets each rejected record.
            positions: where the source begins.
        """
        self.tracker = tracker
        self._sinks = sinks
        self._keeps_rejected = keeps_rejected
        self._lock = threading.Lock()
        self._under_way: deque[_Block] = deque()
        self._first = 0
        self._covered: dict[Hashable, Position] = {position.key: position for position in positions}

    def hand_out(self, stand: Stand) -> int:
        """Note that a block is handed out, behind which the source has this stand; return the number of the block."""
        with self._lock:
            self._under_way.append(_Block(stand))
            return self._first + len(self._under_way) - 1

    def stand(self, stand: Stand) -> None:
        """Note where the source is, with no further block handed out."""
        with self._lock:
            if self._under_way:
                last = self._under_way[-1]
                last.stand = last.stand.then(stand)
            else:
                self._cover(stand)

    def sort_out(self, number: int, batches: int, rejected: int) -> None:
        """Note what a block became; to be called before any of it is handed on."""
        with self._lock:
            block = self._block(number)
            block.missing += batches * self._sinks + (rejected if self._keeps_rejected else 0)
            block.is_sorted_out = True
            self._settle()

    def deliver(self, number: int, count: int = 1) -> None:
        """Note that a sink has written its batch of a block, or so many rejected records of it.

        Raises:
            ValueError: it was given nothing like that.
        """
        with self._lock:
            block = self._block(number)
            if block.missing < count:
                raise ValueError(f"block {number} is acknowledged once too often")
            block.missing -= count
            self._settle()

    def covered(self) -> tuple[dict[Hashable, Position], int]:
        """Return the positions behind the last covered block, and the number of the first block that is not covered."""
        with self._lock:
            return dict(self._covered), self._first

    @property
    def under_way(self) -> int:
        """How many blocks are not covered."""
        return len(self._under_way)

    def _block(self, number: int) -> _Block:
        place = number - self._first
        if not 0 <= place < len(self._under_way):
            raise ValueError(f"block {number} is not under way: {len(self._under_way)} from {self._first} on are")
        return self._under_way[place]

    def _settle(self) -> None:
        while self._under_way and self._under_way[0].is_delivered:
            self._cover(self._under_way.popleft().stand)
            self._first += 1

    def _cover(self, stand: Stand) -> None:
        if stand.is_whole:
            self._covered = {}
        self._covered |= {position.key: position for position in stand.positions}


class Standing(NamedTuple):
    """Where a write to a file has ended.

    Attributes:
        device: with ``inode``, which file it was.
        inode: see there.
        end: the offset behind it.
        size: its bytes.
    """

    device: int
    inode: int
    end: int
    size: int


class Tail(NamedTuple):
    """How much of an output is covered: all before ``size``, and so many of the lines or messages behind that.

    Attributes:
        device: with ``inode``, which file it is; both are 0 of a topic, and of a file that was not there.
        inode: see there.
        size: in bytes, or of a topic in messages.
        lines: see above; the other lines behind ``size`` are of blocks that are not covered.
    """

    device: int
    inode: int
    size: int
    lines: int = 0


class _Write(NamedTuple):
    """A write to a file, and how many lines of it are of which block, by source and number."""

    standing: Standing
    lines: Mapping[tuple[int, int], int]


@dataclass(eq=False)
class _Log:
    """What was written to one output, behind the part that is covered."""

    tail: Tail
    writes: list[_Write] = field(default_factory=list)

    def add(self, write: _Write) -> None:
        """Add a write; what was written to the file before it was rotated is of no use any more."""
        standing = write.standing
        if (standing.device, standing.inode) != (self.tail.device, self.tail.inode):
            self.tail = Tail(standing.device, standing.inode, standing.end - standing.size)
            self.writes.clear()
        self.writes.append(write)

    def advance(self, firsts: Sequence[int]) -> None:
        """Move on over what is covered: of each source, what comes before these blocks."""
        self.writes.sort(key=lambda write: write.standing.end)
        done = 0
        for standing, lines in self.writes:
            if any(block >= firsts[source] for source, block in lines):
                break
            self.tail = self.tail._replace(size=standing.end)
            done += 1
        del self.writes[:done]
        covered = (
            number for write in self.writes for (source, block), number in write.lines.items() if block < firsts[source]
        )
        self.tail = self.tail._replace(lines=sum(covered))


class Delivery:
    """All sources and files of lines of one run.

    Attributes:
        token: is in its receipts.
    """

    def __init__(self) -> None:
        """Start with no source; :func:`find` knows it until it is closed."""
        self.token = uuid.uuid4().hex
        self._ledgers: list[Ledger] = []
        self._logs: dict[str, _Log] = {}
        self._lock = threading.Lock()
        _DELIVERIES[self.token] = self

    def close(self) -> None:
        """Forget it: its receipts mean nothing any more."""
        _DELIVERIES.pop(self.token, None)

    def add(self, ledger: Ledger) -> int:
        """Add the ledger of a source, and return its number."""
        self._ledgers.append(ledger)
        return len(self._ledgers) - 1

    def ledger(self, number: int) -> Ledger:
        """Return the ledger of a source."""
        return self._ledgers[number]

    @property
    def under_way(self) -> int:
        """How many blocks are not covered."""
        return sum(ledger.under_way for ledger in self._ledgers)

    def receipt(self, source: int, block: int) -> str:
        """Return the receipt of a block."""
        return _SEPARATOR.join((self.token, str(source), str(block)))

    def open_log(self, name: str, tail: Tail) -> None:
        """Note how much a file of lines, or a topic, has before the run has written to it."""
        with self._lock:
            self._logs[name] = _Log(tail)

    def log(self, name: str, standing: Standing | None, lines: Mapping[tuple[int, int], int]) -> None:
        """Note a write to an output; one that was not opened is not looked after.

        Args:
            name: of the output.
            standing: where it was written; None for a topic, of which only the number of messages is known.
            lines: how many lines or messages are of which block, by source and number.
        """
        with self._lock:
            if name in self._logs:
                found = self._logs[name]
                if standing is None:
                    number = sum(lines.values())
                    end = found.writes[-1].standing.end if found.writes else found.tail.size
                    standing = Standing(0, 0, end + number, number)
                found.add(_Write(standing, lines))

    def covered(self) -> tuple[list[dict[Hashable, Position]], Mapping[str, Tail]]:
        """Return the positions of each source, and how much of each output belongs to what they cover."""
        found = [ledger.covered() for ledger in self._ledgers]
        firsts = [first for _, first in found]
        with self._lock:
            for log in self._logs.values():
                log.advance(firsts)
            tails = {name: log.tail for name, log in self._logs.items()}
        return [positions for positions, _ in found], tails


#: The deliveries of this process, by their tokens.
_DELIVERIES: dict[str, Delivery] = {}


def find(token: str) -> Delivery:
    """Return the delivery of a token.

    Raises:
        KeyError: it is in another process, or was closed.
    """
    return _DELIVERIES[token]


def sort_out(receipt: str, batches: int, rejected: int) -> None:
    """Tell what the block of a receipt became; to be called before any of it is handed on. Empty receipts are none."""
    if receipt:
        delivery, source, block = _read(receipt)
        delivery.ledger(source).sort_out(block, batches, rejected)


def log(name: str, standing: Standing | None, lines: Mapping[str, int]) -> None:
    """Tell where lines were written, and how many of them are of which receipt; to be called before :func:`deliver`.

    Of messages nobody tells where they are: they have no standing.
    """
    read = {_read(receipt): number for receipt, number in lines.items() if receipt}
    if read:
        delivery = next(iter(read))[0]
        delivery.log(name, standing, {(source, block): number for (_, source, block), number in read.items()})


def deliver(receipt: str, count: int = 1) -> None:
    """Acknowledge a batch of the block of a receipt, or so many of its rejected records. Empty receipts are none."""
    if receipt:
        delivery, source, block = _read(receipt)
        delivery.ledger(source).deliver(block, count)


def _read(receipt: str) -> tuple[Delivery, int, int]:
    token, source, block = receipt.split(_SEPARATOR)
    return find(token), int(source), int(block)
