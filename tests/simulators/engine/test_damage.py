from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from schemas.bank import TRANSFERS
from schemas.http import RESPONSES
from schemas.record_type import Column, Dialect, RecordType
from schemas.smoothies import TOPICS
from simulators.engine.damage import JsonDamage
from simulators.shop.damage import ShopDamage
from simulators.shop.shop import Shop
from simulators.web.damage import LogDamage
from tests.simulators.shops import kind_of

RESPONSE = b'{"time":"2019-05-06 17:24:53","ip":"10.0.186.98","status_code":202}'
TRANSFER = b'{"account_id":1234567,"account_region":"Eurasia Trade Zone","transaction_value":4310.27}'
LOG_LINE = b'10.0.186.98 - - [06/May/2019:17:24:53 +0000] "GET /cart HTTP/1.1" 202 1200'
TYPES = {"integer": int, "decimal": (int, float), "time": str, "ip": str, "text": str}


def what_is_wrong(record: bytes, record_type: RecordType) -> str:
    try:
        fields = json.loads(record.decode())
    except UnicodeDecodeError:
        return "no UTF-8"
    except ValueError:
        return "no JSON"
    if not isinstance(fields, dict):
        return "no object"
    faults = (what_is_wrong_with(column, fields) for column in record_type.columns if column.required)
    return next(filter(None, faults), "")


def what_is_wrong_with(column: Column, fields: dict[str, Any]) -> str:
    if column.name not in fields:
        return "a field is missing"
    value = fields[column.name]
    if not isinstance(value, TYPES[column.kind]):
        return "wrong type"
    try:
        if column.kind == "time":
            datetime.strptime(value, "%Y-%m-%d %H:%M:%S")
        elif column.kind == "ip":
            ipaddress.ip_address(value)
    except ValueError:
        return f"no {column.kind}"
    return ""


@pytest.mark.parametrize(("good", "record_type"), [(RESPONSE, RESPONSES), (TRANSFER, TRANSFERS)])
def test_damaged_json_is_never_a_good_record(good: bytes, record_type: RecordType) -> None:
    assert what_is_wrong(good, record_type) == ""
    damage, rng = JsonDamage(record_type), np.random.default_rng(0)
    found: Counter[str] = Counter()
    for _ in range(1_000):
        bad = damage(good, rng)
        assert bad
        assert b"\n" not in bad
        found[what_is_wrong(bad, record_type)] += 1
    assert "" not in found
    assert {"no UTF-8", "no JSON", "no object", "a field is missing", "wrong type"} <= set(found)
    assert min(found.values()) > 20


def test_a_damaged_log_line_is_never_a_good_one() -> None:
    line = re.compile(r'(\S+) \S+ \S+ \[([^\]]+)\] "([^"]*)" (\d{3}) (\d+|-)')

    def is_good(record: bytes) -> bool:
        match = line.fullmatch(record.decode())
        if match is None:
            return False
        try:
            ipaddress.ip_address(match[1])
            datetime.strptime(match[2], "%d/%b/%Y:%H:%M:%S %z")
        except ValueError:
            return False
        return True

    assert is_good(LOG_LINE)
    damage, rng = LogDamage(), np.random.default_rng(0)
    bad = [damage(LOG_LINE, rng) for _ in range(1_000)]
    assert not any(is_good(record) or b"\n" in record for record in bad)
    assert len(set(bad)) > 50


def test_a_damaged_message_of_a_shop_is_never_a_good_one() -> None:
    for in_one in (True, False):
        rng = np.random.default_rng(0)
        damage = ShopDamage(in_one=in_one)
        for line in b"".join(bytes(batch.data) for batch in Shop(300, in_one=in_one).batches()).splitlines():
            bad = damage(line, rng)
            assert b"\n" not in bad
            try:
                message = json.loads(bad.decode())
                payload = message["payload"] if in_one else message
                kind = json.loads(line)["type"] if in_one else kind_of(json.loads(line))
            except (ValueError, TypeError, KeyError):
                continue
            record = TOPICS[kind][1]
            text = json.dumps(payload).encode()
            is_timed = isinstance(payload, dict) and isinstance(payload.get(record.event_time), str)
            if is_timed and record.event_micros(text, Dialect()) is not None:
                wrong = [column for column in record.columns if column.required and not fits(column, payload)]
                assert wrong, bad


def fits(column: Column, fields: dict[str, Any]) -> bool:
    return isinstance(fields.get(column.name), TYPES[column.kind])
