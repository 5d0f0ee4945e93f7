"""Messages that become blocks: every record at its offset, whatever the values are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import wire_format
from schemas.avro.wire_format import Fault, ValueFormat, make_decoder, make_encoder
from schemas.bank import TRANSFERS
from schemas.elements.block import Block
from sources.kafka.messages import EMPTY, LINE_BREAK, Cut, MessageCutter, Portion
from sources.kafka.partitions import PartitionId
from tests.strategies import json_records


class Message:
    """What a consumer gives, as far as it matters here."""

    def __init__(self, topic: str, partition: int, offset: int, value: bytes | None, millis: int = 1_000) -> None:
        self._parts = topic, partition, offset, value, millis

    def topic(self) -> str:
        return self._parts[0]

    def partition(self) -> int:
        return self._parts[1]

    def offset(self) -> int:
        return self._parts[2]

    def value(self) -> bytes | None:
        return self._parts[3]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._parts[4]

    def error(self) -> None:
        return None


class Located(NamedTuple):
    origin: str
    record: bytes
    fault: str


def located(portions: Sequence[Portion]) -> list[Located]:
    """Gives every record with where its block says that it is from."""
    found = []
    for portion in portions:
        block = Block(portion.data, portion.spans, fault=portion.fault)
        lines = [portion.data] if portion.fault else [line + b"\n" for line in portion.data.split(b"\n")[:-1]]
        assert len(lines) == portion.records
        start = 0
        for line in lines:
            origin, position = block.locate(start)
            assert position == 0
            found.append(Located(origin, line if portion.fault else line[:-1], portion.fault))
            start += len(line)
    return found


def cut(*messages: Message, **options) -> Cut:
    return MessageCutter(**options)(messages)


VALUES = st.none() | st.sampled_from([b"", b"\n", b"\r", b"\r\n", b"a\nb", b"{}\n", b"{}\r\n"]) | st.binary(max_size=9)
#: Runs of messages: a partition, a gap before the offset, the value, whole seconds.
MESSAGES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(1, 3), VALUES, st.integers(0, 2)))


@given(MESSAGES, st.booleans(), st.booleans(), st.integers(1, 40))
def test_every_message_is_a_record_at_its_offset_or_was_counted(
    parts: list[tuple], is_json: bool, by_second: bool, max_bytes: int
) -> None:
    offsets: dict[PartitionId, int] = {}
    messages = []
    for topic, partition, step, value, second in parts:
        place = PartitionId(topic, partition)
        offsets[place] = offsets.get(place, -1) + step
        messages.append(Message(topic, partition, offsets[place], value, second * 1_000 + 7))
    portions, tombstones = cut(*messages, is_json=is_json, by_second=by_second, max_bytes=max_bytes)

    expected = []
    for message in messages:
        value = message.value()
        if value is None:
            continue
        origin = f"{message.topic()}[{message.partition()}]@{message.offset()}"
        line = value.rstrip(b"\r\n")
        if not line:
            expected.append(Located(origin, b"", EMPTY))
        elif b"\n" not in line:
            expected.append(Located(origin, line, ""))
        elif is_json:
            expected.append(Located(origin, line.replace(b"\n", b" "), ""))
        else:
            expected.append(Located(origin, line, LINE_BREAK))
    assert located(portions) == expected
    assert sum(passed.messages for passed in tombstones.values()) == sum(value is None for *_, value, _ in parts)
    for portion in portions:
        assert len({place.topic for place in portion.ends}) == 1
        assert len(portion.data) <= max_bytes or portion.records == 1


@given(MESSAGES)
def test_the_last_portion_of_a_partition_tells_the_offset_behind_its_last_message(parts: list[tuple]) -> None:
    messages, behind = [], {}
    for number, (topic, partition, _, value, _) in enumerate(parts):
        messages.append(Message(topic, partition, number, value))
        if value is not None:
            behind[PartitionId(topic, partition)] = number + 1
    portions, tombstones = cut(*messages)
    ends = {}
    for portion in portions:
        ends |= {place: end.offset for place, end in portion.ends.items()}
    assert ends == behind
    for place, passed in tombstones.items():
        last = max(m.offset() for m in messages if m.value() is None and PartitionId(m.topic(), m.partition()) == place)
        assert passed.offset == last + 1


def test_messages_of_one_topic_share_a_portion_with_a_span_for_each_run() -> None:
    (portion,), _ = cut(
        *(Message("t", 0, offset, b"{}") for offset in (4, 5)),
        *(Message("t", 1, offset, b"[]") for offset in (7, 8, 12)),
    )
    assert portion.data == b"{}\n{}\n[]\n[]\n[]\n"
    assert [(span.start, span.origin, span.position) for span in portion.spans] == [
        (0, "t[0]", 4),
        (6, "t[1]", 7),
        (12, "t[1]", 12),
    ]
    assert portion.ends[PartitionId("t", 1)].first == b"[]"


def test_a_portion_holds_no_more_than_it_may_but_for_one_long_message() -> None:
    portions, _ = cut(*(Message("t", 0, n, b"x" * size) for n, size in enumerate((4, 4, 30, 4, 4))), max_bytes=10)
    assert [portion.records for portion in portions] == [2, 1, 2]


def test_records_without_a_time_of_their_own_share_that_of_one_second() -> None:
    times = (1_200, 1_900, 2_000, 2_999, 2_001, 1_500)
    messages = [Message("t", 0, n, b"{}", millis) for n, millis in enumerate(times)]
    portions, _ = cut(*messages, by_second=True)
    assert [(portion.records, portion.arrival) for portion in portions] == [
        (2, 1_200_000),
        (3, 2_000_000),
        (1, 1_500_000),
    ]
    assert [portion.records for portion in cut(*messages).portions] == [6]


def test_a_message_without_a_timestamp_has_no_arrival() -> None:
    assert cut(Message("t", 0, 0, b"{}", -1)).portions[0].arrival == 0


def test_values_are_decoded_by_topic_and_those_that_cannot_be_are_faults_with_their_bytes() -> None:
    def decode(values: Sequence[bytes], topic: str) -> list[bytes | Fault]:
        return [Fault("odd") if value == b"\x00\n" else topic.encode() + value for value in values]

    messages = [Message("a", 0, 0, b"1"), Message("a", 0, 1, b"\x00\n"), Message("b", 0, 0, b"2")]
    portions, _ = cut(*messages, decode=decode)
    assert located(portions) == [("a[0]@0", b"a1", ""), ("a[0]@1", b"\x00\n", "odd"), ("b[0]@0", b"b2", "")]


@given(st.lists(json_records(TRANSFERS), min_size=3, max_size=8), st.booleans(), st.data())
def test_a_damaged_body_in_mid_block_rejects_only_itself_with_its_bytes(
    lines: list[bytes], at_once: bool, data: st.DataObject
) -> None:
    avro = ValueFormat("avro")
    values = make_encoder(avro, "t", [TRANSFERS])(lines)
    whole = make_decoder(avro)(values)
    place = data.draw(st.integers(1, len(values) - 2))
    body = values[place][10:]
    cut_off = st.integers(0, len(body) - 1).map(lambda size: body[:size])
    added = st.binary(min_size=1, max_size=3).map(lambda more: body + more)
    values[place] = values[place][:10] + data.draw(cut_off | added | st.just(b"\xff" * len(body)))
    messages = [Message("t", 0, number, value) for number, value in enumerate(values)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire_format, "_LEAST_AT_ONCE", 2 if at_once else 100)
        found = located(cut(*messages, decode=make_decoder(avro)).portions)
    expected = [(f"t[0]@{number}", line, "") for number, line in enumerate(whole)]
    assert found[:place] + found[place + 1 :] == expected[:place] + expected[place + 1 :]
    assert found[place][:2] == (f"t[0]@{place}", values[place])
    assert found[place].fault.startswith("no Avro of its schema: ")
