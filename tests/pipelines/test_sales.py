"""What a smoothie shop sells, by the program: totals, stock, purchases with their products."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest

import simulators.smoothies
from pipelines import sales
from pipelines.smoothies.options import with_topics
from schemas.smoothies import TOPICS
from tests.brokers import Broker
from tests.pipelines.tools import (
    Finished,
    assert_lines,
    needs_proc,
    run_here,
    to_micros_of,
    wait_for,
)
from tests.pipelines.tools import run as run_program
from tests.pipelines.tools import started as start_program

pytestmark = needs_proc
ROWS = 3_000
MINUTE = 60 * 10**6
Rows = list[dict[str, Any]]


def run(*options: object, **more: Any) -> Finished:
    return run_program(*options, program="pipelines.sales", **more)


def here(capsys: pytest.CaptureFixture[str], *options: object) -> Finished:
    return run_here(capsys, *options, program="pipelines.sales")


def started(*options: object) -> Any:
    return start_program(*options, program="pipelines.sales")


def simulate(*options: object) -> None:
    assert simulators.smoothies.main(["--quiet", *map(str, options)]) == 0


def read(path: Path) -> Rows:
    return [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the messages of a shop: a file for each kind in ``kinds``, and all in ``events.jsonl``."""
    folder = tmp_path_factory.mktemp("shop")
    simulate("--rows", ROWS, "--seed", 3, "--output", f"{folder}/kinds/")
    simulate("--rows", ROWS, "--seed", 3, "--output", folder / "events.jsonl")
    return folder


def messages(shop: Path, kind: str) -> Rows:
    return read(shop / "kinds" / f"{TOPICS[kind][0]}.jsonl")


def right_windows(purchases: Rows) -> dict[tuple[str, str], tuple[Decimal, int]]:
    """Sums by hand: windows of ten minutes every five."""
    found: dict[tuple[str, str], Any] = defaultdict(lambda: [Decimal(0), 0])
    for row in purchases:
        moment = to_micros_of(row["transaction_time"])
        newest = moment - moment % (5 * MINUTE)
        for start in (newest, newest - 5 * MINUTE):
            found[start, row["product_id"]][0] += row["total_purchase"]
            found[start, row["product_id"]][1] += row["quantity"]
    return {key: tuple(values) for key, values in found.items()}


def windows_of(paths: list[Path]) -> dict[tuple[str, str], tuple[Decimal, int]]:
    rows = [row for path in paths for row in read(path)]
    found = {(to_micros_of(r["window_start"]), r["product_id"]): (r["sales"], r["drinks"]) for r in rows}
    assert len(found) == len(rows)
    return found


def right_totals(purchases: Rows, products: Rows) -> dict[str, dict[str, Any]]:
    """Sums by hand, since the start; the shop tells its products once."""
    facts = {row["product_id"]: row for row in products}
    found: dict[str, Any] = {}
    for name in {row["product_id"] for row in (*purchases, *products)}:
        mine = [row for row in purchases if row["product_id"] == name]
        told = facts.get(name, {})
        sales, drinks = sum((r["total_purchase"] for r in mine), Decimal(0)), sum(r["quantity"] for r in mine)
        full = sum((r["quantity"] * (r["price"] + r["supplement_price"]) for r in mine), Decimal(0))
        cost = told["cogs"] * drinks if told else None
        members = sum(r["is_member"] for r in mine)
        share = (Decimal(members) / len(mine)).quantize(Decimal("1e-9"), ROUND_HALF_EVEN) if mine else None
        found[name] = {
            "category": told.get("category"), "item": told.get("item"), "cogs": told.get("cogs"),
            "sales": sales, "drinks": drinks, "cost": cost, "profit": None if cost is None else sales - cost,
            "purchases": len(mine), "members": members, "member_share": share, "discounts": full - sales,
        }  # fmt: skip
    return found


