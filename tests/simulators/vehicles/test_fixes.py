from __future__ import annotations

import json
import math
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.gps import FIXES
from schemas.record_type import Dialect
from schemas.times import MICROS_PER_SECOND
from simulators.vehicles.fixes import Fixes
from simulators.vehicles.journeys import Journeys
from simulators.vehicles.tracks import EARTH_RADIUS, MOST_ACCELERATION, MOST_SPEED, MOST_TURN, STRAY

#: What is lost in printing: half of the last digit of four coordinates (a centimetre each) and of two speeds;
#: that of a heading, and what is lost in taking one from the other.
METRES_OF_ROUNDING, SPEED_OF_ROUNDING, DEGREES_OF_ROUNDING = 0.015, 0.005, 0.1 + 1e-9

#: Any fleet whose fixes are close enough to know what a vehicle did between two of them.
fleets = st.builds(
    Fixes,
    rows=st.just(6_000),
    seed=st.integers(0, 10**6),
    vehicles=st.sampled_from([1, 2, 7, 60]),
    every=st.sampled_from([100_000, 333_333, 500_000, MICROS_PER_SECOND]),
    centre=st.sampled_from([(44.9778, -93.265), (0.0, 0.0), (-33.9, 179.999), (51.5, -179.999), (79.9, 10.0)]),
)


def data_of(fixes: Fixes) -> bytes:
    return b"".join(bytes(batch.data) for batch in fixes.batches())


def tracks_of(fixes: Fixes) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for line in data_of(fixes).splitlines():
        fix = json.loads(line)
        fix["time"] = datetime.fromisoformat(fix["time"].replace("Z", "+00:00"))
        found[fix["vehicle_id"]].append(fix)
    return found


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Gives the metres between two fixes (haversine)."""
    here, there = math.radians(one["lat"]), math.radians(other["lat"])
    half = math.sin((there - here) / 2) ** 2
    half += math.cos(here) * math.cos(there) * math.sin(math.radians(other["lon"] - one["lon"]) / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(half))


def bearing(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Gives the degrees from north in which the other fix lies."""
    here, there = math.radians(one["lat"]), math.radians(other["lat"])
    east = math.radians(other["lon"] - one["lon"])
    north = math.cos(here) * math.sin(there) - math.sin(here) * math.cos(there) * math.cos(east)
    return math.degrees(math.atan2(math.sin(east) * math.cos(there), north))


def apart(one: float, other: float) -> float:
    """Gives the degrees between two directions."""
    return abs((one - other + 180) % 360 - 180)


@settings(max_examples=10)
@given(fleets)
def test_vehicles_are_where_speed_and_heading_take_them(fixes: Fixes) -> None:
    seconds = fixes.every / MICROS_PER_SECOND
    for track in tracks_of(fixes).values():
        for one, other in pairwise(track):
            assert (other["time"] - one["time"]).total_seconds() == seconds
            metres = (one["speed"] + other["speed"]) / 2 * seconds
            assert abs(distance(one, other) - metres) < METRES_OF_ROUNDING + SPEED_OF_ROUNDING * seconds
            turn = (other["heading"] - one["heading"] + 180) % 360 - 180
            if metres > 5:
                # A centimetre aside is an angle, too.
                off = DEGREES_OF_ROUNDING + math.degrees(METRES_OF_ROUNDING / metres)
                assert apart(bearing(one, other), one["heading"] + turn / 2) < off


@settings(max_examples=10)
@given(fleets)
def test_no_vehicle_does_what_none_can(fixes: Fixes) -> None:
    seconds = fixes.every / MICROS_PER_SECOND
    for track in tracks_of(fixes).values():
        for fix in track:
            assert 0 <= fix["speed"] <= MOST_SPEED
            assert 0 <= fix["heading"] < 360
            assert -90 < fix["lat"] < 90
            assert -180 <= fix["lon"] <= 180
        for one, other in pairwise(track):
            assert abs(other["speed"] - one["speed"]) <= MOST_ACCELERATION * seconds + 2 * SPEED_OF_ROUNDING
            turned = apart(one["heading"], other["heading"])
            assert turned <= math.degrees(MOST_TURN) * seconds + DEGREES_OF_ROUNDING
            if one["speed"] == other["speed"] == 0:
                assert turned <= DEGREES_OF_ROUNDING


