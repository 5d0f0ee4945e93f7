"""The relay, as a user runs it: in processes of their own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import simulators.pos
from tests import forking
from tests.patience import PATIENCE_SECONDS
from tests.pipelines import tools
from tests.pipelines.tools import Balance, Feed, command, wait_for
from tests.simulators.tools import ROOT

run = partial(tools.run, program="pipelines.relay")
here = partial(tools.run_here, program="pipelines.relay")
started = partial(tools.started, program="pipelines.relay")

CSV = 'time,item,price\n2026-01-01 10:00:00,apple,3.10\n2026-01-01 10:00:01,"pear, green",2.5\n10:02,fig,12\n'
RECORDS = CSV.splitlines(keepends=True)[1:]
#: Where no broker is.
NOBODY = "kafka://127.0.0.1:1/items"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "my.csv"
    path.write_text(CSV)
    return path


def rows_of(path: Path, query: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("text", "more", "status", "columns"),
    [
        ("time,item\n", [], 0, {"time", "item"}),
        ("", ["--names", "a,b,c", "--columns", "a,b"], 0, {"a", "b"}),
        ("", [], 0, {"line"}),
        ('{"a": 1}\n', ["--read-as", "jsonl", "--where", "a = 2", "--columns", "a"], 0, {"a"}),
        ("torn\n", ["--read-as", "jsonl", "--columns", "a"], 1, set()),
    ],
)
def test_the_table_of_a_run_without_records_is_there(text, more, status, columns, tmp_path, capsys):
    (tmp_path / "in.csv").write_text(text)
    database = tmp_path / "a.db"
    options = ("--input", tmp_path / "in.csv", *more, "--output", f"sqlite:///{database}")
    done = here(capsys, *options)
    assert done.status == status, done.err
    made = rows_of(database, "SELECT name FROM pragma_table_info('records')")
    assert {name for (name,) in made} == columns | ({"relay", "arrival", "origin", "position"} if columns else set())
    assert not columns or rows_of(database, "SELECT count(*) FROM records") == [(0,)]


def test_records_leave_as_they_came_into_every_output(csv, tmp_path):
    names = ["a.txt", "a.csv", "a.jsonl", f"sqlite:///{tmp_path}/a.db", "-"]
    done = run("--input", "my.csv", "--output", *names, cwd=tmp_path)
    assert done.status == 0
    assert done.balance == Balance(3, 3, 0, 0, 0)
    assert done.out == (tmp_path / "a.txt").read_text() == "".join(RECORDS)
    assert (tmp_path / "a.csv").read_text() == CSV
    assert (tmp_path / "a.jsonl").read_text().splitlines()[1] == (
        '{"time":"2026-01-01 10:00:01","item":"pear, green","price":2.5}'
    )
    assert rows_of(tmp_path / "a.db", "SELECT item, price FROM records ORDER BY position") == [
        ("apple", "3.10"), ("pear, green", "2.5"), ("fig", "12")
    ]  # fmt: skip
    assert [line for line in done.lines if line.startswith("wrote")] == [
        "wrote a.txt", "wrote a.csv", "wrote a.jsonl", f"wrote 3 rows to sqlite:///{tmp_path}/a.db"
    ]  # fmt: skip


def test_a_condition_and_a_template_pick_and_write_records(csv, capsys):
    done = here(
        capsys, "--input", csv, "--where", "price > 2.5 AND item <> 'fig'", "--format", "{time}: {item} at {price}"
    )
    assert (done.status, done.out) == (0, "2026-01-01 10:00:00: apple at 3.10\n")
    assert done.balance == Balance(3, 1, 2, 0, 0)


def test_what_cannot_be_read_is_rejected_alone(tmp_path, capsys):
    records = [b'{"a":1}', b"nonsense", b"[1]", b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":{"b":2.50}}', b'{"b":1}']
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(records))
    rejected = tmp_path / "rejected.jsonl"
    done = here(capsys, "--input", tmp_path / "x.jsonl", "--columns", "a", "--rejected", rejected)
    assert (done.status, done.out) == (0, '{"a":1}\n{"a":{"b":2.50}}\n{"a":null}\n')
    assert done.balance == Balance(7, 3, 0, 4, 0)
    assert [record["position"] for record in tools.assert_lines(rejected, 4)] == [8, 17, 21, 31]


def test_a_big_file_keeps_its_order(tmp_path, capsys):
    text = "n,word\n" + "".join(f"{number},{'w' * (number % 50)}\n" for number in range(300_000))
    (tmp_path / "big.csv").write_text(text)
    done = here(capsys, "--input", tmp_path / "big.csv", "--output", tmp_path / "out.csv", "--where", "n % 3 = 0")
    assert done.balance == Balance(300_000, 100_000, 200_000, 0, 0)
    numbers = [int(line.partition(",")[0]) for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    assert numbers == list(range(0, 300_000, 3))


def test_paced_records_leave_while_the_loop_goes_on_and_it_ends_with_ctrl_c(csv, tmp_path):
    out = tmp_path / "out9.txt"

    def has_five() -> bool:
        text = out.read_text() if out.exists() else ""
        assert text == "" or text.endswith("\n")
        return text.count("\n") >= 5

    with started("--input", csv, "--output", out, "--interval", "0.1..0.2", "--loop") as program:
        wait_for(has_five)
        program.process.send_signal(signal.SIGINT)
        done = program.finish()
    assert done.status == 130
    lines = out.read_text().splitlines(keepends=True)
    assert lines == list(itertools.islice(itertools.cycle(RECORDS), len(lines)))
    assert done.balance.used == len(lines)


def test_a_tcp_peer_that_goes_away_is_connected_to_again(tmp_path):
    got: list[list[str]] = []
    is_back = threading.Event()

    def serve(listener: socket.socket) -> None:
        for most in (3, 1_000):
            connection, _ = listener.accept()
            received = b""
            with connection:
                if got:
                    is_back.set()
                while received.count(b"\n") < most and (more := connection.recv(1_000)):
                    received += more
            got.append(received.decode().splitlines())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with Feed() as feed, started("--input", feed.address, "--read-as", "lines", "--output", address) as program:
            sent = 0
            while not is_back.wait(0.05):
                feed.send(b"r%d\n" % sent)
                sent += 1
            program.process.send_signal(signal.SIGINT)
            done = program.finish()
        thread.join(PATIENCE_SECONDS)
    assert done.status == 130
    assert f"connected again to {address}" in done.err
    # What was on its way when the peer closed is lost; the others come once, in order.
    assert len(got[0]) >= 3
    assert got[0] == [f"r{number}" for number in range(len(got[0]))]
    assert got[1] == [f"r{number}" for number in range(sent - len(got[1]), sent)]
    assert 0 < len(got[1]) <= sent - len(got[0])


def test_a_chain_of_relays_carries_records_over_udp_and_tcp(tmp_path):
    numbers = "".join(f"{number}\n" for number in range(500)).encode()
    out, ending = tmp_path / "out.txt", ("--max-records", "500")
    with Feed() as feed, started("--input", "tcp-listen://:0", "--output", out, *ending) as last:
        options = ("--output", f"tcp://:{last.port()}", "--names", "n", "--sequence", "n", *ending)
        with started("--input", "udp-listen://:0", *options) as middle:
            udp = f"udp://:{middle.port()}"
            with started("--input", feed.address, "--names", "n", "--output", udp, *ending) as first:
                # In portions that fit into the smallest receive buffer.
                feed.send_in_parts(
                    numbers, 5, lambda part: out.exists() and out.read_bytes().count(b"\n") == 100 * part
                )
                assert first.finish().status == 0
            told = middle.finish()
        assert told.status == 0
        assert last.finish().status == 0
    assert out.read_bytes() == numbers
    assert "0 records missing, 0 reordered" in told.err


def test_records_come_back_from_kafka_in_order_and_each_key_from_one_partition(kafka, csv, tmp_path, capsys):
    topic = kafka.create_topic(partitions=3)
    there = here(capsys, "--input", csv, "--output", kafka.address(topic), "--key", "item")
    assert (there.status, there.balance) == (0, Balance(3, 3, 0, 0, 0))
    assert f"wrote 3 messages to {kafka.address(topic)}" in there.lines
    messages = kafka.consume_all(topic)
    assert {key for _, _, key, _ in messages} == {b"apple", b"pear, green", b"fig"}
    reading = ["--input", kafka.address(topic), "--max-records", 3, "--names", "time,item,price:number"]
    back = here(capsys, *reading, "--output", tmp_path / "back.txt", "--where", "price > 3")
    assert (back.status, back.balance.used, back.balance.rejected) == (0, 2, 0)
    assert sorted((tmp_path / "back.txt").read_text().splitlines(keepends=True)) == sorted([RECORDS[0], RECORDS[2]])


def test_commands_are_read_to_their_end_and_a_reader_that_leaves_ends_the_relay():
    assert run("--input", "exec:seq 3", "--output", "-").out == "1\n2\n3\n"
    relay = command("--input", "exec:yes abc", "--output", "-", program="pipelines.relay")
    with forking.Popen(relay, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"abc\n"
            process.stdout.close()
            assert process.wait(PATIENCE_SECONDS) in (0, 130)
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--where", "pric > 3"], "the condition 'pric > 3' asks for 'pric', and there is only time, item, price"),
        (["--where", "price >"], "cannot read the condition 'price >': "),
        (["--where", "price + 1"], "the condition 'price + 1' makes no sense: it is no condition, but gives "),
        (["--columns", "a"], "--columns asks for 'a', and there is only time, item, price"),
        (["--format", "{x}"], "--format asks for 'x', and there is only time, item, price"),
        (["--format", "{item.__class__}"], "expected fields such as {item}, and nothing else in braces, got "),
        (["--as", "text"], "--as text needs a template: "),
        (["--output", "x.avro"], "'x.avro' cannot be written record by record: expected a path in "),
        (["--output", "my.csv"], "'my.csv' is read, so it cannot be written"),
        (["--output", "udp://no.such.invalid:9"], "cannot send to udp://no.such.invalid:9: "),
        (["--loop", "--output", "sqlite:///x.db"], "--loop would write the same rows of the database again and again"),
        (["--speed", "60"], "--speed plays event time: say which column has it with --time"),
        (["--speed", "60", "--time", "item"], "cannot play 'my.csv' by event time: item is 'apple', expected"),
        (
            ["--time-format", "%d/%m/%Y"],
            "--time-format says how times are written: say with --time which column has them",
        ),
        (["--window", "1h"], "a relay sums nothing up, so --window is not for it"),
        (["--key", "item"], "--key is for messages in Kafka: expected an --output kafka://..., got --key item"),
        (["--key", "a", "--output", NOBODY], "--key asks for 'a', and there is only time, item, price"),
        (["--output", NOBODY, NOBODY], f"'{NOBODY}' is to be written twice"),
    ],
)
def test_wrong_options_are_told_in_one_line_before_anything_runs(csv, monkeypatch, capsys, options, said):
    from pipelines.relay import main

    monkeypatch.chdir(csv.parent)
    assert main(["--input", "my.csv", *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"wrong usage: {said}")
    assert told.count("\n") == 1
    assert [path.name for path in csv.parent.iterdir()] == ["my.csv"]


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = here(capsys, "--input", f"tcp-listen://:{taken.getsockname()[1]}", "--output", tmp_path / "x.txt")
    assert (done.status, len(done.lines)) == (2, 1)
    assert "Address already in use" in done.err
    assert not (tmp_path / "x.txt").exists()


SIMULATORS, SALES, FILES, LINES = 8, 2_000, 2, 5_000


def test_eight_simulators_and_three_relays_lose_nothing_and_double_nothing(tmp_path):
    database = tmp_path / "all.db"
    output = f"sqlite:///{database}?table=everything"
    expected: Counter[str] = Counter()
    for number in range(FILES):
        lines = [f"file {number} line {line}" for line in range(LINES)]
        (tmp_path / f"{number}.txt").write_text("\n".join(lines))
        expected.update(lines)
    total = SIMULATORS * SALES
    pushed = tmp_path / "pushed.jsonl"
    ending = ("--max-records", total)
    listening = started("--input", "tcp-listen://:0", *ending, "--read-as", "jsonl", "--output", pushed, output)
    with contextlib.ExitStack() as stack:
        relays = [stack.enter_context(listening)]
        port = relays[0].port()
        for number in range(FILES):
            path = tmp_path / f"{number}.txt"
            relays.append(
                stack.enter_context(started("--input", path, "--read-as", "lines", "--rate", 2_000, "--output", output))
            )
        sending = []
        for number in range(SIMULATORS):
            sent = ("--rows", SALES, "--seed", number, "--quiet", "--output", f"tcp://127.0.0.1:{port}")
            process = forking.Popen(command(*sent, program="simulators.pos"), cwd=ROOT, stdin=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            sending.append(process)
        done = [relay.finish() for relay in relays]
        assert [each.status for each in done] == [0, 0, 0], [each.err for each in done]
        assert [process.wait(PATIENCE_SECONDS) for process in sending] == [0] * SIMULATORS
    assert [each.balance.used for each in done] == [total, LINES, LINES]
    assert not any("locked" in each.err for each in done)
    sales = sold(tmp_path)
    expected += sales
    assert Counter(pushed.read_text().splitlines()) == sales
    assert Counter(line for (line,) in rows_of(database, "SELECT line FROM everything")) == expected
    # Each peer's records are in order, and a file that is relayed again adds nothing.
    query = "SELECT origin, line FROM everything WHERE relay <> '' ORDER BY arrival, origin, position"
    assert len({origin for origin, _ in rows_of(database, query)}) == SIMULATORS
    assert run("--input", tmp_path / "0.txt", "--read-as", "lines", "--output", output).status == 0
    assert rows_of(database, "SELECT count(*) FROM everything") == [(total + FILES * LINES,)]


def sold(folder: Path) -> Counter[str]:
    """Gives the sales that the simulators send: the same seed makes the same ones."""
    found: Counter[str] = Counter()
    for number in range(SIMULATORS):
        path = folder / f"sold-{number}.jsonl"
        assert simulators.pos.main(["--rows", str(SALES), "--seed", str(number), "--quiet", "--output", str(path)]) == 0
        lines = path.read_text().splitlines()
        assert len(lines) == SALES
        assert json.loads(lines[0])
        found.update(lines)
    return found


def test_a_live_input_is_appended_and_files_replace_what_is_there(csv, tmp_path, capsys):
    from pipelines.relay import main

    def relay(*options: object) -> str:
        assert main(list(map(str, options))) == 0
        return capsys.readouterr().err

    text, table = tmp_path / "g.txt", tmp_path / "g.csv"
    outputs = ("--output", text, table, "--names", "n")
    for part in ("1 2", "3 4"):
        told = relay("--input", f"exec:seq {part}", *outputs)
        assert f"appended to {text}\n" in told
        assert f"appended to {table}\n" in told
    assert text.read_text() == "1\n2\n3\n4\n"
    assert table.read_text() == "n\n1\n2\n3\n4\n"
    assert main(["--input", "exec:seq 3", "--output", str(table), "--names", "m"]) == 2
    assert capsys.readouterr().err == (
        f"wrong usage: cannot append to {table}: its header row is 'n', expected 'm'; name another output\n"
    )
    # Nothing comes: what is there stays.
    relay("--input", "exec:true", *outputs)
    assert text.read_text() == "1\n2\n3\n4\n"
    for _ in range(2):
        assert f"wrote {text}\n" in relay("--input", csv, "--output", text)
        assert text.read_text() == "".join(RECORDS)
    told = relay("--input", csv, "--output", text, "--where", "price > 99")
    assert f"wrote {text}\n" in told
    assert text.read_text() == ""


def test_a_run_in_which_everything_is_rejected_leaves_what_was_there(tmp_path, capsys):
    from pipelines.relay import main

    text, rejected = tmp_path / "a.csv", tmp_path / "rejected.jsonl"
    (tmp_path / "bad.jsonl").write_text("[1]\nnonsense\n")
    (tmp_path / "good.jsonl").write_text('{"a":1}\n')
    text.write_text("precious\n")
    options = ["--columns", "a", "--output", str(text), "--rejected", str(rejected)]
    assert main(["--input", str(tmp_path / "bad.jsonl"), *options]) == 1
    assert f"wrote nothing to {text}: there are no records; what is there is older\n" in capsys.readouterr().err
    assert text.read_text() == "precious\n"
    tools.assert_lines(rejected, 2)
    assert main(["--input", str(tmp_path / "good.jsonl"), *options]) == 0
    assert (text.read_text(), rejected.read_text()) == ("a\n1\n", "")
    # Where one is good, and not wanted, it is known that there is none to write.
    (tmp_path / "bad.jsonl").write_text('nonsense\n{"a":1}\n')
    assert main(["--input", str(tmp_path / "bad.jsonl"), *options, "--where", "a = '2'"]) == 0
    assert text.read_text() == "a\n"


@pytest.mark.parametrize(("change", "status"), [("rm g.txt", 1), ("mv g.txt g.1", 0), ("cp g.txt g.1; : > g.txt", 0)])
def test_an_output_that_goes_in_mid_run_is_made_again_or_fails_the_run(tmp_path, monkeypatch, capsys, change, status):
    from pipelines.relay import main

    monkeypatch.chdir(tmp_path)
    script = f"echo a; until [ -s g.txt ]; do sleep 0.05; done; {change}; echo b"
    assert main(["--input", f"exec:sh -c '{script}'", "--output", "g.txt"]) == status
    told = capsys.readouterr().err
    assert Path("g.txt").read_text() == "b\n"
    if status:
        assert f"failed: {tmp_path}/g.txt was removed while it was written: 2 bytes are not there any more\n" in told
    else:
        assert Path("g.1").read_text() == "a\n"


def test_pipes_and_descriptors_take_records_rejected_ones_too(csv, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    os.mkfifo(tmp_path / "rejected")
    (tmp_path / "x.jsonl").write_text('{"a":1}\n[1]\n')
    reading, writing = os.pipe()
    pipes = [subprocess.Popen(["cat", tmp_path / name], stdout=subprocess.PIPE) for name in ("pipe.csv", "rejected")]
    with contextlib.ExitStack() as stack:
        for pipe in pipes:
            stack.enter_context(pipe)
            stack.callback(pipe.kill)
        done = subprocess.run(
            command(
                *("--input", "x.jsonl", "--columns", "a", "--output", "pipe.csv", f"/dev/fd/{writing}", "/dev/stdout"),
                *("/dev/null", "--rejected", "rejected"),
                program="pipelines.relay",
            ),
            cwd=tmp_path,
            env=tools.environment("pipes"),
            pass_fds=[writing],
            capture_output=True,
            check=False,
            timeout=tools.PATIENCE_SECONDS,
        )
        os.close(writing)
        assert done.returncode == 0, done.stderr
        assert pipes[0].communicate()[0] == b"a\n1\n"
        assert json.loads(pipes[1].communicate()[0])["raw"] == "[1]"
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b'{"a":1}\n'
    assert done.stdout == b'{"a":1}\n'


def test_results_do_not_take_the_place_of_a_pipe(csv, tmp_path, capsys):
    from pipelines.produce import main

    pipe = tmp_path / "x.jsonl"
    os.mkfifo(pipe)
    assert main(["--input", str(csv), "--output", str(pipe)]) == 2
    assert "it is a pipe or a device, and this is written as a whole file" in capsys.readouterr().err
    assert pipe.is_fifo()


def test_a_database_that_goes_in_mid_run_fails_it(tmp_path, monkeypatch, capsys):
    from pipelines.relay import main

    monkeypatch.chdir(tmp_path)
    script = "echo a; until [ -s g.db ] && [ -s g.txt ]; do sleep 0.05; done; rm g.db; echo b"
    assert main(["--input", f"exec:sh -c '{script}'", "--output", "sqlite:///g.db", "g.txt"]) == 1
    assert "the file was removed or replaced while it was written" in capsys.readouterr().err
