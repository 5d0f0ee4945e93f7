"""Which runs are no success although they came to their end, and what is said of them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.runtime.verdict import MaxRejected, find_faults, show_rejected, tell_rejected
from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import Rejected
from sources import progress as board

numbers = st.integers(0, 10**6)
balances = st.fixed_dictionaries(dict.fromkeys(("used", "filtered", "rejected", "late"), numbers)).map(
    lambda parts: Counter({**parts, "read": sum(parts.values())})
)


@pytest.fixture(autouse=True)
def _clean_board():
    board.reset()
    yield
    board.reset()


@given(balances)
def test_a_run_in_which_all_was_lost_is_none_and_an_empty_one_is(counts):
    is_lost = counts["read"] > 0 and counts["used"] == counts["filtered"] == 0
    assert bool(find_faults(counts, None, JSON_LINES)) == is_lost


@given(balances, numbers)
def test_more_rejected_than_allowed_is_a_fault(counts, most):
    limit = MaxRejected.parse(str(most))
    said = [fault for fault in find_faults(counts, limit, JSON_LINES) if "--max-rejected" in fault]
    assert len(said) == (counts["rejected"] > most)
    assert limit.is_exceeded_for_good(counts["rejected"]) == bool(said)


@given(balances, st.decimals(0, 100, places=3))
def test_percents_are_exact_and_only_judged_at_the_end(counts, percent):
    limit = MaxRejected.parse(f"{percent}%")
    assert limit.is_exceeded(counts["rejected"], counts["read"]) == (
        Decimal(counts["rejected"]) > Decimal(counts["read"]) * percent / 100
    )
    assert not limit.is_exceeded_for_good(counts["rejected"])


def test_percents_of_many_digits_are_not_rounded():
    third = MaxRejected.parse(f"33.{'3' * 40}%")
    assert third.is_exceeded(10**40, 3 * 10**40)
    assert not MaxRejected.parse(f"33.{'3' * 40}4%").is_exceeded(10**40, 3 * 10**40)


@pytest.mark.parametrize("text", ["0", "7", "100", "0%", "0.5%", "33.3%", "100%", "100.0%"])
def test_a_limit_reads_back_what_it_says(text):
    assert str(MaxRejected.parse(text)) == text
    assert MaxRejected.parse(f" {text} ") == MaxRejected.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "-1", "-1%", "101%", "100.001%", "abc", "%", "1e3", "1e1%", "nan%", "inf%", "1.5", "1_000", "٣", "٣%"],
)
def test_a_limit_that_is_none_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^expected a number of records such as 100, or 0% to 100% of them, got .*$"):
        MaxRejected.parse(text)


records = st.builds(Rejected, st.text(), st.integers(0, 10**12), st.text(), st.binary(max_size=300))


@given(records)
def test_a_rejected_record_is_one_line_of_what_can_be_printed(record):
    said = show_rejected(record)
    assert said.isprintable()
    assert len(said) < 3_500


@given(st.lists(records, max_size=3), st.sampled_from([None, "r.jsonl"]), st.booleans())
def test_all_reasons_of_a_lost_run_are_told_the_first_of_another_and_how_to_keep_them(first, kept, is_all):
    said = tell_rejected(first, len(first), kept, is_all=is_all)
    assert len(said) == (len(first) if is_all else min(1, len(first)))
    assert sum(line.endswith("--rejected PATH keeps them all") for line in said) == bool(said and kept is None)


def test_where_other_processes_have_parsed_that_is_said():
    (said,) = tell_rejected([], 5, None, is_all=True)
    assert "--rejected PATH" in said
    assert tell_rejected([], 5, "r.jsonl", is_all=True) == []
    assert tell_rejected([], 0, None, is_all=False) == []


def test_a_lost_run_says_what_its_input_seems_to_be():
    board.show_rejected([Rejected("data.json", 0, "not JSON", b"[")], b'[\n{"a": 1}\n]')
    (fault,) = find_faults(Counter(read=3, rejected=3), None, JSON_LINES)
    assert fault == (
        "none of 3 records could be used (3 rejected); data.json seems to be a JSON array, and JSON lines are "
        "expected: jq -c '.[]' writes its objects one a line"
    )


def test_late_ones_count_as_lost_where_nothing_else_came():
    (fault,) = find_faults(Counter(read=1, late=1), None, JSON_LINES)
    assert fault == "none of 1 record could be used (0 rejected, 1 late)"
