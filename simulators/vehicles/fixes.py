"""GPS fixes of vehicles as a stream: JSON lines, a few steps of all vehicles at a time, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import Batch, Facts, first_rows
from simulators.engine.byte_layout import Ints, Piece, lay_out
from simulators.engine.number_text import fixed, padded, utc
from simulators.engine.start_time import DEFAULT_START, END, begun, check_start
from simulators.tape.catalogue import Floats
from simulators.vehicles.tracks import LEG_STEPS, Fleet, Leg

DEFAULT_ROWS = 100_000
DEFAULT_VEHICLES = 20
DEFAULT_EVERY = MICROS_PER_SECOND
#: Latitude and longitude in degrees: Minneapolis.
DEFAULT_CENTRE = (44.9778, -93.2650)
MAX_VEHICLES = 10_000
#: Digits behind the point; the seventh of a degree is a centimetre.
DEGREE_PLACES, SPEED_PLACES, HEADING_PLACES = 7, 2, 1
#: What is remembered of each fix: the number of its vehicle, its speed in centimetres a second.
FACTS = np.dtype([("vehicle", np.int64), ("speed", np.int64)])

_LONGEST_STEP = MICROS_PER_SECOND
_MOST_EVERY = 24 * 3_600 * MICROS_PER_SECOND
_BATCH_ROWS = 16_384
_MOST_LATITUDE, _MOST_LONGITUDE = 80, 180
_TURN, _HALF_TURN = 360, 180
_VEHICLE_DIGITS = 5


@dataclass(frozen=True)
class Fixes:
    """Fixes of vehicles that drive around, each on a track of its own; the same options give the same bytes.

    Within a step of at most a second a vehicle drives straight on: fixes a second apart (or less) are as far from each
    other as the middle of both speeds says, but for the last digits that are printed. Vehicles report one after the
    other, evenly over the time between two fixes.

    Attributes:
        rows: how many; 0 goes on until the calendar ends.
        seed: of all tracks.
        vehicles: how many, up to 10,000.
        every: microseconds from one fix of a vehicle to the next one, up to a day.
        start: microseconds since the epoch; None is the moment at which somebody begins to take the batches.
        centre: latitude (up to 80) and longitude in degrees, around which the vehicles are at home.
    """

    rows: int = DEFAULT_ROWS
    seed: int = 0
    vehicles: int = DEFAULT_VEHICLES
    every: int = DEFAULT_EVERY
    start: int | None = DEFAULT_START
    centre: tuple[float, float] = DEFAULT_CENTRE

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        for name in ("rows", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 1 <= self.vehicles <= MAX_VEHICLES:
            raise ValueError(f"vehicles must be 1 to {MAX_VEHICLES}, got {self.vehicles}")
        if not 0 < self.every <= _MOST_EVERY:
            raise ValueError(f"every must be more than 0 and at most a day, got {self.every} microseconds")
        check_start(self.start)
        latitude, longitude = self.centre
        if not (abs(latitude) <= _MOST_LATITUDE and abs(longitude) <= _MOST_LONGITUDE):
            raise ValueError(f"centre must be within {_MOST_LATITUDE},{_MOST_LONGITUDE} degrees, got {self.centre}")

    @property
    def preamble(self) -> bytes:
        """Nothing: JSON lines have no header row."""
        return b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - they cost little
        """Yield the fixes, with their event times and, if wanted, the facts that journeys add up."""
        return first_rows(self._all(wants_facts=facts), self.rows)

    def _all(self, *, wants_facts: bool) -> Iterator[Batch]:
        steps = math.ceil(self.every / _LONGEST_STEP)
        fleet = Fleet(self.vehicles, self.every / steps / MICROS_PER_SECOND, self.seed, self.centre)
        done = skipped = 0
        start = begun(self.start)
        while start + (done + LEG_STEPS) * self.every < END:
            leg = fleet.drive()
            for made in self._reported(leg, start + done * self.every, skipped, steps):
                batch = Batch(_lines(made), made.moments, _facts(made) if wants_facts else None)
                done += batch.rows // self.vehicles
                yield batch
            skipped = (skipped - LEG_STEPS) % steps

    def _reported(self, leg: Leg, moment: int, skipped: int, steps: int) -> Iterator[_Made]:
        """Yield the fixes of a leg, some rounds of all vehicles at a time.

        Args:
            leg: what the vehicles drive.
            moment: of the leg's first round.
            skipped: steps at the leg's beginning that belong to the round before.
            steps: from one round to the next one.
        """
        numbers = np.arange(self.vehicles)
        some = max(1, _BATCH_ROWS // self.vehicles) * steps
        for begin in range(skipped, LEG_STEPS, some):
            rounds = slice(begin, begin + some, steps)
            heading = np.degrees(leg.heading[rounds])
            count = len(heading)
            moments = moment + np.arange(count)[:, np.newaxis] * self.every
            moments = moments + numbers * self.every // self.vehicles
            moment += count * self.every
            longitude = np.mod(np.degrees(leg.longitude[rounds]) + _HALF_TURN, _TURN) - _HALF_TURN
            yield _Made(
                np.tile(1 + numbers, count),
                moments.ravel(),
                _units(np.degrees(leg.latitude[rounds]), DEGREE_PLACES),
                _units(longitude, DEGREE_PLACES),
                _units(leg.speed[rounds], SPEED_PLACES),
                _units(heading, HEADING_PLACES) % (_TURN * 10**HEADING_PLACES),
            )


@dataclass(frozen=True, eq=False)
class _Made:
    """Fixes as columns; decimals in units of their last digit."""

    vehicle: Ints
    moments: Ints
    latitude: Ints
    longitude: Ints
    speed: Ints
    heading: Ints


def vehicle_name(number: int) -> str:
    """Return what a vehicle calls itself, by its number from 1."""
    return f"V{number:0{_VEHICLE_DIGITS}}"


def _units(values: Floats, places: int) -> Ints:
    units: Ints = np.rint(values * 10**places).astype(np.int64).ravel()
    return units


def _lines(made: _Made) -> bytes:
    pieces: list[Piece] = ['{"vehicle_id": "V', *padded(made.vehicle, _VEHICLE_DIGITS)]
    pieces += ['", "time": "', *utc(made.moments)]
    pieces += ['", "lat": ', *fixed(made.latitude, DEGREE_PLACES), ', "lon": ', *fixed(made.longitude, DEGREE_PLACES)]
    pieces += [', "speed": ', *fixed(made.speed, SPEED_PLACES), ', "heading": ', *fixed(made.heading, HEADING_PLACES)]
    return lay_out([*pieces, "}\n"], len(made.vehicle))


def _facts(made: _Made) -> Facts:
    facts = np.empty(len(made.vehicle), FACTS)
    facts["vehicle"], facts["speed"] = made.vehicle, made.speed
    return facts
