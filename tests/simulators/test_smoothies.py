"""The smoothie shop's program: its options, its outputs, and its truth file."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulators.shop.incidents import parse_trouble
from simulators.shop.shelves import Restocking
from simulators.shop.shop import Shop
from simulators.smoothies import COMMAND, Ways
from tests.brokers import Broker
from tests.simulators.shops import Recount, assert_sums, batches_of, data_of, kind_of, messages_of, time_of
from tests.simulators.tools import (
    assert_help_is_whole,
    assert_refused,
    fetch,
    port_of,
    run,
    started,
)

PROGRAM = "smoothies"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stores", "0"], "stores must be 1 to 99, got 0"),
        (["--from", "today"], "expected now or a time since 1970 such as 2024-01-01"),
        (["--to", "now"], "expected a time such as 2024-01-05T16:00, got 'now'"),
        (["--from", "2024-01-02", "--to", "2024-01-01"], "to must be later than from"),
        (["--rows", "0", "--output", "x.jsonl"], "a file cannot hold a stream without end"),
        (["--speed", "fast"], "expected a number, got 'fast'"),
        (["--speed", "max", "--rate", "3"], "give one of speed, rate, interval and unpaced"),
        (["--products", "none.csv"], "cannot read none.csv: No such file or directory"),
        (["--opening-hours", "daily"], "expected opening hours such as"),
        (["--holidays", "x"], "expected days such as"),
        (["--anomaly", "storm"], "expected NAME@START+LENGTH*SIZE"),
        (["--supply-trouble", "XX99@1h+1h"], "supply-trouble names no product of the menu: 'XX99'"),
        (["--restock-after", "0"], "restock-after must be longer than nothing"),
        (["--min-sale-freq", "30"], "max-sale-freq must be positive and not below min-sale-freq, got 25 and 30"),
        (["--member-freq", "11"], "expected a whole number, 0 to 10, got '11'"),
        (["--topic-products", "a b"], "expected topics of letters"),
        (["--events-topic", "a,b"], "expected the name of a topic, got 'a,b'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(COMMAND, [*options, *(["--output", "-"] if "--output" not in options else [])], message, capsys)


def test_kinds_that_share_a_topic_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--topic-products", "demo.purchases", "--output", f"{tmp_path}/"]
    assert_refused(COMMAND, options, "each kind of message needs a topic of its own", capsys)


def test_help_tells_every_option() -> None:
    assert_help_is_whole(COMMAND)


def test_one_stream_says_what_each_message_is(tmp_path: Path) -> None:
    output, truth = tmp_path / "shop.jsonl", tmp_path / "truth.json"
    options = ("--rows", 20_000, "--seed", 3, "--supply-trouble", "SF07@3h+2d", "--restock-after", "30m")
    done = run(*options, "--output", output, "--truth", truth, program=PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b"sent 20000 messages\n"
    messages = messages_of(output.read_bytes())
    assert all(message["type"] == kind_of(message["payload"]) for message in messages)
    said: Any = json.loads(truth.read_text())
    assert_sums(said, Recount().take([message["payload"] for message in messages]))
    assert said["messages"]["lost_sales"] > 20


def test_a_folder_has_a_file_for_each_kind(tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    options = ("--rows", 9_000, "--stores", 2, "--topic-purchases", "bought", "--supply-trouble", "CL07@0s+9d")
    done = run(*options, "--output", f"{tmp_path}/shop/", "--truth", truth, program=PROGRAM)
    assert done.returncode == 0, done.stderr
    names = ["bought", "demo.inventories", "demo.lost_sales", "demo.products"]
    assert sorted(file.name for file in (tmp_path / "shop").iterdir()) == [f"{name}.jsonl" for name in names]
    kinds = ["purchases", "inventories", "lost_sales", "products"]
    messages: list[dict[str, Any]] = []
    for name, kind in zip(names, kinds, strict=True):
        of_kind = messages_of((tmp_path / "shop" / f"{name}.jsonl").read_bytes())
        assert {kind_of(message) for message in of_kind} == {kind}
        messages += of_kind
    order = {"products": 0, "inventories": 1, "purchases": 2, "lost_sales": 3}
    messages.sort(key=lambda message: (time_of(message), order[kind_of(message)]))
    assert_sums(json.loads(truth.read_text()), Recount().take(messages))


def test_one_topic_for_all_is_one_file(tmp_path: Path) -> None:
    done = run("--rows", 50, "--events-topic", "demo.events", "--output", f"{tmp_path}/shop/", program=PROGRAM)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "shop").iterdir()
    assert file.name == "demo.events.jsonl"
    assert file.read_bytes() == data_of(Shop(50, in_one=True))


def test_ways_are_the_topics_of_kinds_and_the_keys_of_products() -> None:
    shop = Shop(3_000)
    products = [product.product_id for product in shop.menu]
    for batch in batches_of(shop):
        routes = Ways(["a", "b", "c", "d"], products)(batch)
        kinds = ["products", "purchases", "inventories", "lost_sales"]
        records = [json.loads(record) for record in batch.records()]
        assert [kinds[which] for which in routes.which.tolist()] == list(map(kind_of, records))
        assert routes.keys == [record["product_id"].encode() for record in records]
        assert not Ways(["all"], products)(batch).which.any()
        assert routes.which.dtype == np.uint8
    with pytest.raises(ValueError, match="ways need the facts"):
        Ways(["all"], products)(next(shop.batches()))


def test_history_ends_when_it_should(tmp_path: Path) -> None:
    output = tmp_path / "shop.jsonl"
    options = ("--from", "2024-03-01T10:00", "--to", "2024-03-04", "--speed", "max")
    assert run(*options, "--output", output, program=PROGRAM).returncode == 0
    times = [time_of(message["payload"]) for message in messages_of(output.read_bytes())]
    assert times[0].isoformat() == "2024-03-01T10:00:00"
    assert {time.day for time in times} == {1, 2, 3}
    assert run("--number-of-sales", 7, "--output", output, program=PROGRAM).returncode == 0
    numbers = {m["payload"].get("transaction_id") for m in messages_of(output.read_bytes())}
    assert len(numbers - {None}) == 7


def test_a_configuration_file_makes_a_shop(tmp_path: Path) -> None:
    file, output = tmp_path / "configuration.ini", tmp_path / "shop.jsonl"
    file.write_text(
        "[SALES]\nnumber_of_sales = 20\nmember_freq = 10\n[INVENTORY]\nmin_inventory = 76\nrestock_amount=3\n"
    )
    done = run("--config", file, "--output", output, program=PROGRAM)
    assert done.returncode == 0, done.stderr
    payloads = [message["payload"] for message in messages_of(output.read_bytes())]
    assert all(payload.get("is_member", True) for payload in payloads)
    assert {payload["stock_quantity"] for payload in payloads if "stock_quantity" in payload} == {3}
    file.write_text("[SALES]\nmember_freq = eleven\n")
    done = run("--config", file, "--output", output, program=PROGRAM)
    assert done.returncode == 2
    reason = "expected a whole number, 0 to 10, got 'eleven'"
    assert done.stderr.decode() == f"wrong usage: member_freq in [SALES] of {file}: {reason}\n"


def test_each_client_gets_the_full_stream_at_its_pace() -> None:
    wanted = data_of(Shop(60, seed=2, in_one=True))
    options = ("--rows", 60, "--seed", 2, "--output", "tcp-listen://127.0.0.1:0", "--speed", "max")
    with started(*options, program=PROGRAM) as process:
        port = port_of(process)
        assert [fetch(port), fetch(port)] == [wanted, wanted]


def test_over_a_network_it_sells_as_the_clock_goes() -> None:
    options = ("--rows", 30, "--output", "tcp-listen://127.0.0.1:0", "--max-sale-freq", "1.2", "--min-sale-freq", "1.1")
    with started(*options, "--once", program=PROGRAM) as process:
        data = fetch(port_of(process))
    times = [time_of(message["payload"]) for message in messages_of(data)]
    assert len(times) == 30
    assert 1 < (times[-1] - times[0]).total_seconds() < 5


def test_each_kind_has_a_topic_of_kafka_and_each_message_the_key_of_its_product(kafka: Broker, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex[:8]
    topics = {kind: f"{mark}.{kind}" for kind in ("products", "purchases", "inventories", "lost_sales")}
    kafka.create_topic(topics["purchases"], partitions=3)
    file, truth = tmp_path / "configuration.ini", tmp_path / "truth.json"
    names = "".join(f"topic_{kind} = {topic}\n" for kind, topic in topics.items() if kind != "lost_sales")
    file.write_text(f"[KAFKA]\nbootstrap_servers = {kafka.servers}\nauth_method = plaintext\n{names}")
    options = ("--config", file, "--topic-lost-sales", topics["lost_sales"], "--truth", truth, "--unpaced")
    done = run(*options, "--rows", 3_000, "--supply-trouble", "CL07@0s+9d", "--restock-after", "1h", program=PROGRAM)
    assert done.returncode == 0, done.stderr
    counts = {}
    payloads: list[dict[str, Any]] = []
    for kind, topic in topics.items():
        found = kafka.consume_all(topic)
        messages = [messages_of(value or b"")[0] for *_, value in found]
        assert [key for _, _, key, _ in found] == [message["product_id"].encode() for message in messages]
        assert {kind_of(message) for message in messages} == {kind}
        counts[kind] = len(messages)
        payloads += messages
    assert counts == json.loads(truth.read_text())["messages"]
    assert sorted(map(str, payloads)) == sorted(map(str, messages_of(data_of_three_thousand())))


def data_of_three_thousand() -> bytes:
    trouble = [parse_trouble("CL07@0s+9d")]
    return data_of(Shop(3_000, troubles=trouble, restocking=Restocking(10, 15, 3_600_000_000)))


def test_one_topic_of_kafka_has_events_with_keys(kafka: Broker) -> None:
    first, second = (kafka.create_topic() for _ in range(2))
    for options in (("--output", kafka.address(), "--events-topic", first), ("--output", kafka.address(second))):
        done = run(*options, "--rows", 60, "--speed", "max", program=PROGRAM)
        assert done.returncode == 0, done.stderr
    wanted = data_of(Shop(60, in_one=True)).splitlines()
    for topic in (first, second):
        found = kafka.consume_all(topic)
        assert [value for *_, value in found] == wanted
        assert [key for _, _, key, _ in found] == [json.loads(value)["key"].encode() for value in wanted]


def test_a_topic_in_the_address_and_one_for_events_are_one_too_many(
    kafka: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--output", kafka.address("a"), "--events-topic", "b"]
    assert_refused(COMMAND, options, "events-topic and a topic in the output say the same, got both", capsys)
