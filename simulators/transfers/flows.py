"""Flows: how many transfers were sent and how much they moved, by region, added up exactly for the truth file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulators.engine.batch import Facts, Times
from simulators.engine.sums import exact, sums_by

_CENT_PLACES = 2


@dataclass
class Flow:
    """Transfers and the cents that they moved."""

    count: int = 0
    cents: int = 0

    def add(self, count: int, cents: int) -> None:
        """Add more of them."""
        self.count += count
        self.cents += cents

    def to_json(self) -> dict[str, int | str]:
        """Return both, the sum as exact decimal text."""
        return {"count": self.count, "sum": exact(self.cents, _CENT_PLACES)}


@dataclass
class Flows:
    """The flow of each region and of all together.

    Attributes:
        names: of the regions, by the place that facts name.
        regions: flows by place.
        total: of all.
    """

    names: Sequence[str]
    regions: dict[int, Flow] = field(default_factory=dict)
    total: Flow = field(default_factory=Flow)

    def add(self, facts: Facts, _: Times) -> None:
        """Add transfers."""
        for place, count, cents in sums_by(facts["region"], facts["cents"]):
            self.regions.setdefault(place, Flow()).add(count, cents)
            self.total.add(count, cents)

    def to_json(self) -> dict[str, object]:
        """Return the flows as plain objects; a region of which nothing was sent is there with nothing."""
        flows = {name: self.regions.get(place, Flow()) for place, name in enumerate(self.names)}
        return {"regions": {name: flow.to_json() for name, flow in flows.items()}, "total": self.total.to_json()}
