from __future__ import annotations

import json
import pickle
from collections import Counter

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.smoothies import OTHER_TYPES, TELLING, TOPICS, name_topics
from schemas.text.lines import find_lines
from sources import progress as board
from transforms.parse.patterns import FEW_LINES
from transforms.split_by_type import SplitByType, TypeRules, read_message, split_block

SHOP = TypeRules(name_topics(), TELLING, OTHER_TYPES)
#: One message of each kind, with texts that make a fast way stumble.
MESSAGES = {
    "purchases": '{"transaction_time": "2024-01-01 10:00:00", "product_id": "A", "price": 1.10, "note": "new_level"}',
    "products": '{"event_time":"2024-01-01 10:00:00","product_id":"A","price":1.5,"item":"a \\"}{\\" b","inventory":3}',
    "inventories": '{"event_time":"2024-01-01","product_id":"A","existing_level":1,"stock_quantity":2,"new_level":3}',
    "lost_sales": '{"event_time":"2024-01-01 10:00:00","product_id":"A","price":1,"quantity":1}',
}
_TYPES = {"purchases": ("purchases", "purchase"), "lost_sales": ("lost_sales", "lost_sale")}
GARBAGE = [
    b"garbage",
    b"{}",
    b"[1]",
    b'"text"',
    b'{"type":"coffee","time":null,"key":null,"payload":{}}',
    b'{"type":"purchases","time":null,"key":null,"payload":3}',
    b'{"type":"purchases","time":null,"key":null,"payload":null}',
    b'{"type":7,"payload":{"a":1}}',
    b'{"payload":{"transaction_time":"2024-01-01"}}',
    b'{"event_time":"2024-01-01","transaction_time":',
    b"\xff\xfe",
    b"[" * 100_000,
]


