from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.coders import RowCoder, registry
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch, Result
from schemas.times import to_micros
from tests.strategies import microseconds, sale_frame, sale_rows
from transforms.aggregate.aggregate import Aggregate
from transforms.aggregate.aggregations import Sum
from transforms.rows import ToRows, _ToRowsFn
from transforms.windows import Windows


class Sale(NamedTuple):
    note: str | None
    event_time: Timestamp
    amount: Decimal | None
    key: str | None


class Paused(NamedTuple):
    key: str
    since: Timestamp | None


class SaleTotal(NamedTuple):
    window_start: Timestamp | None
    key: str
    amount: Decimal


BLOCK = Block(b"raw", (Span(0, "test", 0),))


def to_rows(row_type: type, frame: pl.DataFrame) -> list:
    rows = _ToRowsFn(row_type)
    rows.setup()
    return list(rows.process(Batch(frame, BLOCK)))


@given(sale_rows)
def test_a_row_has_the_columns_that_its_type_names_and_no_other(rows):
    expected = [
        Sale(row["note"], Timestamp(micros=to_micros(row["event_time"])), row["amount"], row["key"]) for row in rows
    ]
    found = to_rows(Sale, sale_frame(rows))
    assert found == expected
    assert all(type(row) is Sale for row in found)


@given(microseconds)
def test_times_become_timestamps_to_the_microsecond_in_every_unit_and_missing_ones_none(moment):
    for unit, step in (("us", 1), ("ms", 1000), ("ns", 1)):
        exact = moment - timedelta(microseconds=moment.microsecond % step)
        frame = pl.DataFrame(
            {"key": ["a", "b"], "since": [exact, None]}, {"key": pl.String, "since": pl.Datetime(unit, "UTC")}
        )
        assert to_rows(Paused, frame) == [Paused("a", Timestamp(micros=to_micros(exact))), Paused("b", None)]


class ProduceTotal(NamedTuple):
    window_start: Timestamp | None
    window_end: Timestamp | None
    upc: str
    description: str | None
    quantity: Decimal
    scale: Decimal
    spend: Decimal
    rows: int


def test_a_type_without_times_will_do():
    class Key(NamedTuple):
        key: str

    assert to_rows(Key, sale_frame([{"key": "k"}])) == [("k",)]


totals = st.builds(
    ProduceTotal,
    st.none() | microseconds.map(lambda moment: Timestamp(micros=to_micros(moment))),
    st.none(),
    st.text(max_size=13),
    st.none() | st.text(max_size=5),
    *[st.decimals(-(10**18), 10**18, places=9)] * 3,
    st.integers(0, 2**40),
)


@given(totals)
def test_rows_come_back_from_the_coder_that_torows_registers(total):
    ToRows(ProduceTotal)
    coder = registry.get_coder(ProduceTotal)
    assert isinstance(coder, RowCoder)
    assert coder.decode(coder.encode(total)) == total


def test_a_row_can_be_a_key():
    ToRows(Sale)
    coder = registry.get_coder(Sale)
    assert coder.is_deterministic()
    rows = [Sale(None, Timestamp(1), Decimal("1.5"), "k"), Sale("n", Timestamp(1), None, "k")]
    assert len({coder.encode(row) for row in rows}) == len(rows)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="since"):
        to_rows(Paused, sale_frame([{"key": "k"}]))


def test_rows_leave_for_ordinary_beam(fn_api):
    moment = datetime(2011, 4, 1, 10)
    rows = [{"event_time": moment, "key": key, "amount": Decimal(2)} for key in ("a", "b", "a")]
    with beam.Pipeline(options=fn_api) as pipeline:
        batches = pipeline | beam.Create([Batch(sale_frame(rows), BLOCK)])
        sales = batches | "Sales" >> ToRows(Sale)
        counts = sales | beam.Map(lambda sale: (sale, 1)).with_output_types(tuple[Sale, int]) | beam.CombinePerKey(sum)
        results = batches | Aggregate(("key",), {"amount": Sum("amount")}, Windows.parse("1h"))
        totals = results | "Totals" >> ToRows(SaleTotal)
        assert sales.element_type is Sale
        assert results.element_type is Result
        start = Timestamp(micros=to_micros(moment))
        assert_that(
            counts,
            equal_to([(Sale(None, start, Decimal(2), "a"), 2), (Sale(None, start, Decimal(2), "b"), 1)]),
            label="Counts",
        )
        assert_that(
            totals, equal_to([SaleTotal(start, "a", Decimal(4)), SaleTotal(start, "b", Decimal(2))]), label="Totals are"
        )
