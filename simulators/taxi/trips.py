"""Trips of taxis in a town of a dozen zones: a seeded CSV file, with more of them at rush hours and in the centre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from schemas.times import MICROS_PER_SECOND

ZONES = (
    "Airport", "Castle Hill", "Docks", "Exhibition Park", "Harbour", "Market Square",
    "Northgate", "Old Town", "Riverside", "Station", "University", "Westfield",
)  # fmt: skip
PAYMENTS = ("card", "cash", "app")
#: 2026-03-02, a Monday, in seconds; and how many days there are.
START, DAYS = 1_772_409_600, 7
#: How many trips begin in each hour of the day, of a hundred or so.
_BY_HOUR = np.array([2, 1, 1, 1, 1, 2, 4, 7, 8, 6, 4, 4, 5, 5, 4, 5, 6, 8, 9, 7, 6, 5, 5, 3])
_SECONDS_PER_HOUR = 3_600


def write_trips(path: Path, rows: int, seed: int) -> None:
    """Write trips in the order of their pick-ups; the same rows and seed give the same bytes.

    Fares and tips are in cents' places, distances in kilometres with two places.

    Raises:
        OSError: the file cannot be written.
    """
    random = np.random.default_rng(seed)
    hours = random.choice(24 * DAYS, rows, p=np.tile(_BY_HOUR, DAYS) / (_BY_HOUR.sum() * DAYS))
    seconds = np.sort(START + hours * _SECONDS_PER_HOUR + random.integers(0, _SECONDS_PER_HOUR, rows))
    popularity = 1 / np.arange(2, len(ZONES) + 2)
    hundredths = np.clip(random.gamma(2.2, 210, rows), 40, 6_000).astype(np.int64)  # of a kilometre
    cents = 350 + hundredths * 19 // 10
    payment = random.choice(len(PAYMENTS), rows, p=(0.55, 0.2, 0.25))
    tips = np.where(payment == 1, 0, cents * random.integers(0, 25, rows) // 100)
    trips = pl.DataFrame(
        {
            "trip": np.arange(1, rows + 1),
            "pickup_at": pl.Series(seconds * MICROS_PER_SECOND).cast(pl.Datetime("us")),
            "zone": pl.Series(ZONES).gather(random.choice(len(ZONES), rows, p=popularity / popularity.sum())),
            "passengers": random.choice(6, rows, p=(0.62, 0.2, 0.08, 0.05, 0.03, 0.02)) + 1,
            "distance": hundredths,
            "fare": cents,
            "tip": tips,
            "payment": pl.Series(PAYMENTS).gather(payment),
        }
    )
    money = (pl.col(name).cast(pl.Decimal(38, 2)) * pl.lit("0.01").cast(pl.Decimal(38, 2)) for name in _HUNDREDTHS)
    trips.with_columns(money).write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")


_HUNDREDTHS = ("distance", "fare", "tip")
