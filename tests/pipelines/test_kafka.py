"""Pipelines and simulators with a real broker between them: whatever happens to it, the totals are the truth's."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers import PASSWORD, Broker
from tests.pipelines.tools import (
    PATIENCE_SECONDS,
    Finished,
    Program,
    needs_proc,
    run,
    started,
    wait_for,
)

pytestmark = needs_proc
CREDIT, RELAY, BANK = "pipelines.credit", "pipelines.relay", "simulators.bank"
Totals = dict[str, tuple[int, Decimal]]


def transfer(number: int) -> bytes:
    region = ("North", "South")[number % 2]
    return b'{"account_id": %d, "account_region": "%s", "transaction_value": 0.01}' % (number, region.encode())


def sent(path: Path) -> Totals:
    regions = json.loads(path.read_text())["regions"]
    return {name: (flow["count"], Decimal(flow["sum"])) for name, flow in regions.items() if flow["count"]}


def written(path: Path) -> Totals:
    rows = [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]
    return {row["account_region"]: (row["count"], Decimal(row["sum"])) for row in rows}


def counted(database: Path) -> int:
    """Gives how many transfers the totals in a database have so far."""
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        return connection.execute("SELECT sum(count) FROM credit").fetchone()[0] or 0
    return 0


def wait_until_counted(database: Path, number: int, program: Program) -> None:
    def is_so() -> bool:
        assert program.process.poll() is None, program.process.communicate()
        return counted(database) >= number

    wait_for(is_so, lambda: f"{counted(database)} of {number}")


def drained(program: Program) -> Finished:
    """Ends a pipeline as Ctrl-C does."""
    program.process.send_signal(2)
    done = program.finish()
    assert done.status == 130, done.err
    return done


@pytest.mark.usefixtures("prism")
@pytest.mark.parametrize("how", ["stop", pytest.param("kill", marks=pytest.mark.soak)])
def test_a_broker_that_goes_away_and_comes_back_costs_nothing(own_kafka: Broker, tmp_path: Path, how: str) -> None:
    topic, truth, database = own_kafka.create_topic(partitions=3), tmp_path / "truth.json", tmp_path / "x.db"
    address, rows = own_kafka.address(topic), 12_000
    outputs = ["--output", f"sqlite:///{database}", tmp_path / "x.jsonl"]
    with (
        started("--input", address, "--from", "earliest", "--emit", "500ms", *outputs, program=CREDIT) as credit,
        started("--output", address, "--rate", 1_500, "--rows", rows, "--truth", truth, program=BANK) as bank,
    ):
        wait_until_counted(database, 1_000, credit)
        getattr(own_kafka, how)()
        time.sleep(3)
        own_kafka.start()
        assert bank.finish().status == 0
        wait_until_counted(database, rows, credit)
        done = drained(credit)
    assert done.balance[:2] == (rows, rows)
    assert written(tmp_path / "x.jsonl") == sent(truth)
    assert len(own_kafka.consume_all(topic)) == rows


@pytest.mark.usefixtures("prism")
def test_a_topic_that_is_not_there_yet_is_waited_for(kafka: Broker, tmp_path: Path) -> None:
    topic, database = f"later-{uuid.uuid4().hex[:8]}", tmp_path / "x.db"
    options = ["--input", kafka.address(topic), "--emit", "500ms", "--output", f"sqlite:///{database}"]
    with started(*options, program=CREDIT) as credit:
        assert credit.process.stderr is not None
        assert topic.encode() in credit.process.stderr.readline()
        kafka.create_topic(topic, partitions=2)
        kafka.produce(topic, [transfer(number) for number in range(500)])
        wait_until_counted(database, 500, credit)
        done = drained(credit)
    assert done.balance.read == 500


@pytest.mark.usefixtures("prism")
def test_a_topic_that_is_deleted_ends_the_job_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    topic, database = kafka.create_topic(partitions=2), tmp_path / "x.db"
    kafka.produce(topic, [transfer(number) for number in range(500)])
    options = ["--input", kafka.address(topic), "--emit", "500ms", "--output", f"sqlite:///{database}"]
    with started(*options, program=CREDIT) as credit:
        wait_until_counted(database, 500, credit)
        kafka.delete_topic(topic)
        done = credit.finish()
    assert done.status == 1
    assert [line for line in done.lines if topic in line and line.startswith("failed: ")], done.err


@pytest.mark.usefixtures("prism")
def test_who_was_away_for_long_hears_what_was_deleted(kafka: Broker, tmp_path: Path) -> None:
    topic, group = kafka.create_topic(), f"group-{uuid.uuid4().hex[:8]}"
    kafka.produce(topic, [transfer(number) for number in range(1_000)])
    read = ["--input", kafka.address(topic), "--kafka-group", group, "--output", tmp_path / "x.txt"]
    assert run(*read, "--from", "earliest", "--max-records", 1_000, program=RELAY).balance.read == 1_000
    assert kafka.committed(group, topic) == {0: 1_000}
    kafka.produce(topic, [transfer(number) for number in range(500)])
    kafka.delete_records(topic, 0, 1_200)
    refused = run(*read, "--from", "committed", "--idle-timeout", "5s", program=RELAY)
    assert refused.status == 1
    line = refused.lines[-1]
    assert all(word in line for word in (f"{topic}[0]", "1000", "1200", "--on-missing-offset earliest")), refused.err
    going_on = ["--from", "committed", "--on-missing-offset", "earliest", "--max-records", 300]
    done = run(*read, *going_on, program=RELAY)
    assert done.status == 0, done.err
    assert done.balance.read == 300
    assert [line for line in done.lines if "200 messages" in line and f"{topic}[0]" in line], done.err


def test_a_wrong_password_is_told_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    topic = kafka.create_topic()
    security = kafka.security("SASL", password="not-the-word")  # noqa: S106 - a wrong one
    address = kafka.address(topic, listener="SASL")
    reading = run("--input", address, "--kafka-security", security, "--output", tmp_path / "x.jsonl", program=CREDIT)
    sending = run("--output", address, "--kafka-security", security, "--rows", 10, program=BANK)
    for done in (reading, sending):
        assert done.status == 2 or (done is sending and done.status == 1), done.err
        assert len(done.lines) == 1, done.err
        assert "demo" in done.err
        assert "not-the-word" not in done.err
    right = kafka.security("SASL")
    assert run("--output", address, "--kafka-security", right, "--rows", 10, "--unpaced", program=BANK).status == 0
    reading = ["--input", address, "--kafka-security", right, "--max-records", 10, "--output", tmp_path / "x.jsonl"]
    done = run(*reading, program=CREDIT)
    assert done.balance.read == 10
    assert PASSWORD not in done.err


@pytest.mark.usefixtures("prism")
def test_what_a_user_may_not_do_is_told_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    security, group = ["--kafka-security", kafka.security("SASL")], f"group-{uuid.uuid4().hex[:8]}"
    topic, unread, unwritten = (kafka.create_topic() for _ in range(3))
    kafka.produce(topic, [transfer(number) for number in range(100)])
    kafka.deny("read", unread)
    kafka.deny("write", unwritten)
    kafka.deny("read", group, "group")

    def read(topic: str, *options: object) -> Finished:
        ends = ["--input", kafka.address(topic, listener="SASL"), "--output", tmp_path / "x.jsonl"]
        return run(*ends, *security, "--read-as", "jsonl", "--max-records", 100, *options, program=RELAY)

    writing = ["--output", kafka.address(unwritten, listener="SASL"), *security, "--rows", 10]
    refused = [read(unread), read(topic, "--from", "committed", "--kafka-group", group), run(*writing, program=BANK)]
    for done, status in zip(refused, (2, 2, 1), strict=True):
        assert done.status == status, done.err
        assert len(done.lines) == 1, done.err
        assert "refuses user 'demo': " in done.err
        assert "authorization failed" in done.err
    done = read(topic, "--kafka-group", group)
    assert (done.status, done.balance.read) == (0, 100)
    assert f"offsets of the group {group} are not committed: Group authorization failed" in done.err


@pytest.mark.usefixtures("prism")
def test_a_right_to_read_that_is_taken_away_ends_the_job_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    topic, database = kafka.create_topic(), tmp_path / "x.db"
    kafka.produce(topic, [transfer(number) for number in range(100)])
    address, security = kafka.address(topic, listener="SASL"), kafka.security("SASL")
    options = ["--input", address, "--kafka-security", security, "--emit", "300ms"]
    with started(*options, "--output", f"sqlite:///{database}", program=CREDIT) as credit:
        wait_until_counted(database, 100, credit)
        kafka.deny("read", topic)
        kafka.produce(topic, [transfer(0)])
        done = credit.finish()
    assert done.status == 1, done.err
    assert f"lets user 'demo' not read {topic}" in done.lines[-1]
    assert counted(database) == 100


@pytest.mark.usefixtures("prism")
def test_garbage_is_rejected_with_its_offset(kafka: Broker, tmp_path: Path) -> None:
    topic = kafka.create_topic(partitions=2)
    values = [transfer(number) for number in range(400)]
    values[100], values[200], values[300] = b"garbage", b"", b'{"account_id": 1,\r\n "account_region"\n: 2}'
    kafka.produce(topic, values, partition=1)
    kafka.produce(topic, [None, transfer(1)], partition=0)
    rejected = tmp_path / "rejected.jsonl"
    read = ["--input", kafka.address(topic), "--max-records", 401, "--rejected", rejected]
    done = run(*read, "--output", tmp_path / "x.jsonl", program=CREDIT)
    assert done.balance == (401, 398, 0, 3, 0), done.err
    found = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert {record["origin"] for record in found} == {f"{topic}[1]@{number}" for number in (100, 200, 300)}
    assert {record["raw"] for record in found} >= {"garbage", ""}


@pytest.mark.usefixtures("prism")
def test_more_partitions_than_cores_are_read_to_the_last_message(kafka: Broker, tmp_path: Path) -> None:
    topic, truth, database = kafka.create_topic(partitions=24), tmp_path / "truth.json", tmp_path / "x.db"
    sending = ["--output", kafka.address(topic), "--rows", 20_000, "--unpaced", "--truth", truth]
    assert run(*sending, program=BANK).status == 0
    outputs = ["--output", f"sqlite:///{database}", tmp_path / "x.jsonl"]
    with started("--input", kafka.address(topic), "--emit", "500ms", *outputs, program=CREDIT) as credit:
        wait_until_counted(database, 20_000, credit)
        done = drained(credit)
    assert done.balance[:2] == (20_000, 20_000)
    assert written(tmp_path / "x.jsonl") == sent(truth)


@pytest.mark.usefixtures("prism")
def test_an_idle_partition_holds_no_window_back(kafka: Broker, tmp_path: Path) -> None:
    """Partition 0 stops early, partition 1 goes on, partition 2 never begins."""
    topic = kafka.create_topic(partitions=3)

    def purchase(minute: int) -> str:
        moment = f"2024-01-01 {minute // 60:02}:{minute % 60:02}:00.000000"
        fields = {"transaction_time": moment, "product_id": "CL01", "price": 4.5, "quantity": 1, "total_purchase": 4.5}
        return json.dumps(fields)

    kafka.produce(topic, [purchase(minute) for minute in range(5)], partition=0)
    read = ["--input", kafka.address(topic), "--topics", f"purchases={topic}", "--idle-partition", "1s"]
    totals = ["--tables", "windows", "--window", "1h", "--lateness", "0s", "--emit", "never"]
    database = tmp_path / "x.db"
    with started(*read, *totals, "--output", f"sqlite:///{database}", program="pipelines.sales") as sales:
        for hour in range(4):
            kafka.produce(topic, [purchase(60 * hour + minute) for minute in range(60)], partition=1)

        def final_hours() -> int:
            with (
                contextlib.closing(sqlite3.connect(database)) as connection,
                contextlib.suppress(sqlite3.OperationalError),
            ):
                return int(connection.execute("SELECT count(*) FROM sales WHERE final").fetchone()[0])
            return 0

        wait_for(lambda: final_hours() >= 3, lambda: f"{final_hours()} hours are final")
        done = drained(sales)
    assert done.balance == (245, 245, 0, 0, 0)


@pytest.mark.usefixtures("prism")
def test_one_stream_serves_several_readers(kafka: Broker, tmp_path: Path) -> None:
    """A relay puts a bank's transfers from TCP into Kafka, and three pipelines read them there."""
    topic, truth = kafka.create_topic(partitions=2), tmp_path / "truth.json"
    address, rows = kafka.address(topic), 6_000
    sending = ["--listen", "127.0.0.1:0", "--rows", rows, "--rate", 3_000, "--once", "--truth", truth]
    with contextlib.ExitStack() as stack:
        bank = stack.enter_context(started(*sending, program=BANK))
        assert bank.process.stderr is not None
        place = bank.process.stderr.readline().decode().split()[-1]
        readers = [
            stack.enter_context(
                started(
                    "--input", address, "--max-records", rows, "--output", tmp_path / f"{number}.jsonl", program=CREDIT
                )
            )
            for number in range(3)
        ]
        relaying = ["--input", f"tcp://{place}", "--output", address, "--max-records", rows]
        done = run(*relaying, program="pipelines.relay")
        assert done.status == 0, done.err
        assert done.balance.read == rows
        for reader in readers:
            finished = reader.finish()
            assert finished.status == 0, finished.err
            assert finished.balance[:2] == (rows, rows)
        assert bank.process.wait(PATIENCE_SECONDS) == 0
    assert all(written(tmp_path / f"{number}.jsonl") == sent(truth) for number in range(3))
