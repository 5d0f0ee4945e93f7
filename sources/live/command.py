"""What a command prints, as a source of lines."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from schemas.record_type import RecordType
from sources import progress as board
from sources.address import Address
from sources.backlog import Backlog
from sources.line_cutter import LineCutter
from sources.live.source import PACKET_BYTES, POLL_SECONDS, STOPPED, LineMark, LineReading, LineSource, Receiver
from sources.watermark import Stream

#: How long a command that is asked to end (SIGTERM) may take, before it is made to (SIGKILL).
GRACE_SECONDS = 2.0
#: So much is shown of a command in a message, and of a line of its standard error.
_SHOWN_COMMAND_CHARACTERS = 80
_SHOWN_LINE_CHARACTERS = 1_000
_PIPE_BYTES = 1 << 20
_LOOK_SECONDS = 0.01
#: A process that waits for our end, however it comes about, and then ends the command's processes.
_GUARD = """
import os, signal, sys, time
group, grace = int(sys.argv[1]), float(sys.argv[2])
if not os.read(0, 1):
    try:
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + grace
        while time.monotonic() < end:
            time.sleep(0.02)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class CommandError(OSError):
    """A command that cannot be run, or has failed: one line that names it and says why."""


@dataclass(frozen=True)
class ProcessLines(LineSource):
    """Run a command and read its standard output as lines, in a thread; no shell is between.

    The stream ends when the command has closed its output and ended. If its status is not 0, or a signal ended it, the
    run fails once everything that it had printed is handed out: its failure is put on the board where somebody looks at
    that after the run (:func:`sources.progress.fail`), so that what was counted so far is written, and raised
    elsewhere.

    What it writes to its standard error is shown line by line. It has a session of its own: Ctrl-C at a terminal does
    not reach it. When the stream ends (also by a drain, an idle time-out or ``max_records``) every process of that
    session's group is asked to end, and made to after GRACE_SECONDS; what it had printed and nobody had read is lost
    then, and that is no failure. A guard process does the same should this process be killed.

    A reader that resumes in this process goes on with the command where it is. In another one it is refused if anything
    had been handed out: a command that is run again would print again what was counted already.

    The fields but the first and the last are those of :class:`sources.live.source.LineSource`. The origin of a record
    is the address; where the same command is run several times side by side, ``number`` is added for all but the first.

    >>> from schemas.tape import TAPE
    >>> from sources.address import parse_address
    >>> ProcessLines(parse_address("exec:echo 'one record'"), TAPE).check()
    """

    address: Address
    record_type: RecordType
    number: int = 1

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: the address is no command, or a limit cannot be.
        """
        super().__post_init__()
        if self.address.scheme != "exec":
            raise ValueError(f"expected exec:COMMAND, got {self.address.text!r}")

    def check(self) -> None:
        """Look for the command: to be called before a job is submitted.

        Raises:
            CommandError: there is none, or it cannot be executed.
        """
        program = self.address.command[0]
        if shutil.which(program) is None:
            if "/" not in program:
                raise self.unusable("no such command")
            if not Path(program).exists():
                raise self.unusable(f"no file at {program!r}")
            if Path(program).is_dir():
                raise self.unusable(f"{program!r} is a folder")
            raise self.unusable(f"{program!r} is not executable; chmod +x makes it so")

    def unusable(self, reason: str) -> CommandError:
        """Return the error to raise where the command cannot be run."""
        return CommandError(f"cannot run {self.name!r}: {reason}")

    @property
    def name(self) -> str:
        """The command as messages show it."""
        text = " ".join(self.address.path.split())
        return text if len(text) <= _SHOWN_COMMAND_CHARACTERS else text[: _SHOWN_COMMAND_CHARACTERS - 3] + "..."

    @property
    def origin(self) -> str:
        """The origin of what it prints."""
        return self.address.text if self.number == 1 else f"{self.address.text}#{self.number}"

    def receiver(self, backlog: Backlog) -> ProcessReceiver:
        """Return the thread that runs the command and reads what it prints."""
        return ProcessReceiver(self, backlog)

    def begin(self, mark: LineMark | None) -> ProcessReading:
        """Return a reading that has run nothing yet; with a mark, it goes on with the command of the earlier one."""
        return ProcessReading(self, mark)


class ProcessReading(LineReading):
    """Hands out what the command has printed; where it fails, that shows when all is handed out."""

    complaint_error = CommandError

    def _end(self, *, has_enough: bool = False) -> None:
        super()._end(has_enough=has_enough)
        cast(ProcessReceiver, self.receiver).is_wanted = False


class _Command:
    """A command that runs, or has run; it outlives its reader if that is to be resumed."""

    def __init__(self, source: ProcessLines) -> None:
        """Run it.

        Raises:
            CommandError: that cannot be.
        """
        arguments = source.address.command
        self.source = source
        self.program = Path(arguments[0]).name
        self.stream = Stream(source.origin, LineCutter(source.max_record_bytes))
        self.last_words = ""
        self.complaint = ""
        self._unfinished = b""
        try:
            self.process = subprocess.Popen(  # noqa: S603 - what the user asked for, and no shell reads it
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            hint = "; a script begins with a line such as #!/bin/sh" if error.errno == errno.ENOEXEC else ""
            raise source.unusable(f"{error.strerror}{hint}") from error
        self._guard = subprocess.Popen(  # noqa: S603 - this Python
            [sys.executable, "-I", "-S", "-c", _GUARD, str(self.process.pid), str(GRACE_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.out = cast(IO[bytes], self.process.stdout)
        self.err = cast(IO[bytes], self.process.stderr)
        for pipe in (self.out, self.err):
            os.set_blocking(pipe.fileno(), False)
        if sys.platform == "linux":
            import fcntl  # noqa: PLC0415 - there is none everywhere

            with contextlib.suppress(OSError):  # it may be more than is allowed, and then stays as it is
                fcntl.fcntl(self.out.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def hear(self) -> bool:
        """Show what is on the standard error; False at its end."""
        try:
            data = os.read(self.err.fileno(), PACKET_BYTES)
        except BlockingIOError:
            return True
        *lines, self._unfinished = (self._unfinished + data).replace(b"\r", b"\n").split(b"\n")
        if not data or len(self._unfinished) > _SHOWN_LINE_CHARACTERS:
            lines.append(self._unfinished)
            self._unfinished = b""
        for line in lines:
            text = "".join(filter(str.isprintable, line.decode("utf-8", "replace").expandtabs(4).rstrip()))
            if text:
                self.last_words = text[:_SHOWN_LINE_CHARACTERS]
                board.note(f"{self.program}: {self.last_words}")
        return bool(data)

    def judge(self) -> None:
        """Say what is to be said of how it ended; it has."""
        if not self.err.closed:
            for _ in range(_PIPE_BYTES // PACKET_BYTES + 1):  # a child of it may go on writing
                self.hear()
        status = self.process.returncode
        if not status:
            return
        if status < 0:
            with contextlib.suppress(ValueError):
                self.complaint = f"was ended by {signal.Signals(-status).name}"
            self.complaint = self.complaint or f"was ended by signal {-status}"
        else:
            self.complaint = f"ended with status {status}"
        self.complaint = f"command {self.source.name!r} {self.complaint}"
        if self.last_words:
            self.complaint += f": {self.last_words}"

    def end(self) -> None:
        """End its processes, those that it has started among them; may be called again."""
        if self.out.closed:
            return
        self.out.close()
        self.err.close()
        deadline = time.monotonic() + GRACE_SECONDS
        is_left = self._signal(signal.SIGTERM)
        while is_left and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            self.process.poll()  # or it would be there for ever, as one that has ended and nobody has asked after
            is_left = self._signal(0) and _is_alive(self.process.pid)
        if is_left:
            self._signal(signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(OSError):  # somebody may have ended the guard
            self._guard.communicate(b".")

    def _signal(self, number: int) -> bool:
        """Send a signal to all of its processes; False where none is left."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # one of them is another user's by now; the others have got it
            return number != 0 and self.process.poll() is None
        return True


