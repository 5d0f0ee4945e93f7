"""Journeys: how many fixes each vehicle sent, and its speeds added up exactly for the truth file."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.engine.batch import Facts, Times
from simulators.engine.sums import exact, sums_by
from simulators.vehicles.fixes import SPEED_PLACES, vehicle_name


@dataclass
class Journeys:
    """Fixes and speeds of each vehicle.

    Attributes:
        fixes: how many, by the number of the vehicle.
        speeds: their speeds added up, in the smallest units that are printed.
    """

    fixes: dict[int, int] = field(default_factory=dict)
    speeds: dict[int, int] = field(default_factory=dict)

    def add(self, facts: Facts, _: Times) -> None:
        """Add fixes."""
        for vehicle, count, speed in sums_by(facts["vehicle"], facts["speed"]):
            self.fixes[vehicle] = self.fixes.get(vehicle, 0) + count
            self.speeds[vehicle] = self.speeds.get(vehicle, 0) + speed

    def to_json(self) -> dict[str, object]:
        """Return them as plain objects, with exact decimal text."""
        return {
            "vehicles": {
                vehicle_name(number): {"fixes": count, "sum_of_speeds": exact(self.speeds[number], SPEED_PLACES)}
                for number, count in sorted(self.fixes.items())
            }
        }
