"""Stand-ins for the outside world: a clock that moves when told to, and peers that behave as badly as told to."""

from __future__ import annotations

import contextlib
import pickle
import random
import socket
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP

from schemas.elements.block import Block
from tests.patience import PATIENCE_SECONDS

_CLOCKS: weakref.WeakValueDictionary[int, FakeClock] = weakref.WeakValueDictionary()


class FakeClock:
    """Seconds that pass only when somebody says so. A pickled copy is the same clock."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        _CLOCKS[id(self)] = self

    def __reduce__(self) -> tuple[Callable[[int], FakeClock], tuple[int]]:
        return _clock_of, (id(self),)

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


def _clock_of(number: int) -> FakeClock:
    return _CLOCKS[number]


class Value:
    """A state of one value, or a timer of Beam's: what was last written or set."""

    def __init__(self) -> None:
        self.value: Any = None

    def read(self) -> Any:
        return self.value

    def write(self, value: Any) -> None:
        self.value = value

    set = write

    def clear(self) -> None:
        self.value = None


class Bag:
    """A state of many values of Beam's."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def read(self) -> Iterator[Any]:
        return iter(list(self.values))

    def add(self, value: Any) -> None:
        self.values.append(value)

    def clear(self) -> None:
        self.values = []


class Steps:
    """One step as several workers have it: any of them may get the next call, the same ones each time."""

    def __init__(self, step: Any, workers: int = 1) -> None:
        self.workers = [pickle.loads(pickle.dumps(step)) for _ in range(workers)]
        for worker in self.workers:
            worker.setup()
        self._random = random.Random(1)  # noqa: S311 - the same turns each time

    def any(self) -> Any:
        return self._random.choice(self.workers)


class Driver:
    """Drives a reader by hand, as Beam would, and keeps what it hands out. Its watermark may never go back."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.blocks: list[Block] = []
        self.watermark = MIN_TIMESTAMP
        self._step = reader.start

    @property
    def data(self) -> bytes:
        """The bytes of all records that have no fault."""
        return b"".join(block.data for block in self.blocks if not block.fault)

    @property
    def faults(self) -> list[tuple[bytes, str]]:
        return [(block.data, block.fault) for block in self.blocks if block.fault]

    @property
    def is_ended(self) -> bool:
        return self.watermark >= MAX_TIMESTAMP

    def step(self) -> bool:
        """Starts or advances once; tells whether there was a block."""
        has_block = self._step()
        self._step = self.reader.advance
        if has_block:
            self.blocks.append(self.reader.get_current())
            self.reader.get_current_timestamp()
        watermark = self.reader.get_watermark()
        assert watermark >= self.watermark, f"went back from {self.watermark} to {watermark}"
        self.watermark = watermark
        return has_block

    def until(self, is_enough: Callable[[Driver], bool], seconds: float = PATIENCE_SECONDS) -> Driver:
        """Goes on until there is enough, and fails where that takes too long."""
        deadline = time.monotonic() + seconds
        while not is_enough(self):
            assert time.monotonic() < deadline, f"still not after {seconds} s; got {self.blocks!r:.2000}"
            if not self.step():
                time.sleep(0.002)
        return self

    def until_records(self, count: int) -> Driver:
        return self.until(lambda driver: driver.data.count(b"\n") >= count)

    def until_end(self) -> Driver:
        return self.until(lambda driver: driver.is_ended)


def reset_connection(sock: socket.socket) -> None:
    """Closes a connection the way a crashed peer does: with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def listening(port: int = 0) -> Iterator[socket.socket]:
    """Gives a listening socket on loopback; a port that was just used may be used again."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(64)
        sock.settimeout(PATIENCE_SECONDS)
        yield sock


@contextlib.contextmanager
def serving(connections: Iterable[bytes], port: int = 0) -> Iterator[int]:
    """Serves one payload a connection, closing each, then no more; gives the port."""
    with listening(port) as server:

        def serve() -> None:
            for payload in connections:
                peer, _ = server.accept()
                with peer:
                    peer.sendall(payload)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
