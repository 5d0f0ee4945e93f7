"""Topics of a real broker, read by readers that are driven by hand."""

from __future__ import annotations

import json
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from schemas.bank import TRANSFERS
from schemas.elements.block import Block
from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Column, RecordType
from sources import drain
from sources import progress as board
from sources.kafka.checkpoint import KafkaMark
from sources.kafka.client import BrokerError, Brokers
from sources.kafka.messages import EMPTY, LINE_BREAK
from sources.kafka.partitions import PartitionId
from sources.kafka.source import KafkaTopics
from tests.brokers import Broker
from tests.fakes import Driver, FakeClock
from tests.patience import PATIENCE_SECONDS
from tests.sources.test_backlog import START, TICK, micros, tick

SALE = RecordType("sale", ("time", "n"), (Column("time", "time", required=True),), "time", form=JSON_LINES)


def sale(second: int, n: object = 0) -> bytes:
    text = str(_moment(second))
    return json.dumps({"time": text, "n": n}).encode()


def _moment(second: int) -> str:
    from schemas.times import to_datetime

    return f"{to_datetime(micros(second)):%Y-%m-%d %H:%M:%S}"


def topics(broker: Broker, *names: str, record_type: RecordType = SALE, **options) -> KafkaTopics:
    return KafkaTopics(Brokers(broker.servers), names, record_type, **options)


@pytest.fixture
def read() -> Iterator[Callable[..., Driver]]:
    """Gives what makes a driver of a reader that is closed in the end."""
    with ExitStack() as stack:

        def read(source: KafkaTopics, mark: KafkaMark | None = None) -> Driver:
            if mark is not None:
                coder = source.get_checkpoint_mark_coder()
                mark = coder.decode(coder.encode(mark))
            reader = pickle.loads(pickle.dumps(source)).create_reader(None, mark)
            stack.callback(reader.close)
            return Driver(reader)

        yield read


@pytest.fixture(autouse=True)
def notes() -> Iterator[list[str]]:
    """Forgets what was noted; gives a list that fills when asked for by :func:`noted`."""
    board.reset()
    drain.reset()
    yield []
    drain.reset()
    board.reset()


def until(driver: Driver, count: int) -> Driver:
    return driver.until(lambda driver: records_of(driver.blocks) >= count)


def records_of(blocks: Sequence[Block]) -> int:
    return sum(1 if block.fault else block.data.count(b"\n") for block in blocks)


def located(blocks: Sequence[Block]) -> list[tuple[str, bytes]]:
    """Gives every record with its origin."""
    found = []
    for block in blocks:
        start = 0
        for line in [block.data] if block.fault else block.data.splitlines(keepends=True):
            found.append((block.locate(start)[0], line.rstrip(b"\n")))
            start += len(line)
    return found


def origins(blocks: Sequence[Block]) -> list[str]:
    return [origin for origin, _ in located(blocks)]


def all_origins(topic: str, partitions: int, each: int) -> Counter[str]:
    return Counter(f"{topic}[{partition}]@{offset}" for partition in range(partitions) for offset in range(each))


def settle(driver: Driver, is_enough: Callable[[], bool]) -> Driver:
    return driver.until(lambda _: is_enough())


# --- stopping and going on ----------------------------------------------------------------------------------------


def test_nothing_is_open_after_close_and_closing_again_does_nothing(kafka: Broker, read: Callable[..., Driver]) -> None:
    import threading

    topic = kafka.create_topic()
    kafka.produce(topic, [sale(0)])
    driver = until(read(topics(kafka, topic)), 1)
    driver.reader.close()
    driver.reader.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "KafkaScout"]


def test_a_reader_that_was_never_started_closes(kafka: Broker) -> None:
    topics(kafka, "nothing").create_reader(None, None).close()


# --- which reader has which partition -----------------------------------------------------------------------------


