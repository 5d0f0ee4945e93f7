from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import NamedTuple

import apache_beam as beam
import polars as pl
import pyarrow.parquet
import pytest
from apache_beam.io import WriteToParquet
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.utils.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from schemas.elements.frames import EVENT_TIME
from schemas.record_type import Column
from schemas.times import to_datetime
from tests.transforms.tools import without_counts
from transforms import Aggregate, Count, FromRows, Sum, ToBeamRows, Windows
from transforms.from_rows import _GatherFn


class Sale(NamedTuple):
    item: str | None
    price: Decimal | None
    pieces: int
    is_member: bool
    sold_at: Timestamp


COLUMNS = (Column("item"), Column("price", "decimal"), Column("pieces", "integer"), Column("is_member", "boolean"))
KINDS = {column.name: column.kind for column in COLUMNS} | {"sold_at": "time"}
_PRICES = st.decimals(-(10**18), 10**18, places=9, allow_nan=False, allow_infinity=False)
_MICROS = st.integers(0, 4 * 10**15)
sales = st.builds(
    Sale, st.none() | st.text(st.characters(codec="utf-8")), st.none() | _PRICES, st.integers(-(2**63), 2**63 - 1),
    st.booleans(), _MICROS.map(lambda micros: Timestamp(micros=micros)),
)  # fmt: skip


def gathered(rows: list) -> pl.DataFrame:
    fn = _GatherFn(KINDS, "sold_at")
    fn.start_bundle()
    batches = [batch for row in rows for batch in without_counts(fn.process(row, Timestamp(7)))]
    return pl.concat(batch.rows for batch in (*batches, *(value.value for value in without_counts(fn.finish_bundle()))))


@given(st.lists(sales, min_size=1, max_size=8), st.sampled_from(["rows", "beam", "dicts", "arrow", "polars"]))
def test_every_value_of_every_kind_of_row_comes_in_as_it_is(rows, kind):
    dicts = [sale._asdict() for sale in rows]
    timed = [row | {"sold_at": to_datetime(row["sold_at"].micros)} for row in dicts]
    schema = {"item": pl.String, "price": pl.Decimal(38, 9), "pieces": pl.Int64}
    frame = pl.DataFrame(timed, schema_overrides=schema)
    given_rows = {
        "rows": rows, "beam": [beam.Row(**row) for row in dicts], "dicts": timed,
        "arrow": [frame.to_arrow()], "polars": [frame],
    }[kind]  # fmt: skip
    found = gathered(given_rows).select(*(column.name for column in COLUMNS), pl.col(EVENT_TIME).to_physical())
    assert found.rows() == [(*sale[:4], sale.sold_at.micros) for sale in rows]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"item": "a"}, "a row lacks 'price'"),
        (pl.DataFrame({"item": ["a"]}), "a table lacks 'price', it has only item"),
        (
            Sale("a", Decimal("0.0000000001"), 1, True, Timestamp(0)),
            "'price' is no decimal: expected decimals of 9 places",
        ),
        (Sale("a", 0.1, 1, True, Timestamp(0)), "'price' is no decimal"),
        (Sale("a", Decimal(1), 2**63, True, Timestamp(0)), "'pieces' is no integer"),
        (Sale(3, Decimal(1), 2, True, Timestamp(0)), "'item' is no text"),
        (Sale("a", Decimal(1), 2, "yes", Timestamp(0)), "'is_member' is no boolean"),
        (Sale("a", Decimal(1), 2, True, "2011"), "'event_time' is no time"),
    ],
)
def test_a_value_of_another_kind_is_named(row, reason):
    with pytest.raises(ValueError, match=reason):
        gathered([row])


class Odd(NamedTuple):
    item: str
    price: float


@pytest.mark.parametrize(
    ("rows", "transform", "reason"),
    [
        (
            beam.Create(["a", "b"]),
            FromRows(),
            "expected a PCollection of a NamedTuple or of beam.Row, got one of <class 'str'>",
        ),
        (beam.Create([{"a": 1}]), FromRows(), "FromRows\\(columns="),
        (
            beam.Create([Odd("a", 1.5)]).with_output_types(Odd),
            FromRows(),
            "'price' is <class 'float'>.*make it a Decimal",
        ),
        (beam.Create([beam.Row(item="a")]), FromRows(time="at"), "no column 'at' for the event time, only item"),
    ],
)
def test_wrong_use_is_told_when_the_pipeline_is_built(rows, transform, reason):
    with pytest.raises(ValueError, match=reason):
        _ = beam.Pipeline() | rows | transform


def test_rows_come_from_ordinary_beam_and_totals_go_back(fn_api, tmp_path):
    rows = [
        beam.Row(item=item, price=Decimal(price), at=Timestamp.of(datetime(2011, 4, 1, hour, tzinfo=timezone.utc)))
        for item, price, hour in (("roll", "0.35", 8), ("bread", "3.20", 8), ("roll", "0.35", 9), ("roll", "0.70", 8))
    ]
    with beam.Pipeline(options=fn_api) as pipeline:
        totals = (
            pipeline
            | beam.Create(rows)
            | FromRows(time="at")
            | Aggregate(("item",), {"turnover": Sum("price"), "rows": Count()}, Windows.parse("1h"))
        )
        made = totals | ToBeamRows({"item": str, "turnover": Decimal, "rows": int})
        assert [name for name, _ in made.element_type._fields] == ["item", "turnover", "rows"]
        plain = made | beam.Map(lambda row: (row.item, row.turnover, row.rows))
        assert_that(
            plain, equal_to([("bread", Decimal("3.2"), 1), ("roll", Decimal("1.05"), 2), ("roll", Decimal("0.35"), 1)])
        )
        named = totals | "Named" >> ToBeamRows({"item": str, "rows": int})
        _ = named | WriteToParquet(str(tmp_path / "totals"), file_name_suffix=".parquet")
    (path,) = tmp_path.glob("totals*.parquet")
    assert sorted(pyarrow.parquet.read_table(path).to_pylist(), key=str) == [
        {"item": "bread", "rows": 1}, {"item": "roll", "rows": 1}, {"item": "roll", "rows": 2},
    ]  # fmt: skip
