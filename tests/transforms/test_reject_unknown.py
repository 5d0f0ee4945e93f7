from __future__ import annotations

import json

import pytest
from apache_beam.pvalue import TaggedOutput
from hypothesis import given
from hypothesis import strategies as st

from schemas.bank import TRANSFERS
from schemas.elements.block import Block, Span
from schemas.elements.frames import Batch
from sources import progress as board
from tests.transforms.tools import without_counts
from transforms.parse.json_lines import ParseJson
from transforms.reject_unknown import RejectUnknown, _RejectUnknownFn

KNOWN = ("North", "South")
PARSE = ParseJson(TRANSFERS, ("account_region",)).parser()


def line(region: str) -> bytes:
    return json.dumps({"account_id": 1, "account_region": region, "transaction_value": 1}).encode()


def split(regions: list[str]):
    block = Block(b"\n".join(map(line, regions)), (Span(0, "here", 7),))
    kept, rejected = [], []
    for output in without_counts(_RejectUnknownFn("account_region", KNOWN).process(Batch(PARSE(block).rows, block))):
        if isinstance(output, TaggedOutput):
            assert output.tag == "rejected"
            rejected.append(output.value)
        else:
            kept.extend(output.rows["account_region"].to_list())
    return block, kept, rejected


@given(st.lists(st.sampled_from([*KNOWN, "north", "Nörd", "x y"]), min_size=1, max_size=8))
def test_rows_of_known_values_stay_and_the_others_leave_with_their_raw_record(regions):
    board.reset()
    block, kept, rejected = split(regions)
    assert kept == [region for region in regions if region in KNOWN]
    assert [record.raw for record in rejected] == [line(region) for region in regions if region not in KNOWN]
    assert all(block.data[record.position - 7 :].startswith(record.raw) for record in rejected)
    assert board.counts()["rejected"] == len(rejected)


def test_the_reason_tells_the_value_but_not_all_of_a_long_one():
    _, _, (first, second) = split(["West", "x" * 100])
    assert first.reason == "account_region 'West' is not among the 2 that are known"
    assert second.reason == f"account_region '{'x' * 60}…' is not among the 2 that are known"


def test_nothing_known_is_refused():
    with pytest.raises(ValueError, match="expected the known values of 'region', got none"):
        RejectUnknown("region", ())