@pytest.mark.parametrize(("wanted", "readers"), [(1, 1), (2, 2), (20, 4)])
def test_partitions_are_shared_among_readers(
    kafka: Broker, read: Callable[..., Driver], wanted: int, readers: int
) -> None:
    topic = kafka.create_topic(partitions=5)
    kafka.produce(topic, [sale(n) for n in range(50)])
    parts = topics(kafka, topic).split(wanted)
    assert len(parts) == readers
    drivers = [read(part) for part in parts]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(records_of(driver.blocks) for driver in drivers) < 50:
        assert time.monotonic() < deadline
        for driver in drivers:
            driver.step()
    assert sum((Counter(origins(driver.blocks)) for driver in drivers), Counter()) == all_origins(topic, 5, 10)
    assert all(part.split(9) == [part] for part in parts if readers > 1)


def test_no_more_readers_than_partitions(kafka: Broker) -> None:
    assert len(topics(kafka, kafka.create_topic(partitions=2)).split(20)) == 2


def test_blocks_have_messages_of_one_topic(kafka: Broker, read: Callable[..., Driver]) -> None:
    names = [kafka.create_topic(partitions=2) for _ in range(2)]
    for name in names:
        kafka.produce(name, [sale(n) for n in range(20)])
    driver = until(read(topics(kafka, *names)), 40)
    assert all(len({span.origin.partition("[")[0] for span in block.spans}) == 1 for block in driver.blocks)
    assert Counter(origins(driver.blocks)) == all_origins(names[0], 2, 10) + all_origins(names[1], 2, 10)


