"""The credit pipeline as a user runs it: the program, the simulator in a process of its own, files and databases."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import sqlite3
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import apache_beam as beam
import psycopg
import pytest
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.credit import TOTALS
from schemas.bank import TRANSFERS
from schemas.times import to_micros
from tests.patience import PATIENCE_SECONDS
from tests.pipelines.tools import (
    Feed,
    needs_proc,
    run_here,
    to_micros_of,
    wait_for,
)
from tests.pipelines.tools import started as run_beside
from tests.servers import Postgres, running_postgres
from tests.simulators.tools import port_of, started
from tests.simulators.tools import run as simulate
from tests.strategies import transfers
from transforms.aggregate.aggregate import Aggregate
from transforms.parse.parser import parse_as
from transforms.windows import Windows

pytestmark = needs_proc
GOOD = {"account_id": 1234567, "account_region": "North", "transaction_value": 4310.27}


here = functools.partial(run_here, program="pipelines.credit")


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]


def totals_of(truth: dict) -> dict[str, tuple[int, Decimal]]:
    return {name: (flow["count"], Decimal(flow["sum"])) for name, flow in truth["regions"].items() if flow["count"]}


def with_mean_and_share(totals: dict[str, tuple[int, Decimal]]) -> dict[str, tuple]:
    whole = sum(Fraction(value) for _, value in totals.values())
    return {
        name: (
            count,
            value,
            Decimal(round(Fraction(value) / count * 10**9)).scaleb(-9),
            Decimal(round(Fraction(value) / whole * 10**9)).scaleb(-9),
        )
        for name, (count, value) in totals.items()
    }


def by_region(rows: list[dict]) -> dict[str, tuple]:
    found = {
        row["account_region"]: (row["count"], *(Decimal(row[n]) for n in ("sum", "mean", "share"))) for row in rows
    }
    assert len(found) == len(rows)
    return found


def read_table(path: Path, table: str) -> list[dict]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608


@pytest.mark.usefixtures("prism")
def test_live_totals_at_the_end_are_what_the_simulator_says_it_sent(tmp_path, capsys):
    truth, database, chart = tmp_path / "truth.json", tmp_path / "x.db", tmp_path / "credit.png"
    options = ["--listen", "127.0.0.1:0", "--rate", 1500, "--rows", 4500, "--garbage", 0.02, "--seed", 8]
    with started(*options, "--once", "--truth", truth, program="bank") as bank:
        outputs = ["-", tmp_path / "x.jsonl", f"sqlite:///{database}"]
        live = ["--input", f"tcp://127.0.0.1:{port_of(bank)}", "--max-records", 4500, "--emit", "300ms"]
        done = here(
            capsys, *live, "--last", "2s", "--plot", chart, "--rejected", tmp_path / "r.jsonl", "--output", *outputs
        )
        assert done.status == 0, done.err
        assert bank.wait(PATIENCE_SECONDS) == 0
    said = json.loads(truth.read_text())
    right = with_mean_and_share(totals_of(said))
    assert done.balance == (4500, said["well_formed"], 0, said["garbage"], 0)
    assert said["garbage"] > 0
    assert len(rows_of(tmp_path / "r.jsonl")) == said["garbage"]
    assert by_region(rows_of(tmp_path / "x.jsonl")) == right
    table = read_table(database, "credit")
    assert by_region(table) == right
    assert all(row["final"] and row["window_start"] is None for row in table)
    # Early ones were given on the way, and shown.
    assert "since the start · all time, early" in done.out
    assert "the last 2s · " in done.out
    # Each transfer is in ten windows, whenever it arrived.
    files = [path for path in tmp_path.glob("x-last-2s-*.jsonl") if "ranks" not in path.name]
    windows = [row for path in files for row in rows_of(path)]
    assert sum(row["count"] for row in windows) == 10 * said["well_formed"]
    assert sum(row["sum"] for row in windows) == 10 * sum(Decimal(value) for _, value, *_ in right.values())
    stored = read_table(database, "credit_last_2s")
    assert sum(row["count"] for row in stored) == 10 * said["well_formed"]
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_ranks_are_written_beside_the_totals(tmp_path, capsys):
    values = {"b": ["2", "2"], "a": ["3", "1"], "c": ["3"], "d": ["1"]}
    lines = [
        f'{{"account_id": 1, "account_region": "{name}", "transaction_value": {value}}}'
        for name, numbers in values.items()
        for value in numbers
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    done = here(capsys, "--input", tmp_path / "t.jsonl", "--top", 2, "--output", tmp_path / "x.jsonl", "-", "--quiet")
    assert done.status == 0, done.err
    ranks = [
        (row["ranking"], row["rank"], row["account_region"], Decimal(row["value"]))
        for row in rows_of(tmp_path / "x-ranks.jsonl")
    ]
    # "a" and "b" tie by count, by volume and for the second mean: the least name is the first.
    assert ranks == [("count", 1, "a", 2), ("mean", 1, "c", 3), ("mean", 2, "a", 2), ("volume", 1, "a", 4)]
    assert "first by mean    1. c 3.00  2. a 2.00" in done.out


def brute_force(sent: list[tuple[int, str, Decimal]], length: int, step: int) -> dict:
    """Puts each transfer into each window that has it."""
    found: dict = defaultdict(lambda: (0, Decimal(0)))
    for time, region, value in sent:
        start = time - time % step
        while start > time - length:
            count, total = found[start, region]
            found[start, region] = (count + 1, total + value)
            start -= step
    return dict(found)


def test_the_last_minutes_equal_a_count_by_hand(tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    assert (
        simulate("--rows", 300, "--fields", "full", "--disorder", 0.2, "--output", path, program="bank").returncode == 0
    )
    done = here(capsys, "--input", path, "--last", "50s", "3m", "--output", tmp_path / "x.jsonl")
    assert done.status == 0, done.err
    sent = [
        (to_micros_of(row["transfer_time"]), row["account_region"], Decimal(row["transaction_value"]))
        for row in rows_of(path)
    ]
    for name, seconds in (("50s", 50), ("3m", 180)):
        file = tmp_path / f"x-last-{name}.jsonl"
        found = {
            (to_micros_of(row["window_start"]), row["account_region"]): (row["count"], Decimal(row["sum"]))
            for row in rows_of(file)
        }
        assert found == brute_force(sent, seconds * 10**6, seconds * 10**5)
        assert f"wrote {file}" in done.lines


@settings(max_examples=5)
@given(transfers, st.integers(1, 40), st.randoms(use_true_random=False))
def test_sliding_totals_are_right_for_any_times_sizes_and_cuts(some, tenths, random):
    windows = Windows(tenths * 1_000_000, tenths * 100_000)
    lines = [
        json.dumps(
            {"account_id": 1, "account_region": region, "transaction_value": 0, "transfer_time": f"{time}"}
        ).replace('"transaction_value": 0', f'"transaction_value": {value}')
        for time, region, value in some
    ]
    expected = brute_force(
        [(to_micros(time), region, value) for time, region, value in some], windows.length, windows.step
    )

    def check(results):
        found = {
            (result.window_start, row["account_region"]): (row["count"], row["sum"])
            for result in results
            for row in result.rows.to_dicts()
        }
        assert found == expected

    random.shuffle(lines)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        records = pipeline | beam.Create(lines, reshuffle=False).with_output_types(str)
        parsed = records | parse_as(TRANSFERS)
        totals = parsed["records"] | Aggregate(("account_region",), TOTALS, windows)
        assert_that(totals, check)


def bad(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def with_value(text: str) -> bytes:
    return json.dumps(GOOD).replace("4310.27", text).encode()


BAD = [
    (b"money", "not JSON: "),
    (b"[1, 2]", "no JSON object: '[1, 2]'"),
    (without("account_id"), "account_id is missing"),
    (without("account_region"), "account_region is missing"),
    (without("transaction_value"), "transaction_value is missing"),
    (bad(account_id="x"), "account_id is no whole number: 'x'"),
    (bad(account_region=5), "account_region is no text: '5'"),
    (bad(transaction_value="much"), "transaction_value is no number: 'much'"),
    (with_value("NaN"), "not JSON: NaN is no number"),
    (with_value("-Infinity"), "not JSON: -Infinity is no number"),
    (with_value("1e30"), "transaction_value is too big: '1e30'"),
    (with_value("0.0000000001"), "transaction_value has more than 9 decimals: '0.0000000001'"),
    (bad(account_region="x" * 10_000_000), "record longer than 4194304 bytes"),
    (json.dumps(GOOD).encode().replace(b"North", b"N\xff"), "not UTF-8 at byte "),
    (bad(account_region="Atlantis"), "account_region 'Atlantis' is not among the 2 that are known"),
]


def test_each_bad_record_is_rejected_with_its_reason_and_the_rest_is_unharmed(tmp_path, capsys):
    good = json.dumps(GOOD).encode() + b"\n"
    (tmp_path / "t.jsonl").write_bytes(good + b"".join(record + b"\n" + good for record, _ in BAD))
    (tmp_path / "regions.toml").write_text("[regions]\nNorth = 0.5\nSouth = 0.5\n")
    options = ["--regions", tmp_path / "regions.toml", "--rejected", tmp_path / "r.jsonl"]
    done = here(capsys, "--input", tmp_path / "t.jsonl", *options, "--output", tmp_path / "x.jsonl")
    assert done.status == 0, done.err
    assert done.balance == (2 * len(BAD) + 1, len(BAD) + 1, 0, len(BAD), 0)
    (row,) = rows_of(tmp_path / "x.jsonl")
    assert (row["count"], row["sum"]) == (len(BAD) + 1, (len(BAD) + 1) * Decimal("4310.27"))
    rejected = sorted(rows_of(tmp_path / "r.jsonl"), key=lambda record: record["position"])
    for record, (raw, reason) in zip(rejected, BAD):
        assert record["reason"].startswith(reason)
        assert record.get("raw_base64") or raw.startswith(record["raw"].encode())


def test_without_a_list_a_new_region_is_a_new_row(tmp_path, capsys):
    (tmp_path / "t.jsonl").write_bytes(bad() + b"\n" + bad(account_region="Atlantis", transaction_value=1))
    done = here(capsys, "--input", tmp_path / "t.jsonl", "--output", tmp_path / "x.jsonl")
    assert done.status == 0, done.err
    assert [row["account_region"] for row in rows_of(tmp_path / "x.jsonl")] == ["Atlantis", "North"]


@pytest.mark.usefixtures("prism")
def test_what_comes_too_late_for_the_last_minutes_is_told_and_still_in_the_totals(tmp_path):
    def line(time: str) -> str:
        return json.dumps({**GOOD, "transfer_time": time})

    options = ("--max-records", 3, "--last", "10s", "--late", tmp_path / "l.jsonl", "--output", tmp_path / "x.jsonl")
    with Feed() as feed, run_beside("--input", feed.address, *options, program="pipelines.credit") as program:
        feed.send(f"{line('2024-01-01 00:00:00')}\n{line('2024-01-01 01:00:00')}\n".encode())
        # Only when these were taken is the next one late.
        wait_for(lambda: list(tmp_path.glob("x-last-10s-*.jsonl")))
        feed.send(f"{line('2024-01-01 00:00:01')}\n".encode())
        done = program.finish()
    assert done.status == 0, done.err
    assert done.balance == (3, 3, 0, 0, 0)
    (late,) = rows_of(tmp_path / "l.jsonl")
    assert late["reason"].startswith("late: its last window had closed")
    assert rows_of(tmp_path / "x.jsonl")[0]["count"] == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--window", "1h"], "wrong usage: totals are since the start"),
        (["--last", "x"], "argument --last: expected a duration such as 30s"),
        (["--last", "0.000015s"], "argument --last: expected a time of some 10 us, got '0.000015s'"),
        (["--top", "0"], "argument --top: expected a whole number from 1, got '0'"),
        (["--regions", "nowhere.toml"], "argument --regions: cannot read the regions of nowhere.toml"),
        (["--plot", "credit.jpg"], "wrong usage: expected a chart's path to end in .png or .svg, got 'credit.jpg'"),
        (["--plot", "/dev/null/credit.png"], "wrong usage: cannot write /dev/null/credit.png: Not a directory"),
        (["--output", "/dev/null/x.jsonl"], "wrong usage: cannot write /dev/null/x.jsonl: Not a directory"),
        (
            ["--output", "sqlite:////dev/null/x.db"],
            "wrong usage: cannot write sqlite:////dev/null/x.db: Not a directory",
        ),
    ],
)
def test_wrong_usage_is_one_line(options, why, tmp_path, capsys):
    (tmp_path / "t.jsonl").write_bytes(bad())
    done = here(capsys, "--input", tmp_path / "t.jsonl", *options)
    assert done.status == 2
    assert why in done.err
    assert done.err.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = f"tcp-listen://127.0.0.1:{port}"
        done = here(capsys, "--input", address, "--output", "-")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"127.0.0.1:{port}" in done.err


@pytest.fixture(scope="module")
def postgres():
    with running_postgres() as server:
        yield server


@pytest.mark.usefixtures("prism")
def test_a_server_has_the_totals_that_were_sent(tmp_path, postgres: Postgres, capsys):
    truth = tmp_path / "truth.json"
    with started(
        "--listen", "127.0.0.1:0", "--rate", 2000, "--rows", 2000, "--once", "--truth", truth, program="bank"
    ) as bank:
        live = ["--input", f"tcp://127.0.0.1:{port_of(bank)}", "--max-records", 2000, "--emit", "200ms"]
        done = here(capsys, *live, "--output", postgres.url(), "--last", "1m")
        assert done.status == 0, done.err
        assert bank.wait(PATIENCE_SECONDS) == 0
    with psycopg.connect(postgres.url()) as connection:
        rows = connection.execute("SELECT account_region, count, sum, mean, share FROM credit WHERE final").fetchall()
        ranks = connection.execute("SELECT account_region FROM credit_ranks WHERE ranking = 'volume'").fetchall()
        windows = connection.execute("SELECT sum(count) FROM credit_last_1m").fetchone()
    right = with_mean_and_share(totals_of(json.loads(truth.read_text())))
    assert {row[0]: row[1:] for row in rows} == right
    assert ranks == [(max(right, key=lambda region: right[region][1]),)]
    assert windows == (20_000,)
