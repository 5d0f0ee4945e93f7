from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bank import TRANSFERS
from schemas.http import ACCESS_LOG, RESPONSES
from schemas.record_type import Column, Dialect, RecordType
from schemas.tape import COLUMNS, DEPARTMENTS, PRODUCE, TAPE
from schemas.times import to_micros
from tests.strategies import SALE

MOMENT = "2011-04-01 10:40:23"
MICROS = to_micros(datetime(2011, 4, 1, 10, 40, 23))


@pytest.mark.parametrize(
    ("record", "dialect"),
    [
        (f"k\t{MOMENT}\t1", Dialect()),
        (f"k\t{MOMENT}\r\n", Dialect()),
        (f'"k"|"{MOMENT}"|', Dialect("|", quoted=True)),
        (f"1,2,{MOMENT}\n", Dialect(",", header=("pieces", "amount", "when"))),
        (f"ä;{MOMENT};x", Dialect(";", encoding="latin-1")),
    ],
)
def test_the_event_time_of_a_raw_record_is_read(record: str, dialect: Dialect) -> None:
    assert SALE.event_micros(record.encode(dialect.encoding), dialect) == MICROS


@pytest.mark.parametrize(
    "record", [b"", b"\n", b"k", b"k\t\t1", b"k\tNULL\t", b"k\t2011-04-31 10:40:23\t", b"\xff\t\xff\xfe"]
)
def test_an_event_time_that_cannot_be_read_is_none(record: bytes) -> None:
    assert SALE.event_micros(record, Dialect()) is None


@given(st.binary(max_size=60) | st.binary(max_size=30).map(b"k\t".__add__))
def test_garbage_has_an_event_time_or_none_and_never_raises(record: bytes) -> None:
    micros = SALE.event_micros(record, Dialect())
    assert micros is None or isinstance(micros, int)


@given(st.datetimes(datetime(1000, 1, 1)))
def test_any_event_time_is_exact(moment: datetime) -> None:
    record = f"k\t{moment:%Y-%m-%d %H:%M:%S}\n".encode()
    assert SALE.event_micros(record, Dialect()) == to_micros(moment.replace(microsecond=0))


@pytest.mark.parametrize(
    ("record_type", "record", "micros"),
    [
        (RESPONSES, '{"x":{"time":"2001-01-01 00:00:00"},"time":"2011-04-01T10:40:23Z","ip":"::1"}\r\n', MICROS),
        (RESPONSES, '{"time":"2011-04-01 12:40:23+02:00"}', MICROS),
        (RESPONSES, '{"time":"2011-04-01"}', None),
        (RESPONSES, '{"time":20110401}', None),
        (RESPONSES, '{"ip":"::1"}', None),
        (RESPONSES, "[1]", None),
        (RESPONSES, "[" * 100_000, None),
        (TRANSFERS, '{"transfer_time":"2011-04-01 10:40:23"}', MICROS),
        (TRANSFERS, '{"transfer_time":"soon"}', None),
        (TRANSFERS, '{"transfer_time":null}', 7),
        (TRANSFERS, "{}", 7),
        (TRANSFERS, "oops", None),
        (ACCESS_LOG, '::1 - - [01/Apr/2011:12:40:23 +0200] "GET /[x] HTTP/1.1" 200 1', MICROS),
        (ACCESS_LOG, '::1 - - [01/Apr/2011] "GET / HTTP/1.1" 200 1', None),
        (ACCESS_LOG, "oops", None),
        (replace(SALE, columns=(Column("when", "time"),)), "k\tNULL\t", 7),
        (replace(SALE, columns=(Column("when", "time"),)), "k\toops\t", None),
        (replace(SALE, columns=(Column("when", "time"),)), "k", None),
        (replace(SALE, event_time=""), "anything", 7),
    ],
)
def test_a_record_without_a_time_happened_when_it_arrived_if_its_type_allows_that(
    record_type: RecordType, record: str, micros: int | None
) -> None:
    assert record_type.event_micros(record.encode(), Dialect(), arrival=7) == micros


@given(st.binary(max_size=60), st.sampled_from([RESPONSES, TRANSFERS, ACCESS_LOG]))
def test_garbage_of_any_form_has_an_event_time_or_none_and_never_raises(record: bytes, record_type: RecordType) -> None:
    assert record_type.event_micros(record, Dialect()) is None


def test_columns_are_found_by_name_and_are_text_unless_typed() -> None:
    assert SALE.column("amount") == Column("amount", "decimal")
    assert SALE.column("unused") == Column("unused")
    assert list(SALE.typed) == ["key", "when", "amount", "pieces", "note"]
    assert SALE.order(Dialect()) == SALE.names
    assert SALE.order(Dialect(header=("note", "key"))) == ("note", "key")


@pytest.mark.parametrize(
    "options", [{"columns": (Column("prize"),), "event_time": "a"}, {"columns": (), "event_time": "prize"}]
)
def test_a_column_that_is_not_there_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="sale has no column 'prize', only a, b"):
        RecordType("sale", ("a", "b"), **options)


def test_a_record_type_pickles() -> None:
    assert pickle.loads(pickle.dumps(TAPE)) == TAPE


def test_register_tape_has_fifty_columns() -> None:
    assert len(set(COLUMNS)) == len(COLUMNS) == 50
    assert DEPARTMENTS[PRODUCE] == "Produce"
    assert timedelta(microseconds=TAPE.event_micros(b"1970-01-02 00:00:00\t", Dialect()) or 0) == timedelta(days=1)
