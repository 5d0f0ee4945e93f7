"""Encounters: which visitors met a server error in which hour, counted exactly for the truth file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

import numpy as np

from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import Facts, Times
from simulators.engine.byte_layout import Ints

_FIRST_ERROR, _LAST_ERROR = 500, 599
_HOUR_SECONDS, _DAY_HOURS, _WEEKDAYS = 3_600, 24, 5
#: Bits for the number of a visitor, behind those of the hour.
_VISITOR_BITS = 40


@dataclass
class Encounters:
    """Distinct visitors that met a 5xx, by hour; each is kept, eight bytes for every visitor and hour.

    Attributes:
        statuses: responses by status code.
        met: the numbers of the visitors by hour since the epoch, UTC, each once and in order.
    """

    statuses: Ints = field(default_factory=lambda: np.zeros(1_000, np.int64))
    met: dict[int, Ints] = field(default_factory=dict)

    def add(self, facts: Facts, times: Times) -> None:
        """Add responses, in any order."""
        status = facts["status"]
        self.statuses += np.bincount(status, minlength=len(self.statuses))
        failed = (status >= _FIRST_ERROR) & (status <= _LAST_ERROR)
        hour = times[failed] // (_HOUR_SECONDS * MICROS_PER_SECOND)
        pairs = np.unique((hour << _VISITOR_BITS) | facts["visitor"][failed])
        hours, begins = np.unique(pairs >> _VISITOR_BITS, return_index=True)
        for each, visitors in zip(hours.tolist(), np.split(pairs & (1 << _VISITOR_BITS) - 1, begins[1:]), strict=False):
            known = self.met.get(each)
            self.met[each] = visitors if known is None else np.union1d(known, visitors)

    def to_json(self) -> dict[str, object]:
        """Return the responses by status, and the visitors that met an error.

        They are given by date and hour, and by hour of the day, 0 to 23: of mondays to fridays, and of all days.
        """
        by_hour = {"mon-fri": [0] * _DAY_HOURS, "all": [0] * _DAY_HOURS}
        by_date_and_hour = {}
        for each, visitors in sorted(self.met.items()):
            moment = datetime.fromtimestamp(each * _HOUR_SECONDS, timezone.utc)
            by_date_and_hour[f"{moment:%Y-%m-%d %H}"] = len(visitors)
            by_hour["all"][moment.hour] += len(visitors)
            if moment.weekday() < _WEEKDAYS:
                by_hour["mon-fri"][moment.hour] += len(visitors)
        return {
            "statuses": {str(status): int(self.statuses[status]) for status in np.flatnonzero(self.statuses).tolist()},
            "visitors_by_hour_of_day": by_hour,
            "visitors_by_date_and_hour": by_date_and_hour,
        }
