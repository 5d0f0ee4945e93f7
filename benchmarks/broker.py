"""A Kafka broker for benchmarks: of this project's script, in a folder and on ports of its own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence

from benchmarks.measure import OUT, ROOT, CommandError, free_port

FOLDER = OUT / "kafka"
SCRIPT = ROOT / "scripts" / "kafka.sh"


@contextlib.contextmanager
def running_broker() -> Iterator[str]:
    """Runs a broker that has nothing in it, and gives its ``host:port``.

    Raises:
        CommandError: there is none; the message says what the script said.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    ports = [free_port() for _ in range(3)]
    names = ("--port", "--controller-port", "--sasl-port")
    options = [part for name, port in zip(names, ports, strict=True) for part in (name, str(port))]
    try:
        _call("start", *options)
        yield f"127.0.0.1:{ports[0]}"
    finally:
        _call("stop")
        shutil.rmtree(FOLDER, ignore_errors=True)


def make_topics(servers: str, topics: Sequence[str], partitions: int) -> None:
    """Makes topics of so many partitions."""
    from confluent_kafka.admin import AdminClient, NewTopic  # noqa: PLC0415 (an extra)

    with AdminClient({"bootstrap.servers": servers}) as client:
        for future in client.create_topics([NewTopic(name, partitions, 1) for name in topics]).values():
            future.result()


def end_of(servers: str, topic: str) -> int:
    """Gives the offset that the next message of a topic's only partition gets."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 (an extra)

    with contextlib.closing(Consumer({"bootstrap.servers": servers, "group.id": "bench"})) as consumer:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0))[1])


def messages_from(servers: str, topic: str, offset: int) -> list[bytes]:
    """Gives the values of a topic's only partition from an offset on."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 (an extra)

    end, found = end_of(servers, topic), []
    with contextlib.closing(Consumer({"bootstrap.servers": servers, "group.id": "bench"})) as consumer:
        consumer.assign([TopicPartition(topic, 0, offset)])
        while offset < end:
            for message in consumer.consume(10_000, 1):
                found.append(message.value())
                offset = message.offset() + 1
    return found


def _call(what: str, *options: str) -> None:
    done = subprocess.run(
        [str(SCRIPT), what, "--folder", str(FOLDER), *options], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(f"{SCRIPT.name} {what}: {(done.stderr or done.stdout).strip()}")
