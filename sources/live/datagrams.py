"""Receiving datagrams many at a time: one call of the system for thousands, because each call may lose the GIL."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

#: What is received at once, at most: so many that a thread which gets the interpreter now and then keeps up. Memory of
#: places that were never used is not taken.
MAX_DATAGRAMS = 4_096
#: More than any datagram has, and room for a line end.
_PLACE_BYTES = 1 << 16
_NAME_BYTES = 28
_NEWLINE = ord("\n")
#: Linux: the counters of a socket (4.12 and newer), and which of them are the datagrams that found no room.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")
_MEMINFO_DROPS = 8
#: Linux: a receive buffer beyond what the system allows to everybody, for who may do that.
_SO_RCVBUFFORCE = 33
_MAX_DROPS = 1 << 32


class Received(NamedTuple):
    r"""What one peer sent: whole records, each ended by ``\n``, of so many datagrams."""

    peer: bytes
    data: bytes
    datagrams: int


class Datagrams(Protocol):
    """Receives what waits at a socket."""

    def receive(self) -> list[Received]:
        """Return what waits, by peer, each in its order; nothing if nothing does. Never waits."""
        ...

    def name(self, peer: bytes) -> tuple[str, int]:
        """Return host and port of a peer."""
        ...


def datagrams_of(sock: socket.socket) -> Datagrams:
    """Return the fastest way to receive that the system has."""
    return _ManyAtOnce(sock) if sys.platform == "linux" and _libc_has("recvmmsg") else OneByOne(sock)


def widen(sock: socket.socket, wanted_bytes: int) -> int:
    """Make the receive buffer of a socket as big as is allowed, and return the bytes that were granted."""
    for option in (_SO_RCVBUFFORCE,) if sys.platform == "linux" else ():
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, wanted_bytes)
        except OSError:  # only for who administers the network
            pass
        else:
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    while wanted_bytes > sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)
            break
        except OSError:  # some systems refuse what is too much, Linux takes less
            wanted_bytes //= 2
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def dropped(sock: socket.socket) -> int | None:
    """Return how many datagrams found no room in the receive buffer so far; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError:
        return None
    return int(_MEMINFO.unpack(found)[_MEMINFO_DROPS]) if len(found) == _MEMINFO.size else None


def dropped_since(earlier: int, now: int) -> int:
    """Return the difference of two such counts, which have 32 bits."""
    return (now - earlier) % _MAX_DROPS


class OneByOne:
    """Receives a datagram at a time: for systems that know no better."""

    def __init__(self, sock: socket.socket) -> None:
        """Do not wait at ``sock``."""
        self._sock = sock
        self._place = bytearray(_PLACE_BYTES)
        self._names: dict[bytes, tuple[str, int]] = {}
        sock.setblocking(False)

    def receive(self) -> list[Received]:
        """Return what waits, by peer."""
        found: dict[bytes, list[bytes]] = {}
        for _ in range(MAX_DATAGRAMS):
            try:
                count, peer = self._sock.recvfrom_into(self._place)
            except BlockingIOError:
                break
            if count:
                key = repr(peer).encode()
                self._names[key] = peer[:2]
                data = bytes(memoryview(self._place)[:count])
                found.setdefault(key, []).append(data if data.endswith(b"\n") else data + b"\n")
        return [Received(peer, b"".join(parts), len(parts)) for peer, parts in found.items()]

    def name(self, peer: bytes) -> tuple[str, int]:
        """Return host and port of a peer."""
        return self._names[peer]


class _Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("parts", ctypes.POINTER(_Part)),
        ("number_of_parts", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("size", ctypes.c_uint))


class _ManyAtOnce:
    """Receives with Linux's ``recvmmsg``."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._memory = mmap.mmap(-1, MAX_DATAGRAMS * _PLACE_BYTES)
        self._bytes: npt.NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8)
        self._names = np.zeros((MAX_DATAGRAMS, _NAME_BYTES), np.uint8)
        self._messages: Any = (_Message * MAX_DATAGRAMS)()
        self._parts: Any = (_Part * MAX_DATAGRAMS)()
        start, names = self._bytes.ctypes.data, self._names.ctypes.data
        for number, (message, part) in enumerate(zip(self._messages, self._parts, strict=True)):
            # A byte less, which is the room for a line end.
            part.base, part.size = start + number * _PLACE_BYTES, _PLACE_BYTES - 1
            message.header.name, message.header.name_size = names + number * _NAME_BYTES, _NAME_BYTES
            message.header.parts, message.header.number_of_parts = ctypes.pointer(part), 1
        words = np.frombuffer(memoryview(self._messages).cast("B"), np.uint32).reshape(MAX_DATAGRAMS, -1)
        self._sizes = words[:, _Message.size.offset // words.itemsize]
        self._starts = np.arange(MAX_DATAGRAMS, dtype=np.int64) * _PLACE_BYTES
        self._call = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)

    def receive(self) -> list[Received]:
        count = self._call(self._sock.fileno(), self._messages, MAX_DATAGRAMS, socket.MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in {errno.EAGAIN, errno.EINTR}:
                return []
            raise OSError(code, os.strerror(code))
        sizes = self._sizes[:count].astype(np.int64)
        starts = self._starts[:count]
        stops = starts + sizes
        # A last line without its end gets one; of an empty datagram there is no line.
        lacks = (self._bytes[stops - 1] != _NEWLINE) & (sizes > 0)
        self._bytes[stops[lacks]] = _NEWLINE
        stops += lacks
        names = self._names[:count]
        if (names == names[:1]).all():
            groups = [np.arange(count)] if count else []
        else:
            _, inverse = np.unique(names, axis=0, return_inverse=True)
            groups = [np.flatnonzero(inverse.ravel() == peer) for peer in range(int(inverse.max()) + 1)]
        found = []
        for group in groups:
            ranges = zip(starts[group].tolist(), stops[group].tolist(), strict=True)
            data = b"".join([self._memory[start:stop] for start, stop in ranges])
            found.append(Received(names[group[0]].tobytes(), data, int((sizes[group] > 0).sum())))
        return [received for received in found if received.data]

    def name(self, peer: bytes) -> tuple[str, int]:
        if self._sock.family == socket.AF_INET6:
            return socket.inet_ntop(socket.AF_INET6, peer[8:24]), int.from_bytes(peer[2:4], "big")
        return socket.inet_ntop(socket.AF_INET, peer[4:8]), int.from_bytes(peer[2:4], "big")


def _libc_has(name: str) -> bool:
    return hasattr(ctypes.CDLL(None), name)
