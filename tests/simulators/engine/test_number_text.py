from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import to_micros
from simulators.engine.byte_layout import Piece, lay_out
from simulators.engine.number_text import cents_as_json, fixed, millionths, padded, stamps, utc, whole

#: Those at which a digit, a group of digits or a sign begins are as likely as the others.
naturals = st.integers(0, 10**13) | st.builds(
    lambda power, off: 10**power + off, st.integers(1, 12), st.integers(-1, 1)
)
integers = st.builds(lambda value, sign: value * sign, naturals, st.sampled_from([1, -1]))


def lists(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    return st.lists(numbers, min_size=1, max_size=20).map(lambda values: np.array(values, np.int64))


def texts(pieces: list[Piece], values: np.ndarray) -> list[str]:
    return lay_out([*pieces, "\n"], len(values)).decode().splitlines()


@given(lists(naturals))
def test_whole_numbers_are_printed_as_they_are(values: np.ndarray) -> None:
    assert texts(whole(values), values) == [str(value) for value in values]


@pytest.mark.parametrize("digits", range(1, 9))
@given(st.data())
def test_padded_numbers_have_their_zeros(digits: int, data: st.DataObject) -> None:
    values = data.draw(lists(st.integers(0, 10**digits - 1)))
    assert texts(padded(values, digits), values) == [f"{value:0{digits}}" for value in values]


@pytest.mark.parametrize("places", range(1, 9))
@given(values=lists(integers))
def test_decimals_have_all_their_places(places: int, values: np.ndarray) -> None:
    wanted = [f"{Decimal(int(value)).scaleb(-places):f}" for value in values]
    assert texts(fixed(values, places), values) == wanted


@given(lists(integers))
def test_millionths_have_the_places_they_need(values: np.ndarray) -> None:
    found = texts(millionths(values), values)
    assert [Decimal(text) for text in found] == [Decimal(int(value)).scaleb(-6) for value in values]
    assert not any("." in text and text.endswith(("0", ".")) for text in found)


@given(lists(integers))
def test_cents_look_as_json_writes_them(values: np.ndarray) -> None:
    assert texts(cents_as_json(values), values) == [json.dumps(int(value) / 100) for value in values]


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=20))
def test_times_are_iso_8601(moments: list[datetime]) -> None:
    values = np.array([to_micros(moment) for moment in moments])
    assert texts(utc(values), values) == [moment.isoformat(timespec="microseconds") + "Z" for moment in moments]
    assert texts(stamps(values), values) == [moment.isoformat(" ", "microseconds") for moment in moments]