def test_new_partitions_are_found_and_read_from_their_beginning(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic(partitions=1)
    kafka.produce(topic, [sale(0)])
    parts = topics(kafka, topic, start="latest", idle_partition_seconds=1).split(20)
    driver = read(*parts)
    settle(driver, lambda: bool(driver.reader.get_checkpoint_mark().offsets))
    kafka.add_partitions(topic, 3)
    for partition in (1, 2):
        kafka.produce(topic, [sale(1)], partition=partition)
    until(driver, 2)
    assert sorted(origins(driver.blocks)) == [f"{topic}[1]@0", f"{topic}[2]@0"]


# --- values -------------------------------------------------------------------------------------------------------


def test_odd_values_are_records_or_faults_or_counted(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    pretty = json.dumps({"time": _moment(1)}, indent=1).encode()
    values = [sale(0), None, b"", sale(1) + b"\r\n", pretty, b"\n", None, "{}", b'{"n": 1}\n']
    kafka.produce(topic, values, headers={"trace": b"a\nb"})
    kafka.produce(topic, [None])
    driver = until(read(topics(kafka, topic)), 7)
    settle(driver, lambda: driver.reader.get_checkpoint_mark().offsets == {PartitionId(topic, 0): 10})
    assert dict(located(driver.blocks)) == {
        f"{topic}[0]@0": sale(0),
        f"{topic}[0]@2": b"",
        f"{topic}[0]@3": sale(1),
        f"{topic}[0]@4": pretty.replace(b"\n", b" "),
        f"{topic}[0]@5": b"",
        f"{topic}[0]@7": b"{}",
        f"{topic}[0]@8": b'{"n": 1}',
    }
    assert [block.fault for block in driver.blocks if block.fault] == [EMPTY, EMPTY]
    driver.reader.close()
    assert board.take_notes() == [
        f"messages of {topic} without a value (tombstones) are passed over",
        f"passed over 3 messages of {topic} without a value (tombstones)",
    ]


def test_a_delimited_record_with_a_line_break_is_a_fault(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [tick(0), b"a\nb", tick(1)])
    driver = until(read(topics(kafka, topic, record_type=TICK)), 3)
    assert driver.data == tick(0) + tick(1)
    assert driver.faults == [(b"a\nb", LINE_BREAK)]


def test_a_record_without_a_time_has_that_of_its_message(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    seconds = START // 1_000_000
    stamps = [seconds * 1_000 + millis for millis in (0, 900, 1_000, 5_300)]
    kafka.produce(topic, [b"{}"] * 4, timestamps=stamps)
    driver = until(read(topics(kafka, topic, record_type=TRANSFERS)), 4)
    assert [(block.data, block.arrival - START) for block in driver.blocks] == [
        (b"{}\n{}\n", 0),
        (b"{}\n", 1_000_000),
        (b"{}\n", 5_300_000),
    ]
    assert driver.watermark.micros == micros(5) + 300_000


def test_messages_of_aborted_transactions_are_not_read(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": topic})
    producer.init_transactions(PATIENCE_SECONDS)
    for number, is_kept in enumerate((True, False, True)):
        producer.begin_transaction()
        for place in range(2):
            producer.produce(topic, sale(number, place), partition=0)
        producer.flush()
        if is_kept:
            producer.commit_transaction(PATIENCE_SECONDS)
        else:
            producer.abort_transaction(PATIENCE_SECONDS)
    driver = until(read(topics(kafka, topic)), 4)
    settle(driver, lambda: driver.reader.get_checkpoint_mark().offsets == {PartitionId(topic, 0): 9})
    # Each transaction ends with a marker, that has an offset, too.
    assert origins(driver.blocks) == [f"{topic}[0]@{offset}" for offset in (0, 1, 6, 7)]


# --- the watermark ------------------------------------------------------------------------------------------------


def test_the_watermark_is_that_of_the_slowest_partition_until_it_is_idle(
    kafka: Broker, read: Callable[..., Driver]
) -> None:
    topic = kafka.create_topic(partitions=2)
    kafka.produce(topic, [sale(10)], partition=0)
    kafka.produce(topic, [sale(30)], partition=1)
    clock = FakeClock()
    source = topics(kafka, topic, idle_partition_seconds=100, disorder_micros=1_000_000, clock=clock)
    driver = until(read(source), 2)
    assert driver.watermark.micros <= micros(9)
    settle(driver, lambda: clock.pass_seconds(1) or driver.watermark.micros == micros(29))
    assert clock() >= 100
    # It goes on, behind the others.
    kafka.produce(topic, [sale(12)], partition=0)
    until(driver, 3)
    assert driver.blocks[-1].watermark == micros(29)


def test_an_idle_reader_follows_its_siblings(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic(partitions=2)
    clock = FakeClock()
    one, other = map(read, topics(kafka, topic, idle_partition_seconds=100, clock=clock).split(2))
    kafka.produce(topic, [sale(10)], partition=0)
    kafka.produce(topic, [sale(30)], partition=1)
    until(one, 1)
    until(other, 1)
    assert (one.watermark.micros, other.watermark.micros) == (micros(10), micros(30))

    def goes_on() -> bool:
        kafka.produce(topic, [sale(40)], partition=1)
        other.step()
        clock.pass_seconds(1)
        return one.watermark.micros == micros(40)

    settle(one, goes_on)


# --- where to begin -----------------------------------------------------------------------------------------------


def test_the_latest_is_fixed_once(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic(partitions=2)
    kafka.produce(topic, [sale(n) for n in range(4)])
    source, _ = topics(kafka, topic, start="latest").split(20)
    kafka.produce(topic, [sale(9)], partition=0)
    driver = until(read(source), 1)
    assert origins(driver.blocks) == [f"{topic}[0]@2"]


def test_the_latest_is_fixed_by_the_first_reader_where_nothing_was_split(
    kafka: Broker, read: Callable[..., Driver]
) -> None:
    topic = kafka.create_topic(partitions=2)
    kafka.produce(topic, [sale(n) for n in range(4)])
    source = topics(kafka, topic, start="latest")
    driver = read(source)
    settle(driver, lambda: driver.reader.get_checkpoint_mark().has_begun)
    mark = driver.reader.get_checkpoint_mark()
    assert mark.offsets == {PartitionId(topic, 0): 2, PartitionId(topic, 1): 2}
    driver.reader.close()
    kafka.produce(topic, [sale(9)], partition=1)
    assert origins(until(read(source, mark), 1).blocks) == [f"{topic}[1]@2"]


def test_a_time_begins_with_the_first_message_that_is_as_late(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(n) for n in range(3)], timestamps=[5_000, 6_000, 7_000])
    (source,) = topics(kafka, topic, start=5_000_001).split(20)
    assert origins(until(read(source), 2).blocks) == [f"{topic}[0]@1", f"{topic}[0]@2"]
    (source,) = topics(kafka, topic, start=9_000_000).split(20)
    kafka.produce(topic, [sale(4)], timestamps=[1_000])
    assert origins(until(read(source), 1).blocks) == [f"{topic}[0]@3"]


@pytest.mark.parametrize("is_open", [True, False])
def test_offsets_are_committed_when_a_mark_is_finalized(
    kafka: Broker, read: Callable[..., Driver], is_open: bool
) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(n) for n in range(4)])
    group = f"group-of-{topic}"
    source = topics(kafka, topic, group=group, max_block_bytes=100)
    driver = until(read(source), 2)
    mark = driver.reader.get_checkpoint_mark()
    assert kafka.committed(group, topic)[0] < 0
    if not is_open:
        driver.reader.close()
    mark.finalize_checkpoint()
    mark.finalize_checkpoint()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while kafka.committed(group, topic)[0] != mark.offsets[PartitionId(topic, 0)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (later,) = topics(kafka, topic, group=group, start="committed").split(20)
    assert origins(until(read(later), 2).blocks) == [f"{topic}[0]@{offset}" for offset in (2, 3)]


def test_a_group_that_has_committed_nothing_begins_with_the_earliest(
    kafka: Broker, read: Callable[..., Driver]
) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(0)])
    (source,) = topics(kafka, topic, group=f"none-{topic}", start="committed").split(20)
    until(read(source), 1)


# --- what goes wrong ----------------------------------------------------------------------------------------------


def _away(kafka: Broker, read: Callable[..., Driver], **options) -> tuple[str, Driver]:
    """Reads two messages of ten, and goes on after six were deleted."""
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(n) for n in range(10)])
    source = topics(kafka, topic, max_block_bytes=100, **options)
    driver = until(read(source), 2)
    mark = driver.reader.get_checkpoint_mark()
    driver.reader.close()
    kafka.delete_records(topic, 0, 6)
    return topic, read(source, mark)


