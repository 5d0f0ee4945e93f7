"""A first contact with Kafka brokers: every way in, every refusal, and what is never shown or printed."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from command_line.credentials import read_security
from sources.kafka.client import BrokerError, Brokers, explain, require_kafka
from sources.kafka.security import AWS_IAM, SASL_PLAINTEXT, SASL_SSL, SCRAM, KafkaSecurity
from tests.brokers import Broker
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
WRONG = "a-wr0ng-word"
TASKS = Path("/proc/self/task")
#: What a busy machine may take for what should be done at once; far below what a test that waits would take.
SOON_SECONDS = 60


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is ours, so that nobody else comes to listen there either."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def brokers_at(broker: Broker, listener: str, **changes: str) -> Brokers:
    return Brokers(broker.endpoint(listener), read_security(str(broker.security(listener, **changes)), {}))


def refusal(brokers: Brokers, seconds: float = PATIENCE_SECONDS) -> str:
    """Gives the message, which has to come at once if ``seconds`` are many."""
    began = time.monotonic()
    with pytest.raises(BrokerError) as caught:
        brokers.check(["topic"], seconds)
    text = str(caught.value)
    assert time.monotonic() - began < SOON_SECONDS
    assert "\n" not in text
    assert WRONG not in text
    assert brokers.address in text
    return text


def threads_of_librdkafka() -> set[str]:
    """Gives the numbers of this process's threads that are librdkafka's."""
    found = set()
    for path in TASKS.glob("*/comm"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            if path.read_text().startswith("rdk:"):
                found.add(path.parent.name)
    return found


def unsigned_token(life_seconds: float = 900) -> Callable[[str], tuple[str, int]]:
    """Gives what stands in for AWS's signature: tokens as the broker takes them without one."""

    def part(values: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(values).encode()).rstrip(b"=").decode()

    def sign(region: str) -> tuple[str, int]:
        assert region == "eu-west-1"
        now = time.time()
        end = now + life_seconds
        return f"{part({'alg': 'none'})}.{part({'sub': 'me', 'iat': now - 60, 'exp': end})}.", int(end * 1_000)

    return sign


@pytest.mark.parametrize("listener", ["PLAINTEXT", "SASL", "SASL_SSL", "SSL"])
def test_every_way_in_finds_the_topics_that_are_missing_and_makes_none(kafka, listener):
    there = kafka.create_topic()
    brokers = brokers_at(kafka, listener)
    assert brokers.check([there, "no-such-topic", "nor-this-one"], PATIENCE_SECONDS) == [
        "no-such-topic",
        "nor-this-one",
    ]
    assert brokers.check([], PATIENCE_SECONDS) == []
    assert kafka.partitions("no-such-topic") == []


@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize("listener", ["SASL", "SASL_SSL"])
def test_both_sizes_of_scram_get_in_with_tls_and_without(kafka, listener, mechanism):
    assert brokers_at(kafka, listener, mechanism=mechanism).check([], PATIENCE_SECONDS) == []


def test_messages_go_and_come_by_each_way(kafka):
    for listener in ("SASL", "SASL_SSL", "SSL"):
        topic = kafka.create_topic()
        settings = brokers_at(kafka, listener).config()
        producer = Producer(settings)
        producer.produce(topic, b"value", b"key")
        assert producer.flush(PATIENCE_SECONDS) == 0
        assert kafka.consume_all(topic) == [(0, 0, b"key", b"value")]


def test_one_broker_of_several_is_enough(kafka, closed_port):
    assert Brokers(f"127.0.0.1:{closed_port},{kafka.servers}").check(["none"], PATIENCE_SECONDS) == ["none"]


@pytest.mark.parametrize("listener", ["SASL", "SASL_SSL"])
@pytest.mark.parametrize(("name", "value"), [("password", WRONG), ("username", "nobody")])
def test_a_wrong_password_or_user_is_told_at_once(kafka, listener, name, value):
    message = refusal(brokers_at(kafka, listener, **{name: value}))
    user = value if name == "username" else "demo"
    assert f"refuses user '{user}': invalid credentials" in message
    assert message.endswith("; see --kafka-security")


def test_a_mechanism_that_the_broker_does_not_speak_is_told_at_once(kafka):
    brokers = Brokers(
        kafka.endpoint("OAUTH"), KafkaSecurity(SASL_SSL, SCRAM[0], "demo", WRONG, ca=str(kafka.folder / "ca.pem"))
    )
    assert "Unsupported SASL mechanism: broker's supported mechanisms: OAUTHBEARER; see" in refusal(brokers)
    assert "refuses user 'demo'" in refusal(
        Brokers(kafka.servers, KafkaSecurity(SASL_PLAINTEXT, SCRAM[0], "demo", WRONG))
    )


