import gzip
import itertools
import json
import pickle
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from command_line.credentials import read_registry, read_security
from schemas.avro import registry as registry_module
from schemas.avro.registry import Registry, RegistryError, UnknownSchemaError
from schemas.avro.schema import AvroSchema, schema_of
from schemas.avro.wire_format import Decoder, Fault, ValueFormat, make_decoder, make_encoder
from schemas.smoothies import INVENTORIES, PURCHASES
from tests.registry import PASSWORD, USER, RegistryStandIn, running_registry

LINE = (
    b'{"transaction_time":"2022-08-30T12:57:07.942191Z","transaction_id":null,"product_id":"SF07","price":5.99,'
    b'"quantity":2,"is_member":true,"member_discount":0.1,"add_supplements":null,"supplement_price":null,'
    b'"total_purchase":10.78,"store_id":null}'
)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryStandIn]:
    monkeypatch.setattr(registry_module, "_FIRST_WAIT_MILLIS", 1)
    monkeypatch.setattr(registry_module, "_LAST_WAIT_MILLIS", 2)
    with running_registry() as running:
        yield running


def registered(running: RegistryStandIn, *schemas: str) -> ValueFormat:
    return ValueFormat("registry", schemas, Registry(running.url))


def test_a_schema_is_registered_once_and_asked_for_once(registry: RegistryStandIn) -> None:
    encode = make_encoder(registered(registry), "sales", [PURCHASES])
    values = [value for _ in range(3) for value in encode([LINE, LINE])]
    assert {value[:5] for value in values} == {b"\0\0\0\0\1"}
    decode = make_decoder(registered(registry))
    assert [line for _ in range(3) for line in decode(values)] == [LINE] * 18
    assert registry.subjects == {"sales-value": [1]}
    assert json.loads(registry.schemas[1]["schema"]) == json.loads(schema_of(PURCHASES).text)
    assert registry.asked == {
        "POST /subjects/sales-value": 1,
        "POST /subjects/sales-value/versions": 1,
        "GET /schemas/ids/1": 1,
    }


def test_a_schema_that_is_registered_already_is_found(registry: RegistryStandIn) -> None:
    text = json.dumps(json.loads(schema_of(PURCHASES).text))
    registry.add('"int"')
    registry.add(text, "sales-value")
    (value,) = make_encoder(registered(registry), "sales", [PURCHASES])([LINE])
    assert value[:5] == b"\0\0\0\0\2"
    assert registry.asked == {"POST /subjects/sales-value": 1}


def test_without_a_schema_the_latest_of_the_topic_is_written(registry: RegistryStandIn) -> None:
    registry.add('"int"', "sales-value")
    registry.add(schema_of(PURCHASES).text, "sales-value")
    (value,) = make_encoder(registered(registry), "sales")([LINE])
    assert value[:5] == b"\0\0\0\0\2"
    assert make_decoder(registered(registry))([value]) == [LINE]
    (value,) = make_encoder(registered(registry), "other")([LINE])
    assert json.loads(registry.schemas[int.from_bytes(value[1:5], "big")]["schema"])["name"] == "purchase"


def test_of_several_schemas_only_those_that_are_needed_are_registered(registry: RegistryStandIn) -> None:
    values = registered(registry, schema_of(INVENTORIES).text, schema_of(PURCHASES).text)
    (value,) = make_encoder(values, "all")([LINE])
    assert value[:5] == b"\0\0\0\0\1"
    assert registry.subjects == {"all-value": [1]}
    assert json.loads(registry.schemas[1]["schema"]) == json.loads(schema_of(PURCHASES).text)


def test_values_of_another_kind_are_faults(registry: RegistryStandIn) -> None:
    decode = make_decoder(registered(registry))
    assert decode([b"", b'{"a":1}', b"\0\0\0"]) == [
        "no value of a schema registry: it begins with nothing",
        "no value of a schema registry: it begins with 7b226122",
        "no value of a schema registry: it begins with 000000",
    ]
    assert not registry.asked