def test_vehicles_drive_stop_turn_and_come_home() -> None:
    tracks = tracks_of(Fixes(rows=12_000, vehicles=3, seed=1, every=20 * MICROS_PER_SECOND))
    assert list(tracks) == ["V00001", "V00002", "V00003"]
    for track in tracks.values():
        assert len(track) == 4_000
        speeds = [fix["speed"] for fix in track]
        assert 0.02 < speeds.count(0) / len(speeds) < 0.6
        assert sum(speeds) / len(speeds) > 3
        assert len({fix["heading"] // 45 for fix in track}) == 8
        # A day of driving: it has left home, and has not got lost.
        away = [distance(track[0], fix) for fix in track]
        assert STRAY / 2 < max(away) < 4 * STRAY


def test_fixes_far_apart_are_no_farther_than_one_can_drive() -> None:
    every = 10 * MICROS_PER_SECOND + 500_000
    for track in tracks_of(Fixes(rows=4_000, vehicles=2, every=every)).values():
        assert {(other["time"] - one["time"]).total_seconds() for one, other in pairwise(track)} == {10.5}
        assert all(distance(one, other) <= MOST_SPEED * 10.5 for one, other in pairwise(track))


def test_vehicles_report_one_after_the_other() -> None:
    times = np.concatenate([batch.times for batch in Fixes(rows=2_000, vehicles=8).batches()])
    assert set(np.diff(times)) == {MICROS_PER_SECOND // 8}


def test_the_event_time_is_the_one_that_is_written() -> None:
    batch = next(Fixes(rows=500, vehicles=3, every=700_000).batches())
    assert [FIXES.event_micros(record, Dialect()) for record in batch.records()] == batch.times.tolist()


@settings(max_examples=10)
@given(st.integers(1, 20_000), st.sampled_from([1, 20, 9_000]), st.sampled_from([300_000, 9 * MICROS_PER_SECOND]))
def test_fewer_rows_are_the_beginning_of_more(rows: int, vehicles: int, every: int) -> None:
    rows = min(rows, 300 * vehicles)
    longer = data_of(Fixes(rows + 700, vehicles=vehicles, every=every))
    shorter = data_of(Fixes(rows, vehicles=vehicles, every=every))
    assert shorter.count(b"\n") == rows
    assert longer.startswith(shorter)


def test_same_seed_same_bytes_and_another_seed_others() -> None:
    assert data_of(Fixes(1_000, seed=5)) == data_of(Fixes(1_000, seed=5))
    assert data_of(Fixes(1_000, seed=5)) != data_of(Fixes(1_000, seed=6))


def test_journeys_are_the_sums_by_hand() -> None:
    fixes = Fixes(5_000, vehicles=7)
    journeys = Journeys()
    for batch in fixes.batches(facts=True):
        assert batch.facts is not None
        journeys.add(batch.facts, batch.times)
    wanted: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for line in data_of(fixes).splitlines():
        fix = json.loads(line, parse_float=Decimal)
        wanted[fix["vehicle_id"]][0] += 1
        wanted[fix["vehicle_id"]][1] += fix["speed"]
    said: Any = journeys.to_json()["vehicles"]
    assert {name: [each["fixes"], Decimal(each["sum_of_speeds"])] for name, each in said.items()} == wanted


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": -1}, "rows must not be negative, got -1"),
        ({"vehicles": 0}, "vehicles must be 1 to 10000, got 0"),
        ({"vehicles": 10_001}, "vehicles must be 1 to 10000, got 10001"),
        ({"every": 0}, "every must be more than 0 and at most a day, got 0 microseconds"),
        ({"start": -1}, "start must be from 1970 to 9999"),
        ({"centre": (81.0, 0.0)}, r"centre must be within 80,180 degrees, got \(81.0, 0.0\)"),
        ({"centre": (math.nan, 0.0)}, "centre must be within 80,180 degrees"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Fixes(**wrong)