def totals_of(path: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for row in read(path):
        assert row.pop("window_start") is row.pop("window_end") is None
        found[row.pop("product_id")] = row
    return found


def window_files(folder: Path) -> list[Path]:
    """Of live input each window has its own, of a replay they are in one."""
    return sorted(folder.glob("x-2*.jsonl")) or [folder / "x.jsonl"]


def test_a_folder_and_a_stream_of_events_have_the_totals_by_hand(shop: Path, tmp_path: Path, capsys) -> None:
    for name in ("kinds", "events.jsonl"):
        folder = tmp_path / name
        done = here(capsys, "--input", shop / name, "--output", folder / "x.jsonl", "--enriched", folder / "e.jsonl")
        assert done.status == 0, done.err
        assert done.balance == (ROWS, ROWS, 0, 0, 0)
        purchases, products = messages(shop, "purchases"), messages(shop, "products")
        assert windows_of(window_files(folder)) == right_windows(purchases)
        assert totals_of(folder / "x-products.jsonl") == right_totals(purchases, products)
        categories = {row["category"]: row for row in read(folder / "x-categories.jsonl")}
        for column in ("sales", "drinks", "profit", "purchases", "discounts"):
            by_hand: dict[str, Decimal] = defaultdict(Decimal)
            for row in right_totals(purchases, products).values():
                by_hand[row["category"]] += row[column]
            assert {category: row[column] for category, row in categories.items()} == by_hand
        check_enriched(read(folder / "e.jsonl"), purchases, products)
        levels = {row["product_id"]: row for row in read(folder / "x-stock.jsonl")}
        for product in products:
            row, began = levels[product["product_id"]], product["inventory"]
            assert row["level"] == began + row["restocked"] - row["sold"]
            assert row["contradictions"] == 0


def check_enriched(found: Rows, purchases: Rows, products: Rows) -> None:
    facts = {row["product_id"]: row for row in products}
    assert len(found) == len(purchases)
    key = ("transaction_id", "product_id")
    for row, sold in zip(
        *(sorted(rows, key=lambda r: [r[k] for k in key]) for rows in (found, purchases)), strict=True
    ):
        assert to_micros_of(row.pop("transaction_time")) == to_micros_of(sold["transaction_time"])
        told = facts[row["product_id"]]
        assert all(row[name] == sold[name] for name in sold if name != "transaction_time")
        assert all(row[name] == told[name] for name in ("category", "item", "size", "cogs"))
        assert row["cost"] == told["cogs"] * row["quantity"]
        assert row["profit"] == row["total_purchase"] - row["cost"]


def test_plain_purchases_in_any_file_have_their_totals_without_costs(shop: Path, tmp_path: Path, capsys) -> None:
    plain = tmp_path / "till.txt"
    plain.write_bytes((shop / "kinds" / "demo.purchases.jsonl").read_bytes())
    done = here(capsys, "--input", plain, "--output", tmp_path / "x.jsonl", "--tables", "products", "categories")
    assert done.status == 0, done.err
    purchases = messages(shop, "purchases")
    assert done.balance.used == len(purchases)
    assert totals_of(tmp_path / "x-products.jsonl") == right_totals(purchases, [])
    (category,) = read(tmp_path / "x-categories.jsonl")
    assert (category["category"], category["cost"], category["profit"]) == ("(unknown)", None, None)


def test_purchases_that_are_sent_twice_count_once(shop: Path, tmp_path: Path, capsys) -> None:
    simulate("--rows", ROWS, "--seed", 3, "--duplicates", 0.1, "--output", f"{tmp_path}/twice/")
    once, options = tmp_path / "once.jsonl", ["--tables", "products", "windows", "--deduplicate", "transaction_id"]
    done = here(capsys, "--input", tmp_path / "twice", "--output", once, *options)
    purchases, twice = messages(shop, "purchases"), read(tmp_path / "twice" / "demo.purchases.jsonl")
    assert done.duplicates == done.balance.read - sum(done.balance[1:]) == len(twice) - len(purchases) > 100
    # Baskets of several products are no copies.
    assert len({row["transaction_id"] for row in purchases}) < len(purchases)
    assert totals_of(tmp_path / "once-products.jsonl") == right_totals(purchases, messages(shop, "products"))
    assert windows_of([once]) == right_windows(purchases)


def test_other_kinds_are_filtered_where_only_windows_are_wanted(shop: Path, tmp_path: Path, capsys) -> None:
    done = here(
        capsys, "--input", shop / "kinds", "--tables", "windows", "--window", "1h", "--output", tmp_path / "x.jsonl"
    )
    assert done.balance.used == len(messages(shop, "purchases"))
    assert done.balance.filtered == ROWS - done.balance.used
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


@pytest.mark.usefixtures("prism")
def test_a_live_stream_gives_what_a_replay_gives(shop: Path, tmp_path: Path) -> None:
    """By TCP, in one stream: counts in are counts out over many windows, in files and in a database."""
    database = tmp_path / "x.db"
    options = ["--input", "tcp-listen://127.0.0.1:0", "--max-records", ROWS, "--emit", "500ms"]
    outputs = ["--output", tmp_path / "x.jsonl", f"sqlite:///{database}", "--enriched", tmp_path / "e.jsonl"]
    with started(*options, *outputs) as sales:
        simulate("--rows", ROWS, "--seed", 3, "--rate", 1_500, "--output", f"tcp://127.0.0.1:{sales.port()}")
        done = sales.finish()
    assert done.status == 0, done.err
    assert done.balance == (ROWS, ROWS, 0, 0, 0)
    purchases, products = messages(shop, "purchases"), messages(shop, "products")
    assert len(window_files(tmp_path)) > 100
    assert windows_of(window_files(tmp_path)) == right_windows(purchases)
    assert totals_of(tmp_path / "x-products.jsonl") == right_totals(purchases, products)
    check_enriched(read(tmp_path / "e.jsonl"), purchases, products)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*), sum(drinks) FROM sales WHERE final").fetchone() == (
            len(right_windows(purchases)),
            2 * sum(row["quantity"] for row in purchases),
        )
        assert connection.execute("SELECT count(*) FROM sales WHERE NOT final").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM stock").fetchone() == (len(products),)
        categories = {row[0] for row in connection.execute("SELECT category FROM sales_categories")}
        assert categories == {row["category"] for row in products}


