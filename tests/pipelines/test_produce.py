"""The main job from end to end: registers, pipeline and results, each in a process of its own, held against the oracle.

What is read comes from the real simulator. What comes out equals the oracle's totals to the last digit.
"""

from __future__ import annotations

import json
import socket
import threading
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import fastavro
import polars as pl
import pytest

from schemas.record_type import Dialect
from schemas.tape import COLUMNS
from simulators.registers import write_tape
from tests.fakes import listening
from tests.patience import PATIENCE_SECONDS
from tests.pipelines.conftest import ROWS
from tests.pipelines.tools import (
    Feed,
    assert_lines,
    right_totals,
    run,
    run_here,
    simulator,
    started,
    totals_of,
    wait_for,
)
from tests.ports import free_port
from tests.simulators.tools import port_of


@pytest.mark.parametrize(
    ("runner", "window"),
    [("FnApiRunner", "all"), ("DirectRunner", "10m/5m"), ("PrismRunner", "1h"), ("PrismRunner", "all")],
)
def test_a_file_is_totalled_to_the_last_digit_in_every_format(runner, window, tape, tmp_path, request, capsys):
    if runner == "PrismRunner":
        request.getfixturevalue("prism")
    outputs = [tmp_path / f"totals.{ending}" for ending in ("jsonl", "avro", "parquet")]
    done = run_here(capsys, "--runner", runner, "--input", tape, "--window", window, "--output", *outputs)
    assert done.status == 0, done.err
    assert done.balance.read == ROWS
    right = right_totals(tape.read_bytes(), window)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["totals.avro", "totals.jsonl", "totals.parquet"]
    jsonl, avro, parquet = outputs
    assert totals_of([jsonl]) == right
    assert _avro_totals([avro]) == right
    assert _parquet_totals([parquet]) == right
    for path in outputs:
        assert f"wrote {path}" in done.lines
    rows = [json.loads(line) for line in jsonl.read_text().splitlines()]
    order = [(row["window_start"] or "", row["upc"]) for row in rows]
    assert order == sorted(set(order))
    if window != "10m/5m":
        assert done.balance.used == sum(row[4] for row in right.values())


def _avro_totals(paths):
    found = {}
    for path in paths:
        with path.open("rb") as file:
            for row in fastavro.reader(file):
                found[_key(row)] = _values(row)
    return found


def _parquet_totals(paths):
    return {_key(row): _values(row) for path in paths for row in pl.read_parquet(path).to_dicts()}


def _key(row):
    start = row["window_start"]
    return (None if start is None else round(start.timestamp()) * 10**6), row["upc"]


def _values(row):
    return [row[name] for name in ("description", "quantity", "scale", "spend", "rows")]


def test_one_document_per_window_has_what_the_rows_have(tape, tmp_path, capsys):
    done = run_here(
        capsys, "--input", tape, "--window", "1d", "--shape", "by-upc", "--output", tmp_path / "totals.jsonl"
    )
    assert done.status == 0, done.err
    right = right_totals(tape.read_bytes(), "1d")
    paths = sorted(tmp_path.glob("*.jsonl"))
    starts = sorted({start for start, _ in right})
    assert len(paths) == len(starts)
    for path, start in zip(paths, starts):
        document = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)
        assert document == {upc: values[:4] for (window, upc), values in right.items() if window == start}


def test_a_folder_of_every_dialect_is_one_total(tmp_path, capsys):
    folder = tmp_path / "tape"
    folder.mkdir()
    plain = b""
    dialects = {
        "a.txt": Dialect("\t"),
        "b.csv": Dialect(",", quoted=True, header=COLUMNS),
        "c.txt.gz": Dialect(";"),
        "d.txt.zst": Dialect("|", quoted=True),
        "e.tsv": Dialect("\t", header=COLUMNS),
    }
    for seed, (name, dialect) in enumerate(dialects.items()):
        write_tape(folder / name, 2_000, seed=seed, dialect=dialect)
        plain += write_tape(tmp_path / "plain", 2_000, seed=seed).read_bytes()
    done = run_here(capsys, "--input", folder, "--output", tmp_path / "totals.jsonl")
    assert done.status == 0, done.err
    assert done.balance.read == 10_000
    assert done.balance.rejected == 0
    assert totals_of([tmp_path / "totals.jsonl"]) == right_totals(plain)


def test_standard_input_is_read_to_its_end(prism, short_tape, tmp_path):
    out = tmp_path / "totals.jsonl"
    done = run("--input", "-", "--output", out, data=short_tape.read_bytes())
    assert done.status == 0, done.err
    assert totals_of([out]) == right_totals(short_tape.read_bytes())