@st.composite
def lines(draw) -> tuple[bytes, str | None, str]:
    """A line, its kind (None for garbage) and the text of the message itself."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(GARBAGE)), None, ""
    kind = draw(st.sampled_from(list(TOPICS)))
    text = MESSAGES[kind]
    if draw(st.booleans()):
        return text.encode(), kind, text
    said = draw(st.sampled_from(_TYPES.get(kind, (kind,))))
    fields = [f'"type":"{said}"', '"time":"2024-01-01 10:00:00"', '"key":"A"', f'"payload":{text}']
    if draw(st.integers(0, 3)) == 0:
        fields = [*draw(st.permutations(fields)), '"more": {"payload": {"new_level": 1}}']
    blank = draw(st.sampled_from(["", " ", "\t"]))
    return ("{" + f"{blank},{blank}".join(fields) + "}" + blank).encode(), kind, text


@settings(max_examples=60)
@given(st.lists(lines(), min_size=1, max_size=12), st.booleans(), st.booleans(), st.sampled_from([b"\n", b"\r\n"]))
def test_each_message_comes_to_its_kind_and_is_found_again(some, is_numbered, is_long, line_end):
    some = some * (FEW_LINES // len(some) + 2) if is_long else some
    data = b"".join(raw + line_end for raw, *_ in some)
    half = len(b"".join(raw + line_end for raw, *_ in some[: len(some) // 2]))
    spans = (Span(0, "a[0]", 100, is_numbered), *([Span(half, "b[1]", 7, is_numbered)] if half else []))
    block = Block(data, spans, watermark=5, arrival=6)
    split = split_block(block, SHOP)
    for kind in TOPICS:
        expected = [(number, text) for number, (_, of, text) in enumerate(some) if of == kind]
        if not expected:
            assert kind not in split.blocks
            continue
        part, records = split.blocks[kind]
        assert (part.watermark, part.arrival, records) == (5, 6, len(expected))
        found = find_lines(part.data)
        assert [part.data[start:stop].decode() for start, stop in zip(*found, strict=True)] == [t for _, t in expected]
        begins = find_lines(data).starts.tolist()
        for start, (number, _) in zip(found.starts.tolist(), expected, strict=True):
            assert part.locate(start) == block.locate(begins[number])
    assert [rejected.raw for rejected in split.rejected] == [raw for raw, kind, _ in some if kind is None]
    places = [block.locate(begin) for begin in find_lines(data).starts.tolist()]
    bad = [place for place, (_, kind, _) in zip(places, some, strict=True) if kind is None]
    assert [(rejected.origin, rejected.position) for rejected in split.rejected] == bad


@pytest.mark.parametrize(
    "origin", ["demo.purchases[3]", "demo.purchases", "x/purchases.jsonl.gz", "/a/b-purchases.JSONL"]
)
def test_the_name_of_a_topic_or_file_tells(origin):
    assert SHOP.by_name(origin) == "purchases"


@pytest.mark.parametrize("origin", ["127.0.0.1:9000", "-", "exec cat purchases", "mypurchases.jsonl", "demo.events[0]"])
def test_other_names_tell_nothing(origin):
    assert SHOP.by_name(origin) is None


def test_topics_may_have_any_names():
    telling = TypeRules(name_topics("purchases=till", "products=menu"), TELLING)
    assert [telling.by_name(name) for name in ("till[0]", "menu.jsonl", "demo.inventories[1]")] == [
        "purchases", "products", "inventories",
    ]  # fmt: skip
    for wrong in (["coffee=x"], ["purchases"], ["purchases=demo.products"]):
        with pytest.raises(ValueError, match=r"\S"):
            name_topics(*wrong)


def test_the_digits_of_a_number_are_not_touched():
    payload = '{"transaction_time":"x","price":1.10,"total":1e2,"big":12345678901234567890.123456789}'
    line = f' {{"key": {{"payload": 1}}, "payload" : {payload} , "type":"purchase"}} '
    assert read_message(line.encode(), SHOP) == ("purchases", payload)


@pytest.mark.parametrize("raw", GARBAGE)
def test_what_cannot_be_told_says_why_in_one_line(raw):
    with pytest.raises(ValueError, match=r"\S") as error:
        read_message(raw, SHOP)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


def test_everything_is_counted_once(options):
    mixed = "".join(text + "\n" for text in MESSAGES.values()).encode() + b"garbage\n\n"
    blocks = [
        Block(mixed, (Span(0, "events.jsonl", 0),)),
        Block(b"torn", (Span(0, "events.jsonl", 900),), fault="torn off"),
        Block(b"whatever\nit is\n", (Span(0, "demo.lost_sales[0]", 3, True),)),
        Block(b"x\n", (Span(0, "demo.purchases[0]", 4, True),)),
    ]
    with beam.Pipeline(options=options) as pipeline:
        kinds = pipeline | beam.Create(blocks).with_output_types(Block) | SplitByType(SHOP, ("purchases", "products"))
        assert set(kinds) == {"purchases", "products", "rejected"}
        for kind, count in (("purchases", 2), ("products", 1)):
            lines = kinds[kind] | f"Count {kind}" >> beam.Map(lambda block: block.data.count(b"\n"))
            assert_that(lines | f"Sum {kind}" >> beam.CombineGlobally(sum), equal_to([count]), kind)
        rejected = kinds["rejected"] | beam.Map(lambda record: (record.origin, record.position, record.raw))
        at = mixed.index(b"garbage")
        assert_that(rejected, equal_to([("events.jsonl", at, b"garbage"), ("events.jsonl", 900, b"torn")]))
    # Those of the kinds that are wanted are counted by their parsers.
    assert board.counts() == Counter(read=6, filtered=4, rejected=2)


def test_it_can_be_pickled_and_refuses_unknown_kinds():
    step = SplitByType(SHOP, ("products",))
    assert pickle.loads(pickle.dumps(step)) == step
    with pytest.raises(ValueError, match="coffee"):
        SplitByType(SHOP, ("coffee",))
    assert json.loads(MESSAGES["products"])["item"] == 'a "}{" b'
