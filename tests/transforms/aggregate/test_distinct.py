from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import lists_up_to, merged_by_any_tree, shuffled_cuts
from transforms.aggregate.combine import FrameCombine
from transforms.aggregate.distinct import CountDistinctAddresses

addresses = (
    st.none()
    | st.ip_addresses().map(str)
    | st.sampled_from(["0.0.0.0", "255.255.255.255", "1.0.0.0", "0.0.0.1", "::", "::1", "::ffff:0.0.0.1", "::0.0.0.1"])  # noqa: S104
)
by = FrameCombine(("key",), {"visitors": CountDistinctAddresses("ip")})


def frame(rows: list) -> pl.DataFrame:
    return pl.DataFrame([tuple(row) for row in rows], {"key": pl.String, "ip": pl.String}, orient="row")


@given(lists_up_to(40, st.tuples(st.sampled_from("ab"), addresses)), st.randoms(use_true_random=False))
def test_the_number_is_that_of_the_different_texts_however_they_come(rows, random):
    merged = merged_by_any_tree(random, [by.reduce(frame(part)) for part in shuffled_cuts(random, rows)], by.merge)
    expected = {key: len({ip for k, ip in rows if k == key and ip is not None}) for key in {k for k, _ in rows}}
    assert dict(by.results(merged).iter_rows()) == expected


def test_an_ipv4_address_takes_four_bytes():
    ips = [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(100_000)]
    kept = by.reduce(frame([("a", ip) for ip in ips]))
    assert kept.estimated_size() < 4.2 * len(ips)
