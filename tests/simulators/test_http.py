from __future__ import annotations

import ipaddress
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.elements.block import Block, Span
from schemas.http import ACCESS_LOG, RESPONSES
from simulators.http import COMMAND
from simulators.web.scripts import SCRIPTS, Script
from tests.simulators.tools import (
    PATIENCE_SECONDS,
    ROOT,
    assert_help_is_whole,
    assert_refused,
    command,
    fetch,
    port_of,
    run,
    started,
)
from transforms.parse.access_log import ParseAccessLog
from transforms.parse.json_lines import ParseJson

LOG_LINE = re.compile(r'(\S+) - - \[([^\]]+)\] "[^"]+" (\d{3}) (?:\d+|-)')
FAULTS = ("--late", 0.02, "--duplicates", 0.03, "--disorder", 0.1, "--garbage", 0.04)


def http(*options: object) -> subprocess.CompletedProcess[bytes]:
    return run(*options, program="http")


def read_json(line: bytes) -> tuple[datetime, str, int]:
    fields = json.loads(line.decode())
    if type(fields["status_code"]) is not int:
        raise TypeError(fields["status_code"])
    return datetime.strptime(fields["time"], "%Y-%m-%d %H:%M:%S"), fields["ip"], fields["status_code"]


def read_log(line: bytes) -> tuple[datetime, str, int]:
    match = LOG_LINE.fullmatch(line.decode())
    if match is None:
        raise ValueError(line)
    return datetime.strptime(match[2], "%d/%b/%Y:%H:%M:%S +0000"), match[1], int(match[3])


def recount(data: bytes, read: Any) -> dict[str, Any]:
    """Counts responses the slow way, one at a time."""
    count: dict[str, Any] = {"rows": 0, "garbage": 0, "out_of_order": 0, "statuses": Counter()}
    latest = datetime(1, 1, 1)
    met = set()
    assert data.endswith(b"\n")
    for line in data.split(b"\n")[:-1]:
        count["rows"] += 1
        try:
            moment, ip, status = read(line)
            ipaddress.ip_address(ip)
        except (ValueError, TypeError, KeyError):
            count["garbage"] += 1
            continue
        count["out_of_order"] += moment < latest
        latest = max(latest, moment)
        count["statuses"][str(status)] += 1
        if 500 <= status <= 599:
            met.add((ip, moment.replace(minute=0, second=0)))
    count["visitors_by_date_and_hour"] = Counter(f"{hour:%Y-%m-%d %H}" for _, hour in met)
    hours = {"mon-fri": [0] * 24, "all": [0] * 24}
    for _, hour in met:
        hours["all"][hour.hour] += 1
        hours["mon-fri"][hour.hour] += hour.isoweekday() <= 5
    return {**count, "visitors_by_hour_of_day": hours}


@pytest.mark.parametrize("script", ["web", "1", "2"])
@pytest.mark.parametrize(
    ("form", "read", "parse"),
    [("json", read_json, ParseJson(RESPONSES)), ("clf", read_log, ParseAccessLog(ACCESS_LOG))],
    ids=["json", "clf"],
)
def test_the_truth_is_what_a_recount_finds(tmp_path: Path, script: str, form: str, read: Any, parse: Any) -> None:
    truth, out = tmp_path / "truth.json", tmp_path / "out.txt"
    options = ("--script", script, "--format", form, "--rows", 30_000, "--seed", 3, *FAULTS)
    done = http(*options, "--output", out, "--truth", truth)
    assert done.returncode == 0, done.stderr
    said = json.loads(truth.read_text())
    data = out.read_bytes()
    counted = recount(data, read)
    assert {name: said[name] for name in counted} == counted
    assert said["rows"] == 30_000 + said["duplicated"] == said["well_formed"] + said["garbage"]
    assert 450 < said["late"] < 750
    assert 700 < said["duplicated"] < 1_100
    assert 1_000 < said["garbage"] < 1_400
    parsed = parse.parser()(Block(data, (Span(0, "out.txt", 0),)))
    assert len(parsed.rejected) == said["garbage"]
    assert Counter(map(str, parsed.rows["status_code"].to_list())) == counted["statuses"]


def test_a_script_in_a_file_is_the_script(tmp_path: Path) -> None:
    for name, options in (("test", ()), ("1", ("--rows", 1_000))):
        out = tmp_path / f"{name}.jsonl"
        done = http("--script", name, *options, "--output", out)
        assert (done.returncode, done.stderr) == (0, b"sent 1000 responses\n")
        assert out.read_bytes() == b"".join(bytes(batch.data) for batch in Script(SCRIPTS["test"]).batches())


def test_the_head_of_a_hundred_million_is_a_quiet_end() -> None:
    with started("--script", 1, "--output", "-", program="http") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"time":"2019-05-14 09:05:52","ip":"10.0.191.219","status_code":303}\n'
        process.stdout.close()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_the_same_seed_makes_the_same_bytes() -> None:
    options = ("--rows", 3_000, "--output", "-", *FAULTS)
    one, other = (http(*options, "--seed", seed).stdout for seed in (1, 2))
    assert one != other
    # Started, it has another seed of hashes.
    assert subprocess.check_output(command(*options, "--seed", 1, program="http"), cwd=ROOT) == one


def test_clients_get_the_stream_and_an_interrupt_ends_it() -> None:
    with started("--rows", 2_000, "--output", "tcp-listen://127.0.0.1:0", program="http") as process:
        port = port_of(process)
        assert fetch(port) == fetch(port) == http("--rows", 2_000, "--output", "-").stdout
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130


def test_a_full_disk_is_a_failure_of_one_line() -> None:
    done = http("--rows", 1_000, "--output", "/dev/full")
    assert (done.returncode, done.stderr) == (1, b"python -m simulators.http: /dev/full: No space left on device\n")
    done = http("--rows", 10, "--output", "/dev/null", "--truth", "/dev/full")
    assert (done.returncode, done.stderr) == (1, b"python -m simulators.http: /dev/full: No space left on device\n")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "simulators.http", "--rows", "10", "--output", "-"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
        )
    error = b"python -m simulators.http: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--script", "3"], "argument --script: invalid choice: '3'"),
        (["--format", "xml"], "argument --format: invalid choice: 'xml'"),
        (["--visitors", "0"], "visitors must be 1 to 1000000, got 0"),
        (["--visitors", "-1"], "argument --visitors: expected a whole number, 0 or more, got '-1'"),
        (["--script", "1", "--visitors", "5"], "visitors is for --script web, got --script 1"),
        (["--script", "2", "--start", "2020-01-01"], "start is for --script web, got --script 2"),
        (["--start", "monday"], "expected a date such as 2011-04-01, got 'monday'"),
        (["--rows", "0", "--output", "x.jsonl"], "a file cannot hold a stream without end"),
        (["--datagram", "5", "--output", "x.jsonl"], "datagram is for udp:// addresses"),
        (["--registers", "5"], "unrecognized arguments: --registers 5"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(COMMAND, options, message, capsys)


def test_help_names_every_option() -> None:
    assert_help_is_whole(COMMAND)
