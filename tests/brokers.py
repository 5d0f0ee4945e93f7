"""Kafka brokers for tests, each a process of its own in a folder of its own, on ports that the system picks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.certificates import write_certificates
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port

_SCRIPT = Path(__file__).parent.parent / "scripts" / "kafka.sh"
_NOT_THERE = 3  # the script's exit status where there is no Java, or no jars
_TRIES = 3
#: The user that every SCRAM listener knows.
USER, PASSWORD = "demo", "demo-secret"
#: What each listener is, and what a file for --kafka-security says of it. OAUTH takes unsigned tokens.
_LISTENERS: Mapping[str, tuple[str, dict[str, str]]] = {
    "PLAINTEXT": ("PLAINTEXT", {}),
    "SASL": ("SASL_PLAINTEXT", {"mechanism": "SCRAM-SHA-256", "username": USER, "password": PASSWORD}),
    "SASL_SSL": ("SASL_SSL", {"mechanism": "SCRAM-SHA-512", "username": USER, "password": PASSWORD}),
    "SSL": ("SSL", {}),
    "OAUTH": ("SASL_SSL", {"mechanism": "AWS_MSK_IAM", "region": "eu-west-1"}),
    "CONTROLLER": ("PLAINTEXT", {}),
}
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"


class Broker:
    """One broker; it makes no topics of its own accord.

    It has a listener for each way to connect: PLAINTEXT, SASL (SCRAM without TLS), SASL_SSL (SCRAM with TLS), SSL (it
    asks for a certificate) and OAUTH (with TLS; tokens need not be signed).
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self._settings = dict(settings or {})
        self._admin: AdminClient | None = None
        write_certificates(folder)

    @property
    def servers(self) -> str:
        """Where it takes clients that say nothing of themselves."""
        return self.endpoint("PLAINTEXT")

    def endpoint(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def address(self, *topics: str, listener: str = "PLAINTEXT") -> str:
        return f"kafka://{self.endpoint(listener)}" + (f"/{','.join(topics)}" if topics else "")

    def security(self, listener: str, **changes: str) -> Path:
        """Writes a file for --kafka-security; a change to an empty text takes a line away."""
        protocol, values = _LISTENERS[listener]
        values = {"protocol": protocol, **values}
        if protocol.endswith("SSL"):
            values["ca"] = str(self.folder / "ca.pem")
        if listener == "SSL":
            values |= {"certificate": str(self.folder / "client.pem"), "key": str(self.folder / "client.key")}
        path = self.folder / f"security-{uuid.uuid4().hex[:8]}.toml"
        path.write_text("".join(f"{name} = {text!r}\n" for name, text in (values | changes).items() if text))
        path.chmod(0o600)
        return path

    def start(self) -> None:
        """Starts it, and waits until it takes connections: on the same ports, with the same messages, as before."""
        for _ in range(1 if self.ports else _TRIES):
            ports = self.ports or {name: free_port() for name in _LISTENERS}
            done = self._run("start", *self._options(ports))
            if done.returncode == _NOT_THERE:
                pytest.skip(done.stderr.strip())
            if done.returncode == 0:
                self.ports = ports
                return
        raise AssertionError(done.stderr + (self.folder / "log").read_text()[-4_000:])

    def stop(self) -> None:
        """Stops it as an administrator would."""
        self._admin = None
        done = self._run("stop", "--folder", str(self.folder))
        assert done.returncode == 0, done.stderr

    def kill(self) -> None:
        """Ends it as a power cut would."""
        pid = int((self.folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.is_running():
            assert time.monotonic() < deadline, f"process {pid} does not end"
            time.sleep(0.02)

    def restart(self) -> None:
        self.stop()
        self.start()

    def is_running(self) -> bool:
        return self._run("status", "--folder", str(self.folder)).returncode == 0

    def pause(self) -> None:
        """Makes it deaf: its connections stay open, and nothing answers."""
        os.kill(int((self.folder / "pid").read_text()), signal.SIGSTOP)

    def unpause(self) -> None:
        os.kill(int((self.folder / "pid").read_text()), signal.SIGCONT)

    def admin(self) -> AdminClient:
        """Gives a client that may change everything; one for as long as the broker runs."""
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        return self._admin

    def create_topic(self, name: str = "", partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Makes a topic, waits until clients see it, and gives its name: one that nobody has, unless one is given."""
        name = name or f"topic-{uuid.uuid4().hex[:12]}"
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        self.admin().create_topics([new])[name].result(PATIENCE_SECONDS)
        self._wait_for_partitions(name, partitions)
        return name

    def add_partitions(self, topic: str, total: int) -> None:
        self.admin().create_partitions([NewPartitions(topic, total)])[topic].result(PATIENCE_SECONDS)
        self._wait_for_partitions(topic, total)

    def delete_topic(self, topic: str) -> None:
        self.admin().delete_topics([topic])[topic].result(PATIENCE_SECONDS)
        self._wait_for_partitions(topic, 0)

    def delete_records(self, topic: str, partition: int, before_offset: int) -> None:
        """Deletes what is older, as the broker does itself when messages have been there for long enough."""
        place = TopicPartition(topic, partition, before_offset)
        self.admin().delete_records([place])[place].result(PATIENCE_SECONDS)

    def produce(
        self,
        topic: str,
        values: Sequence[bytes | str | None],
        *,
        keys: Sequence[bytes | str | None] | None = None,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
        timestamps: Sequence[int] | None = None,
    ) -> None:
        """Writes messages, and waits until the broker has them; without a partition, by key or in turn.

        Args:
            topic: has to exist.
            values: None is a tombstone.
            keys: as many as values.
            partition: for all of them.
            headers: the same for each.
            timestamps: milliseconds since 1970; without, the time of now.
        """
        count = len(self.partitions(topic))
        failures: list[KafkaError] = []
        producer = Producer(self._client() | {"linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
        for number, value in enumerate(values):
            extra: dict = {"timestamp": timestamps[number]} if timestamps is not None else {}
            key = keys[number] if keys is not None else None
            if partition is not None or key is None:
                extra["partition"] = number % count if partition is None else partition
            if headers:
                extra["headers"] = dict(headers)
            producer.produce(
                topic, value, key, on_delivery=lambda error, _: failures.append(error) if error else None, **extra
            )
            if number % 1_000 == 0:
                producer.poll(0)
        assert producer.flush(PATIENCE_SECONDS) == 0, "the broker does not take the messages"
        assert not failures, failures[0]

    def consume_all(
        self, topic: str, *, isolation: str = "read_committed"
    ) -> list[tuple[int, int, bytes | None, bytes | None]]:
        """Reads the topic from its first message to its last one: (partition, offset, key, value), in that order."""
        return [
            (message.partition(), message.offset(), message.key(), message.value())
            for message in self.messages(topic, isolation=isolation)
        ]

    def messages(self, topic: str, *, isolation: str = "read_committed") -> list:
        """Reads the topic as confluent_kafka's messages, which have headers and timestamps."""
        places = [TopicPartition(topic, number, 0) for number in self.partitions(topic)]
        settings = {"enable.partition.eof": True, "isolation.level": isolation, "auto.offset.reset": "earliest"}
        found, unread = [], {place.partition for place in places}
        with self._consumer(settings) as consumer:
            consumer.assign(places)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while unread:
                for message in consumer.consume(10_000, 0.2):
                    error = message.error()
                    if error is None:
                        found.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
                    else:
                        raise AssertionError(error)
                assert time.monotonic() < deadline, f"partitions {unread} of {topic} have no end"
        return sorted(found, key=lambda message: (message.partition(), message.offset()))

    def partitions(self, topic: str) -> list[int]:
        """Gives the numbers of a topic's partitions; none if there is no such topic."""
        found = self.admin().list_topics(topic, PATIENCE_SECONDS).topics[topic]
        return sorted(found.partitions) if found.error is None else []

    def deny(self, operation: str, name: str, kind: str = "topic") -> None:
        """Lets USER no longer do something (``read``, ``write``, ``describe``) to a topic or a ``group``."""
        what = ResourceType[kind.upper()], name, ResourcePatternType.LITERAL
        rule = AclBinding(*what, f"User:{USER}", "*", AclOperation[operation.upper()], AclPermissionType.DENY)
        admin = self.admin()
        for done in admin.create_acls([rule]).values():
            done.result(PATIENCE_SECONDS)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Gives for each partition the offset that its next message gets."""
        with self._consumer() as consumer:
            return {number: _end_offset(consumer, TopicPartition(topic, number)) for number in self.partitions(topic)}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Gives the offsets that a group of consumers has committed; negative where it has none."""
        with self._consumer({"group.id": group}) as consumer:
            places = [TopicPartition(topic, number) for number in self.partitions(topic)]
            return {place.partition: place.offset for place in consumer.committed(places, PATIENCE_SECONDS)}

    def _client(self) -> dict:
        return {"bootstrap.servers": self.servers, "log_level": 0}

    @contextlib.contextmanager
    def _consumer(self, settings: Mapping | None = None) -> Iterator[Consumer]:
        consumer = Consumer(self._client() | {"group.id": "tests", "enable.auto.commit": False} | dict(settings or {}))
        try:
            yield consumer
        finally:
            consumer.close()

    def _wait_for_partitions(self, topic: str, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.partitions(topic)) != count:
            assert time.monotonic() < deadline, f"{topic} does not get {count} partitions"
            time.sleep(0.02)

    def _options(self, ports: Mapping[str, int]) -> list[str]:
        """Gives the options of the script, and writes the settings that it has none for."""
        public = [name for name in _LISTENERS if name != "CONTROLLER"]
        settings = {
            "listeners": ",".join(f"{name}://127.0.0.1:{ports[name]}" for name in _LISTENERS),
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{ports[name]}" for name in public),
            "listener.security.protocol.map": ",".join(f"{name}:{_LISTENERS[name][0]}" for name in _LISTENERS),
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": _SCRAM,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": f'{_BEARER} unsecuredLoginStringClaim_sub="tests";',
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "broker.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.folder / "ca.pem"),
            "auto.create.topics.enable": "false",
            # Everybody may do everything, until something is denied.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:ANONYMOUS",
            # After a power cut it is let in again when its former life is over.
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "2000",
            **self._settings,
        }
        path = self.folder / "settings.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        numbers = ("--port", ports["PLAINTEXT"], "--sasl-port", ports["SASL"], "--controller-port", ports["CONTROLLER"])
        return [*map(str, numbers), "--folder", str(self.folder), "--heap", "256m", "--settings", str(path)]

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(_SCRIPT), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


def _end_offset(consumer: Consumer, place: TopicPartition) -> int:
    """Asks again while the broker of a topic that has just been made does not know yet that it leads it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return consumer.get_watermark_offsets(place, PATIENCE_SECONDS)[1]
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


@contextlib.contextmanager
def running_broker(settings: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """Runs a broker; skips the test where there is no Java, or the broker has not been fetched.

    Args:
        settings: more of the broker's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    try:
        broker = Broker(folder, settings)
        try:
            broker.start()
            yield broker
        finally:
            if broker.is_running():
                broker.unpause()
                broker.stop()
    finally:
        shutil.rmtree(folder)
