"""List, describe or delete the topics of a Kafka broker.

make kafka-topics                         lists them, with their partitions and messages
make kafka-topics TOPICS="a b"            describes these: the offsets of each partition
make kafka-topics DELETE="a b"            deletes these and their messages
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

_SECONDS = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; return 0, or 1 with a line that says what went wrong."""
    parser = argparse.ArgumentParser(prog="scripts/kafka_topics.py", description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", default="127.0.0.1:9092", metavar="HOST:PORT", help="default: 127.0.0.1:9092")
    parser.add_argument("--delete", action="store_true", help="delete the topics that are named")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="describe these (default: list all)")
    asked = parser.parse_args(argv)
    if asked.delete and not asked.topics:
        parser.error("--delete needs the names of topics")
    try:
        from confluent_kafka import KafkaException  # noqa: PLC0415 (an extra)
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 (an extra)
    except ImportError:
        print("kafka: expected the extra 'kafka': pip install 'transaction-streams[kafka]'", file=sys.stderr)
        return 1
    settings = {"bootstrap.servers": asked.brokers, "logger": _Silent()}
    try:
        with AdminClient(settings) as client:
            known = {
                name: sorted(topic.partitions)
                for name, topic in sorted(client.list_topics(timeout=_SECONDS).topics.items())
                if not name.startswith("__")
            }
            unknown = [name for name in asked.topics if name not in known]
            if unknown:
                print(f"kafka: no topic {unknown[0]!r}, only {', '.join(known) or 'none'}", file=sys.stderr)
                return 1
            if asked.delete:
                for name, deleted in client.delete_topics(asked.topics, operation_timeout=_SECONDS).items():
                    deleted.result(2 * _SECONDS)
                    print(f"deleted {name}")
                return 0
            _tell(client, {name: known[name] for name in asked.topics} or known, is_whole=bool(asked.topics))
    except KafkaException as error:
        print(f"kafka: {asked.brokers}: {error.args[0].str()}", file=sys.stderr)
        return 1
    return 0


def _tell(client: Any, topics: dict[str, list[int]], *, is_whole: bool) -> None:
    from confluent_kafka import TopicPartition  # noqa: PLC0415 (an extra)
    from confluent_kafka.admin import OffsetSpec  # noqa: PLC0415 (an extra)

    places = [TopicPartition(name, number) for name, numbers in topics.items() for number in numbers]
    edges = []
    for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):
        found = client.list_offsets(dict.fromkeys(places, spec), request_timeout=_SECONDS) if places else {}
        edges.append({(at.topic, at.partition): offset.result(2 * _SECONDS).offset for at, offset in found.items()})
    begins, ends = edges
    for name, numbers in topics.items():
        messages = sum(ends[name, number] - begins[name, number] for number in numbers)
        print(f"{name}: {len(numbers)} partition{'' if len(numbers) == 1 else 's'}, {messages:,} messages")
        for number in numbers if is_whole else ():
            print(f"  [{number}] offsets {begins[name, number]} to {ends[name, number]}")


class _Silent:
    """Takes what librdkafka logs; what matters is an exception."""

    def log(self, *_: object, **__: object) -> None:
        """Take it."""


if __name__ == "__main__":
    sys.exit(main())
