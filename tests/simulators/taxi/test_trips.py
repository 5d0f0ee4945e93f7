from __future__ import annotations

import polars as pl

from simulators.taxi.trips import ZONES, write_trips


def test_trips_are_the_same_for_a_seed_and_in_the_order_of_their_times(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_trips(tmp_path / name, 500, seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()
    trips = pl.read_csv(tmp_path / "a", try_parse_dates=True)
    assert trips.height == 500
    assert trips["pickup_at"].is_sorted()
    assert set(trips["zone"]) <= set(ZONES)
    assert trips.filter(pl.col("payment") == "cash")["tip"].sum() == 0
    assert trips["fare"].min() >= 3.5
