"""Simulators into Kafka and into folders: a message a record, and the truth is what was delivered."""

from __future__ import annotations

import json
import signal
import time
import uuid
from pathlib import Path

import pytest

from schemas.avro.wire_format import own_schemas
from schemas.pos import SALES
from simulators.bank import COMMAND as BANK
from simulators.smoothies import COMMAND as SHOP
from tests.brokers import Broker
from tests.simulators.tools import PATIENCE_SECONDS, assert_refused, run, started

KINDS = ("products", "purchases", "inventories", "lost_sales")


def wait_for_messages(broker: Broker, topic: str, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(broker.end_offsets(topic).values()) < number:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_record_is_a_message(kafka: Broker, tmp_path: Path) -> None:
    topic, path = kafka.create_topic(), tmp_path / "bank.jsonl"
    options = ["--rows", 3_000, "--unpaced", "--garbage", 0.01, "--seed", 5, "--quiet"]
    assert run("--output", kafka.address(topic), *options, program="bank").returncode == 0
    assert run("--output", path, *options, program="bank").returncode == 0
    messages = kafka.consume_all(topic)
    assert b"".join((value or b"") + b"\n" for *_, value in messages) == path.read_bytes()
    assert all(key is None for _, _, key, _ in messages)


def test_a_shop_has_a_topic_for_each_kind_and_a_file_for_each_in_a_folder(kafka: Broker, tmp_path: Path) -> None:
    topics = {kind: f"{kind}-{uuid.uuid4().hex[:8]}" for kind in KINDS}
    names = [text for kind, topic in topics.items() for text in (f"--topic-{kind.replace('_', '-')}", topic)]
    options = ["--rows", 3_000, "--speed", "max", "--seed", 5, "--quiet", *names]
    folder, truth = tmp_path / "shop", tmp_path / "truth.json"
    assert run("--output", f"{folder}/", *options, "--truth", truth, program="smoothies").returncode == 0
    done = run("--output", kafka.address(), *options, program="smoothies")
    assert done.returncode == 0, done.stderr
    lines = 0
    for topic in topics.values():
        written = (folder / f"{topic}.jsonl").read_bytes().splitlines()
        messages = kafka.consume_all(topic)
        assert sorted(value or b"" for *_, value in messages) == sorted(written)
        assert all(json.loads(value or b"")["product_id"].encode() == key for _, _, key, value in messages)
        lines += len(written)
    assert lines == json.loads(truth.read_text())["rows"] == 3_000


def test_one_topic_takes_all_kinds(kafka: Broker) -> None:
    topic = kafka.create_topic()
    options = ["--rows", 500, "--speed", "max", "--quiet"]
    assert run("--output", kafka.address(topic), *options, program="smoothies").returncode == 0
    events = [(key, json.loads(value or b"")) for _, _, key, value in kafka.consume_all(topic)]
    assert len(events) == 500
    assert {event["type"] for _, event in events} <= set(KINDS)
    assert all(event["key"].encode() == key and event["payload"]["product_id"] == event["key"] for key, event in events)


def test_a_folder_that_is_interrupted_has_no_half_files(tmp_path: Path) -> None:
    with started("--rows", 100_000, "--rate", 50, "--output", f"{tmp_path}/shop/", program="smoothies") as shop:
        while not list(tmp_path.glob("shop/.*")):
            assert shop.poll() is None, shop.communicate()
            time.sleep(0.02)
        shop.send_signal(signal.SIGINT)
        assert shop.wait(PATIENCE_SECONDS) == 130
    assert not list(tmp_path.glob("shop/*.jsonl"))
    assert not list(tmp_path.glob("shop/.*"))


@pytest.mark.parametrize("pace", [("--rate", 2_000), ("--unpaced",)])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_counted_before_an_interruption_is_delivered(
    kafka: Broker, tmp_path: Path, pace: tuple, number: int, status: int
) -> None:
    topic, truth = kafka.create_topic(), tmp_path / "truth.json"
    with started(
        "--output", kafka.address(topic), "--rows", 0, *pace, "--truth", truth, program="bank"
    ) as bank:  # fmt: skip
        wait_for_messages(kafka, topic, 500)
        bank.send_signal(number)
        assert bank.wait(PATIENCE_SECONDS) == status
    assert sum(kafka.end_offsets(topic).values()) == json.loads(truth.read_text())["rows"]
    kafka.delete_topic(topic)


def test_who_interrupts_twice_does_not_wait_for_a_broker_that_is_away(own_kafka: Broker) -> None:
    topic = own_kafka.create_topic()
    with started("--output", own_kafka.address(topic), "--rows", 0, "--rate", 2_000, program="bank") as bank:
        wait_for_messages(own_kafka, topic, 500)
        own_kafka.pause()
        time.sleep(0.5)
        bank.send_signal(signal.SIGINT)
        time.sleep(2)  # long enough to be another interruption
        bank.send_signal(signal.SIGINT)
        assert bank.wait(PATIENCE_SECONDS) == 130


def test_records_that_do_not_fit_a_schema_end_it_in_one_line(kafka: Broker, tmp_path: Path) -> None:
    schema, topic = tmp_path / "sale.avsc", kafka.create_topic()
    schema.write_text(own_schemas([SALES])[0].text)
    done = run(
        "--output", kafka.address(topic), "--value-format", "avro", "--avro-schema", schema, "--rows", 5, program="bank"
    )
    assert done.returncode == 1
    told = done.stderr.decode()
    assert f"cannot send to {kafka.address(topic)}: a record does not fit the Avro schema" in told
    assert told.count("\n") == 1


def test_a_simulator_with_one_way_needs_a_topic(kafka: Broker, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    address = kafka.address()
    assert_refused(BANK, ["--output", address], f"expected {address}/TOPIC, got '{address}'", capsys)
    assert_refused(BANK, ["--output", f"{address}/a,b"], f"expected one topic to send to, got '{address}/a,b'", capsys)
    folder = f"{tmp_path}/"
    assert_refused(BANK, ["--rows", "1", "--output", folder], f"expected a file, got '{folder}'", capsys)


def test_brokers_that_refuse_are_told_in_one_line(kafka: Broker, capsys: pytest.CaptureFixture) -> None:
    wrong = kafka.security("SASL", password="not-the-word")  # noqa: S106 - a wrong one
    address = kafka.address("any", listener="SASL")
    assert_refused(BANK, ["--output", address, "--kafka-security", str(wrong)], "refuses user 'demo'", capsys)
    nobody = ["--output", "kafka://127.0.0.1:1/any", "--connect-timeout", "1s"]
    assert_refused(BANK, nobody, "nobody answers at kafka://127.0.0.1:1 within 1 s", capsys)
    aside = ["--output", "x.jsonl", "--kafka-security", str(wrong)]
    assert_refused(SHOP, aside, "kafka-security is for kafka:// addresses, got 'x.jsonl'", capsys)
