from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.record_type import Dialect
from schemas.tape import COLUMNS, DEPARTMENTS
from simulators.registers import write_tape
from simulators.tape.tape import Tape
from tests.real_tape import REAL_TAPE, needs_real_tape
from tests.simulators.tools import rows_of

ROWS = 30_000


@pytest.fixture(scope="module")
def data() -> bytes:
    return b"".join(Tape(ROWS, seed=5).chunks())


@pytest.fixture(scope="module")
def rows(data: bytes) -> list[dict[str, str]]:
    return rows_of(data)


@pytest.fixture(scope="module")
def baskets(rows: list[dict[str, str]]) -> list[list[dict[str, str]]]:
    """The baskets that are whole: not those of the last day, which is cut."""
    last = rows[-1]["datetime"][:10]
    found = defaultdict(list)
    for row in rows:
        if row["datetime"][:10] != last:
            found[row["datetime"][:10], row["register_no"], row["trans_no"]].append(row)
    return list(found.values())


def test_same_seed_same_bytes_and_another_seed_others(data: bytes) -> None:
    assert b"".join(Tape(ROWS, seed=5).chunks()) == data
    assert b"".join(Tape(ROWS, seed=6).chunks()) != data


@pytest.mark.parametrize("rows_each", [1, 7, 999, 12_000, 10**9])
def test_the_size_of_chunks_does_not_matter(rows_each: int) -> None:
    tape = Tape(3_000 if rows_each < 10 else ROWS, seed=5)
    chunks = list(tape.chunks(rows_each))
    assert b"".join(chunks) == b"".join(tape.chunks())
    assert all(chunk.count(b"\n") == rows_each for chunk in chunks[:-1])


def test_a_day_is_the_same_whichever_day_comes_first(data: bytes) -> None:
    second = b"".join(Tape(1_000, seed=5, start=date(2011, 4, 2)).chunks())
    assert second in data


def test_every_row_has_fifty_fields_and_the_asked_number_of_rows(data: bytes) -> None:
    lines = data.split(b"\n")[:-1]
    assert len(lines) == ROWS
    assert {line.count(b"\t") for line in lines} == {len(COLUMNS) - 1}
    assert 195 < len(data) / ROWS < 215
    assert b"\r" not in data
    assert b'"' not in data
    assert b"\0" not in data


def test_times_ascend_over_all_registers(rows: list[dict[str, str]]) -> None:
    times = [row["datetime"] for row in rows]
    assert times == sorted(times)
    assert len({row["register_no"] for row in rows}) == 9
    switches = sum(one["register_no"] != other["register_no"] for one, other in pairwise(rows))
    assert switches > ROWS / 10


def test_a_day_has_ten_to_fifteen_thousand_rows() -> None:
    sizes = [batch.rows for _, batch in zip(range(14), Tape(rows=0).batches(), strict=False)]
    assert min(sizes) > 10_000
    assert max(sizes) < 16_000


def test_every_field_looks_as_on_the_real_tape(rows: list[dict[str, str]]) -> None:
    money = re.compile(r"-?\d+\.\d{4}")
    quantity = re.compile(r"-?\d+(\.\d{0,5}[1-9])?")
    for row in rows:
        for name in ("cost", "unit_price", "total", "reg_price", "alt_price", "discount", "member_discount"):
            assert money.fullmatch(row[name]), (name, row[name])
        assert quantity.fullmatch(row["quantity"])
        assert quantity.fullmatch(row["item_quantity"])
        assert row["trans_id"].isdigit()
        assert row["percent_discount"] == "NULL" or re.fullmatch(r"\d+\.0{8}", row["percent_discount"])
        assert row["organic"] in {"0", "1", "NULL"}
        assert (row["staff"], row["batch_header_id"], row["display"], row["member_type"]) == ("NULL", "NULL", " ", "")
        assert row["trans_status"] in set(" VRMC")
        assert len(row["description"]) <= 30
        assert int(row["department"]) in {0, *DEPARTMENTS}


@needs_real_tape
def test_numbers_stand_where_the_real_tape_has_them(rows: list[dict[str, str]]) -> None:
    lines = REAL_TAPE.read_text("latin-1").splitlines()
    real = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines]
    for name in COLUMNS:
        shapes = [{re.sub(r"\d+", "9", row[name]) for row in tape} for tape in (rows, real)]
        if name not in {"upc", "description"}:
            assert shapes[0] <= shapes[1] | {"-9.9", "9.9"}, name


def test_items_are_weighed_or_counted_and_totals_rounded_half_up(rows: list[dict[str, str]]) -> None:
    weighed = 0
    for row in rows:
        if row["trans_type"] != "I" or row["upc"] == "DISCOUNT":
            continue
        product = Decimal(row["quantity"]) * Decimal(row["unit_price"])
        assert Decimal(row["total"]) == product.quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert re.fullmatch(r"\d{13}", row["upc"])
        if row["scale"] == "1":
            weighed += 1
            assert len(row["quantity"].partition(".")[2]) <= 2
    assert 0.1 < weighed / ROWS < 0.3


