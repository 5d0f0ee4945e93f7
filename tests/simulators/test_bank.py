"""The bank's program: its options, its outputs, and its truth file against a recount by hand."""

from __future__ import annotations

import gzip
import io
import json
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from simulators.bank import COMMAND
from simulators.transfers.transfers import Transfers
from tests.simulators.tools import (
    PATIENCE_SECONDS,
    ROOT,
    assert_help_is_whole,
    assert_refused,
    connect,
    fetch,
    port_of,
    run,
    started,
)

LISTEN = ("--listen", "127.0.0.1:0")


def transfers(rows: int, **options: Any) -> bytes:
    return b"".join(bytes(batch.data) for batch in Transfers(rows, **options).batches())


def bank(*options: object) -> subprocess.CompletedProcess[bytes]:
    return run(*options, program="bank")


def recount(data: bytes) -> dict[str, Any]:
    """Counts transfers the slow way: a strict reader, Decimal, a line at a time."""

    def refuse(text: str) -> None:
        raise ValueError(text)

    count: dict[str, Any] = {"rows": 0, "garbage": 0, "regions": {}}
    for line in data.split(b"\n")[:-1]:
        count["rows"] += 1
        try:
            record = json.loads(line.decode(), parse_float=Decimal, parse_constant=refuse)
            account, region, value = (record[name] for name in ("account_id", "account_region", "transaction_value"))
            assert isinstance(account, int)
            assert isinstance(region, str)
            assert isinstance(value, Decimal)
        except (ValueError, KeyError, TypeError, AssertionError):
            count["garbage"] += 1
            continue
        flow = count["regions"].setdefault(region, [0, Decimal(0)])
        flow[0] += 1
        flow[1] += value
    return count


