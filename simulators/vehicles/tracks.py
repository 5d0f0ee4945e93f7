"""Tracks: where vehicles drive, step by step, all of them at once, with no work per fix in Python.

Speed is a walk that is folded back at a highest speed and cut off at 0, so a vehicle stops now and then; it never
gains or loses more than :data:`MOST_ACCELERATION`. Turns are slow drifts and now and then a corner, never faster than
:data:`MOST_TURN`, nor than the forces on a vehicle at that speed allow. A vehicle that has strayed turns home.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.tape.catalogue import Floats

#: Metres a second.
MOST_SPEED = 33.0
#: Metres a second, each second.
MOST_ACCELERATION = 2.5
#: Metres a second, each second, to the side.
MOST_SIDEWAYS = 3.0
#: Radians a second.
MOST_TURN = 0.6
#: Metres, the mean radius of the Earth.
EARTH_RADIUS = 6_371_008.8
#: Metres from home at which a vehicle turns back.
STRAY = 12_000.0

_STREAM = 5_527
#: Steps of a leg, and those between two changes of mind.
LEG_STEPS, _KNOT_STEPS = 64, 8
_KNOTS = LEG_STEPS // _KNOT_STEPS
#: A walk may go so far below 0: so long does a vehicle stand.
_STANDING = -12.0
_USUAL_TURN, _CORNER_SHARE = 0.02, 0.15
_HOME_STEPS = LEG_STEPS // 4
_SPREAD = 8_000.0


@dataclass(frozen=True, eq=False)
class Leg:
    """The next steps of all vehicles: arrays of steps by vehicles, in radians and metres a second.

    Between two steps a vehicle drives straight on, in the middle direction and at the middle speed of both.
    """

    latitude: Floats
    longitude: Floats
    speed: Floats
    heading: Floats


class Fleet:
    """Vehicles on their way; the seed decides where they go."""

    def __init__(self, vehicles: int, step_seconds: float, seed: int, centre: tuple[float, float]) -> None:
        """Put the vehicles around a centre, whose latitude and longitude are in degrees."""
        rng = np.random.default_rng([seed, _STREAM])
        self._step = step_seconds
        self._seed = seed
        self._leg = 0
        away = _SPREAD * np.sqrt(rng.random(vehicles))
        where = rng.uniform(0, 2 * np.pi, vehicles)
        latitude, longitude = np.radians(centre)
        self._home_latitude = latitude + away * np.cos(where) / EARTH_RADIUS
        self._home_longitude = longitude + away * np.sin(where) / EARTH_RADIUS / np.cos(latitude)
        self._latitude, self._longitude = self._home_latitude, self._home_longitude
        self._heading = rng.uniform(0, 2 * np.pi, vehicles)
        self._highest = rng.uniform(0.4, 1, vehicles) * MOST_SPEED
        self._walk = rng.uniform(_STANDING, self._highest)
        self._thrust = np.zeros(vehicles)
        self._turn = np.zeros(vehicles)

    def drive(self) -> Leg:
        """Return the next leg; its first step is the one after the last step of the leg before."""
        rng = np.random.default_rng([self._seed, _STREAM, self._leg])
        self._leg += 1
        vehicles = len(self._heading)
        thrust = self._between(self._thrust, rng.uniform(-1, 1, (_KNOTS, vehicles)) * MOST_ACCELERATION)
        corner = rng.random((_KNOTS, vehicles)) < _CORNER_SHARE
        turns = rng.normal(0, 1, (_KNOTS, vehicles)) * np.where(corner, MOST_TURN, _USUAL_TURN)
        turn = self._between(self._turn, turns)
        self._thrust, self._turn = thrust[-1], turn[-1]

        before = self._speed(self._walk)
        walk = self._walk + np.cumsum(thrust * self._step, axis=0)
        speed = self._speed(walk)
        self._walk = walk[-1]
        slower = np.vstack([before, speed[:-1]])
        middle = (slower + speed) / 2

        turn[:_HOME_STEPS] += self._homewards() / (_HOME_STEPS * self._step)
        limit = np.minimum(MOST_TURN, MOST_SIDEWAYS / np.maximum(middle, 1))
        change = np.clip(turn, -limit, limit) * self._step * np.minimum(middle, 1)
        heading = self._heading + np.cumsum(change, axis=0)
        direction = heading - change / 2
        distance = middle * self._step / EARTH_RADIUS
        latitude = self._latitude + np.cumsum(distance * np.cos(direction), axis=0)
        on_the_way = (np.vstack([self._latitude, latitude[:-1]]) + latitude) / 2
        longitude = self._longitude + np.cumsum(distance * np.sin(direction) / np.cos(on_the_way), axis=0)
        self._latitude, self._longitude = latitude[-1], longitude[-1]
        self._heading = np.mod(heading[-1], 2 * np.pi)
        return Leg(latitude, longitude, speed, heading)

    def _speed(self, walk: Floats) -> Floats:
        """Fold a walk back between the lowest and the highest value, and cut off what is below 0."""
        span = self._highest - _STANDING
        folded = span - np.abs(np.mod(walk - _STANDING, 2 * span) - span)
        return np.maximum(folded + _STANDING, 0)

    def _homewards(self) -> Floats:
        """Return the angle by which each vehicle that has strayed has to turn; 0 for the others."""
        north = self._home_latitude - self._latitude
        east = (self._home_longitude - self._longitude) * np.cos(self._latitude)
        angle = np.mod(np.arctan2(east, north) - self._heading + np.pi, 2 * np.pi) - np.pi
        return np.where(np.hypot(north, east) * EARTH_RADIUS > STRAY, angle, 0.0)

    @staticmethod
    def _between(first: Floats, knots: Floats) -> npt.NDArray[np.float64]:
        """Return a value for each step, straight from knot to knot."""
        ends = np.vstack([first, knots])
        share = np.arange(1, _KNOT_STEPS + 1)[:, np.newaxis] / _KNOT_STEPS
        values = ends[:-1, np.newaxis] + share * np.diff(ends, axis=0)[:, np.newaxis]
        return np.asarray(values.reshape(-1, ends.shape[1]))
