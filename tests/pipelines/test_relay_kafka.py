"""Topics through the relay into outputs that are not emptied: every message, once each, however often it is run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.brokers import Broker
from tests.pipelines import tools
from tests.pipelines.test_relay import rows_of

run = partial(tools.run, program="pipelines.relay")

MESSAGES = 20_000


def test_each_message_is_a_row_of_its_own_and_a_second_run_adds_none(kafka: Broker, tmp_path: Path) -> None:
    topic = kafka.create_topic(partitions=3)
    kafka.produce(topic, [f'{{"n":{number},"pad":"{"x" * (number % 97)}"}}' for number in range(MESSAGES)])
    for _ in range(2):
        options = ("--read-as", "jsonl", "--columns", "n", "--max-records", MESSAGES)
        done = run("--input", kafka.address(topic), *options, "--output", f"sqlite:///{tmp_path}/n.db")
        assert done.status == 0, done.err
        assert f"wrote {MESSAGES:,} rows to sqlite:///{tmp_path}/n.db" in done.lines
        query = "SELECT count(*), count(DISTINCT n), count(DISTINCT origin), max(arrival) FROM records"
        assert rows_of(tmp_path / "n.db", query) == [(MESSAGES, MESSAGES, MESSAGES, 0)]
