"""A writer that does whatever writers do to a file, and a reader that looks, stops and goes on: every line once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sources.files.follow import GRACE_SECONDS, TRUNCATED, FollowLines
from tests.fakes import Driver, FakeClock
from tests.sources.files.test_follow import settle, through_bytes
from tests.sources.test_backlog import TICK

#: A line is so long; no two are the same, and they differ in their first bytes.
WIDTH = 9
IDLE_SECONDS = 1_000


@dataclass(eq=False)
class Written:
    """A file as its writer knows it."""

    path: Path
    content: bytes = b""
    #: The rest of a line that was begun.
    rest: bytes = b""
    #: Whether the reader has seen it, and can still get at it.
    is_known: bool = False

    @property
    def lines(self) -> list[bytes]:
        """The whole lines that stand in it."""
        whole = self.content[: self.content.rfind(b"\n") + 1]
        return [line.lstrip(b"\0") for line in whole.splitlines()]


class FollowMachine(RuleBasedStateMachine):
    """The rules are what a writer, an administrator and a runner do.

    Promised is each line that stood, whole, in a file when the reader looked, if the file had then the name that is
    followed, or had it at an earlier look (or checkpoint) and could still be opened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.log = self.folder / "log"
        self.clock = FakeClock()
        self.files: list[Written] = []
        self.rotated = 0
        self.number = 0
        self.written: set[bytes] = set()
        self.promised: set[bytes] = set()
        self.drivers: list[Driver] = []
        self.mark = None

    @initialize(block_bytes=st.integers(1, 60))
    def start(self, block_bytes: int) -> None:
        self.log.touch()
        self.files.append(Written(self.log))
        self.source = FollowLines(
            (str(self.log),), TICK, max_block_bytes=block_bytes, idle_timeout_seconds=IDLE_SECONDS, clock=self.clock
        )
        self.resume()

    def teardown(self) -> None:
        try:
            if self.drivers or self.mark is not None:
                self.check_the_end()
        finally:
            if self.is_running:
                self.drivers[-1].reader.close()
            shutil.rmtree(self.folder)

    @property
    def is_running(self) -> bool:
        return bool(self.drivers) and self.mark is None

    @property
    def current(self) -> Written | None:
        """The file that has the name."""
        return next((file for file in self.files if file.path == self.log), None)

    @property
    def got(self) -> list[bytes]:
        return [line for driver in self.drivers for line in driver.data.splitlines()]

    def fresh(self, count: int) -> bytes:
        """Make lines that were never written before."""
        lines = [f"{self.number + at:08d}"[::-1].encode() for at in range(count)]
        self.number += count
        self.written.update(lines)
        return b"".join(line + b"\n" for line in lines)

    def put(self, file: Written, data: bytes) -> None:
        with file.path.open("ab") as opened:
            opened.write(data)
        file.content += data

    # What a writer does.

    @rule(count=st.integers(1, 9))
    def append(self, count: int) -> None:
        file = self.current
        if file is None:
            file = Written(self.log)
            self.files.append(file)
        self.put(file, file.rest + self.fresh(count))
        file.rest = b""

    @precondition(lambda self: self.current is not None)
    @rule(size=st.integers(1, WIDTH - 1))
    def append_without_line_end(self, size: int) -> None:
        file = self.current
        if not file.rest:
            line = self.fresh(1)
            self.put(file, line[:size])
            file.rest = line[size:]

    @precondition(lambda self: any(file.path != self.log for file in self.files))
    @rule()
    def append_to_the_renamed_file(self) -> None:
        file = next(file for file in reversed(self.files) if file.path != self.log)
        if file.path.exists():
            self.put(file, file.rest + self.fresh(1))
            file.rest = b""

    @precondition(lambda self: self.current is not None)
    @rule(is_made=st.booleans())
    def rotate_by_rename(self, is_made: bool) -> None:
        self.rotated += 1
        file = self.current
        file.path = self.log.rename(self.log.with_name(f"old-{self.rotated}"))
        if is_made:
            self.log.touch()
            self.files.append(Written(self.log))

    @precondition(lambda self: self.current is not None)
    @rule(count=st.integers(0, 9))
    def copytruncate(self, count: int) -> None:
        file = self.current
        os.truncate(self.log, 0)
        file.content = file.rest = b""
        if count:
            self.put(file, self.fresh(count))

    @precondition(lambda self: self.current is not None and not self.current.rest)
    @rule(count=st.integers(1, 9))
    def copytruncate_under_a_writer_that_goes_on_where_it_was(self, count: int) -> None:
        file = self.current
        before, data = len(file.content), self.fresh(count)
        os.truncate(self.log, 0)
        with self.log.open("r+b") as opened:
            opened.seek(before)
            opened.write(data)
        file.content = b"\0" * before + data

    @precondition(lambda self: self.current is not None and self.current.content)
    @rule()
    def rewrite_to_the_same_size(self) -> None:
        file = self.current
        size = len(file.content)
        lines = self.fresh(-(-size // WIDTH))
        with self.log.open("r+b") as opened:
            opened.write(lines[:size])
        file.content, file.rest = lines[:size], lines[size:]

    @precondition(lambda self: self.current is not None)
    @rule()
    def rewrite_the_same_bytes(self) -> None:
        self.log.write_bytes(self.current.content)

    @precondition(lambda self: self.current is not None)
    @rule()
    def delete(self) -> None:
        file = self.current
        self.log.unlink()
        file.path = self.folder / "deleted"
        file.is_known &= self.is_running
        if not file.is_known:
            self.files.remove(file)

    # What the reader does.

    @precondition(lambda self: self.is_running)
    @rule()
    def look(self) -> None:
        settle(self.drivers[-1])
        if self.current is not None:
            self.current.is_known = True
        for file in self.files:
            if file.is_known:
                self.promised.update(file.lines)

    @precondition(lambda self: self.is_running)
    @rule()
    def look_until_renamed_files_are_done_with(self) -> None:
        self.look()
        self.clock.pass_seconds(GRACE_SECONDS)
        self.look()
        if self.current is not None:
            self.files = [self.current]

    @precondition(lambda self: self.is_running)
    @rule()
    def stop(self) -> None:
        reader = self.drivers[-1].reader
        self.mark = through_bytes(self.source, reader.get_checkpoint_mark())
        reader.close()
        for file in [*self.files]:
            if not file.path.exists():
                self.files.remove(file)

    @precondition(lambda self: not self.is_running)
    @rule()
    def resume(self) -> None:
        self.drivers.append(Driver(self.source.create_reader(None, self.mark)))
        self.mark = None

    @invariant()
    def every_line_that_was_promised_is_there_and_none_comes_twice(self) -> None:
        counts = Counter(self.got)
        assert not {line: count for line, count in counts.items() if count > 1}
        assert not (self.promised - counts.keys())
        # The rest are beginnings of lines, of files that were given up before these had their end.
        for torn in counts.keys() - self.written:
            assert any(line.startswith(torn) for line in self.written), torn
        for data, fault in (each for driver in self.drivers for each in driver.faults):
            assert fault == TRUNCATED
            assert any(line.startswith(data) for line in self.written), data

    def check_the_end(self) -> None:
        if not self.is_running:
            self.resume()
        self.look()
        for _ in range(3):  # what a file gives that is given up is heard, too
            self.clock.pass_seconds(IDLE_SECONDS)
            settle(self.drivers[-1])
        self.drivers[-1].until_end()
        self.every_line_that_was_promised_is_there_and_none_comes_twice()


TestFollowMachine = FollowMachine.TestCase
TestFollowMachine.settings = settings(max_examples=80, stateful_step_count=25)