def test_a_number_that_the_registry_does_not_know_is_a_fault_and_asked_for_once(
    registry: RegistryStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = make_decoder(registered(registry))
    value = b"\0\0\0\0\1\x0e"
    for _ in range(3):
        assert decode([value, value]) == ["the schema registry has no schema 1"] * 2
    assert registry.asked == {"GET /schemas/ids/1": 1}
    # Its replica may have lagged behind.
    registry.add('"long"')
    monkeypatch.setattr("schemas.avro.wire_format._FORGET_SECONDS", 0.0)
    assert decode([value]) == [b"7"]


@pytest.mark.parametrize(
    ("schema", "more", "reason"),
    [
        ("syntax", {"schemaType": "PROTOBUF"}, "schema 1 is no Avro schema but PROTOBUF"),
        ('"a.B"', {"references": [{"name": "a.B", "subject": "b", "version": 1}]}, "schema 1 refers to other schemas"),
        ("oops", {}, "no Avro schema: Expecting value"),
    ],
)
def test_a_schema_that_cannot_be_used_makes_faults(
    registry: RegistryStandIn, schema: str, more: dict, reason: str
) -> None:
    registry.add(schema, **more)
    decode = make_decoder(registered(registry))
    for _ in range(2):
        (fault,) = decode([b"\0\0\0\0\1x"])
        assert isinstance(fault, Fault)
        assert fault.startswith(reason)
    assert registry.asked == {"GET /schemas/ids/1": 1}


def test_a_body_that_is_none_is_a_fault(registry: RegistryStandIn) -> None:
    registry.add('"string"')
    assert make_decoder(registered(registry))([b"\0\0\0\0\1\x02"]) == ["no Avro of its schema: ends too early"]


def test_a_registry_that_fails_is_asked_again(registry: RegistryStandIn) -> None:
    registry.add('"long"')
    registry.failures = [500, 503]
    assert make_decoder(registered(registry))([b"\0\0\0\0\1\x0e"]) == [b"7"]
    assert registry.asked == {"GET /schemas/ids/1": 3}


def test_a_registry_that_goes_on_failing_is_told_in_one_line_and_asked_again_later(registry: RegistryStandIn) -> None:
    registry.add('"long"')
    registry.failures = [500] * 4
    decode = make_decoder(registered(registry))
    message = f"schema registry {registry.url}, asked for schema 1, failed again and again (500)"
    with pytest.raises(RegistryError, match=re.escape(message)):
        decode([b"\0\0\0\0\1\x0e"])
    assert decode([b"\0\0\0\0\1\x0e"]) == [b"7"]


def test_a_registry_that_is_not_there_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_FIRST_WAIT_MILLIS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            RegistryError, match=f"schema registry {url}, asked .*, cannot be reached: .*refused"
        ) as seen:
            Registry(url).check()
    assert "\n" not in str(seen.value)


def test_a_registry_that_asks_who_we_are_is_told(registry: RegistryStandIn) -> None:
    registry.needs_password = True
    Registry(registry.url, USER, PASSWORD).check()
    for wrong in (Registry(registry.url), Registry(registry.url, USER, "wr0ng-word")):
        with pytest.raises(
            RegistryError, match=r"refuses the user or password \(401\): see SCHEMA_REGISTRY_USER"
        ) as seen:
            wrong.check()
        assert "wr0ng" not in str(seen.value)
        assert "\n" not in str(seen.value)


def test_a_schema_that_the_registry_refuses_is_told(registry: RegistryStandIn) -> None:
    registry.incompatible = True
    message = r"asked to register purchase under sales-value, refuses \(409\): Schema being registered is incompatible"
    with pytest.raises(RegistryError, match=message):
        make_encoder(registered(registry), "sales", [PURCHASES])([LINE])


def test_what_is_not_there_is_told_apart(registry: RegistryStandIn) -> None:
    with pytest.raises(UnknownSchemaError, match=r"asked for schema 7, does not have it \(404\)"):
        Registry(registry.url).schema(7)


