"""What the tests of pipelines share: the program in a process of its own, a terminal for it, and the right totals."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import ipaddress
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from schemas.record_type import Dialect
from schemas.tape import TAPE
from schemas.times import parse_duration, to_micros
from tests import forking
from tests.oracle import parse, produce_totals
from tests.patience import PATIENCE_SECONDS, wait_for
from tests.simulators.tools import ROOT
from tests.sinks.terminal import Emulation

#: Every process of a test carries this variable, and so do those that it starts.
_MARK = "TEST_MARK"
_BALANCE = re.compile(
    r"([\d,]+) read = ([\d,]+) used \+ ([\d,]+) filtered \+ (?:([\d,]+) duplicate \+ )?"
    r"([\d,]+) rejected \+ ([\d,]+) late, in "
)
_SALE = (("trans_type", "department"), lambda row: row["trans_type"] in ("I", "D") and row["department"] == 2)

#: What Linux calls a socket of TCP that listens, and one of UDP that takes datagrams from anybody.
_LISTENING = ("0A", "07")
_COLUMNS = ["window_start", "window_end", "upc", "description", "quantity", "scale", "spend", "rows"]

Totals = dict[tuple[int | None, str], list[Any]]


class Balance(NamedTuple):
    read: int
    used: int
    filtered: int
    rejected: int
    late: int


@dataclass(frozen=True)
class Finished:
    """A program that has ended."""

    status: int
    out: str
    err: str

    @property
    def balance(self) -> Balance:
        """The summary, which has to be there once, and to balance."""
        found = _BALANCE.findall(self.err)
        assert len(found) == 1, self.err
        read, used, filtered, duplicate, *others = (int(number.replace(",", "") or 0) for number in found[0])
        balance = Balance(read, used, filtered, *others)
        assert balance.read == sum(balance[1:]) + duplicate, self.err
        return balance

    @property
    def duplicates(self) -> int:
        """How many of the records were copies."""
        found = re.search(r" ([\d,]+) duplicate ", self.err)
        return int(found[1].replace(",", "")) if found else 0

    @property
    def lines(self) -> list[str]:
        """What it said on the standard error, less the lines of progress."""
        return [line for line in self.err.splitlines() if " rows/s · " not in line]


def command(*options: object, program: str = "pipelines.produce") -> list[str]:
    return [sys.executable, "-m", program, *map(str, options)]


def environment(mark: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), _MARK: mark, **(more or {})}


def run(
    *options: object,
    env: Mapping[str, str] | None = None,
    data: bytes | None = None,
    cwd: Path | None = None,
    program: str = "pipelines.produce",
) -> Finished:
    """Runs the pipeline to its end, and sees that it leaves no process behind and no traceback."""
    mark = uuid.uuid4().hex
    done = forking.run(
        command(*options, program=program), data, PATIENCE_SECONDS, cwd=cwd or ROOT, env=environment(mark, env)
    )
    assert_nothing_left(mark)
    finished = Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in finished.err, finished.err
    return finished


def run_here(capsys: pytest.CaptureFixture[str], *options: object, program: str = "pipelines.produce") -> Finished:
    """Run a pipeline or a simulator to its end in this process, which spares the second that a new one takes."""
    capsys.readouterr()
    try:
        status = importlib.import_module(program).main([str(option) for option in options])
    except SystemExit as ended:
        status = int(ended.code or 0)
    finished = Finished(status, *capsys.readouterr())
    assert "Traceback" not in finished.err, finished.err
    return finished


class Program:
    """The pipeline while it runs."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self.process = process
        self.mark = mark

    def port(self) -> int:
        """Wait until it tells where it listens, and return the port."""
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            if found := re.fullmatch(rb"listening on 127\.0\.0\.1:(\d+)\b.*\n", line):
                return int(found[1])
        raise AssertionError("it ended without listening")

    def finish(self) -> Finished:
        """Waits for its end; everything that it started has to end with it."""
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert_nothing_left(self.mark)
        finished = Finished(self.process.returncode, (out or b"").decode(), (err or b"").decode())
        assert "Traceback" not in finished.err, finished.err
        return finished


@contextlib.contextmanager
def started(*options: object, program: str = "pipelines.produce", **more: Any) -> Iterator[Program]:
    """Starts the pipeline and ends it, whatever happens."""
    mark = uuid.uuid4().hex
    pipe = {name: subprocess.PIPE for name in ("stdout", "stderr") if name not in more}
    process = forking.Popen(
        command(*options, program=program), cwd=ROOT, env=environment(mark), stdin=subprocess.DEVNULL, **pipe, **more
    )
    try:
        yield Program(process, mark)
    finally:
        process.kill()
        process.communicate()
        assert_nothing_left(mark)


