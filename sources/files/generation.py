"""What tells the files apart that stand under one path one after the other: a log and the one that replaced it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import sys

#: Linux: ask about a file that is open, for its birth; where its mask, its seconds and its nanoseconds are.
_EMPTY_PATH, _BIRTH, _ANSWER_BYTES = 0x1000, 0x800, 256
_MASK, _TIME = struct.Struct("<I"), struct.Struct("<qI")
_TIME_AT = 0x50
_NAME_BYTES = 6


def name_generation(handle: int, head: bytes) -> str:
    """Return the name of what stands in an open file: the same whenever it is asked for, and of each file another.

    It is made of the file's inode, of the time when that was made, since systems use inodes again, and of ``head``, its
    first record, since a file may be emptied and written anew. It changes when the file is copied to another place, and
    not when the file is renamed.
    """
    told = f"{os.fstat(handle).st_ino} {born_at(handle)} ".encode()
    return hashlib.blake2b(told + head, digest_size=_NAME_BYTES).hexdigest()


def born_at(handle: int) -> int:
    """Return when a file was made, in nanoseconds since 1970; 0 where the system does not tell."""
    if sys.platform != "linux":
        return int(getattr(os.fstat(handle), "st_birthtime", 0) * 1_000_000_000)
    statx = getattr(ctypes.CDLL(None), "statx", None)
    answer = ctypes.create_string_buffer(_ANSWER_BYTES)
    if statx is None or statx(handle, b"", _EMPTY_PATH, _BIRTH, answer):
        return 0
    seconds, nanoseconds = _TIME.unpack_from(answer, _TIME_AT)
    return int(seconds * 1_000_000_000 + nanoseconds) if _MASK.unpack_from(answer)[0] & _BIRTH else 0
