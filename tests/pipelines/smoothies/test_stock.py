"""The law: however the messages of a shop come, its stock is that of a slow count, one message after the other."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import apache_beam as beam
import polars as pl
from apache_beam.testing.util import assert_that
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.smoothies.stock import (
    COLUMNS,
    CONTRADICTION_KEY,
    CONTRADICTIONS,
    KINDS,
    LEVELS,
    FoldStock,
    TrackStock,
    moves,
)
from schemas.elements.block import Block, Span
from schemas.elements.frames import EDGES, EVENT_TIME
from schemas.record_type import Column
from schemas.smoothies import TOPICS
from sinks.files.json_text import json_lines
from sinks.files.write import WriteFiles
from sinks.sql.write import WriteTable
from sources.address import parse_address
from sources.live.tcp import TcpLines
from tests.pipelines.tools import Feed
from tests.strategies import lists_up_to
from tests.transforms.ordering import SECOND, Worker
from transforms.parse.parser import parse_as
from transforms.parse.values import POLARS_TYPES
from transforms.time_sorted.fold import in_order

START = datetime(2022, 8, 30, 12)
HOUR = 3_600 * SECOND
randoms = st.randoms(use_true_random=False)
counts = st.integers(0, 4)
some = st.none() | counts
marks = st.sampled_from([None, "t1", "t2"])
FIELDS = {
    "products": {"inventory": some},
    "purchases": {"quantity": counts, "transaction_id": marks},
    "lost_sales": {
        "quantity": counts,
        "price": st.sampled_from([Decimal("4.99"), Decimal("0.01")]),
        "transaction_id": marks,
    },
    "inventories": {"existing_level": some, "stock_quantity": counts, "new_level": counts},
}


@st.composite
def messages(draw) -> dict:
    """One message: few moments, so that several meet at one; two shops with two products, told apart by both."""
    kind = draw(st.sampled_from(("purchases", "purchases", *KINDS)))
    fields = {name: draw(values) for name, values in FIELDS[kind].items()}
    seconds = draw(st.integers(0, 12)) * 600
    keys = {"store_id": draw(st.sampled_from(["S1", None])), "product_id": draw(st.sampled_from("ab"))}
    return {"kind": kind, EVENT_TIME: START + timedelta(seconds=seconds), **keys, **fields}


@st.composite
def stories(draw) -> list[dict]:
    """Messages, some of which are told twice."""
    told = draw(lists_up_to(30, messages()))
    again = draw(st.lists(st.sampled_from(told), max_size=4)) if told else []
    return told + again


def column_type(kind: str, name: str) -> pl.DataType:
    columns = {column.name: column for column in TOPICS[kind][1].columns}
    return POLARS_TYPES[columns.get(name, Column(name, "time")).kind]


def frame_of(kind: str, told: list[dict]) -> pl.DataFrame:
    names = (EVENT_TIME, "store_id", "product_id", *COLUMNS[kind])
    schema = {name: pl.Datetime("us") if name == EVENT_TIME else column_type(kind, name) for name in names}
    return pl.DataFrame([{name: one[name] for name in names} for one in told], schema, orient="row")


def moves_of(told: list[dict], by=("store_id", "product_id")) -> pl.DataFrame:
    return pl.concat([moves(kind, frame_of(kind, [one for one in told if one["kind"] == kind]), by) for kind in KINDS])


def told_once(told: list[dict]) -> list[dict]:
    """Takes out messages that are told twice; purchases and lost sales without a number may be two."""
    once: list[dict] = []
    for one in told:
        shown = {k: v for k, v in one.items() if k != "price"} if one["kind"] == "lost_sales" else one
        is_same = any(
            {**other, "price": 0} == {**shown, "price": 0} and other.get("price") == one.get("price") for other in once
        )
        if "transaction_id" in one:
            is_telling = one["transaction_id"] is not None
        else:
            is_telling = one.get("new_level", one.get("inventory")) is not None
        if not (is_same and is_telling):
            once.append(one)
    return once


def by_hand(told: list[dict], by=("store_id", "product_id"), low=2):
    """Counts message by message."""
    shelves: dict = {}
    wrong = []
    newest = max((one[EVENT_TIME] for one in told), default=None)

    def rank(one: dict) -> tuple:
        stated = one.get("existing_level", one.get("inventory"))
        quantity = one.get("stock_quantity", one.get("quantity"))
        after = one.get("new_level", one.get("inventory"))
        keys = [((one[name] is not None), one[name] or "") for name in by]
        number = [(value is not None, value or 0) for value in (quantity, stated, after)]
        return (one[EVENT_TIME], KINDS.index(one["kind"]), keys, number)

    for one in sorted(told_once(told), key=rank):
        key = tuple(one[name] for name in by)
        new = {"level": None, "sold": 0, "restocked": 0, "zero_since": None, "without": 0, "times_out": 0, "lost": 0}
        shelf = shelves.setdefault(key, {**new, "lost_value": Decimal(0), "contradictions": 0, "last_change": None})
        before, now = shelf["level"], one[EVENT_TIME]
        if one["kind"] == "lost_sales":
            shelf["lost"] += one["quantity"]
            shelf["lost_value"] += one["quantity"] * one["price"]
            continue
        if one["kind"] == "purchases":
            shelf["sold"] += one["quantity"]
            level = None if before is None else before - one["quantity"]
        else:
            stated, level = (
                (one["inventory"], one["inventory"])
                if one["kind"] == "products"
                else (one["existing_level"], one["new_level"])
            )
            shelf["restocked"] += one.get("stock_quantity", 0)
            if level is None:
                continue
            if None not in (before, stated) and before != stated:
                shelf["contradictions"] += 1
                wrong.append((now, *key, one["kind"], before, stated))
        shelf["level"], shelf["last_change"] = level, now
        if level is not None and level <= 0 and shelf["zero_since"] is None:
            shelf["zero_since"] = now
            shelf["times_out"] += 1
        if level is not None and level > 0 and shelf["zero_since"] is not None:
            shelf["without"] += (now - shelf["zero_since"]) // timedelta(microseconds=1)
            shelf["zero_since"] = None
    utc = timezone.utc
    rows = []
    for key, shelf in shelves.items():
        level, since = shelf["level"], shelf["zero_since"]
        without = shelf["without"] + (0 if since is None else (newest - since) // timedelta(microseconds=1))
        state = None if level is None else "out" if level <= 0 else "low" if level < low else "ok"
        changed = shelf["last_change"]
        sums = (shelf[name] for name in ("times_out", "lost", "lost_value", "contradictions"))
        begun = since and since.replace(tzinfo=utc)
        row = (*key, level, state, shelf["sold"], shelf["restocked"], begun, without, *sums)
        rows.append((*row, changed and changed.replace(tzinfo=utc)))
    return sorted(rows, key=str), sorted(((row[0].replace(tzinfo=utc), *row[1:]) for row in wrong), key=str)


def plain(rows: pl.DataFrame) -> list[tuple]:
    return sorted(rows.drop(EDGES, strict=False).rows(), key=str)


@given(
    stories(),
    randoms,
    st.sampled_from([0, 60 * SECOND, 24 * HOUR]),
    st.integers(1, 3),
    st.sampled_from([1, SECOND]),
    st.integers(0, 1),
)
def test_the_stock_is_that_of_a_slow_count_however_messages_come(told, random, lateness, instances, settle, emit):
    fold = FoldStock(("store_id", "product_id"), low_level=2)
    worker = Worker(fold, lateness, emit=emit, settle=settle, instances=instances)
    worker.play(moves_of(told), random)
    levels, wrong = by_hand(told)
    for each in (worker, Worker(fold).play_bounded(moves_of(told), random)):
        assert plain(each.rows(LEVELS)) == levels
        assert plain(each.rows(CONTRADICTIONS)) == wrong
    finals = [result for name, result in worker.results if name == CONTRADICTIONS and result.final]
    starts = [result.window_start for result in finals]
    assert len(set(starts)) == len(starts)
    for result in finals:
        assert result.window_end - result.window_start == HOUR
        inside = result.rows[EVENT_TIME].to_physical().is_between(result.window_start, result.window_end, "left")
        assert inside.all()


@settings(max_examples=60)
@given(stories().filter(bool), randoms)
def test_each_look_is_the_stock_of_all_that_has_come(told, random):
    worker = Worker(FoldStock(("store_id", "product_id"), low_level=2), lateness=24 * HOUR, emit=1)
    seen: list[dict] = []
    for one in random.sample(told, len(told)):
        worker.add(moves_of([one]))
        seen.append(one)
        (look,) = [result for result in worker.early() if len(result.rows.columns) > 8]
        assert plain(look.rows) == by_hand(seen)[0]


def message(kind: str, seconds: float, **fields) -> dict:
    given = {"store_id": None, "product_id": "a", **dict.fromkeys(COLUMNS[kind]), **fields}
    return {"kind": kind, EVENT_TIME: START + timedelta(seconds=seconds), **given}


def stock_of(*told: dict) -> dict:
    fold = FoldStock(low_level=2)
    state, _ = fold.fold(fold.begin(), in_order(moves_of(list(told), ("product_id",))), None)
    (row,) = fold.results(state).to_dicts()
    return row


def test_a_shelf_runs_out_and_is_filled():
    told = [
        message("products", 0, inventory=3),
        message("purchases", 10, quantity=2),
        message("purchases", 20, quantity=1),
        message("lost_sales", 25, quantity=2, price=Decimal("4.99")),
        message("inventories", 80, existing_level=0, stock_quantity=15, new_level=15),
    ]
    assert stock_of(*told[:2])["state"] == "low"
    out = stock_of(*told[:4])
    assert (out["level"], out["state"], out["without_stock_micros"]) == (0, "out", 5 * SECOND)
    assert out["zero_since"] == datetime(2022, 8, 30, 12, 0, 20, tzinfo=timezone.utc)
    filled = stock_of(*told)
    assert (filled["level"], filled["state"], filled["zero_since"]) == (15, "ok", None)
    assert (filled["without_stock_micros"], filled["times_out"], filled["contradictions"]) == (60 * SECOND, 1, 0)
    assert (filled["lost"], filled["lost_value"], filled["restocked"]) == (2, Decimal("9.98"), 15)


def test_the_level_is_unknown_until_a_message_states_one():
    sold = message("purchases", 1, quantity=2)
    assert (stock_of(sold)["level"], stock_of(sold)["state"], stock_of(sold)["sold"]) == (None, None, 2)
    filled = stock_of(sold, message("inventories", 2, existing_level=7, stock_quantity=1, new_level=8))
    assert (filled["level"], filled["contradictions"]) == (8, 0)


def test_of_one_moment_what_comes_to_the_shelf_is_before_what_is_sold():
    told = [
        message("purchases", 5, quantity=4),
        message("inventories", 5, existing_level=1, stock_quantity=4, new_level=5),
        message("products", 5, inventory=1),
    ]
    stock = stock_of(*told)
    assert (stock["level"], stock["contradictions"], stock["times_out"]) == (1, 0, 0)


def test_a_level_goes_on_from_what_a_message_states():
    told = [
        message("products", 0, inventory=10),
        message("inventories", 5, existing_level=7, stock_quantity=1, new_level=8),
        message("products", 6, inventory=20),
        message("purchases", 7, quantity=1),
    ]
    stock = stock_of(*told)
    assert (stock["level"], stock["contradictions"]) == (19, 2)


def test_a_sale_that_is_told_twice_counts_once_if_it_has_a_number():
    told = [message("products", 0, inventory=10)]
    numbered = message("purchases", 1, quantity=1, transaction_id="t")
    assert stock_of(*told, numbered, numbered)["level"] == 9
    assert stock_of(*told, message("purchases", 1, quantity=1), message("purchases", 1, quantity=1))["level"] == 8


#: What came out of a live pipeline, of this process.
GIVEN: list = []


def take(result) -> None:
    GIVEN.append(result)


def test_a_live_stock_is_shown_while_messages_come_and_is_right_in_the_end(prism):
    line = (
        '{{"transaction_time":"2022-08-30 12:{:02}:00","transaction_id":"t{}","product_id":"a","price":1,'
        '"quantity":1,"total_purchase":1}}\n'
    )
    sales = "".join(line.format(number, number) for number in range(40)).encode()
    product = b'{"event_time":"2022-08-30 12:00:00","product_id":"a","price":1,"inventory":100}\n'
    GIVEN.clear()

    def is_seen(parts: int) -> bool:
        return any(result.rows["sold"].to_list() == [10 * parts] for result in GIVEN)

    def feed_all() -> None:
        feeds["products"].send(product)
        feeds["purchases"].send_in_parts(sales, 4, is_seen)

    with Feed() as products, Feed() as purchases, beam.Pipeline(options=prism) as pipeline:
        kinds = {}
        feeds = {"products": products, "purchases": purchases}
        feeding = threading.Thread(target=feed_all, daemon=True)
        feeding.start()
        for kind, count in (("products", 1), ("purchases", 40)):
            lines = TcpLines((parse_address(feeds[kind].address),), TOPICS[kind][1], max_records=count)
            read = pipeline | f"Read {kind}" >> beam.io.Read(lines)
            kinds[kind] = (read | f"Parse {kind}" >> parse_as(TOPICS[kind][1], ("product_id", *COLUMNS[kind])))[
                "records"
            ]
        stock = kinds | TrackStock(lateness_micros=60 * SECOND, emit_micros=SECOND // 2)
        stock[LEVELS] | beam.Map(take)
    *early, final = GIVEN
    assert (final.final, final.rows["level"].to_list(), final.rows["sold"].to_list()) == (True, [60], [40])
    assert not any(result.final for result in early)
    sold = [result.rows["sold"][0] for result in sorted(early, key=lambda result: result.pane)]
    assert sold == sorted(sold)
    assert {10, 20, 30} <= set(sold)


def blocks_of(told: list[dict]) -> dict[str, list[Block]]:
    """Gives the messages as a source does."""
    blocks: dict[str, list[Block]] = {}
    for kind in KINDS:
        frame = frame_of(kind, [one for one in told if one["kind"] == kind])
        record_type = TOPICS[kind][1]
        if kind == "purchases":
            frame = frame.with_columns(price=pl.lit(Decimal("4.99")), total_purchase=pl.lit(Decimal("4.99")))
        if kind == "products":
            frame = frame.with_columns(price=pl.lit(Decimal("4.99")))
        lines = json_lines(frame.rename({EVENT_TIME: record_type.event_time})).splitlines(keepends=True)
        blocks[kind] = [
            Block(b"".join(lines[start : start + 7]), (Span(0, f"{kind}.jsonl", start),))
            for start in range(0, len(lines), 7)
        ]
    return blocks


def test_from_messages_to_files_and_a_table(options, tmp_path):
    told = [message("products", 0, product_id=product, inventory=10) for product in "ab"]
    for number in range(200):
        product = "ab"[number % 2]
        told.append(
            message("purchases", 60 * (number + 1), product_id=product, quantity=1, transaction_id=f"t{number}")
        )
        if number % 20 == 19:
            for one in "ab":
                stated = 1 if number == 59 and one == "b" else 0
                filled = {"existing_level": stated, "stock_quantity": 10, "new_level": 10}
                told.append(message("inventories", 60 * (number + 1) + 30, product_id=one, **filled))
    levels, wrong = by_hand(told, ("product_id",), low=10)

    def are_right(results) -> None:
        assert plain(pl.concat(result.rows for result in results if result.final)) == levels

    def are_told(results) -> None:
        assert plain(pl.concat(result.rows for result in results if result.final)) == wrong

    with beam.Pipeline(options=options) as pipeline:
        kinds = {}
        for kind, blocks in blocks_of(told).items():
            given = pipeline | f"Create {kind}" >> beam.Create(blocks).with_output_types(Block)
            wanted = ("product_id", *COLUMNS[kind])
            kinds[kind] = (given | f"Parse {kind}" >> parse_as(TOPICS[kind][1], wanted))["records"]
        stock = kinds | TrackStock(lateness_micros=HOUR)
        assert_that(stock[LEVELS], are_right, "levels")
        assert_that(stock[CONTRADICTIONS], are_told, "contradictions")
        database = f"sqlite:///{tmp_path / 'stock.db'}"
        stock[LEVELS] | "LevelFile" >> WriteFiles(str(tmp_path / "stock.jsonl"), key="product_id")
        stock[LEVELS] | "LevelTable" >> WriteTable(database, "stock", key=("product_id",))
        key = (*CONTRADICTION_KEY, "product_id")
        stock[CONTRADICTIONS] | "WrongFile" >> WriteFiles(str(tmp_path / "wrong.parquet"), key=key)
        stock[CONTRADICTIONS] | "WrongTable" >> WriteTable(database, "wrong", key=key)
    assert (tmp_path / "stock.jsonl").read_bytes().count(b"\n") == 2
    (file,) = tmp_path.glob("wrong-*.parquet")
    assert plain(pl.read_parquet(file)) == wrong
    assert len(wrong) == 1