@pytest.mark.usefixtures("prism")
def test_a_product_that_comes_late_is_filled_in(kafka: Broker, shop: Path, tmp_path: Path) -> None:
    topics = {kind: kafka.create_topic(partitions=2) for kind in TOPICS}
    database, purchases, products = tmp_path / "x.db", messages(shop, "purchases")[:300], messages(shop, "products")
    names = [f"{kind}={topic}" for kind, topic in topics.items()]
    options = ["--input", kafka.address(), "--topics", *names, "--tables", "products", "categories", "--emit", "300ms"]
    outputs = ["--output", f"sqlite:///{database}", tmp_path / "x.jsonl"]

    def known() -> list[Any]:
        with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
            return connection.execute("SELECT sum(purchases), count(cost), min(item) FROM sales_products").fetchone()
        return []

    def send(kind: str, rows: Rows) -> None:
        kafka.produce(topics[kind], [json.dumps(row, default=float) for row in rows])

    with started(*options, *outputs) as sales:
        send("purchases", purchases)
        wait_for(lambda: [*known()] == [300, 0, None], known)
        send("products", products)
        wait_for(lambda: [*known()][1:2] == [len(products)], known)
        sales.process.send_signal(2)
        done = sales.finish()
    assert done.balance == (300 + len(products), 300 + len(products), 0, 0, 0)
    assert totals_of(tmp_path / "x-products.jsonl") == right_totals(purchases, products)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found = {row[0] for row in connection.execute("SELECT category FROM sales_categories")}
    assert found == {row["category"] for row in products}  # none is unknown any more


def test_purchases_go_to_a_topic_with_what_is_known_of_their_product(
    kafka: Broker, shop: Path, tmp_path: Path, capsys
) -> None:
    topic, purchases, products = (
        kafka.create_topic(partitions=4),
        messages(shop, "purchases"),
        messages(shop, "products"),
    )
    enriched = ["--enriched", kafka.address(topic), "--tables", "products", "--output", tmp_path / "x.jsonl"]
    done = here(capsys, "--input", shop / "kinds", *enriched)
    assert done.status == 0, done.err
    assert f"wrote {len(purchases):,} messages to {kafka.address(topic)}" in done.err
    found = [(key, json.loads(value or b"", parse_float=Decimal)) for _, _, key, value in kafka.consume_all(topic)]
    assert all(key == row["product_id"].encode() for key, row in found)
    check_enriched([row for _, row in found], purchases, products)