def test_an_offset_that_was_deleted_is_an_error(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic, driver = _away(kafka, read)
    message = rf"{topic}\[0\] has no offset 2, where reading was to go on; the earliest there is 6 .*missing-offset"
    with pytest.raises(BrokerError, match=message):
        until(driver, 1)


def test_an_offset_that_was_deleted_is_a_counted_gap_if_that_is_wanted(
    kafka: Broker, read: Callable[..., Driver]
) -> None:
    topic, driver = _away(kafka, read, on_missing_offset="earliest")
    assert origins(until(driver, 4).blocks) == [f"{topic}[0]@{offset}" for offset in range(6, 10)]
    assert f"4 messages of {topic}[0] were deleted before they were read" in board.take_notes()


def test_a_topic_that_was_made_anew_is_told_by_its_offsets(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(0)])
    source = topics(kafka, topic)
    mark = KafkaMark("m", {PartitionId(topic, 0): 700}, has_begun=True)
    with pytest.raises(BrokerError, match=r"no offset 700.* it has 0 to 1: was it made anew"):
        until(read(source, mark), 1)


def test_a_topic_that_comes_later_is_waited_for(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = f"later-{time.time_ns()}"
    (source,) = topics(kafka, topic, start="latest").split(20)
    driver = read(source)
    notes: list[str] = []
    settle(driver, lambda: bool(notes.extend(board.take_notes()) or notes))
    assert notes == [f"there is no topic {topic} at kafka://{kafka.servers} yet; waiting for it"]
    kafka.create_topic(topic, partitions=2)
    kafka.produce(topic, [sale(0), sale(1)])
    until(driver, 2)


def test_a_topic_that_is_deleted_ends_it_with_one_line(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(0)])
    driver = until(read(topics(kafka, topic)), 1)
    kafka.delete_topic(topic)
    with pytest.raises(BrokerError, match=f"the topic {topic} of .* was deleted"):
        until(driver, 2)


