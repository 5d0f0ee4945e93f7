"""Totals of anybody's records, as a user asks for them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import totals
from simulators.taxi.trips import write_trips
from tests.patience import PATIENCE_SECONDS
from tests.pipelines import tools
from tests.pipelines.tools import Balance, Feed
from tests.simulators.tools import ROOT

here = partial(tools.run_here, program="pipelines.totals")
started = partial(tools.started, program="pipelines.totals")
ROWS = 2_000
CITIES = "customer,city,discount\n007,Bergen,0.10\n7,Oslo,0\n,Nowhere,1\n"
ORDERS = "customer,amount,ok\n007,1.10,true\n7,2.30,false\n8,4.00,true\n007,,true\n"


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    write_trips(path, ROWS, seed=3)
    return path


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("customers.csv").write_text(CITIES)
    path = Path("orders.csv")
    path.write_text(ORDERS)
    return path


def rows_of(*paths: Path) -> list[dict]:
    lines = [line for path in sorted(paths) for line in path.read_text().split("\n") if line]
    rows = [json.loads(line, parse_float=Decimal) for line in lines]
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_sums_means_and_counts_of_windows_are_those_of_a_loop_over_the_records(trips, tmp_path, capsys):
    done = here(
        capsys, "--input", trips, "--by", "zone", "payment", "--sum", "fare", "--distinct", "passengers", "--count",
        "--max", "tip", "--time", "pickup_at", "--window", "1d", "--where", "distance > 2",
        "--output", tmp_path / "o.jsonl",
    )  # fmt: skip
    expected: dict = defaultdict(list)
    records = list(csv.DictReader(io.StringIO(trips.read_text())))
    for record in records:
        if Decimal(record["distance"]) > 2:
            expected[record["pickup_at"][:10], record["zone"], record["payment"]].append(record)
    kept = sum(map(len, expected.values()))
    assert done.balance == Balance(ROWS, kept, ROWS - kept, 0, 0)
    assert {
        (row["window_start"][:10], row["zone"], row["payment"]): (
            row["sum_fare"], row["distinct_passengers"], row["max_tip"], row["count"],
        )
        for row in rows_of(*tmp_path.glob("o*.jsonl"))
    } == {
        key: (
            sum(Decimal(each["fare"]) for each in found),
            len({each["passengers"] for each in found}),
            max(Decimal(each["tip"]) for each in found),
            len(found),
        )
        for key, found in expected.items()
    }  # fmt: skip


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters='\r\n",\0', exclude_categories=["Cs"]), max_size=4)
_AMOUNTS = st.decimals(-(10**9), 10**9, places=4, allow_nan=False, allow_infinity=False)


@settings(max_examples=15)
@given(
    records=st.lists(st.tuples(_TEXTS, st.one_of(st.none(), _AMOUNTS)), min_size=1, max_size=30),
    form=st.sampled_from(["csv", "jsonl"]),
)
def test_any_texts_make_keys_and_any_amounts_exact_sums(records, form, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    if form == "csv":
        lines = [f"{key},{'' if amount is None else f'{amount:f}'}" for key, amount in records]
        data = "\n".join(["key,amount", "k,1", *lines, ""])
    else:
        lines = [
            f'{{"key":{json.dumps(key)},"amount":{"null" if amount is None else f"{amount:f}"}}}'
            for key, amount in records
        ]
        data = "\n".join(['{"key":"k","amount":1}', *lines, ""])
    path, output = folder / f"in.{form}", folder / "o.jsonl"
    path.write_bytes(data.encode())
    options = ["--input", path, "--by", "key", "--sum", "amount", "--count", "--output", output, "--quiet"]
    assert totals.main([*map(str, options)]) == 0
    expected: dict = defaultdict(lambda: [Decimal(0), 0])
    for key, amount in [("k", Decimal(1)), *records]:
        # Of delimited records blank texts and NULL are missing.
        told = None if form == "csv" and key.strip(" ") in ("", "NULL") else key
        expected[told][0] += amount or 0
        expected[told][1] += 1
    assert {row.get("key"): [row["sum_amount"], row["count"]] for row in rows_of(output)} == expected


def test_keys_keep_their_texts_and_numbers_are_exact(orders, tmp_path, capsys):
    done = here(capsys, "--input", orders, "--by", "customer", "--sum", "amount", "--output", "o.jsonl")
    assert done.status == 0
    assert rows_of(Path("o.jsonl")) == [
        {"customer": "007", "sum_amount": Decimal("1.1")},
        {"customer": "7", "sum_amount": Decimal("2.3")},
        {"customer": "8", "sum_amount": Decimal("4.0")},
    ]


@pytest.mark.parametrize(
    ("how", "rows", "balance"),
    [
        ("left", {"Bergen": 2, "Oslo": 1, None: 1}, Balance(4, 4, 0, 0, 0)),
        ("inner", {"Bergen": 2, "Oslo": 1}, Balance(4, 3, 1, 0, 0)),
    ],
)
def test_records_get_the_columns_of_the_table_and_those_without_a_match_are_counted(orders, how, rows, balance, capsys):
    done = here(
        capsys, "--input", orders, "--join", "customers.csv", "--on", "customer", "--how", how,
        "--by", "city", "--count", "--sum", "discount", "--output", "o.jsonl",
    )  # fmt: skip
    assert done.balance == balance
    assert "warning: of 1 record the table that was joined has no customer" in done.lines
    assert {row.get("city"): row["count"] for row in rows_of(Path("o.jsonl"))} == rows


def test_a_table_of_a_database_can_be_joined(orders, capsys):
    here(
        capsys, "--input", "customers.csv", "--by", "customer", "city", "--count", "--output", "sqlite:///c.db?table=c"
    )
    done = here(
        capsys, "--input", orders, "--join", "sqlite:///c.db?table=c", "--on", "customer", "--by", "city",
        "--sum", "amount", "--output", "o.jsonl",
    )  # fmt: skip
    assert done.status == 0
    assert {row.get("city"): row["sum_amount"] for row in rows_of(Path("o.jsonl"))} == {
        "Bergen": Decimal("1.1"), "Oslo": Decimal("2.3"), None: Decimal("4.0"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("where", "used"),
    [("CAST(customer AS INT) < 8", 3), ("CAST(ok AS INT) < 8", 4), ("amount / (amount - 1.1) > 0", 2)],
)
def test_a_condition_that_cannot_be_worked_out_for_a_record_does_not_hold_for_it(orders, where, used, capsys):
    done = here(capsys, "--input", orders, "--count", "--where", where, "--output", "o.jsonl")
    assert done.balance == Balance(4, used, 4 - used, 0, 0)


def test_columns_may_be_called_as_ours_are_as_long_as_nobody_asks_for_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("odd.csv").write_text("_record,_odd,event_time,x,_raw_x\n1,2,3,4,5\n")
    done = here(capsys, "--input", "odd.csv", "--sum", "x", "_raw_x", "--output", "o.jsonl")
    assert done.status == 0
    assert rows_of(Path("o.jsonl")) == [{"sum_x": Decimal("4.0"), "sum__raw_x": Decimal("5.0")}]
    for name in ("_record", "_odd", "event_time"):
        done = here(capsys, "--input", "odd.csv", "--sum", name)
        assert done.status == 2
        assert f"'{name}' is a column that every frame has: " in done.err
    assert here(capsys, "--input", "odd.csv", "--sum", "x", "--time", "event_time", "--window", "1h").status == 1


def test_one_total_of_all_is_one_row_of_a_database_however_often_it_is_given(orders, capsys):
    for _ in range(2):
        done = here(capsys, "--input", orders, "--sum", "amount", "--output", "sqlite:///t.db", "-")
        assert done.status == 0
    with contextlib.closing(sqlite3.connect("t.db")) as connection:
        assert connection.execute("SELECT CAST(sum_amount AS REAL), final FROM totals").fetchall() == [(7.4, 1)]


LOG = '10.0.0.1 - - [06/May/2019:17:24:53 +0000] "GET / HTTP/1.1" {} 17\n'


def test_access_logs_are_known_by_their_ending(tmp_path, capsys):
    path = tmp_path / "access.log"
    path.write_text("".join(map(LOG.format, [200, 500, 200])))
    done = here(
        capsys, "--input", path, "--by", "status_code", "--window", "1h", "--count", "--output", tmp_path / "o.jsonl"
    )
    assert done.balance == Balance(3, 3, 0, 0, 0)
    assert {row["status_code"]: row["count"] for row in rows_of(*tmp_path.glob("o*"))} == {200: 2, 500: 1}


def test_json_keys_keep_their_types_and_lists_of_the_best_are_plain(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_text('{"n":7,"v":1.5}\n{"n":7,"v":12}\n{"n":10,"v":-1}\n')
    here(capsys, "--input", path, "--by", "n", "--top", "2:v", "--output", tmp_path / "o.jsonl")
    assert rows_of(tmp_path / "o.jsonl") == [
        {"n": 7, "top_v": [12, Decimal("1.5")], "count": 2}, {"n": 10, "top_v": [-1], "count": 1},
    ]  # fmt: skip


def test_the_same_command_totals_a_live_stream(tmp_path):
    output = tmp_path / "o.jsonl"
    with Feed() as feed, started(
        "--input", feed.address, "--names", "item,price", "--by", "item", "--sum", "price", "--emit", "100ms",
        "--idle-timeout", "2s", "--output", "-", output,
    ) as program:  # fmt: skip
        feed.send(b"fig,0.10\npear,2\nfig,0.20\nfig,cheap\n")
        done = program.finish()
    assert done.balance == Balance(4, 3, 0, 1, 0)
    assert rows_of(output) == [
        {"item": "fig", "sum_price": Decimal("0.3")},
        {"item": "pear", "sum_price": Decimal("2.0")},
    ]


def test_copies_in_a_live_stream_count_once_and_ids_are_compared_as_written(tmp_path):
    output = tmp_path / "o.jsonl"
    with Feed() as feed, started(
        "--input", feed.address, "--names", "id,price", "--sum", "price", "--deduplicate", "id", "--within", "1h",
        "--idle-timeout", "2s", "--output", output,
    ) as program:  # fmt: skip
        feed.send(b"7,0.10\n8,2\n7,0.10\n")
        feed.send(b"007,0.20\n8,2\n,1\n,1\n")
        done = program.finish()
    assert (done.balance, done.duplicates) == (Balance(7, 5, 0, 0, 0), 2)
    assert rows_of(output) == [{"sum_price": Decimal("4.3")}]


def test_what_it_explains_does_the_same(orders, tmp_path, capsys):
    options = [
        "--input", orders, "--join", "customers.csv", "--on", "customer", "--by", "city", "ok", "--sum", "amount",
        "--mean", "discount", "--where", "amount > 1.2 or ok = 'true'", "--top", "2:amount", "--output", "-", "o.jsonl",
        "--deduplicate", "customer", "ok",
    ]  # fmt: skip
    explained = here(capsys, *options, "--explain")
    assert explained.status == 0
    assert not Path("o.jsonl").exists()
    done = here(capsys, *options)
    expected = Path("o.jsonl").read_bytes()
    Path("o.jsonl").unlink()
    printed = subprocess.run(
        [sys.executable, "-c", explained.out],
        capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS, env={"PYTHONPATH": str(ROOT)},
    ).stdout  # fmt: skip
    assert printed == done.out
    assert Path("o.jsonl").read_bytes() == expected


@pytest.mark.parametrize(
    "options",
    [
        ["--input", "tcp://127.0.0.1:1", "--names", "a,b", "--sum", "b", "--emit", "1s", "--lateness", "1m"],
        ["--input", "access.log", "--by", "status_code", "--follow", "--window", "10m/5m"],
        ["--input", "kafka://127.0.0.1:1/t", "--by", "a", "--distinct", "b:integer"],
    ],
)
def test_what_it_explains_of_other_input_is_python(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("access.log").write_text(LOG.format(200))
    code = here(capsys, *options, "--explain").out
    compile(code, "explained", "exec")
    exec(code[: code.index("with beam")], {})  # noqa: S102 - its names are there


def test_it_shows_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = here(capsys)
    assert done.balance == Balance(100_000, 100_000, 0, 0, 0)
    assert "Airport" in done.out
    assert done.out.count("\n") == 15


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--sum", "amuont"], "there is no column 'amuont', only customer, amount, ok"),
        (["--sum", "amount:money"], "expected a column such as zone or fare:KIND (of text,"),
        (["--top", "amount"], "expected a number and a column such as 5:fare, got 'amount'"),
        (["--top", "0:amount"], "expected a whole number from 1, got '0'"),
        (["--window", "1h"], "--window cuts event time: say with --time which column has it"),
        (["--time", "when", "--count"], "no column 'when', only customer, amount, ok"),
        (["--time", "customer", "--by", "customer"], "'customer' is the event time, which is no key"),
        (["--order-by", "ok"], "--order-by takes count, got 'ok'"),
        (["--by", "amount", "--sum", "amount"], "'amount' is a key, which is a text, and a number elsewhere"),
        (["--min", "amount:integer", "--max", "amount:text"], "'amount' cannot be both integer and text"),
        (["--where", "amount >"], "cannot read the condition 'amount >'"),
        (["--by", "customer:text", "--where", "customer > 3"], "makes no sense with customer:text"),
        (["--join", "customers.csv", "--by", "city"], "--join needs a key: say with --on"),
        (["--join", "nowhere.csv", "--on", "customer"], "no file at 'nowhere.csv'"),
        (["--join", "sqlite:///no.db?table=a", "--on", "customer"], "no file at 'no.db'"),
        (["--join", "customers.csv", "--on", "ok"], "the table to join has no column 'ok', only customer, city"),
        (["--join", "orders.csv", "--on", "customer", "--by", "customer"], "has '007' twice in 'customer'"),
        (["--on", "customer"], "--on and --how are for --join"),
        (["--read-as", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage_is_one_line(orders, options, reason, capsys):
    done = here(capsys, "--input", orders, *options)
    assert done.status == 2
    (line,) = done.err.splitlines()
    assert reason in line
    assert not Path("no.db").exists()


def test_times_are_read_as_they_are_written_and_as_one_says(tmp_path, capsys):
    moments = ["2024-05-06T10:10:00.5+02:00", "1714983000", "2024-05-06 08:20", "06/05/2024 08:30"]
    (tmp_path / "t.csv").write_text("".join(f"{moment},{n}\n" for n, moment in enumerate(["when", *moments])))
    asked = ("--input", tmp_path / "t.csv", "--names", "when,n", "--time", "when", "--window", "1h", "--count")
    for format_, used in ((), 3), (("--time-format", "%d/%m/%Y %H:%M"), 1):
        out = tmp_path / f"{used}.jsonl"
        done = here(capsys, *asked, *format_, "--output", out)
        assert (done.status, done.balance.used) == (0, used)
        rows = rows_of(out)
        assert [(row["window_start"][:13], row["count"]) for row in rows] == [("2024-05-06T08", used)]
