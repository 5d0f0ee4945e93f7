"""The vehicles' program: its options, its outputs, and its truth file."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from simulators.gps import COMMAND
from simulators.vehicles.fixes import Fixes
from tests.simulators.tools import assert_help_is_whole, assert_refused, connect, fetch, port_of, run, started


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vehicles", "0"], "vehicles must be 1 to 10000, got 0"),
        (["--every", "often"], "argument --every: expected a duration such as"),
        (["--every", "0"], "every must be more than 0 and at most a day, got 0 microseconds"),
        (["--centre", "here"], "argument --centre: expected degrees such as 44.9778,-93.2650, got 'here'"),
        (["--centre", "91,0"], "centre must be within 80,180 degrees, got (91.0, 0.0)"),
        (["--start", "soon"], "argument --start: expected now or a time since 1970"),
        (["--rows", "0", "--output", "x.jsonl"], "a file cannot hold a stream without end"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(COMMAND, options, message, capsys)


def test_help_tells_every_option() -> None:
    assert_help_is_whole(COMMAND)


def test_a_file_and_its_truth(tmp_path: Path) -> None:
    output, truth = tmp_path / "gps.jsonl", tmp_path / "truth.json"
    options = ("--rows", 9_000, "--vehicles", 30, "--every", "0.5s", "--seed", 3, "--duplicates", 0.1, "--garbage", 0.1)
    done = run(*options, "--output", output, "--truth", truth, program="gps")
    assert done.returncode == 0, done.stderr
    count: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    garbage = rows = 0
    for line in output.read_bytes().split(b"\n")[:-1]:
        rows += 1
        try:
            fix = json.loads(line.decode(), parse_float=Decimal)
            assert isinstance(fix["vehicle_id"], str)
            assert fix["time"].startswith("2024-01-01T00:0")
            assert isinstance(fix["lat"], Decimal)
            assert isinstance(fix["lon"], Decimal)
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
            garbage += 1
            continue
        count[fix["vehicle_id"]][0] += 1
        count[fix["vehicle_id"]][1] += fix["speed"]
    said = json.loads(truth.read_text())
    assert (said["rows"], said["garbage"]) == (rows, garbage)
    assert 700 < garbage < 1_100
    found = {name: [each["fixes"], Decimal(each["sum_of_speeds"])] for name, each in said["vehicles"].items()}
    assert found == count


def test_over_a_network_vehicles_drive_as_fast_as_time_goes() -> None:
    options = ("--vehicles", 2, "--every", "0.4s", "--output", "tcp-listen://127.0.0.1:0")
    wanted = b"".join(bytes(batch.data) for batch in Fixes(5, vehicles=2, every=400_000).batches())
    with started(*options, "--rows", 5, program="gps") as process:
        port = port_of(process)
        begin = time.monotonic()
        assert fetch(port) == wanted
        assert time.monotonic() - begin > 0.79
    with started(*options, "--unpaced", program="gps") as process, connect(port_of(process)) as client:
        lines = 0
        while lines < 20_000:
            lines += client.recv(1 << 16).count(b"\n")
