"""The shops' program: its options, its outputs, and its truth file."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from simulators.pos import COMMAND
from simulators.stores.sales import Sales
from tests.simulators.tools import assert_help_is_whole, assert_refused, fetch, port_of, run, started


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stores", "0"], "stores must be 1 to 100, got 0"),
        (["--registers", "100"], "registers must be 1 to 99, got 100"),
        (["--start", "april"], "expected a date such as 2011-04-01, got 'april'"),
        (["--rows", "0", "--output", "x.jsonl"], "a file cannot hold a stream without end"),
        (["--unpaced"], "unrecognized arguments: --unpaced"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(COMMAND, options, message, capsys)


def test_help_tells_every_option() -> None:
    assert_help_is_whole(COMMAND)


def test_a_file_and_its_truth(tmp_path: Path) -> None:
    output, truth = tmp_path / "pos.jsonl", tmp_path / "truth.json"
    options = ("--rows", 30_000, "--stores", 4, "--seed", 3, "--late", 0.05, "--duplicates", 0.05, "--garbage", 0.05)
    done = run(*options, "--output", output, "--truth", truth, program="pos")
    assert done.returncode == 0, done.stderr
    count: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    garbage = rows = 0
    for line in output.read_bytes().split(b"\n")[:-1]:
        rows += 1
        try:
            sale = json.loads(line.decode(), parse_float=Decimal)
            assert sale["time"].startswith("2011-04-0")
            assert isinstance(sale["store"], int)
            assert isinstance(sale["upc"], str)
            sums = [1, Decimal(0) + sale["quantity"], Decimal(0) + sale["total"]]
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
            garbage += 1
            continue
        for key in (str(sale["store"]), sale["upc"]):
            count[key] = [one + other for one, other in zip(count[key], sums, strict=True)]
    said = json.loads(truth.read_text())
    assert (said["rows"], said["garbage"]) == (rows, garbage)
    assert 1_300 < garbage < 1_700
    found = {
        key: [sums["sales"], Decimal(sums["quantity"]), Decimal(sums["total"])]
        for key, sums in {**said["stores"], **said["upcs"]}.items()
    }
    assert found == count


def test_each_client_gets_the_full_stream() -> None:
    wanted = b"".join(bytes(batch.data) for batch in Sales(3_000, seed=2).batches())
    options = ("--rows", 3_000, "--seed", 2, "--output", "tcp-listen://127.0.0.1:0")
    with started(*options, program="pos") as process:
        port = port_of(process)
        assert [fetch(port), fetch(port)] == [wanted, wanted]