def test_registers_that_serve_lines_are_totalled_side_by_side(prism, tmp_path, capsys):
    tapes = [tmp_path / f"{seed}.tsv" for seed in (1, 2)]
    truths = [tmp_path / f"{seed}.json" for seed in (1, 2)]
    plain = b"".join(write_tape(path, 3_000, seed=int(path.stem)).read_bytes() for path in tapes)
    serve = ["--rows", 3_000, "--once", "--output", "tcp-listen://127.0.0.1:0"]
    with (
        simulator("--seed", 1, "--truth", truths[0], *serve) as one,
        simulator("--seed", 2, "--truth", truths[1], *serve) as two,
    ):
        addresses = [f"tcp://127.0.0.1:{port_of(peer)}" for peer in (one, two)]
        done = run_here(capsys, "--input", *addresses, "--max-records", 6_000, "--output", tmp_path / "totals.jsonl")
    assert done.status == 0, done.err
    assert done.balance.read == 6_000
    found = totals_of([tmp_path / "totals.jsonl"])
    assert found == right_totals(plain)
    _assert_agrees_with_truth(found, truths)


def _assert_agrees_with_truth(found, truths):
    """The truth counts every row of the department; all of those are sales."""
    sent = [json.loads(path.read_text())["produce"] for path in truths]
    for upc in {upc for each in sent for upc in each}:
        sums = [each[upc] for each in sent if upc in each]
        _, quantity, _, spend, rows = found[None, upc]
        assert quantity == sum(Decimal(each["quantity"]) for each in sums)
        assert spend == sum(Decimal(each["total"]) for each in sums)
        assert rows == sum(each["rows"] for each in sums)


def test_a_register_that_serves_one_record_per_connection_is_totalled(prism, tmp_path, capsys):
    records = 400
    plain = write_tape(tmp_path / "tape.tsv", records, seed=3).read_bytes()
    with simulator(
        "--rows", records, "--seed", 3, "--per-connection", "--output", "tcp-listen://127.0.0.1:0"
    ) as register:
        done = run_here(
            capsys,
            "--runner=PrismRunner",
            *("--input", f"tcp://127.0.0.1:{port_of(register)}"),
            *("--max-records", records, "--window", "1h", "--output", tmp_path / "totals.jsonl"),
        )
    assert done.status == 0, done.err
    assert done.balance.read == records
    assert totals_of(sorted(tmp_path.glob("totals-*.jsonl"))) == right_totals(plain, "1h")