@pytest.mark.parametrize(
    ("listener", "changes", "says"),
    [
        ("SASL_SSL", {"ca": "other_ca.pem"}, "no encrypted connection to .*certificate could not be verified; see"),
        ("SASL_SSL", {"ca": ""}, "no encrypted connection to .*certificate could not be verified; see"),
        ("SSL", {"certificate": "", "key": ""}, "no encrypted connection to .*bad certificate"),
        ("SSL", {"key": "broker.key"}, "cannot connect to .*: key failed: key values mismatch; see"),
        ("SSL", {"ca": "settings.properties"}, "cannot connect to .*: ca failed: .*; see"),
    ],
)
def test_certificates_that_do_not_serve_are_told_at_once(kafka, listener, changes, says):
    files = {name: str(kafka.folder / value) if value else "" for name, value in changes.items()}
    message = refusal(brokers_at(kafka, listener, **files))
    assert re.search(says, message), message


def test_tls_where_there_is_none_is_told_at_once(kafka):
    assert "connecting to a PLAINTEXT broker" in refusal(Brokers(kafka.servers, KafkaSecurity("SSL")))


@pytest.mark.parametrize("listener", ["SASL", "SASL_SSL"])
def test_a_broker_that_wants_another_protocol_is_told_as_one_that_hangs_up(kafka, listener):
    message = refusal(Brokers(kafka.endpoint(listener)), seconds=1)
    assert "hangs up on clients without a user: it may want another protocol; see --kafka-security" in message


def test_nobody_there_is_told_when_the_time_is_over(closed_port):
    began = time.monotonic()
    message = refusal(Brokers(f"127.0.0.1:{closed_port}"), seconds=0.5)
    assert time.monotonic() - began >= 0.5
    assert message == (
        f"nobody answers at kafka://127.0.0.1:{closed_port} within 0.5 s: "
        f"Connect to ipv4#127.0.0.1:{closed_port} failed: Connection refused"
    )


@pytest.mark.skipif(not TASKS.exists(), reason="only Linux tells the threads of a process by name")
def test_nothing_of_a_contact_that_failed_is_left_to_the_garbage_collector(closed_port):
    """It would come by in librdkafka's own thread, which may not end its client."""
    before = threads_of_librdkafka()
    with pytest.raises(BrokerError) as caught:
        Brokers(f"127.0.0.1:{closed_port}").check(["topic"], seconds=0.2, group="readers")
    # A thread that was joined is seen for a moment longer.
    deadline = time.monotonic() + SOON_SECONDS
    while left := threads_of_librdkafka() - before:
        assert time.monotonic() < deadline, (left, caught.value)
        time.sleep(0.05)


def test_somebody_who_says_nothing_is_nobody():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        message = refusal(Brokers(f"127.0.0.1:{deaf.getsockname()[1]}"), seconds=0.5)
    assert message.endswith("within 0.5 s")


def test_a_name_that_nobody_knows():
    assert "Failed to resolve 'no-such-host.invalid:9092'" in refusal(Brokers("no-such-host.invalid:9092"), seconds=2)


def test_a_broker_that_starts_while_we_wait_is_found(own_kafka):
    own_kafka.stop()
    late = threading.Timer(0.5, own_kafka.start)
    late.start()
    try:
        assert Brokers(own_kafka.servers).check(["none"], PATIENCE_SECONDS) == ["none"]
    finally:
        late.join()


def test_a_name_that_no_topic_can_have(kafka):
    with pytest.raises(BrokerError, match=r"^kafka://127.0.0.1:\d+/a b refuses clients .*: Invalid topic$"):
        Brokers(kafka.servers).check(["a b"], PATIENCE_SECONDS)