@pytest.fixture
def garbage(shop: Path, tmp_path: Path) -> Path:
    """A file of events, some of them broken."""
    lines = (shop / "events.jsonl").read_bytes().splitlines(keepends=True)[:500]
    lines[100] = b"garbage\n"
    lines[200] = b'{"type":"coffee","time":null,"key":null,"payload":{}}\n'
    lines[300] = lines[300].replace(b'"product_id"', b'"nothing"', 1)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_garbage_is_rejected_with_its_origin(garbage: Path, tmp_path: Path, capsys) -> None:
    rejected = tmp_path / "rejected.jsonl"
    done = here(capsys, "--input", garbage, "--output", tmp_path / "x.jsonl", "--rejected", rejected)
    assert done.balance == (500, 497, 0, 3, 0)
    records = assert_lines(rejected, 3)
    data = garbage.read_bytes()
    for record in records:
        line = data[record["position"] :].split(b"\n")[0]
        assert Path(record["origin"]) == garbage
        assert record["raw"].encode() in line
    assert any("coffee" in record["reason"] for record in records)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--tables", "coffee"),
        ("--topics", "coffee=x"),
        ("--topics", "purchases=demo.products"),
        ("--window", "5m/10m"),
        ("--enriched", "x.parquet"),
        ("--enriched", "sqlite:///x.db"),
        ("--enriched-wait", "soon"),
        ("--low-level", "0"),
        ("--input", "nowhere/*.jsonl"),
        ("--lowlevel", "3"),
        ("--deduplicate", "coffee"),
        ("--within", "0s"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    wrong: tuple[str, ...], shop: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    more = [] if wrong[0] == "--input" else ["--input", shop / "kinds"]
    done = here(capsys, *more, "--output", tmp_path / "x.jsonl", *wrong)
    assert (done.status, len(done.lines)) == (2, 1), done.err
    assert list(tmp_path.iterdir()) == []


def test_the_console_shows_the_newest_windows_and_the_totals(shop: Path, capsys) -> None:
    done = here(capsys, "--input", shop / "kinds", "--output", "-")
    assert done.status == 0, done.err
    assert done.out.count("sold · ") == 2
    starts = [line.split(" · ")[1] for line in done.out.splitlines() if line.startswith("sold · ")]
    assert starts == sorted(starts, reverse=True)
    for title in ("since the start · all time, final", "by category · all time, final"):
        assert done.out.count(title) == 1
    assert max(map(len, done.out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("address", "becomes"),
    [
        ("kafka://", "kafka://127.0.0.1:9092/a,b"),
        ("kafka://one,two:1/", "kafka://one:9092,two:1/a,b"),
        ("kafka://one/c", "kafka://one/c"),
        ("shop/", "shop/"),
    ],
)
def test_brokers_without_topics_are_read_for_those_of_the_shop(address: str, becomes: str) -> None:
    assert with_topics(address, ["a", "b"]) == becomes


def test_products_as_other_shops_tell_them_are_taken_from_arrays_too(tmp_path, monkeypatch):
    """Without a time, and with another name for the inventory, in a list as a program writes it."""
    monkeypatch.chdir(tmp_path)
    products = [
        {"product_id": "A1", "item": "Acai", "category": "Super", "cogs": 2, "price": 5.99, "inventory_level": 12},
        {"product_id": "B1", "item": "Fig", "category": "Super", "cogs": 1, "price": 2.5, "inventory": 3},
    ]
    sold = {"transaction_time": "2022-08-30 12:57:07.5", "product_id": "A1", "price": 5.99, "quantity": 4}
    (tmp_path / "products.json").write_text(json.dumps(products, indent=2))
    (tmp_path / "purchases.json").write_text(json.dumps([{**sold, "total_purchase": 23.96}]))
    asked = ["--input", "products.json", "purchases.json", "--output", "x.jsonl", "--tables", "products", "stock"]
    assert sales.main([*asked, "--enriched", "e.jsonl", "--quiet"]) == 0
    assert {row["product_id"]: row["level"] for row in read(tmp_path / "x-stock.jsonl")} == {"A1": 8, "B1": 3}
    assert {row["item"]: row["profit"] for row in read(tmp_path / "x-products.jsonl")} == {
        "Acai": Decimal("15.96"),
        "Fig": 0,
    }
    assert [row["item"] for row in read(tmp_path / "e.jsonl")] == ["Acai"]
