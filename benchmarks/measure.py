"""Runs one command and says what it took: wall time, processor time, peak memory."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "bench"
POLL_SECONDS = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


class CommandError(RuntimeError):
    """A measured command ended badly, or took too long."""


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes:
        wall_seconds: from its start to its end, as a whole process: starting Python counts.
        cpu_seconds: user and system time of it and of the children it waited for.
        peak_bytes: resident memory at its highest; where it starts processes, of all of them together.
        output: what it wrote to the standard output and error, one after the other.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str = ""

    @property
    def cores_busy(self) -> float:
        """Processor time over wall time."""
        return self.cpu_seconds / self.wall_seconds


class Run:
    """A command that runs in the project's folder; leave the ``with`` block and it has ended.

    The caller should be small: on Linux a child's ``ru_maxrss`` starts from what its parent had in memory.
    """

    def __init__(self, command: Sequence[str], timeout_seconds: float = 1_800) -> None:
        """Starts it; it is killed after ``timeout_seconds``."""
        self.command = command
        self._timeout_seconds = timeout_seconds
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._start = time.perf_counter()
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output
        )
        self._watch = _Watch(self._process.pid, self._start + timeout_seconds)
        self._watch.start()

    def __enter__(self) -> Run:
        """Gives itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kills what still runs."""
        if self._process.returncode is None:
            kill_all(self._process.pid)
            self._process.wait()
        self._watch.done.set()
        self._watch.join()
        self._output.close()

    @property
    def ended(self) -> bool:
        """Whether it has come to its end by itself."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def interrupt(self) -> None:
        """Does what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends it and its children at once."""
        kill_all(self._process.pid)

    def wait(self, statuses: Collection[int] = (0,)) -> Cost:
        """Waits for its end and gives what it took.

        Raises:
            CommandError: its exit status is not among ``statuses``, or its time was up.
        """
        _, status, usage = os.wait4(self._process.pid, 0)
        wall_seconds = time.perf_counter() - self._start
        code = self._process.returncode = os.waitstatus_to_exitcode(status)  # so subprocess does not wait any more
        self._watch.done.set()
        self._watch.join()
        self._output.seek(0)
        text = self._output.read().decode("utf-8", "replace")
        if self._watch.timed_out or code not in statuses:
            late = f"took more than {self._timeout_seconds:g} s"
            why = late if self._watch.timed_out else f"ended with {code}"
            raise CommandError(f"{' '.join(self.command)} {why}\n{text[-2_000:]}")
        peak_bytes = max(usage.ru_maxrss * _MAXRSS_BYTES, self._watch.peak_bytes)
        return Cost(wall_seconds, usage.ru_utime + usage.ru_stime, peak_bytes, text)


def measure(command: Sequence[str], timeout_seconds: float = 1_800) -> Cost:
    """Runs a command to its end and gives what it took.

    Raises:
        CommandError: exit status other than 0, or no end within ``timeout_seconds``.
    """
    with Run(command, timeout_seconds) as run:
        return run.wait()


class _Watch(threading.Thread):
    """Looks at the memory of a process and its children now and then, and ends it when its time is up."""

    def __init__(self, pid: int, deadline: float) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.peak_bytes = 0
        self.timed_out = False
        self._pid = pid
        self._deadline = deadline

    def run(self) -> None:
        while not self.done.wait(POLL_SECONDS):
            self.peak_bytes = max(self.peak_bytes, resident_bytes(self._pid))
            if time.perf_counter() > self._deadline:
                self.timed_out = True
                kill_all(self._pid)
                return


def kill_all(pid: int) -> None:
    """Kills a process and its children."""
    for one in [*descendants(pid), pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Gives the children of a process, theirs too; none where there is no /proc."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def resident_bytes(pid: int) -> int:
    """Gives the resident memory of a process and all its children now; 0 where there is no /proc."""
    total = 0
    for one in [pid, *descendants(pid)]:
        with contextlib.suppress(OSError, IndexError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * _PAGE_BYTES
    return total


def count_rows(path: Path) -> int:
    """Counts the lines of a file; and what it read is in the page cache from now on."""
    rows = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            rows += block.count(b"\n")
    return rows


def make_tape(path: Path, rows: int) -> Path:
    """Gives a tape of so many rows, which the simulator makes unless it is there already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"making {rows:,} rows of tape in {path}", flush=True)
        unfinished = path.with_name(path.name + ".part")
        measure([sys.executable, "-m", "simulators.registers", "--rows", str(rows), "--output", str(unfinished)])
        unfinished.rename(path)
    return path


def tape_of(rows: int) -> Path:
    """Gives where the tape of so many rows is kept between runs."""
    return OUT / f"tape-{rows}.txt"


def free_port() -> int:
    """Gives a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listened_on(port: int) -> bool:
    """Whether somebody listens there; found out without connecting, which would count as a peer."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