def assert_truth(path: Path, data: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(path.read_text())
    counted = recount(data)
    assert said["rows"] == counted["rows"]
    assert said["garbage"] == counted["garbage"]
    found = {name: [flow["count"], Decimal(flow["sum"])] for name, flow in said["regions"].items()}
    assert found == counted["regions"]
    assert said["total"]["count"] == said["well_formed"] == counted["rows"] - counted["garbage"]
    assert Decimal(said["total"]["sum"]) == sum(total for _, total in counted["regions"].values())
    return said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rows", "many"], "argument --rows: expected a whole number, 0 or more, got 'many'"),
        (["--values", "normal"], "argument --values: invalid choice: 'normal'"),
        (["--fields", "all"], "argument --fields: invalid choice: 'all'"),
        (["--regions", "nowhere.toml"], "argument --regions: cannot read the regions of nowhere.toml: No such file"),
        (["--start", "soon"], "argument --start: expected now or a time since 1970"),
        (["--listen", "9999"], "argument --listen: expected tcp-listen://host:port"),
        (["--shared", "--output", "x.jsonl"], "shared is for tcp-listen:// addresses, got 'x.jsonl'"),
        (["--shared", "--once"], "give one of per-connection, once and shared, got once and shared"),
        (["--rate", "5", "--unpaced"], "give one of speed, rate, interval and unpaced"),
        (["--rows", "0", "--output", "x.jsonl"], "a file cannot hold a stream without end"),
        (["--vehicles", "5"], "unrecognized arguments: --vehicles 5"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(COMMAND, options, message, capsys)


def test_help_tells_every_option() -> None:
    assert_help_is_whole(COMMAND)


def test_files_are_not_paced_and_are_compressed_by_their_ending(tmp_path: Path) -> None:
    names = ("bank.jsonl", "bank.jsonl.gz", "bank.jsonl.zst")
    for name in names:
        assert bank("--rows", 20_000, "--output", tmp_path / name).returncode == 0
    plain, zipped, packed = ((tmp_path / name).read_bytes() for name in names)
    assert plain == gzip.decompress(zipped) == transfers(20_000)
    assert zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read() == plain


def test_standard_output_gets_the_transfers_and_nothing_else() -> None:
    done = bank("--rows", 3, "--output", "-", "--fields", "full", "--values", "lognormal", "--seed", 4)
    assert done.stdout == transfers(3, seed=4, fields="full", values="lognormal")
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_truth_is_what_a_recount_finds(tmp_path: Path) -> None:
    truth, output = tmp_path / "truth.json", tmp_path / "bank.jsonl"
    faults = ("--late", 0.02, "--duplicates", 0.03, "--disorder", 0.1, "--garbage", 0.04)
    done = bank("--rows", 30_000, "--output", output, "--truth", truth, *faults)
    assert done.returncode == 0, done.stderr
    said = assert_truth(truth, output.read_bytes())
    assert said["rows"] == 30_000 + said["duplicated"]
    assert 700 < said["duplicated"] < 1_100
    assert 1_000 < said["garbage"] < 1_400
    assert 450 < said["late"] < 750


def test_regions_of_a_file_are_sent_and_told(tmp_path: Path) -> None:
    regions, truth, output = tmp_path / "regions.toml", tmp_path / "truth.json", tmp_path / "bank.jsonl"
    regions.write_text('[regions]\nNorth = 0.25\n"South East" = 0.75\n')
    done = bank("--rows", 2_000, "--regions", regions, "--output", output, "--truth", truth)
    assert done.returncode == 0, done.stderr
    said = assert_truth(truth, output.read_bytes())
    assert list(said["regions"]) == ["North", "South East"]
    assert 400 < said["regions"]["North"]["count"] < 600


def test_each_client_gets_the_full_stream_and_over_a_network_it_is_paced() -> None:
    # Of this seed the first gap is a short one.
    with started("--rows", 2, "--seed", 29, *LISTEN, program="bank") as process:
        port = port_of(process)
        begin = time.monotonic()
        assert fetch(port) == transfers(2, seed=29)
        assert time.monotonic() - begin > 0.15
        assert fetch(port) == transfers(2, seed=29)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 143


def test_over_a_network_it_goes_on_and_a_rate_is_held() -> None:
    with started("--rate", 50_000, *LISTEN, program="bank") as process:
        port = port_of(process)
        begin = time.monotonic()
        with connect(port) as client:
            lines = 0
            while lines < 50_000:
                lines += client.recv(1 << 16).count(b"\n")
                assert lines <= 50_000 * (time.monotonic() - begin) + 1


def test_datagrams_have_whole_transfers() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_SECONDS)
        to = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        assert bank("--rows", 50, "--unpaced", "--output", to).returncode == 0
        got = b""
        while got.count(b"\n") < 50:
            datagram = receiver.recv(65_536)
            assert datagram.endswith(b"}\n")
            got += datagram
    assert got == transfers(50)


def test_options_come_from_a_file_too(tmp_path: Path) -> None:
    config = tmp_path / "bank.toml"
    config.write_text('rows = 5\nvalues = "lognormal"\noutput = "-"\n')
    done = bank("--config", config, "--seed", 2)
    assert (done.returncode, done.stdout) == (0, transfers(5, seed=2, values="lognormal")), done.stderr


def test_full_fields_without_the_package_of_names_are_refused_in_one_line() -> None:
    code = "import sys; sys.modules['mimesis'] = None; from simulators.bank import main; sys.exit(main(sys.argv[1:]))"
    for fields, status in (("short", 0), ("full", 2)):
        command = [sys.executable, "-c", code, "--rows", "1", "--output", "-", "--fields", fields]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE_SECONDS)
        assert done.returncode == status, done.stderr
    assert b"full fields have people's names, which need the package mimesis: pip install" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_port_that_is_taken_is_one_line_and_exit_code_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for way in ([], ["--shared"]):
            done = bank("--listen", f"127.0.0.1:{taken.getsockname()[1]}", *way)
            assert done.returncode == 1
            assert b"cannot listen on 127.0.0.1:" in done.stderr
            assert done.stderr.count(b"\n") == 1


def test_no_simulator_needs_beam() -> None:
    code = (
        "import sys; from simulators import bank, gps, http, pos, registers, smoothies; "
        "sys.exit(any(name.startswith('apache_beam') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=PATIENCE_SECONDS).returncode == 0
