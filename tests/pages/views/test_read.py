"""What views read of the tables that jobs write, from SQLite and from PostgreSQL: the same, and to the last digit."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.database import Database
from pages.views import Watched, view_of
from pages.views.reading import Reader
from pages.views.rows import exact_sum, seconds
from sinks.charts.colors import colors_of
from tests.pipelines.tools import run_here
from tests.servers import Postgres, running_postgres

NAMES = ("produce", "credit", "errors", "sales", "relay", "totals")
Read = Callable[..., Any]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def reads(tmp_path, capsys, postgres, request) -> Read:
    """Run a simulator and a pipeline that writes to both databases; return what its view reads, the same of both."""

    def run(name: str, simulator: str, *sent: object, data: str = "in.jsonl", options: tuple = ()) -> Read:
        made = run_here(capsys, *sent, "--quiet", "--output", f"{tmp_path}/{data}", program=f"simulators.{simulator}")
        assert made.status == 0, made.err
        sqlite = f"sqlite:///{tmp_path}/job.db"
        paths = ("--input", f"{tmp_path}/{data}", "--output", sqlite, postgres.url())
        done = run_here(capsys, *paths, *options, program=f"pipelines.{name}")
        assert done.status == 0, done.err
        databases = [Database(address) for address in (sqlite, postgres.url())]
        request.addfinalizer(lambda: [database.close() for database in databases])

        def read(**query: str) -> Any:
            found, other = (view_of(name).read(Watched(each, {}), query) for each in databases)
            assert json.dumps(found).replace('.0"', '"') == json.dumps(other).replace('.0"', '"')
            return found

        return read

    return run


def rows_of(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path / "job.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608


def test_produce_has_the_rows_of_a_window_and_what_was_spent_from_window_to_window(reads, tmp_path):
    read = reads("produce", "registers", "--rows", 4_000, "--seed", 2, options=("--window", "1h"))
    rows = rows_of(tmp_path, "produce")
    windows = sorted({seconds(row["window_start"]) for row in rows})
    assert [start for start, _, _ in read()["windows"]] == windows
    for wanted in (windows[0], windows[-1]):
        found = read(window=str(wanted))
        inside = [row for row in rows if seconds(row["window_start"]) == wanted]
        assert found["chosen"] == (wanted, wanted + 3_600)
        assert Decimal(found["spend"]) == sum(Decimal(row["spend"]) for row in inside)
        assert {row["upc"]: Decimal(row["spend"]) for row in found["rows"]} == {
            row["upc"]: Decimal(row["spend"]) for row in inside
        }
    for row in read()["rows"]:
        of_product = {seconds(each["window_start"]): float(each["spend"]) for each in rows if each["upc"] == row["upc"]}
        assert row["spark"] == pytest.approx([of_product.get(start, 0.0) for start in windows[-24:]])
    assert read(window="nonsense") == read()


def test_credit_has_each_region_since_the_start_and_in_the_last_minutes(reads, tmp_path):
    sent = ("--rows", 2_000, "--fields", "full", "--seed", 3)
    read = reads("credit", "bank", *sent, options=("--last", "5m", "30m"))
    found, rows = read(), rows_of(tmp_path, "credit")
    assert Decimal(found["sum"]) == sum(Decimal(row["sum"]) for row in rows)
    assert [row["account_region"] for row in found["rows"]] == [
        row["account_region"] for row in sorted(rows, key=lambda row: -Decimal(row["sum"]))
    ]
    assert found["colors"] == colors_of(row["account_region"] for row in rows)
    assert (found["lasts"], found["last"], read(last="30m")["last"], read(last="x")["last"]) == (
        *(["5m", "30m"], "5m", "30m", "5m"),
    )
    flow = {
        (seconds(row["window_end"]), row["account_region"]): row["sum"] for row in rows_of(tmp_path, "credit_last_5m")
    }
    for region, line in found["flow"].items():
        assert line == [float(flow.get((end, region), 0)) for end in found["ends"]]
    # The newest window that is shown is the first one that has the last record: it has no less than those behind it.
    ends = sorted({end for end, _ in flow})
    assert found["ends"][-1] == ends[-10]
    assert {row["ranking"] for row in found["ranks"]["start"]} == {"count", "volume", "mean"}


def test_errors_have_the_board_and_the_weekdays(reads, tmp_path):
    read = reads("errors", "http", "--rows", 60_000, "--seed", 5, options=("--weekdays", "all"))
    found = read()
    assert found["hours"] == [row["visitors"] for row in rows_of(tmp_path, "errors")]
    assert [sum(day[hour] for day in found["days"]) for hour in range(24)] == found["hours"]
    dates = sorted({row["date"] for row in rows_of(tmp_path, "errors_by_date")})
    assert found["dates"] == [dates[0], dates[-1]]
    assert sum(found["times"]) == len(dates)


def test_sales_have_totals_products_with_stock_and_the_sales_of_each_hour(reads, tmp_path):
    read = reads("sales", "smoothies", "--rows", 3_000, "--seed", 1, "--to", "2024-01-03T12:00", data="shop/")
    found = read()
    products = {row["product_id"]: row for row in rows_of(tmp_path, "sales_products")}
    levels = {row["product_id"]: row for row in rows_of(tmp_path, "stock")}
    assert Decimal(found["totals"]["sales"]) == sum(Decimal(row["sales"]) for row in products.values())
    assert Decimal(found["totals"]["profit"]) == sum(Decimal(row["profit"]) for row in products.values())
    assert found["totals"]["transactions"] == sum(row["purchases"] for row in products.values())
    for row in found["products"]:
        assert Decimal(row["sales"]) == Decimal(products[row["product_id"]]["sales"])
        assert row["stock"]["level"] == levels[row["product_id"]]["level"]
        assert row["stock"]["state"] == levels[row["product_id"]]["state"]
        # All hours are shown, and of overlapping windows each purchase is in one that counts.
        assert sum(row["spark"]) == pytest.approx(float(row["sales"]))
    of_category = Counter()
    for row in found["products"]:
        of_category[row["category"]] += Decimal(row["sales"])
    assert {name: pytest.approx(sum(line)) for name, line in found["lines"].items()} == {
        name: float(value) for name, value in of_category.items()
    }
    assert sum(found["drinks"]) == found["totals"]["drinks"]
    assert len(read(period="1d")["starts"]) <= len(found["starts"])


def test_relay_has_the_newest_records_first(reads):
    found = reads("relay", "gps", "--rows", 300, "--seed", 1)()
    assert found["columns"] == ["vehicle_id", "time", "lat", "lon", "speed", "heading"]
    times = [row["cells"][1] for row in found["rows"]]
    assert len(times) == 100
    assert times == sorted(times, reverse=True)


def test_totals_have_whatever_columns_there_are(reads):
    options = ("--by", "shop", "--sum", "total", "--time", "time", "--window", "1h", "--read-as", "jsonl")
    found = reads("totals", "pos", "--rows", 500, "--seed", 1, options=options)()
    assert found["columns"] == ["shop", "sum_total"]
    assert len(found["windows"]) >= 1
    assert found["final"]


@pytest.mark.parametrize("name", NAMES)
def test_there_is_nothing_before_there_is_a_table_and_an_error_where_it_is_another_one(name, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/x.db")
    assert Reader().read(name, Watched(database, {}), {}) is None
    tables = ("produce", "credit", "errors", "sales", "sales_products", "records", "totals")
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE other (x)")
        assert Reader().read(name, Watched(database, {}), {}) is None
        for table in tables:
            connection.execute(f"CREATE TABLE {table} (other)")
    found = Reader().read(name, Watched(database, {}), {})
    assert "no such column" in found["error"]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9)))
def test_a_sum_is_exact_whether_its_values_are_texts_or_decimals(values):
    assert exact_sum(values) == exact_sum(map(str, values))
    assert values == [] or Decimal(exact_sum(values)) == sum(values)
