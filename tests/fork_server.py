"""The process that programs of tests are forked from: it imports what they import, and waits to be asked.

It is run as ``python fork_server.py SOCKET ROOM``, where the socket is one of a pair, and ``ROOM`` as long as the
arguments of a program may be; so is the first variable of its environment. Who asks sends what the program is to
become, in JSON, with its standard streams and a pipe that tells how it ends, and gets the process id.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import json
import logging
import os
import runpy
import select
import socket
import struct
import sys
import tempfile
import termios
import time
import types
import warnings
from pathlib import Path
from typing import Any

#: What the programs import that is not the project's.
_IMPORTS = (
    "apache_beam", "apache_beam.io.unbounded_source", "apache_beam.runners.portability.prism_runner",
    "confluent_kafka.admin", "fastavro", "numpy.char", "numpy.random", "numpy.typing", "polars", "psycopg",
    "pyarrow.parquet", "rich.live", "rich.progress", "rich.table", "sortedcontainers",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "zstandard",
)  # fmt: skip
#: The thread of polars that waits for files to delete, which nothing here ever gives it.
IDLE = "polars-ooc-clea"
#: How many bytes of arguments and environment ``ps`` can show of a program.
ROOM = 1 << 16
HEADER = struct.Struct("!I")


def _serve(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork whenever asked; return None at the end, and in each child what it has to become."""
    children: dict[int, tuple[int, int]] = {}
    while True:
        ready = select.select([control, *children], [], [])[0]
        for watched in children.keys() & set(ready):
            pid, tell = children.pop(watched)
            with contextlib.suppress(BrokenPipeError):
                os.write(tell, HEADER.pack(os.waitpid(pid, 0)[1]))
            os.close(tell)
            os.close(watched)
        if control in ready:
            header, files, *_ = socket.recv_fds(control, HEADER.size, 4)
            if not header:
                return None
            body = control.recv(HEADER.unpack(header)[0], socket.MSG_WAITALL)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the one idle thread
                pid = os.fork()
            if not pid:
                control.close()
                for watched, (_, tell) in children.items():
                    os.close(watched)
                    os.close(tell)
                return json.loads(body), files
            children[os.pidfd_open(pid)] = pid, files.pop()
            for file in files:
                os.close(file)
            control.sendall(HEADER.pack(pid))


def _become(arguments: list[str], cwd: str, env: dict[str, str], files: list[int], new_session: bool) -> None:
    """Make this process what ``python -m`` would have made of it."""
    if new_session:
        os.setsid()
    for standard, file in enumerate(files[:3]):
        os.dup2(file, standard)
    for file in files:
        os.close(file)
    if new_session and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for name in ("stdin", "stdout", "stderr"):
        before = getattr(sys, name)
        is_raw = isinstance(before.buffer, io.RawIOBase)  # PYTHONUNBUFFERED
        mode = "rb" if name == "stdin" else "wb"
        binary = open(before.fileno(), mode, buffering=0 if is_raw else -1, closefd=False)  # noqa: SIM115
        is_by_line = not is_raw and (name == "stderr" or binary.isatty())
        stream = io.TextIOWrapper(
            binary, before.encoding, before.errors, line_buffering=is_by_line, write_through=before.write_through
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    sys.orig_argv = [sys.executable, "-m", *arguments]
    sys.argv = ["-m", *arguments[1:]]
    sys.path[:0] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.modules["__main__"] = types.ModuleType("__main__")
    importlib.invalidate_caches()
    _show([os.fsencode(text) for text in sys.orig_argv], [os.fsencode(f"{name}={text}") for name, text in env.items()])


def _show(arguments: list[bytes], environment: list[bytes]) -> None:
    """Have the system tell others of this process what it would of one that was started so."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    first, last, room, _ = map(int, fields[45:49])  # where the arguments are, and the environment behind its ROOM
    for place, size, texts in ((first, last - first, arguments), (room, ROOM, environment)):
        shown = b"\0".join(texts)
        assert len(shown) < size, f"{len(shown)} bytes do not fit"
        ctypes.memmove(place, shown.ljust(size, b"\0"), size)


def _prepare() -> None:
    """Import; neither a thread nor a handler of logging may stay behind."""
    gc.disable()
    logging.getLogger().addHandler(deaf := logging.NullHandler())
    for name in _IMPORTS:
        with contextlib.suppress(ImportError):  # not installed
            importlib.import_module(name)
    logging.getLogger().removeHandler(deaf)
    threads = sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))
    own = Path("/proc/self/comm").read_text().strip()
    assert set(threads) <= {own, IDLE}, f"imports have started threads: {threads}"
    assert threads.count(own) == 1, f"imports have started threads: {threads}"
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    _prepare()
    if became := _serve(socket.socket(fileno=int(sys.argv[1]))):
        request, files = became
        _become(**request, files=files)
        runpy._run_module_as_main(request["arguments"][0])