def test_registers_that_push_are_totalled(prism, tmp_path):
    plain = write_tape(tmp_path / "tape.tsv", 10_000, seed=4).read_bytes()
    out = tmp_path / "totals.jsonl"
    with (
        started("--input", "tcp-listen://127.0.0.1:0", "--max-records", 10_000, "--output", out) as program,
        simulator("--rows", 10_000, "--seed", 4, "--output", f"tcp://127.0.0.1:{program.port()}") as register,
    ):
        assert register.wait(PATIENCE_SECONDS) == 0
        done = program.finish()
    assert done.status == 0, done.err
    assert done.balance.read == 10_000
    assert totals_of([out]) == right_totals(plain)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A tape with every fault, and the truth about it."""
    folder = tmp_path_factory.mktemp("faulty")
    tape, truth = folder / "tape.tsv", folder / "truth.json"
    faults = ["--late", 0.02, "--duplicates", 0.02, "--disorder", 0.05, "--garbage", 0.03]
    with simulator("--rows", ROWS, "--seed", 7, *faults, "--output", tape, "--truth", truth) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    return tape, json.loads(truth.read_text())


def test_every_garbage_record_is_rejected_and_shown(faulty, tmp_path, capsys):
    tape, truth = faulty
    out, rejected = tmp_path / "totals.jsonl", tmp_path / "rejected.jsonl"
    done = run_here(capsys, "--input", tape, "--output", out, "--rejected", rejected)
    assert done.status == 0, done.err
    assert done.balance.read == truth["rows"]
    assert done.balance.rejected == truth["garbage"] > 0
    records = assert_lines(rejected, truth["garbage"])
    assert {record["origin"] for record in records} == {str(tape)}
    lines = tape.read_bytes()
    for record in records:
        start = record["position"]
        assert start == 0 or lines[start - 1 : start] == b"\n"
        if "raw" in record:
            assert lines[start:].startswith(record["raw"].encode())
    assert totals_of([out]) == right_totals(lines)
    assert f"wrote {truth['garbage']:,} rejected records to {rejected}" in done.lines


@pytest.mark.parametrize(
    ("more", "is_late"),
    [
        (["--disorder", "1s"], True),
        (["--disorder", "3h"], False),
        (["--disorder", "1s", "--lateness", "3h"], False),
    ],
)
def test_late_records_are_used_or_counted_and_shown(more, is_late, faulty, prism, tmp_path, capsys):
    tape, truth = faulty
    late = tmp_path / "late.jsonl"
    late.write_text("of an earlier run\n")
    done = run_here(
        capsys,
        *("--input", tape, "--rate", 40_000, "--window", "10m", *more),
        *("--output", tmp_path / "totals.jsonl", "--late", late),
    )
    assert done.status == 0, done.err
    assert done.balance.read == truth["rows"]
    assert done.balance.rejected == truth["garbage"]
    assert (done.balance.late > 0) == is_late
    records = assert_lines(late, done.balance.late)
    found = totals_of(sorted(tmp_path.glob("totals-*.jsonl")))
    right = right_totals(tape.read_bytes(), "10m")
    assert done.balance.used + done.balance.late == sum(row[4] for row in right.values())
    if is_late:
        # What was late is all that is missing.
        for key, row in right_totals("".join(record["raw"] + "\n" for record in records).encode(), "10m").items():
            for place in range(1, 5):
                right[key][place] -= row[place]
        right = {key: row[1:] for key, row in right.items() if row[4]}
        found = {key: row[1:] for key, row in found.items()}
    assert found == right


def test_no_more_records_are_read_than_asked_for(tape, tmp_path, capsys):
    out = tmp_path / "totals.jsonl"
    done = run_here(capsys, "--input", tape, "--max-records", 1_000, "--output", out)
    assert done.balance.read == 1_000
    first = b"".join(tape.read_bytes().splitlines(keepends=True)[:1_000])
    assert totals_of([out]) == right_totals(first)


@pytest.mark.parametrize(
    ("pace", "least_seconds"),
    [(["--rate", 1_000], 1.0), (["--interval", "0.001..0.003"], 1.5), (["--speed", 4_000], 0.5)],
)
def test_a_replay_keeps_its_pace(pace, least_seconds, short_tape, prism, tmp_path, capsys):
    seconds = least_seconds
    if pace[0] == "--speed":
        times = [line.split(b"\t")[0].decode() for line in short_tape.read_bytes().splitlines()]
        first, last = (datetime.fromisoformat(time) for time in (times[0], times[-1]))
        seconds = (last - first).total_seconds() / 4_000
    done = run_here(capsys, "--input", short_tape, *pace, "--output", tmp_path / "totals.jsonl")
    assert done.status == 0, done.err
    took = float(done.err.partition(", in ")[2].partition(" s (")[0])
    assert took > seconds - 0.1
    assert totals_of([tmp_path / "totals.jsonl"]) == right_totals(short_tape.read_bytes())


def test_early_tables_are_totals_so_far_and_files_are_written_once(short_tape, prism, tmp_path):
    out = tmp_path / "totals.jsonl"
    shown = tmp_path / "shown.txt"
    with Feed() as feed, shown.open("w+b") as file:
        options = ("--input", feed.address, "--max-records", 1_000, "--emit", "200ms", "--output", "-", out)
        with started(*options, stdout=file) as program:
            feed.send_in_parts(short_tape.read_bytes(), 4, lambda number: shown.read_text().count("early") >= number)
            done = program.finish()
    assert done.status == 0, done.err
    tables = shown.read_text().strip().split("\n\n")
    titles = [table.partition("\n")[0] for table in tables]
    assert len(tables) >= 4
    assert all(title.startswith("all time, early") for title in titles[:-1])
    assert titles[-1].startswith("all time, final")
    # The best of each table: rank, upc, description, quantity, scale, spend, rows.
    spends = [float(table.splitlines()[2].split()[-2]) for table in tables]
    assert spends == sorted(spends)
    assert f"wrote {out}" in done.lines
    assert totals_of([out]) == right_totals(short_tape.read_bytes())


def test_a_register_that_never_came_fails_the_job_after_the_idle_timeout(prism, tmp_path, capsys):
    out = tmp_path / "totals.jsonl"
    address = f"tcp-listen://127.0.0.1:{free_port()}"
    done = run_here(capsys, "--input", address, "--idle-timeout", "500ms", "--output", out)
    assert done.status == 1, done.err
    assert done.balance.read == 0
    assert done.lines[-2:] == [
        f"wrote nothing to {out}: there are no totals",
        f"failed: no peer has connected to {address}",
    ]
    assert not out.exists()


def test_with_no_input_the_demo_tape_is_made_once(tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    first = run(env=env, cwd=tmp_path)
    (tape,) = (tmp_path / "cache").rglob("*.tsv")
    made = tape.stat().st_mtime_ns
    assert first.status == 0, first.err
    assert first.balance.read == 100_000
    assert first.out.startswith("all time, final · best 20 of ")
    assert first.lines[-1] == "wrote out/produce.jsonl"
    written = (tmp_path / "out" / "produce.jsonl").read_bytes()
    second = run("--quiet", env=env, cwd=tmp_path)
    assert second == type(second)(0, first.out, "")
    assert tape.stat().st_mtime_ns == made
    assert (tmp_path / "out" / "produce.jsonl").read_bytes() == written


def test_without_a_home_the_demo_tape_is_kept_among_the_temporary_files(tmp_path):
    env = {"HOME": "/dev/null", "XDG_CACHE_HOME": "", "TMPDIR": str(tmp_path)}
    for _ in range(2):
        done = run("--output", tmp_path / "totals.jsonl", env=env)
        assert done.status == 0, done.err
        assert done.balance.read == 100_000
    assert len(list(tmp_path.rglob("*.tsv"))) == 1


@pytest.mark.soak
def test_live_windows_come_out_while_the_stream_goes_on_and_none_before_its_end(prism, tmp_path):
    """A register sends ten records a second of the time that it is; a window is the second before."""
    with listening() as server:
        port = server.getsockname()[1]
        is_over = threading.Event()
        sender = threading.Thread(target=_send_time, args=(server, is_over))
        sender.start()
        options = ("--window", "1s", "--department", "all", "--output", tmp_path / "totals.jsonl")
        try:
            with started("--input", f"tcp://127.0.0.1:{port}", *options) as program:
                wait_for(lambda: len(list(tmp_path.glob("totals-*.jsonl"))) >= 10)
                program.process.terminate()
                done = program.finish()
        finally:
            is_over.set()
            sender.join()
    assert done.status == 143, done.err
    latencies = []
    for path in sorted(tmp_path.glob("totals-*.jsonl"))[1:-2]:  # the last ones were closed by the drain
        end = datetime.strptime(path.stem.rpartition("-")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        latencies.append(path.stat().st_mtime - end.timestamp())
    assert min(latencies) > 0


def _send_time(server: socket.socket, is_over: threading.Event) -> None:
    peer, _ = server.accept()
    with peer:
        while not is_over.wait(0.05):
            row = dict.fromkeys(COLUMNS, "0") | {"upc": "4011", "trans_type": "I", "quantity": "1", "total": "1"}
            row["datetime"] = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
            try:
                peer.sendall("\t".join(row.values()).encode() + b"\n")
            except OSError:
                return


def test_windows_are_one_file_each_or_partitions_where_that_is_asked_for(tape, tmp_path, capsys):
    options = ("--input", tape, "--window", "1d", "--output", tmp_path / "totals.parquet")
    right = right_totals(tape.read_bytes(), "1d")
    windows = len({start for start, _ in right})
    done = run_here(capsys, *options, "--files", "per-window")
    assert f"wrote {windows} files {tmp_path}/totals-*.parquet" in done.lines
    files = sorted(tmp_path.iterdir())
    assert len(files) == windows
    assert _parquet_totals(files) == right
    done = run_here(capsys, *options, "--files", "hive")
    assert f"wrote {windows} files in {tmp_path}/totals.parquet/" in done.lines
    table = pl.read_parquet(tmp_path / "totals.parquet")
    assert {_key(row): _values(row) for row in table.to_dicts()} == right
    again = run_here(capsys, *options, "--files", "hive")
    assert (again.status, again.err.count("\n")) == (2, 1)
    assert "totals.parquet has the windows of an earlier run: remove it, or choose another folder" in again.err
    assert "totals.parquet: Is a directory" in run_here(capsys, *options).err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--input", "tcp-listen://:0"], "--files single is written when the input ends, which this one need not do"),
        (["--input", "x.tsv", "--follow"], "--files single is written when the input ends"),
        (["--input", "x.tsv", "--shape", "by-upc", "--window", "1d"], "by-upc is a document per window: expected --f"),
        (["--input", "x.tsv", "--files", "hive", "--shape", "by-upc"], "a folder of partitions is a table"),
    ],
)
def test_files_that_cannot_be_are_one_line(options, reason, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.tsv").touch()
    done = run_here(capsys, "--files", "single", *options, "--output", "totals.jsonl")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert reason in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["x.tsv"]
