"""Topics through the relay into outputs that are not emptied: every message, once each, however often it is run."""

from __future__ import annotations

import re
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from pipelines import credit, errors, produce, relay, sales
from pipelines.runtime.pipeline import Pipeline
from sources.kafka import reader_group as siblings
from tests.brokers import Broker
from tests.pipelines import tools
from tests.pipelines.test_relay import rows_of
from transforms.untyped.fields import FieldParser

run = partial(tools.run_here, program="pipelines.relay")

MESSAGES = 20_000


def test_each_message_is_a_row_of_its_own_and_a_second_run_adds_none(kafka: Broker, tmp_path: Path, capsys) -> None:
    topic = kafka.create_topic(partitions=3)
    kafka.produce(topic, [f'{{"n":{number},"pad":"{"x" * (number % 97)}"}}' for number in range(MESSAGES)])
    for _ in range(2):
        options = ("--read-as", "jsonl", "--columns", "n", "--max-records", MESSAGES)
        done = run(capsys, "--input", kafka.address(topic), *options, "--output", f"sqlite:///{tmp_path}/n.db")
        assert done.status == 0, done.err
        assert f"wrote {MESSAGES:,} rows to sqlite:///{tmp_path}/n.db" in done.lines
        query = "SELECT count(*), count(DISTINCT n), count(DISTINCT origin), max(arrival) FROM records"
        assert rows_of(tmp_path / "n.db", query) == [(MESSAGES, MESSAGES, MESSAGES, 0)]


def test_the_same_command_goes_on_where_it_was_and_another_one_begins_for_itself(
    kafka: Broker, tmp_path: Path, capsys
) -> None:
    one, two = kafka.create_topic(partitions=2), kafka.create_topic()
    expected: Counter[str] = Counter()
    reading = ("--input", kafka.address(one), kafka.address(two), "--read-as", "jsonl", "--from", "committed")
    for number in range(3):
        values = [f'{{"run":{number},"n":{each}}}' for each in range(700)]
        for topic in (one, two):
            kafka.produce(topic, values)
            expected.update(values)
        done = run(capsys, *reading, "--idle-timeout", "1s", "--output", tmp_path / "g.txt")
        assert (done.status, done.balance.used) == (0, 1_400), done.err
    assert Counter((tmp_path / "g.txt").read_text().splitlines()) == expected
    # Into another file, and with a condition: neither takes from the others, nor they from it.
    for options in (("--output", tmp_path / "h.txt"), ("--output", tmp_path / "g.txt", "--where", "n = 5")):
        done = run(capsys, *reading, "--idle-timeout", "1s", *options)
        assert (done.status, done.balance.read) == (0, 4_200), done.err
    done = run(capsys, *reading, "--idle-timeout", "1s", "--output", tmp_path / "g.txt")
    assert (done.status, done.balance.read) == (0, 0), done.err


def test_a_limited_run_goes_on_behind_its_limit(kafka: Broker, tmp_path: Path, capsys) -> None:
    topic = kafka.create_topic(partitions=3)
    values = [f'{{"n":{number}}}' for number in range(1_000)]
    kafka.produce(topic, values)
    options = ("--read-as", "jsonl", "--from", "committed", "--max-records", 250, "--output", tmp_path / "g.txt")
    for number in range(1, 5):
        assert run(capsys, "--input", kafka.address(topic), *options).status == 0
        assert len((tmp_path / "g.txt").read_text().splitlines()) == 250 * number
    assert sorted((tmp_path / "g.txt").read_text().splitlines()) == sorted(values)


