"""Where programs are killed: a folder, what they read, what they have written, and what they left behind."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.runtime.options import UsageError
from pipelines.runtime.positions_file import PositionsFile
from tests.pipelines.tools import environment, processes_of
from tests.simulators.tools import ROOT

HEADER = "n,word\n"
#: Every so many records there is one that is rejected.
BAD = 97
PATIENCE_SECONDS = 120.0
_GONE_SECONDS = 5.0
_ROWS = "SELECT n || ',' || coalesce(word, '') FROM records"
_TOLD = " behind the positions"


@dataclass
class Toll:
    """What the kills of one kind have cost.

    Attributes:
        what: what was killed.
        kills: how often.
        records: how many there were.
        lost: how many of them are in no output, or not in each.
        doubled: how often one is there once more.
        told: of how many of those a line told at the next start.
        doubled_rows: how often one is twice in a database.
        left: files, processes and locks that are still there at the end.
        wrong: what else is not as it should be.
    """

    what: str
    kills: int = 0
    records: int = 0
    lost: int = 0
    doubled: int = 0
    told: int = 0
    doubled_rows: int = 0
    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def compare(self, wanted: Iterable[str], found: Counter[str]) -> int:
        """Count what is missing in an output; return how often something is there once more than it should be."""
        expected = set(wanted)
        self.records = max(self.records, len(expected))
        self.lost += len(expected - found.keys())
        strange = found.keys() - expected
        if strange:
            self.wrong.append(f"{len(strange)} lines that were never written, e.g. {min(strange)[:60]!r}")
        return sum(found[line] - 1 for line in expected & found.keys())


class Ground:
    """One folder with one feed of records, one pipeline that relays it, and its outputs."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.random = random.Random(seed)  # noqa: S311 - the same moments each time
        self.feed = folder / "feed.csv"
        self.out = folder / "out.csv"
        self.rejected = folder / "rejected.jsonl"
        self.positions = folder / "positions.json"
        self.database = folder / "out.db"
        self.errors = folder / "errors.txt"
        (folder / "tmp").mkdir()
        self._numbers = itertools.count()
        self.good: list[str] = []
        self.bad: list[str] = []
        self.feed.write_text(HEADER)

    def lines(self, count: int) -> list[str]:
        """Return so many new records, and remember them."""
        made = []
        for number in itertools.islice(self._numbers, count):
            is_bad = number % BAD == BAD - 1
            made.append(f"{number},{'w' * (number % 40)}{',bad' if is_bad else ''}")
            (self.bad if is_bad else self.good).append(made[-1])
        return made

    def write(self, count: int) -> None:
        """Append so many new records to the feed."""
        with self.feed.open("a") as file:
            file.writelines(f"{line}\n" for line in self.lines(count))

    def relay(self, *more: object, outputs: Sequence[object] = ()) -> subprocess.Popen[bytes]:
        """Start the pipeline: with positions, into a file of lines and more."""
        places = outputs or (self.out, f"sqlite:///{self.database}")
        return self.start(
            "pipelines.relay", "--output", *places, "--as", "csv", "--columns", "n,word", "--read-as", "csv",
            "--rejected", self.rejected, "--positions", self.positions, *more,
        )  # fmt: skip

    def start(self, program: str, *options: object, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a program."""
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", program, *map(str, options)],
                cwd=self.folder,
                env=environment(self.mark, {"TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": str(ROOT)}),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=errors,
                start_new_session=True,
            )

    def finish(self, process: subprocess.Popen[bytes], toll: Toll) -> None:
        """Wait for a run that should come to its end."""
        try:
            status = process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            toll.wrong.append(f"a run that did not end within {PATIENCE_SECONDS:.0f} s")
        else:
            if status:
                toll.wrong.append(f"the last run ended with status {status}")

    def sweep(self, toll: Toll) -> None:
        """See that no process of a program that was killed is left, and end those that are."""
        deadline = time.monotonic() + _GONE_SECONDS
        while (left := processes_of(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for number, command in left.items():
            toll.left.append(f"process: {command[:60]}")
            os.kill(number, signal.SIGKILL)

    def count_outputs(self, toll: Toll, *, has_database: bool = True) -> None:
        """Count what is in the outputs, and what is left behind."""
        found = Counter(self.out.read_text().splitlines()[1:])
        toll.doubled += toll.compare(self.good, found)
        if has_database:
            with closing(sqlite3.connect(self.database, timeout=0)) as connection:
                rows = Counter(text for (text,) in connection.execute(_ROWS))
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    toll.left.append(f"lock of SQLite: {error}")
            toll.doubled_rows += toll.compare(self.good, rows)
        self.count_rejected(toll)
        self.count_left(toll)

    def count_rejected(self, toll: Toll) -> None:
        """Count the rejected records, and what was told of doubled lines."""
        kept = Counter(json.loads(line)["raw"] for line in self.rejected.read_text().splitlines())
        records = toll.records
        toll.doubled += toll.compare(self.bad, kept)
        toll.records = records + len(self.bad)
        for line in self.errors.read_text().splitlines():
            if _TOLD in line:
                toll.told += int(line.split(" has ")[1].split()[0].replace(",", ""))

    def count_left(self, toll: Toll) -> None:
        """Count files and locks that no run will ever need."""
        known = {self.feed, self.out, self.rejected, self.positions, self.database, self.errors}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path not in known:
                toll.left.append(f"file: {path.relative_to(self.folder)}")
        try:
            PositionsFile(str(self.positions)).close()
        except UsageError as error:
            toll.left.append(f"lock: {error}")
        text = self.errors.read_text()
        if toll.doubled > toll.told:
            toll.wrong.append(f"{toll.doubled - toll.told} doubled lines of which nobody was told")
        if "Traceback" in text:
            toll.wrong.append("a traceback")