def test_departments_have_realistic_shares(rows: list[dict[str, str]]) -> None:
    shares = Counter(row["department"] for row in rows)
    assert abs(shares["2"] / ROWS - 0.18) < 0.015
    assert abs(shares["1"] / ROWS - 0.18) < 0.03
    assert set(map(int, shares)) == {0, *DEPARTMENTS}


def test_few_goods_sell_often(rows: list[dict[str, str]]) -> None:
    produce = Counter(row["upc"] for row in rows if row["department"] == "2")
    sold = sorted(produce.values(), reverse=True)
    assert sum(sold[: len(sold) // 10]) > sum(sold) * 0.35
    assert len(produce) > 250


def test_a_basket_is_numbered_ends_with_tax_and_adds_up_to_nothing(baskets: list[list[dict[str, str]]]) -> None:
    statuses: Counter[str] = Counter()
    for basket in baskets:
        assert [row["trans_id"] for row in basket] == [str(number) for number in range(1, len(basket) + 1)]
        assert len({(row["card_no"], row["emp_no"]) for row in basket}) == 1
        ending = [(row["trans_type"], row["description"]) for row in basket[-3:]]
        assert ending == [("T", "Change"), ("I", "Discount"), ("A", "Tax")]
        assert basket[-4]["trans_type"] == "T"
        assert sum(Decimal(row["total"]) for row in basket) == 0
        assert Decimal(basket[-3]["total"]) >= 0
        statuses.update(row["trans_status"] for row in basket)
    assert set(statuses) == set(" VRMC")


def test_a_void_takes_back_the_line_before_it(baskets: list[list[dict[str, str]]]) -> None:
    found = 0
    for basket in baskets:
        for before, row in pairwise(basket):
            if row["trans_status"] == "V":
                found += 1
                assert row["upc"] == before["upc"]
                assert Decimal(row["total"]) == -Decimal(before["total"])
                assert Decimal(row["quantity"]) == -Decimal(before["quantity"])
    assert found > 20


def test_members_have_discounts_and_others_have_not(baskets: list[list[dict[str, str]]]) -> None:
    cards = Counter(basket[0]["card_no"] for basket in baskets)
    assert 0.6 < cards["10499"] / len(baskets) < 0.85
    off = {basket[0]["card_no"] == "10499" for basket in baskets if Decimal(basket[-2]["total"]) < 0}
    assert off == {False}


def test_prices_change_over_time_and_sales_end() -> None:
    prices = defaultdict(set)
    for start in (date(2011, 4, 1), date(2011, 8, 1), date(2012, 2, 1)):
        for row in rows_of(b"".join(Tape(10_000, start=start).chunks())):
            if row["trans_type"] == "I" and row["trans_status"] == " ":
                prices[row["upc"]].add((row["unit_price"], row["reg_price"]))
    assert sum(len(found) > 1 for found in prices.values()) > 500
    assert any(unit != regular for found in prices.values() for unit, regular in found)


@pytest.mark.parametrize("name", ["comma", "semicolon", "pipe"])
def test_dialects_say_the_same_in_another_hand(data: bytes, name: str) -> None:
    separator = {"comma": ",", "semicolon": ";", "pipe": "|"}[name]
    assert b"".join(Tape(ROWS, seed=5, dialect=Dialect(separator)).chunks()) == data.replace(b"\t", separator.encode())


def test_quotes_stand_around_text_and_the_header_comes_first() -> None:
    tape = Tape(100, dialect=Dialect(",", quoted=True, header=COLUMNS))
    header, *lines = b"".join(tape.chunks()).splitlines()
    assert header.startswith(b'"datetime","register_no"')
    plain = b"".join(Tape(100, dialect=Dialect(",")).chunks()).splitlines()
    assert [line.replace(b'"', b"") for line in lines] == plain
    assert re.match(rb'"2011-04-01 \d\d:\d\d:\d\d",\d+,\d+,\d+,"\d{13}","[^"]+","I"," "," ",\d+,', lines[0])


def test_one_register_works_alone_and_one_basket_at_a_time() -> None:
    rows = rows_of(b"".join(Tape(4_000, registers=1).chunks()))
    assert {row["register_no"] for row in rows} == {"1"}
    numbers = [int(row["trans_no"]) for row in rows]
    assert numbers == sorted(numbers)


def test_a_closed_day_has_no_rows() -> None:
    days = [batch.rows for _, batch in zip(range(3), Tape(0, start=date(2011, 12, 24)).batches(), strict=False)]
    assert days[0] > 0
    assert days[1] == 0
    assert days[2] > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": -1}, "rows must not be negative, got -1"),
        ({"seed": -2}, "seed must not be negative, got -2"),
        ({"registers": 0}, "registers must be 1 to 99, got 0"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tape(**wrong)


def test_a_tape_in_a_file_is_the_tape(tmp_path: Path, data: bytes) -> None:
    path = write_tape(tmp_path / "tape.txt", ROWS, seed=5)
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="without end"):
        write_tape(tmp_path / "endless.txt", 0)
