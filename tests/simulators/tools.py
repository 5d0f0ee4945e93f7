"""What the tests of simulators share: the program in a process of its own, and an obviously right recount of a tape."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.tape import COLUMNS
from simulators.engine.command import Command
from tests import forking
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]


def command(*options: object, program: str = "registers") -> list[str]:
    return [sys.executable, "-m", f"simulators.{program}", *map(str, options)]


def run(*options: object, program: str = "registers") -> subprocess.CompletedProcess[bytes]:
    return forking.run(command(*options, program=program), timeout=PATIENCE_SECONDS, cwd=ROOT)


@contextmanager
def started(*options: object, program: str = "registers") -> Iterator[subprocess.Popen[bytes]]:
    """Starts the program and ends it, whatever happens."""
    with forking.Popen(
        command(*options, program=program),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_refused(simulator: Command, options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong use is one line that says why, and exit code two."""
    with pytest.raises(SystemExit) as ended:
        simulator.main(options)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("wrong usage: ")
    assert error.count("\n") == 1


def assert_help_is_whole(simulator: Command) -> str:
    """The help tells of every option; gives its text."""
    with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
        simulator.main(["--help"])
    text = shown.getvalue()
    for action in simulator.parser()._actions:
        assert action.help
        assert all(option in text for option in action.option_strings)
    return text


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Waits until the program listens and gives the port."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(b"listening on 127.0.0.1:"), line
    return int(line.rpartition(b":")[2])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def read_to_end(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def fetch(port: int) -> bytes:
    with connect(port) as client:
        return read_to_end(client)


def rows_of(data: bytes, separator: str = "\t") -> list[dict[str, str]]:
    """Gives rows as plain text by column."""
    return [dict(zip(COLUMNS, line.decode("ascii").split(separator), strict=True)) for line in data.split(b"\n")[:-1]]


def recount(data: bytes, separator: str = "\t") -> dict[str, Any]:
    """Counts a tape the slow way: the csv module, Decimal, a row at a time."""
    count: dict[str, Any] = {"rows": 0, "garbage": 0, "out_of_order": 0, "departments": {}, "produce": {}}
    latest = datetime(1, 1, 1)
    assert data.endswith(b"\n")
    for line in data.split(b"\n")[:-1]:
        count["rows"] += 1
        fields = next(csv.reader([line.decode("latin-1")], delimiter=separator), [])
        try:
            row = dict(zip(COLUMNS, fields, strict=True))
            moment = datetime.strptime(row["datetime"], "%Y-%m-%d %H:%M:%S")
            department = str(int(row["department"]))
        except ValueError:
            count["garbage"] += 1
            continue
        count["out_of_order"] += moment < latest
        latest = max(latest, moment)
        groups = [count["departments"].setdefault(department, [0, Decimal(0), Decimal(0)])]
        if department == "2":
            groups.append(count["produce"].setdefault(row["upc"], [0, Decimal(0), Decimal(0)]))
        for group in groups:
            group[0] += 1
            group[1] += Decimal(row["quantity"])
            group[2] += Decimal(row["total"])
    return count


def assert_truth(path: Path, data: bytes, separator: str = "\t") -> dict[str, Any]:
    """Holds a truth file against a recount of the bytes it tells of; gives what it says."""
    said: dict[str, Any] = json.loads(path.read_text())
    counted = recount(data, separator)
    for name in ("rows", "garbage", "out_of_order"):
        assert said[name] == counted[name], name
    assert said["well_formed"] == counted["rows"] - counted["garbage"]
    for name in ("departments", "produce"):
        found = {
            key: [sums["rows"], Decimal(sums["quantity"]), Decimal(sums["total"])] for key, sums in said[name].items()
        }
        assert found == counted[name], name
    return said