@pytest.mark.soak
def test_a_broker_that_goes_away_is_waited_for_and_nothing_is_lost(
    own_kafka: Broker, read: Callable[..., Driver]
) -> None:
    topic = own_kafka.create_topic(partitions=2)
    own_kafka.produce(topic, [sale(n) for n in range(10)])
    source = topics(own_kafka, topic, idle_partition_seconds=1, idle_timeout_seconds=5)
    driver = until(read(source), 10)
    own_kafka.stop()
    notes: list[str] = []
    settle(driver, lambda: any("lost" in note for note in (notes.extend(board.take_notes()) or notes)))
    before = driver.watermark
    mark = driver.reader.get_checkpoint_mark()
    began = time.monotonic()
    while time.monotonic() - began < 6:
        driver.step()
        time.sleep(0.01)
    assert not driver.is_ended
    assert driver.watermark == before
    # Another one that begins while it is away can be closed at once.
    second = read(source, replace(mark, token="another"))  # noqa: S106 - the name of a reader
    for _ in range(5):
        second.step()
    second.reader.close()
    own_kafka.start()
    own_kafka.produce(topic, [sale(n) for n in range(10, 20)])
    until(driver, 20)
    assert Counter(origins(driver.blocks)) == all_origins(topic, 2, 10)
    settle(driver, lambda: any("answers again" in note for note in (notes.extend(board.take_notes()) or notes)))
    assert sum("lost" in note for note in notes) == 1
    driver.until(lambda driver: driver.is_ended)


def test_silence_ends_it_if_that_is_wanted(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(0)])
    driver = read(topics(kafka, topic, idle_timeout_seconds=1)).until(lambda driver: driver.is_ended)
    assert records_of(driver.blocks) == 1


def test_a_drain_ends_it(kafka: Broker, read: Callable[..., Driver]) -> None:
    topic = kafka.create_topic()
    kafka.produce(topic, [sale(n) for n in range(9)])
    driver = until(read(topics(kafka, topic, max_block_bytes=100)), 2)
    drain.drain()
    driver.until(lambda driver: driver.is_ended)
    assert 2 <= records_of(driver.blocks) <= 9


def test_checking_finds_nobody_there() -> None:
    with pytest.raises(BrokerError, match="nobody answers"):
        Brokers("127.0.0.1:1").check(["x"], seconds=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topics": ()}, "expected kafka://h:1/topic, got no topic"),
        ({"topics": ("a", "a")}, "each topic once, got a,a"),
        ({"start": "now"}, "start must be one of earliest, latest, committed, or microseconds, got 'now'"),
        ({"start": "committed"}, "start committed needs a group"),
        ({"max_readers": 0}, "max_readers must be positive, got 0"),
        ({"idle_partition_seconds": 0}, "idle_partition_seconds must be positive, got 0"),
        ({"disorder_micros": -1}, "disorder_micros must not be negative, got -1"),
        ({"on_missing_offset": "x"}, "on_missing_offset must be fail or earliest, got 'x'"),
    ],
)
def test_values_that_cannot_be_are_refused(options: dict, message: str) -> None:
    given = {"brokers": Brokers("h:1"), "topics": ("a",), "record_type": SALE, **options}
    with pytest.raises(ValueError, match=message):
        KafkaTopics(**given)