@pytest.mark.usefixtures("prism")
@pytest.mark.parametrize("inputs", ["one address", "two addresses", "and a command"])
def test_what_is_committed_is_in_the_output(kafka: Broker, tmp_path: Path, monkeypatch, inputs: str) -> None:
    one, two = kafka.create_topic(partitions=2), kafka.create_topic()
    for topic in (one, two):
        kafka.produce(topic, [f"{topic} {number}" for number in range(500)])
    addresses = [kafka.address(one, two)] if inputs == "one address" else [kafka.address(one), kafka.address(two)]
    if inputs == "and a command":
        addresses.append("exec:seq 3")
    output = tmp_path / "g.txt"
    commits: list[tuple[int, int]] = []
    commit = siblings.commit

    def noted(source, offsets) -> None:
        written = Counter(line.partition(" ")[0] for line in output.read_text().splitlines())
        totals = Counter(place.topic for place, at in offsets.items() for _ in range(at))
        commits.extend((total, written[topic]) for topic, total in totals.items())
        commit(source, offsets)

    def slowly(self, block):
        # The machine is busy between the reading and the writing.
        time.sleep(0.2)
        return parse(self, block)

    parse = FieldParser.__call__
    monkeypatch.setattr(siblings, "commit", noted)
    monkeypatch.setattr(FieldParser, "__call__", slowly)
    reading = ["--input", *addresses, "--read-as", "lines", "--idle-timeout", "2s", "--quiet"]
    assert relay.main([*reading, "--output", str(output)]) == 0
    assert len(output.read_text().splitlines()) == 1_000 + 3 * (inputs == "and a command")
    assert all(committed <= written for committed, written in commits), commits
    assert bool(commits) == (inputs != "and a command")


@pytest.mark.parametrize("pipeline", [produce, errors, credit, sales])
@pytest.mark.parametrize("runner", [(), ("--runner=PrismRunner",), ("--runner=direct",)])
def test_totals_are_not_begun_anew_with_what_is_new(pipeline, runner, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--from", "committed", "--output", f"sqlite:///{tmp_path}/t.db", *runner)
    assert pipeline.main(["--input", "kafka://127.0.0.1:1/topic", *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith("wrong usage: --from committed reads what is new, and ")
    assert "savepoint" in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "inputs",
    [
        ("kafka://h/a", "x.txt"),
        ("kafka://h/a", "kafka://other/b"),
        ("kafka://h/a", "tcp-listen://:0"),
        ("kafka://h/a", "kafka://h/b", "--max-records", "5"),
    ],
)
def test_only_one_cluster_alone_is_gone_on_with(inputs, capsys) -> None:
    assert relay.main(["--input", *inputs, "--from", "committed"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "wrong usage: --from committed goes on exactly where one cluster of Kafka is all the input: "
    )
    assert told.count("\n") == 1


def group_of(*argv: str, inputs: tuple[str, ...] = ("kafka://h/a",), pipeline: Pipeline = relay.PIPELINE) -> str:
    return str(pipeline.parse(["--input", *inputs, *argv]).kafka_group_name)


def test_each_command_has_a_group_of_its_own_and_the_same_has_the_same(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    base = group_of("--output", "g.txt")
    assert re.fullmatch(r"transaction-streams\.relay\.a\.[0-9a-f]{12}", base)
    (tmp_path / "x").mkdir()
    same = [
        group_of("--output", str(tmp_path / "g.txt")),
        group_of("--output", "x/../g.txt", "--idle-timeout", "3s", "--max-records", "7", "--from", "committed"),
        group_of("--output", "g.txt", "--quiet", "--rejected", "r.jsonl", "--kafka-security", "kafka.toml"),
        group_of("--output", "g.txt", inputs=("kafka://elsewhere:9092,h/a",)),
    ]
    assert set(same) == {base}
    others = [
        group_of("--output", "h.txt"),
        group_of("--output", "g.txt", "h.txt"),
        group_of("--output", "g.txt", "--where", "n > 3"),
        group_of("--output", "g.txt", "--columns", "a"),
        group_of("--output", "g.txt", "--as", "csv"),
        group_of("--output", "g.txt", inputs=("kafka://h/a,b",)),
        group_of("--output", "g.txt", inputs=("kafka://h/b",)),
        group_of("--output", "g.txt", pipeline=produce.PIPELINE),
        group_of("--output", "g.txt", "--window", "1h", pipeline=produce.PIPELINE),
        group_of("--output", "kafka://h/g"),
        group_of("--output", "sqlite:///g.db"),
        group_of("--output", "sqlite:///g.db?table=t"),
        group_of("--output", "postgresql://me:secret@db/shop"),
    ]
    assert len({base, *others}) == len(others) + 1
    assert others[-1] == group_of("--output", "postgresql://me:other@db/shop")
    assert group_of("--output", "g.txt", "--kafka-group", "mine") == "mine"
    assert "secret" not in "".join(others)