def test_no_secret_is_shown_and_readers_pickle(registry: RegistryStandIn) -> None:
    registry.needs_password = True
    registry.add('"long"')
    decode = make_decoder(ValueFormat("registry", (), Registry(registry.url, USER, PASSWORD)))
    assert PASSWORD not in repr(decode)
    again: Decoder = pickle.loads(pickle.dumps(decode))
    assert again([b"\0\0\0\0\1\x0e"]) == [b"7"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8081", "expected an address such as http://localhost:8081, got 'localhost:8081'"),
        ("http://", "expected an address such as"),
        ("http://a,http://b", "expected an address such as"),
        ("http://me:s3cret@localhost:8081", "takes no user and password: set SCHEMA_REGISTRY_USERNAME"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as seen:
        Registry(url)
    assert "s3cret" not in str(seen.value)


def test_who_we_are_is_in_the_environment_or_in_the_file_of_kafka(tmp_path: Path) -> None:
    file = tmp_path / "security.toml"
    environ = {"SCHEMA_REGISTRY_USERNAME": "me", "SCHEMA_REGISTRY_PASSWORD": "one", "OTHER": "two"}
    assert read_registry("http://a/", None, {}) == Registry("http://a")
    assert read_registry("http://a", None, environ) == Registry("http://a", "me", "one")
    (tmp_path / "ca.pem").write_text("")
    file.write_text('protocol = "PLAINTEXT"\n[registry]\nusername = "you"\npassword_env = "OTHER"\nca = "ca.pem"\n')
    assert read_registry("http://a", str(file), environ) == Registry("http://a", "you", "two", str(tmp_path / "ca.pem"))
    assert read_security(str(file), {}).protocol == "PLAINTEXT"
    file.write_text('[registry]\npassword = "three"\n')
    assert read_registry("http://a", str(file), environ) == Registry("http://a", "me", "three")
    file.write_text('protocol = "PLAINTEXT"\n')
    assert read_registry("http://a", str(file), environ) == Registry("http://a", "me", "one")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('user = "me"', "unknown name 'user': did you mean username"),
        ("password = 5", "password must be a text in quotes"),
        (
            'password = "s3cret"\npassword_env = "OTHER"',
            "password and password_env are two ways to say the same, got both",
        ),
        ('password_env = "NOBODY"', "password_env names NOBODY, which is not set"),
        ('username = "a:b"', "a user of a schema registry has no ':' in its name"),
        ('ca = "nowhere.pem"', r"cannot read the certificates of the schema registry: no file .*nowhere\.pem"),
    ],
)
def test_wrong_settings_are_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "security.toml"
    file.write_text(f"[registry]\n{text}\n")
    with pytest.raises(ValueError, match=message) as seen:
        read_registry("http://a", str(file), {"OTHER": "x"})
    assert "s3cret" not in str(seen.value)


def test_a_schema_with_blanks_is_found_as_it_was_registered(registry: RegistryStandIn) -> None:
    spaced = AvroSchema('{ "type" : "array" ,\n "items": "long" }')
    first = Registry(registry.url).number("a-value", spaced)
    assert Registry(registry.url).number("a-value", spaced) == first == 1


@contextmanager
def answering(parts: Iterable[bytes], *headers: tuple[str, str]) -> Iterator[str]:
    """A server that answers everything with these parts; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for header in (("Content-Type", "application/json"), *headers):
                self.send_header(*header)
            self.end_headers()
            with suppress(OSError):
                for part in parts:
                    self.wfile.write(part)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


def test_no_more_of_an_answer_is_read_than_a_registry_has_to_say() -> None:
    with answering(itertools.repeat(b" " * 65_536)) as url, pytest.raises(RegistryError, match="16,777,216 bytes"):
        Registry(url).schema(7)
    with answering([gzip.compress(b" ")], ("Content-Encoding", "gzip")) as url:  # noqa: SIM117
        with pytest.raises(RegistryError, match="packs its answers"):
            Registry(url).schema(7)


def test_an_answer_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_ANSWER_SECONDS", 0)
    with answering([b"{", b"}"]) as url, pytest.raises(RegistryError, match="takes more than 0 s"):
        Registry(url).schema(7)
