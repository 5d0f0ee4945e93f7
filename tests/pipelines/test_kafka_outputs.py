"""Pipelines and simulators that write to a real broker: what comes out is what went in, whatever happens to it."""

from __future__ import annotations

import json
import signal
import time
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.pipelines.tools import PATIENCE_SECONDS, needs_proc, run, run_here, started

pytestmark = needs_proc
BANK, CREDIT, ERRORS, RELAY = "simulators.bank", "pipelines.credit", "pipelines.errors", "pipelines.relay"


def values(broker: Broker, topic: str) -> list[bytes]:
    return [value or b"" for *_, value in broker.consume_all(topic)]


def wait_for_messages(broker: Broker, topic: str, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(broker.end_offsets(topic).values()) < number:
        assert time.monotonic() < deadline, f"{broker.end_offsets(topic)} of {number}"
        time.sleep(0.05)


def test_records_get_the_text_of_a_column_as_their_key(kafka: Broker, tmp_path: Path) -> None:
    topic, path = kafka.create_topic(partitions=4), tmp_path / "my.csv"
    lines = [f"{number},item {number % 7},{number}.50" for number in range(1_000)]
    path.write_text("\n".join(["id,item,price", *lines]) + "\n")
    done = run("--input", path, "--output", kafka.address(topic), "--key", "item", program=RELAY)
    assert done.status == 0, done.err
    assert f"wrote 1,000 messages to {kafka.address(topic)}" in done.err
    found = kafka.consume_all(topic)
    assert sorted(value or b"" for *_, value in found) == sorted(line.encode() for line in lines)
    assert all(value is not None and value.split(b",")[1] == key for *_, key, value in found)
    assert len({(partition, key) for partition, _, key, _ in found}) == 7


def test_records_without_a_key_leave_as_they_came(kafka: Broker, tmp_path: Path) -> None:
    topic, path = kafka.create_topic(), tmp_path / "x.jsonl"
    path.write_text('{"a": 1.50}\n{"b":[ ]}\n')
    assert run("--input", path, "--output", kafka.address(topic), program=RELAY).status == 0
    assert [message[2:] for message in kafka.consume_all(topic)] == [(None, b'{"a": 1.50}'), (None, b'{"b":[ ]}')]


@pytest.mark.parametrize("ways", [(), ("--kafka-transactional",), ("--kafka-compression", "zstd")])
def test_totals_are_messages_with_what_files_have(kafka: Broker, tmp_path: Path, ways: tuple[str, ...]) -> None:
    topic, path, totals = f"totals-{uuid.uuid4().hex[:8]}", tmp_path / "transfers.jsonl", tmp_path / "totals.jsonl"
    assert run("--output", path, "--rows", 2_000, program=BANK).status == 0
    outputs = ["--output", totals, kafka.address(topic)]
    done = run("--input", path, *outputs, *ways, program=CREDIT)
    assert done.status == 0, done.err
    rows = [json.loads(line, parse_float=Decimal) for line in totals.read_text().splitlines()]
    messages = [(key, json.loads(value or b"", parse_float=Decimal)) for _, _, key, value in kafka.consume_all(topic)]
    assert f"wrote {len(rows)} messages to {kafka.address(topic)}" in done.err
    assert sorted(key or b"" for key, _ in messages) == sorted(row["account_region"].encode() for row in rows)
    assert {message.pop("final") for _, message in messages} == {True}
    assert all(isinstance(message.pop("pane"), int) for _, message in messages)
    assert sorted((message for _, message in messages), key=str) == sorted(rows, key=str)


@pytest.mark.usefixtures("prism")
def test_early_totals_are_messages_too_and_the_last_ones_are_the_truth(kafka: Broker, tmp_path: Path) -> None:
    transfers, totals, path = kafka.create_topic(), kafka.create_topic(), tmp_path / "transfers.jsonl"
    truth = tmp_path / "truth.json"
    assert run("--output", path, "--rows", 3_000, "--truth", truth, program=BANK).status == 0
    lines = path.read_bytes().splitlines()
    options = ["--input", kafka.address(transfers), "--max-records", 3_000, "--emit", "200ms"]
    with started(*options, "--output", kafka.address(totals), program=CREDIT) as credit:
        kafka.produce(transfers, lines[:1_000])
        wait_for_messages(kafka, totals, 1)
        kafka.produce(transfers, lines[1_000:])
        done = credit.finish()
    assert done.status == 0, done.err
    newest: dict[bytes | None, tuple[int, dict]] = {}
    panes = set()
    for _, _, key, value in kafka.consume_all(totals):
        row = json.loads(value or b"", parse_float=Decimal)
        panes.add(row["pane"])
        newest[key] = max(newest.get(key, (-1, {})), (row["pane"], row), key=lambda found: found[0])
    assert len(panes) > 1
    regions = json.loads(truth.read_text())["regions"]
    sent = {name.encode(): (flow["count"], Decimal(flow["sum"])) for name, flow in regions.items() if flow["count"]}
    assert {key: (row["count"], Decimal(row["sum"])) for key, (_, row) in newest.items()} == sent


def test_a_second_table_has_a_topic_of_its_own(kafka: Broker, tmp_path: Path) -> None:
    topic, path = f"errors-{uuid.uuid4().hex[:8]}", tmp_path / "log.jsonl"
    assert run("--output", path, "--rows", 5_000, program="simulators.http").status == 0
    outputs = ["--output", tmp_path / "errors.jsonl", kafka.address(topic)]
    done = run("--input", path, *outputs, program=ERRORS)
    assert done.status == 0, done.err
    for part in ("", "-by-date"):
        lines = (tmp_path / f"errors{part}.jsonl").read_text().splitlines()
        assert f"wrote {len(lines):,} messages to {kafka.address(topic)}{part}" in done.err
        assert len(kafka.consume_all(topic + part)) == len(lines) > 0


@pytest.mark.parametrize("how", [pytest.param("stop", marks=pytest.mark.soak), "kill"])
@pytest.mark.parametrize("ways", [(), pytest.param(("--kafka-transactional",), marks=pytest.mark.soak)])
def test_a_broker_that_goes_away_and_comes_back_has_each_record_once(
    own_kafka: Broker, tmp_path: Path, how: str, ways: tuple[str, ...]
) -> None:
    topic, path = own_kafka.create_topic(), tmp_path / "n.txt"
    path.write_text("".join(f"{number}\n" for number in range(3_000)))
    relay = ["--input", path, "--read-as", "lines", "--rate", 500, "--output", own_kafka.address(topic)]
    with started(*relay, *ways, program=RELAY) as program:
        wait_for_messages(own_kafka, topic, 300)
        getattr(own_kafka, how)()
        time.sleep(1)
        own_kafka.start()
        done = program.finish()
    assert done.status == 0, done.err
    assert values(own_kafka, topic) == [b"%d" % number for number in range(3_000)]


def test_a_simulator_waits_for_a_broker_that_comes_back(own_kafka: Broker, tmp_path: Path) -> None:
    topic, truth, path = own_kafka.create_topic(), tmp_path / "truth.json", tmp_path / "bank.jsonl"
    options = ["--rows", 4_000, "--seed", 3]
    with started(
        "--output", own_kafka.address(topic), *options, "--rate", 800, "--truth", truth, program=BANK
    ) as bank:  # fmt: skip
        wait_for_messages(own_kafka, topic, 500)
        own_kafka.restart()
        done = bank.finish()
    assert done.status == 0, done.err
    assert run("--output", path, *options, program=BANK).status == 0
    assert values(own_kafka, topic) == path.read_bytes().splitlines()
    assert json.loads(truth.read_text())["rows"] == 4_000


def test_what_a_drained_relay_used_is_delivered(kafka: Broker, tmp_path: Path) -> None:
    topic, path = kafka.create_topic(), tmp_path / "n.txt"
    path.write_text("".join(f"{number}\n" for number in range(1_000)))
    relay = ["--input", path, "--read-as", "lines", "--rate", 500, "--loop", "--output", kafka.address(topic)]
    with started(*relay, program=RELAY) as program:
        wait_for_messages(kafka, topic, 300)
        program.process.send_signal(signal.SIGINT)
        done = program.finish()
    assert done.status == 130, done.err
    assert len(values(kafka, topic)) == done.balance.used


def test_a_topic_that_is_deleted_ends_the_job_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    """It takes librdkafka ten seconds to believe it."""
    topic, path = kafka.create_topic(), tmp_path / "n.txt"
    path.write_text("".join(f"{number}\n" for number in range(1_000)))
    relay = ["--input", path, "--read-as", "lines", "--rate", 100, "--loop", "--output", kafka.address(topic)]
    with started(*relay, program=RELAY) as program:
        wait_for_messages(kafka, topic, 100)
        kafka.delete_topic(topic)
        done = program.finish()
    assert done.status == 1, done.err
    assert f"cannot send to {kafka.address(topic)}: " in done.lines[-1]
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("program", "options", "message"),
    [
        (RELAY, ("--output", "{nobody}"), "nobody answers at kafka://127.0.0.1:1"),
        (RELAY, ("--output", "{refusing}", "--kafka-security", "{wrong}"), "refuses user 'demo'"),
        (RELAY, ("--output", "{topic}", "--key", "price"), "--key asks for 'price', and there is only a, b"),
        (RELAY, ("--output", "x.csv", "--key", "a"), "--key is for messages in Kafka: expected an --output kafka://"),
        (RELAY, ("--output", "x.csv", "--kafka-transactional"), "--kafka-transactional is for topics"),
        (RELAY, ("{there}", "--read-as", "lines", "--output", "{there}"), "is read, so it cannot be written"),
        (RELAY, ("--output", "{bare}"), "expected kafka://HOST:PORT/TOPIC with one topic to write to"),
        (CREDIT, ("--output", "x.jsonl", "--kafka-transactional"), "--kafka-transactional is for topics"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_read(
    kafka: Broker, tmp_path: Path, capsys, monkeypatch, program: str, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2\n")
    named = {
        "nobody": "kafka://127.0.0.1:1/any",
        "refusing": kafka.address("any", listener="SASL"),
        "wrong": kafka.security("SASL", password="not-the-word"),  # noqa: S106 - a wrong one
        "topic": kafka.address("any"),
        "bare": kafka.address(),
        "there": kafka.address(kafka.create_topic()),
    }
    done = run_here(capsys, "--input", path, *(option.format(**named) for option in options), program=program)
    assert done.status == 2, done.err
    assert message in done.err
    assert done.err.count("\n") == 1, done.err
    assert "not-the-word" not in done.err