def _is_alive(group: int) -> bool:
    """Whether a process of the group has not ended; those that have stay until somebody asks, which may be never."""
    if sys.platform != "linux":
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has gone meanwhile
            state, _, its_group = path.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False


#: The commands of the backlogs that they print into: a reader that resumes finds both.
_COMMANDS: weakref.WeakKeyDictionary[Backlog, _Command] = weakref.WeakKeyDictionary()


class ProcessReceiver(Receiver):
    """Run the command and read what it prints.

    Attributes:
        is_wanted: whether a later reader may go on with the command.
    """

    def __init__(self, source: ProcessLines, backlog: Backlog) -> None:
        """Go on with the command of the backlog, if it has one."""
        super().__init__(backlog, source.clock, source.idle_timeout_seconds)
        self.is_wanted = True
        self._source = source
        self._command = _COMMANDS.get(backlog)
        self._selector: selectors.BaseSelector | None = None
        self._packet = bytearray(PACKET_BYTES)

    @property
    def complaint(self) -> str:
        """Why the command is said to have failed; empty if it has not, or not yet."""
        return self._command.complaint if self._command else ""

    @property
    def pid(self) -> int:
        """The id of the command's process and of its group."""
        assert self._command is not None  # noqa: S101 - opened
        return self._command.process.pid

    def open(self) -> None:
        """Run the command.

        Raises:
            CommandError: that cannot be, or it was run already and is not here.
        """
        command = self._command
        if command is None:
            if self.backlog.blocks:
                raise self._source.unusable("it was run already, by a worker that is gone, and would print all again")
            command = self._command = _COMMANDS[self.backlog] = _Command(self._source)
            weakref.finalize(self.backlog, command.end)
            self.backlog.open(command.stream)
        self.is_exhausted = not command.stream.is_open
        self._selector = selectors.DefaultSelector()
        for pipe in () if self.is_exhausted else (command.out, command.err):
            self._selector.register(pipe, selectors.EVENT_READ)

    def listen(self) -> bool:
        """Read one packet of what was printed, and what is on the standard error."""
        command, selector = self._command, self._selector
        assert command is not None and selector is not None  # noqa: S101, PT018 - opened before the thread was started
        ready = [key.fileobj for key, _ in selector.select(POLL_SECONDS)]
        self.backlog.listened([command.stream] if command.out in ready else [], self.clock())
        if command.err in ready and not command.hear():
            selector.unregister(command.err)
        count = None
        if command.out in ready:
            count = command.out.readinto(self._packet)  # type: ignore[attr-defined]
            if count:
                self.backlog.receive(command.stream, bytes(memoryview(self._packet)[:count]))
            elif count == 0:
                selector.unregister(command.out)
        if command.out not in selector.get_map() and command.process.poll() is not None:
            self.backlog.close(command.stream)
            command.judge()
            self.is_exhausted = True
        return bool(count)

    def hang_up(self, *, is_interrupted: bool) -> None:
        """End the command, unless somebody may go on with it."""
        if self._selector is not None:
            self._selector.close()
            self._selector = None
        if self._command is None or (is_interrupted and self.is_wanted and not self.is_exhausted):
            return
        if self._command.stream.is_open:
            self.backlog.close(self._command.stream, STOPPED)
        self._command.end()
