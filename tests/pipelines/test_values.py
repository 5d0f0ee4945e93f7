"""Values of Kafka in other forms than JSON, with a real broker, and a stand-in for the registry, in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.avro.registry import Registry
from schemas.avro.schema import schema_of
from schemas.avro.wire_format import Fault, ValueFormat, make_decoder, make_encoder
from schemas.bank import TRANSFERS
from tests.brokers import Broker
from tests.pipelines.test_kafka import BANK, CREDIT, sent, transfer, written
from tests.pipelines.tools import needs_proc, run
from tests.registry import PASSWORD, USER, RegistryStandIn, running_registry

pytestmark = needs_proc
ROWS, RELAY = 3_000, "pipelines.relay"


@pytest.fixture
def registry() -> Iterator[RegistryStandIn]:
    with running_registry() as running:
        yield running


def said(form: str, registry: RegistryStandIn) -> list[str]:
    return ["--value-format", form, *(["--schema-registry", registry.url] if form == "registry" else [])]


@pytest.mark.usefixtures("prism")
@pytest.mark.parametrize("form", ["avro", "registry"])
def test_totals_of_values_in_avro_are_those_of_the_truth(
    kafka: Broker, registry: RegistryStandIn, tmp_path: Path, form: str
) -> None:
    topic, values = kafka.create_topic(partitions=2), said(form, registry)
    truth, rejected = tmp_path / "truth.json", tmp_path / "rejected.jsonl"
    faults = ["--garbage", 0.02, "--duplicates", 0.01, "--late", 0.01, "--unpaced", "--truth", truth]
    made = run("--output", kafka.address(topic), "--rows", ROWS, *faults, *values, program=BANK)
    assert made.status == 0, made.err
    messages = kafka.consume_all(topic)
    outputs = ["--output", tmp_path / "x.jsonl", "--rejected", rejected]
    done = run("--input", kafka.address(topic), "--max-records", len(messages), *values, *outputs, program=CREDIT)
    assert done.status == 0, done.err
    assert written(tmp_path / "x.jsonl") == sent(truth)
    found = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert len(found) == done.balance.rejected == json.loads(truth.read_text())["garbage"] > 0
    assert all(record["origin"].startswith(f"{topic}[") for record in found)
    if form == "registry":
        assert registry.subjects == {f"{topic}-value": [1]}
        assert registry.asked["GET /schemas/ids/1"] == 1


@pytest.mark.usefixtures("prism")
def test_what_a_shop_tells_in_avro_adds_up_to_the_truth(kafka: Broker, tmp_path: Path) -> None:
    topic, truth, avro = kafka.create_topic(partitions=2), tmp_path / "truth.json", ["--value-format", "avro"]
    sending = ["--output", kafka.address(topic), "--rows", ROWS, "--speed", "max", "--truth", truth]
    assert run(*sending, *avro, program="simulators.smoothies").status == 0
    read = ["--input", kafka.address(topic), "--max-records", ROWS, "--tables", "products"]
    done = run(*read, *avro, "--output", tmp_path / "x.jsonl", program="pipelines.sales")
    assert done.status == 0, done.err
    assert (done.balance.read, done.balance.rejected) == (ROWS, 0)
    rows = (json.loads(line, parse_float=Decimal) for line in (tmp_path / "x-products.jsonl").read_text().splitlines())
    products = json.loads(truth.read_text())["products"].items()
    assert {row["product_id"]: (row["drinks"], row["sales"]) for row in rows if row["drinks"]} == {
        name: (told["sold"], Decimal(told["sales"])) for name, told in products if told["sold"]
    }


@pytest.mark.usefixtures("prism")
def test_results_are_written_with_a_schema_that_follows_from_their_columns(
    kafka: Broker, registry: RegistryStandIn, tmp_path: Path
) -> None:
    topic, totals, values = kafka.create_topic(), kafka.create_topic(), said("registry", registry)
    lines = [transfer(number) for number in range(100)]
    how = ValueFormat("registry", registry=Registry(registry.url))
    kafka.produce(topic, make_encoder(how, topic, [TRANSFERS])(lines))
    outputs = ["--output", tmp_path / "x.jsonl", kafka.address(totals)]
    done = run("--input", kafka.address(topic), "--max-records", 100, *values, *outputs, program=CREDIT)
    assert done.status == 0, done.err
    found = make_decoder(how)([value for *_, value in kafka.consume_all(totals)])
    rows = [json.loads(line, parse_float=Decimal) for line in found if not isinstance(line, Fault)]
    assert len(rows) == len(found)
    assert {row["account_region"]: (row["count"], row["sum"]) for row in rows if row["final"]} == {
        region: (count, Decimal(total)) for region, (count, total) in written(tmp_path / "x.jsonl").items()
    }


@pytest.mark.usefixtures("prism")
def test_a_relay_writes_avro_and_reads_it_back(kafka: Broker, tmp_path: Path) -> None:
    topic, given = kafka.create_topic(), tmp_path / "given.jsonl"
    given.write_bytes(b"".join(transfer(number) + b"\n" for number in range(50)))
    avro = ["--value-format", "avro"]
    done = run("--input", given, "--output", kafka.address(topic), "--key", "account_id", *avro, program=RELAY)
    assert done.status == 0, done.err
    messages = kafka.consume_all(topic)
    assert {value[2:10] for *_, value in messages} == {schema_of(TRANSFERS).fingerprint}
    assert [key for _, _, key, _ in messages] == [str(number).encode() for number in range(50)]
    back = tmp_path / "back.jsonl"
    done = run("--input", kafka.address(topic), "--max-records", 50, "--output", back, *avro, program=RELAY)
    assert done.status == 0, done.err
    records = [json.loads(line, parse_float=Decimal) for line in given.read_text().splitlines()]
    assert [json.loads(line, parse_float=Decimal) for line in back.read_text().splitlines()] == [
        {**record, "transfer_time": None} for record in records
    ]


@pytest.mark.usefixtures("prism")
def test_a_schema_of_your_own_is_written_and_read(kafka: Broker, tmp_path: Path) -> None:
    topic, given, schema = kafka.create_topic(), tmp_path / "given.jsonl", tmp_path / "a.avsc"
    schema.write_text(json.dumps({"type": "record", "name": "a", "fields": [{"name": "n", "type": "long"}]}))
    own = ["--value-format", "avro", "--avro-schema", schema]
    given.write_text('{"n":1}\n{"n":2}\n')
    assert run("--input", given, "--output", kafka.address(topic), *own, program=RELAY).status == 0
    read = ["--input", kafka.address(topic), "--max-records", 2, "--output", "-"]
    assert run(*read, *own, program=RELAY).out == given.read_text()
    unknown = run(*read, "--value-format", "avro", program=RELAY)
    assert unknown.balance.rejected == 2, unknown.err
    given.write_text('{"n":1}\n{"n":"x"}\n')
    done = run("--input", given, "--output", kafka.address(topic), *own, program=RELAY)
    assert done.status == 1
    message = f"cannot write to {kafka.address(topic)}: a record does not fit the Avro schema a: n is no whole number"
    assert [line for line in done.lines if message in line], done.err


@pytest.mark.usefixtures("prism")
def test_a_registry_that_fails_ends_the_job_in_one_line(
    kafka: Broker, registry: RegistryStandIn, tmp_path: Path
) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [b"\0\0\0\0\1\x02"])
    registry.broken = "/schemas/ids"
    read = ["--input", kafka.address(topic), "--max-records", 1, "--output", tmp_path / "x.jsonl"]
    done = run(*read, *said("registry", registry), program=CREDIT)
    assert done.status == 1
    message = f"schema registry {registry.url}, asked for schema 1, failed again and again (500)"
    assert [line for line in done.lines if line.startswith("failed: ") and message in line], done.err


def test_wrong_usage_is_told_in_one_line(kafka: Broker, registry: RegistryStandIn, tmp_path: Path) -> None:
    registry.needs_password = True
    topic = kafka.create_topic()
    cases = [
        (CREDIT, ["--value-format", "registry"], "value-format registry needs --schema-registry URL"),
        (CREDIT, ["--schema-registry", registry.url], "schema-registry is for --value-format registry, got json"),
        (CREDIT, ["--avro-schema", "a.avsc"], "avro-schema is for --value-format avro or registry, got json"),
        (CREDIT, ["--value-format", "avro", "--avro-schema", "a.avsc"], "cannot read a.avsc: No such file"),
        (CREDIT, said("registry", registry), "refuses the user or password (401)"),
        (BANK, said("registry", registry), "refuses the user or password (401)"),
        ("pipelines.produce", ["--value-format", "avro"], "gives records as JSON, and a register tape is none"),
        ("simulators.registers", ["--value-format", "avro"], "is for simulators of JSON, which this one is not"),
    ]
    for program, options, message in cases:
        is_pipeline = program.startswith("pipelines")
        ends = ["--input", kafka.address(topic), "--output", tmp_path / "x.jsonl"] if is_pipeline else []
        done = run(*(ends or ["--output", kafka.address(topic)]), *options, program=program)
        assert done.status == 2, (options, done.err)
        assert len(done.lines) == 1, done.err
        assert message in done.err, done.err
    environment = {"SCHEMA_REGISTRY_USERNAME": USER, "SCHEMA_REGISTRY_PASSWORD": PASSWORD}
    sending = ["--output", kafka.address(topic), "--rows", 5, "--unpaced", *said("registry", registry)]
    done = run(*sending, env=environment, program=BANK)
    assert done.status == 0, done.err
    assert PASSWORD not in done.err