@contextlib.contextmanager
def simulator(*options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the registers and ends them."""
    with forking.Popen(
        command(*options, program="simulators.registers"), cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(mark: str) -> dict[int, str]:
    """Gives the processes that carry the mark, by id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{_MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def listeners_of(mark: str) -> dict[str, str]:
    """Return where the processes of the mark listen, and which of them does; see :func:`doors_of`."""
    return doors_of(processes_of(mark))


def doors_of(processes: Mapping[int, str]) -> dict[str, str]:
    """Return where processes listen: ``host:port`` or the path of a Unix socket, and which of them does.

    Only Linux shows that.

    Args:
        processes: their names by id.
    """
    owners = {}
    for number, name in processes.items():
        for link in Path(f"/proc/{number}/fd").glob("*"):
            with contextlib.suppress(OSError):
                owners[str(link.readlink())] = name
    found = {}
    for line in [*_table("tcp"), *_table("tcp6"), *_table("udp"), *_table("udp6")]:
        host, _, port = line[1].rpartition(":")
        owner = owners.get(f"socket:[{line[9]}]")
        if line[3] in _LISTENING and owner:
            # The bytes of each word of four are turned around.
            words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
            address = ipaddress.ip_address(b"".join(words))
            found[f"{getattr(address, 'ipv4_mapped', None) or address}:{int(port, 16)}"] = owner
    for line in _table("unix"):
        owner = owners.get(f"socket:[{line[6]}]")
        if int(line[3], 16) & 0x10000 and owner:
            found[line[7] if len(line) > 7 else "(no name)"] = owner
    return found


def _table(name: str) -> list[list[str]]:
    return [line.split() for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]


def assert_nothing_left(mark: str) -> None:
    """Sees that no process of the mark is there; the last ones may be on their way out."""
    wait_for(lambda: not processes_of(mark), lambda: f"left behind: {processes_of(mark)}")


class Feed:
    """A peer that the program connects to and the test speaks for: what comes next may wait for what was seen."""

    def __enter__(self) -> Feed:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_SECONDS)
        self._peer: socket.socket | None = None
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        if self._peer is not None:
            self._peer.close()

    def send(self, data: bytes) -> None:
        if self._peer is None:
            self._peer, _ = self._listener.accept()
            self._peer.settimeout(PATIENCE_SECONDS)
        self._peer.sendall(data)

    def send_in_parts(self, data: bytes, parts: int, is_seen: Callable[[int], object]) -> None:
        """Send lines in some equal parts, each but the first when ``is_seen`` holds for the number of those before."""
        lines = data.splitlines(keepends=True)
        size = -(-len(lines) // parts)
        for number in range(parts):
            if number:
                wait_for(lambda number=number: is_seen(number))
            self.send(b"".join(lines[number * size : (number + 1) * size]))


class Terminal:
    """The program on a terminal of its own, which it controls: Ctrl-C goes to its foreground processes."""

    def __init__(self, *options: object, columns: int = 100, **more: str) -> None:
        self.mark = uuid.uuid4().hex
        self.shown = b""
        self.columns = columns
        self._file, side = pty.openpty()
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        try:
            self._process = forking.Popen(
                command(*options),
                cwd=ROOT,
                env=environment(self.mark, {"TERM": "xterm", **more}),
                stdin=side,
                stdout=side,
                stderr=side,
                start_new_session=True,
            )
        finally:
            os.close(side)
        self.status: int | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._file)
        assert_nothing_left(self.mark)

    @property
    def pid(self) -> int:
        return self._process.pid

    def press(self, keys: bytes) -> None:
        os.write(self._file, keys)

    def has_shown(self, text: str, times: int = 1) -> bool:
        """Read what there is, and tell whether the text was shown so many times."""
        self._is_open = self._read()
        return self.shown.count(text.encode()) >= times

    def wait_for(self, text: str, times: int = 1) -> None:
        """Read until the text was shown so many times."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.has_shown(text, times):
            assert time.monotonic() < deadline, self.shown.decode()
            assert self._is_open, f"ended before {text!r}: {self.shown.decode()}"

    def finish(self) -> str:
        """Reads to the end of the program and gives what stands on the screen then."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read():
            assert time.monotonic() < deadline, self.shown.decode()
        self.status = self._process.wait(PATIENCE_SECONDS)
        assert_nothing_left(self.mark)
        assert "Traceback" not in self.shown.decode(), self.shown.decode()
        return self.screen()

    def screen(self) -> str:
        return screen(self.shown.decode(), self.columns)

    def _read(self) -> bool:
        if select.select([self._file], [], [], 0.05)[0]:
            try:
                data = os.read(self._file, 1 << 16)
            except OSError:  # Linux: nobody has the other side open any more
                return False
            self.shown += data
            return bool(data)
        return True


def screen(text: str, columns: int) -> str:
    """Return what a terminal of 60 lines shows of a text, what has scrolled away too."""
    return Emulation(columns, 60).feed(text).text


def right_totals(data: bytes, window: str = "all") -> Totals:
    """Gives the totals that are right: a record at a time, by the csv module and Decimal."""
    length, _, step = ("0s" if window == "all" else window).partition("/")
    rows, _, _ = parse(data, _with_sale_columns(), Dialect(separator="\t"), _SALE)
    return produce_totals([row for _, row in rows], parse_duration(length), parse_duration(step or length))


def _with_sale_columns() -> Any:
    """The tape as the oracle reads it: it knows the columns that are typed, and the type of a row is not."""
    from schemas.record_type import Column, RecordType

    columns = (*TAPE.columns, Column("trans_type", "text"), Column("description", "text"))
    return RecordType(TAPE.name, TAPE.names, columns, TAPE.event_time)


def totals_of(paths: list[Path]) -> Totals:
    """Gives the totals in files of JSON lines; each key has to be there once."""
    found: Totals = {}
    for path in paths:
        for line in path.read_text().splitlines():
            row = json.loads(line, parse_float=Decimal, parse_int=Decimal)
            assert list(row) == _COLUMNS
            start = row["window_start"] and to_micros_of(row["window_start"])
            assert (start, row["upc"]) not in found
            found[start, row["upc"]] = [row[name] for name in ("description", "quantity", "scale", "spend", "rows")]
    return found


def to_micros_of(text: str) -> int:
    from datetime import datetime

    return to_micros(datetime.fromisoformat(text.replace("Z", "+00:00")))


def assert_lines(path: Path, number: int) -> list[dict[str, Any]]:
    """Sees that a file has so many records that were not used; gives them."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(records) == number
    for record in records:
        assert set(record) in ({"origin", "position", "reason", "raw"}, {"origin", "position", "reason", "raw_base64"})
    return records


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
