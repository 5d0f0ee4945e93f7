"""No password travels: neither in a pipeline, as a runner gets it and hands it out, nor in its options."""

from __future__ import annotations

import base64
import binascii
import bz2
import importlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner

from pipelines.runtime import pipeline as runtime
from schemas.passwords import Password
from tests import brokers, registry, servers
from tests.brokers import Broker
from tests.pipelines.tools import run
from tests.registry import RegistryStandIn, running_registry
from tests.servers import Postgres, running_postgres

PASSWORDS = {word.encode() for word in (brokers.PASSWORD, registry.PASSWORD, servers.PASSWORD)}
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def schema_registry() -> Iterator[RegistryStandIn]:
    with running_registry() as running:
        running.needs_password = True
        yield running


def travelling(name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes]:
    """Returns what a job server gets of a pipeline, with all that is packed in it unpacked, and of its options."""
    module = importlib.import_module(f"pipelines.{name}")
    found: list[tuple[bytes, bytes]] = []

    def submit(options: Any, build: Any, *_: object) -> int:
        options.view_as(StandardOptions).runner = "PrismRunner"
        pipeline = beam.Pipeline(options=options.beam)
        build(pipeline)
        proto = PortableRunner.get_proto_pipeline(pipeline, options.beam).SerializeToString()
        said = JobServiceHandle.encode_pipeline_options(options.beam.get_all_options(retain_unknown_options=True))
        found.append((b"\n".join(unpacked(proto)), said.SerializeToString() + repr(options).encode()))
        return 0

    monkeypatch.setattr(runtime, "run", submit)
    assert module.main(argv) == 0
    return found[0]


def unpacked(blob: bytes) -> Iterator[bytes]:
    """Gives the bytes and, again and again, what Beam's picklers have packed in them."""
    yield blob
    for text in _BASE64.findall(blob):
        try:
            packed = base64.b64decode(text, validate=True)
        except binascii.Error:
            continue
        for unpack in (bz2.decompress, zlib.decompress):
            try:
                yield from unpacked(unpack(packed))
            except (OSError, ValueError, zlib.error):
                continue


def leaked(travels: tuple[bytes, bytes]) -> bool:
    assert b"sinks." in travels[0], "nothing was unpacked"
    return any(word in part for part in travels for word in PASSWORDS)


def _with_database(way: str, postgres: Postgres, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the options of an output whose password is given in that way."""
    bare = postgres.url().replace(f":{servers.PASSWORD}@", "@")
    if way == "typed":
        return ["--output", postgres.url()]
    if way == "typed in one":
        return [f"--output={postgres.url()}?table=totals"]
    if way == "config":
        config = folder / "run.toml"
        config.write_text(f'output = ["{postgres.url()}"]\n')
        return ["--config", str(config)]
    if way == "variable":
        monkeypatch.setenv("PGPASSWORD", servers.PASSWORD)
    else:
        words = folder / "pgpass"
        words.write_text(f"*:*:*:*:{servers.PASSWORD}\n")
        words.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(words))
    return ["--output", bare]


@pytest.mark.parametrize("way", ["typed", "typed in one", "config", "variable", "file"])
@pytest.mark.parametrize("name", ["produce", "relay"])
def test_the_password_of_a_database_stays(name, way, postgres, short_tape, tmp_path, monkeypatch):
    argv = ["--input", str(short_tape), *_with_database(way, postgres, tmp_path, monkeypatch)]
    assert not leaked(travelling(name, argv, monkeypatch))


def _with_kafka(way: str, kafka: Broker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the options of topics, and of schemas, whose passwords are given in that way."""
    user = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}
    user |= {"KAFKA_USERNAME": brokers.USER, "KAFKA_PASSWORD": brokers.PASSWORD}
    monkeypatch.setenv("SCHEMA_REGISTRY_USERNAME", registry.USER)
    if way == "environment":
        for name, value in user.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SCHEMA_REGISTRY_PASSWORD", registry.PASSWORD)
        return []
    path = folder / "security.toml"
    inside = f'password = "{brokers.PASSWORD}"', f'password = "{registry.PASSWORD}"'
    if way == "variables that a file names":
        monkeypatch.setenv("MY_BROKER", brokers.PASSWORD)
        monkeypatch.setenv("MY_REGISTRY", registry.PASSWORD)
        inside = 'password_env = "MY_BROKER"', 'password_env = "MY_REGISTRY"'
    path.write_text(
        f'protocol = "SASL_PLAINTEXT"\nmechanism = "SCRAM-SHA-256"\nusername = "{brokers.USER}"\n{inside[0]}\n'
        f'[registry]\nusername = "{registry.USER}"\n{inside[1]}\n'
    )
    path.chmod(0o600)
    return ["--kafka-security", str(path)]


@pytest.mark.parametrize("way", ["environment", "file", "variables that a file names"])
@pytest.mark.parametrize("name", ["credit", "errors", "sales", "relay"])
def test_the_passwords_of_brokers_and_registries_stay(name, way, kafka, schema_registry, tmp_path, monkeypatch):
    read, written = kafka.create_topic(), kafka.create_topic()
    more = ["--topics", f"purchases={read}", "--tables", "products"] if name == "sales" else []
    argv = [
        "--input", kafka.address(read, listener="SASL"), "--output", kafka.address(written, listener="SASL"),
        "--value-format", "registry", "--schema-registry", schema_registry.url,
        *_with_kafka(way, kafka, tmp_path, monkeypatch), *more,
    ]  # fmt: skip
    if name == "relay":  # which hands on values as they are
        argv = [text for text in argv if text not in {"--value-format", "registry", "--schema-registry"}]
        argv.remove(schema_registry.url)
    assert not leaked(travelling(name, argv, monkeypatch))


def test_one_that_travelled_would_be_found(postgres, short_tape, monkeypatch):
    monkeypatch.setattr(Password, "__reduce__", lambda self: (str, (str(self),)))
    argv = ["--input", str(short_tape), "--output", postgres.url()]
    assert leaked(travelling("produce", argv, monkeypatch))


def test_a_typed_one_is_warned_of_and_works(postgres, short_tape):
    done = run("--input", short_tape, "--output", postgres.url() + "?table=typed")
    assert done.status == 0, done.err
    assert done.lines[0].startswith("warning: every user sees the password that was typed")
    assert servers.PASSWORD not in done.err


def test_a_typed_one_is_not_for_workers_elsewhere(postgres, short_tape):
    elsewhere = ["--runner=PortableRunner", "--job_endpoint=127.0.0.1:1"]
    done = run("--input", short_tape, "--output", postgres.url(), *elsewhere)
    assert done.status == 2
    told = "wrong usage: a password in an --output stays in this process, and the workers of PortableRunner are"
    assert done.lines[-1].startswith(told)
    assert servers.PASSWORD not in done.err
