from __future__ import annotations

from datetime import datetime

import pytest

from schemas.times import to_micros
from simulators.shop.incidents import Anomaly, SupplyTrouble, While, parse_anomaly, parse_trouble

HOUR = 3_600_000_000
AT = to_micros(datetime(2022, 9, 2, 16))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("storm@2022-09-02T16:00+2h*0.1", Anomaly("storm", While(AT, 2 * HOUR), 0.1)),
        ("storm@2022-09-02T16:00:00Z+2h", Anomaly("storm", While(AT, 2 * HOUR), 0.3)),
        ("power-cut@2022-09-02+1h", Anomaly("power-cut", While(AT - 16 * HOUR, HOUR), 0.0)),
        ("promotion/SF07@5h+30m", Anomaly("promotion", While(5 * HOUR, HOUR // 2, is_offset=True), 2.0, "SF07")),
        ("fair@now+1h*3", Anomaly("fair", While(0, HOUR, is_offset=True), 3.0)),
    ],
)
def test_an_anomaly_has_a_name_a_start_a_length_and_a_size(text: str, wanted: Anomaly) -> None:
    assert parse_anomaly(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("storm", "expected NAME@START"),
        ("@1h+1h", "expected NAME@START"),
        ("storm@1h", "expected NAME@START"),
        ("storm@soon+1h", "expected NAME@START"),
        ("storm@1h+long", "expected NAME@START"),
        ("storm@1h+1h*much", "expected NAME@START"),
        ("fair@1h+1h", "only storm, power-cut, promotion have a size of their own"),
        ("storm@1h+1h*-1", "must be 0 to 1000, got 'storm"),
        ("storm@1h+1h*nan", "must be 0 to 1000"),
        ("storm@1h+1h*1001", "must be 0 to 1000"),
    ],
)
def test_what_is_no_anomaly_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_anomaly(text)
    assert repr(text) in str(caught.value)


def test_trouble_is_a_product_a_start_and_a_length() -> None:
    assert parse_trouble("SF07@2022-09-02T16:00+2d") == SupplyTrouble("SF07", While(AT, 48 * HOUR))
    for wrong in ("SF07", "@1h+1h", "SF07@1h", "SF07@x+1h"):
        with pytest.raises(ValueError, match="expected PRODUCT@START"):
            parse_trouble(wrong)


def test_an_offset_is_counted_from_the_beginning() -> None:
    assert While(AT, HOUR).within(5) == (AT, AT + HOUR)
    assert While(HOUR, HOUR, is_offset=True).within(AT) == (AT + HOUR, AT + 2 * HOUR)