def test_an_identity_of_aws_gets_in_by_its_token(kafka, monkeypatch):
    monkeypatch.setattr(MSKAuthTokenProvider, "generate_auth_token", unsigned_token())
    brokers = brokers_at(kafka, "OAUTH")
    assert brokers.security.mechanism == AWS_IAM
    topic = kafka.create_topic()
    assert brokers.check([topic, "none"], PATIENCE_SECONDS) == ["none"]
    producer = Producer(brokers.config())
    producer.produce(topic, b"value")
    assert producer.flush(PATIENCE_SECONDS) == 0
    consumer = Consumer(brokers.config() | {"group.id": "x", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        assert [message.value() for message in consumer.consume(1, PATIENCE_SECONDS)] == [b"value"]
    finally:
        consumer.close()


def test_tokens_are_renewed_before_they_end(kafka, monkeypatch):
    signed = []
    sign = unsigned_token(life_seconds=2)
    monkeypatch.setattr(
        MSKAuthTokenProvider, "generate_auth_token", lambda region: signed.append(region) or sign(region)
    )
    consumer = Consumer(brokers_at(kafka, "OAUTH").config() | {"group.id": "x"})
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(signed) < 3:
            consumer.poll(0.1)
            assert time.monotonic() < deadline
    finally:
        consumer.close()


def test_a_token_that_the_broker_does_not_take(kafka, monkeypatch):
    monkeypatch.setattr(
        MSKAuthTokenProvider, "generate_auth_token", lambda region: (f"{WRONG}.b.c", int(time.time() + 900) * 1_000)
    )
    assert "refuses this identity of AWS" in refusal(brokers_at(kafka, "OAUTH"))


def test_no_credentials_of_aws_are_told_at_once(kafka, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    message = refusal(brokers_at(kafka, "OAUTH"))
    assert message.startswith("cannot sign in at kafka://")
    assert message.endswith("with AWS: no credentials of AWS found")


def test_the_signature_is_aws_s_own(monkeypatch):
    """Nothing is asked of AWS for it: a signature needs a key and a region only."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG)
    token, end = Brokers("b:1", KafkaSecurity(SASL_SSL, AWS_IAM, region="eu-west-1")).config()["oauth_cb"]("")
    address = base64.urlsafe_b64decode(token + "==").decode()
    assert address.startswith("https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&")
    assert WRONG not in address
    assert 0 < end - time.time() <= 900


def test_the_password_is_not_shown_and_brokers_travel():
    brokers = Brokers("b:1", KafkaSecurity(SASL_SSL, SCRAM[0], "me", WRONG))
    assert WRONG not in repr(brokers) + str(brokers)
    assert pickle.loads(pickle.dumps(brokers)) == brokers
    assert {brokers: 1}[pickle.loads(pickle.dumps(brokers))] == 1


def test_what_librdkafka_says_goes_to_the_log_of_that_name(closed_port, caplog):
    caplog.set_level(logging.DEBUG, "librdkafka")
    consumer = Consumer(Brokers(f"127.0.0.1:{closed_port}").config() | {"group.id": "x"})
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Connection refused" not in caplog.text:
            consumer.consume(10, 0.1)
            assert time.monotonic() < deadline
    finally:
        consumer.close()
    assert max(record.levelno for record in caplog.records) <= logging.INFO


def test_nothing_is_printed_even_where_nobody_listens_to_the_log(closed_port):
    program = f"""
import time
from confluent_kafka import Consumer, Producer
from sources.kafka.client import Brokers, BrokerError
brokers = Brokers("127.0.0.1:{closed_port}")
try:
    brokers.check(seconds=0.3)
except BrokerError:
    pass
clients = Consumer(brokers.config() | {{"group.id": "x"}}), Producer(brokers.config())
clients[0].poll(0.5)
clients[1].poll(0.5)
clients[0].close()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_errors_are_explained_in_one_line_and_in_our_words():
    assert explain(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)) == "Unknown topic or partition"
    assert explain(KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))) == "Message timed out"
    text = "sasl_ssl://b-1.x.y:9098/bootstrap: SASL authentication error: no\n way (after 3ms in state AUTH_REQ)"
    assert explain(KafkaError(KafkaError._AUTHENTICATION, text)) == "no way"
    state = "(after 0ms in state CONNECT, 2 identical error(s) suppressed)"
    text = f"10.0.0.1:9092/3: Connect to ipv4#10.0.0.1:9092 failed: refused {state}"
    assert explain(KafkaError(KafkaError._TRANSPORT, text)) == "Connect to ipv4#10.0.0.1:9092 failed: refused"


def test_a_missing_extra_is_told_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(ValueError, match=r"^AWS_MSK_IAM needs .*: pip install 'transaction-streams\[msk\]'$"):
        Brokers("b:1", KafkaSecurity(SASL_SSL, AWS_IAM, region="eu-west-1")).config()
    require_kafka()
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    for call in (require_kafka, Brokers("b:1").check):
        with pytest.raises(ValueError, match=r"^kafka:// needs .*: pip install 'transaction-streams\[kafka\]'$"):
            call()


def test_nothing_of_kafka_is_loaded_before_it_is_needed():
    program = "import sys, sources.kafka.client, sources.kafka.security; print('confluent_kafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
