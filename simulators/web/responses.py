"""Responses of a web server in columns, and how they are written: as JSON lines, or in the common log format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

import numpy as np

from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import Batch, Facts
from simulators.engine.byte_layout import SECONDS_OF_DAY, Ints, Piece, Texts, lay_out, table

LogForm = Literal["json", "clf"]
#: What is remembered of each response: who got it (a number for each IP address), and which.
FACTS = np.dtype([("visitor", np.int64), ("status", np.int64)])
#: Responses of a batch; a fixed number, so that faults fall on the same ones every time.
BATCH_ROWS = 65_536
DAY_SECONDS = 86_400

_STATUSES = table(f"{status:03}" for status in range(1_000))
# Month names do not depend on the locale in a log.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses in the order in which they were given.

    Attributes:
        second: of each, since the epoch, UTC.
        visitor: a number for each IP address.
        address: what prints the IP address.
        status: the status code.
        request: what prints the request line and the size of the response, where a log shows them.
    """

    second: Ints
    visitor: Ints
    address: tuple[Piece, ...]
    status: Ints
    request: tuple[Piece, Piece] = ("GET / HTTP/1.1", "-")

    def to_batch(self, form: LogForm, *, facts: bool) -> Batch:
        """Return the records, as JSON lines or in the common log format."""
        data = _LAYOUTS[form](self) if len(self.second) else b""
        return Batch(data, self.second * MICROS_PER_SECOND, self._facts() if facts else None)

    def _facts(self) -> Facts:
        facts = np.empty(len(self.second), FACTS)
        facts["visitor"] = self.visitor
        facts["status"] = self.status
        return facts


def _json_lines(responses: Responses) -> bytes:
    day, second = _day_and_second(responses.second, _iso_day)
    return lay_out(
        [
            *('{"time":"', day, " ", second, '","ip":"', *responses.address, '","status_code":'),
            *((_STATUSES, responses.status), "}\n"),
        ],
        len(responses.second),
    )


def _log_lines(responses: Responses) -> bytes:
    day, second = _day_and_second(responses.second, _log_day)
    line, size = responses.request
    return lay_out(
        [
            *(*responses.address, " - - [", day, ":", second, ' +0000] "', line, '" '),
            *((_STATUSES, responses.status), " ", size, "\n"),
        ],
        len(responses.second),
    )


_LAYOUTS: dict[LogForm, Callable[[Responses], bytes]] = {"json": _json_lines, "clf": _log_lines}


def _day_and_second(moment: Ints, write: Callable[[datetime], str]) -> tuple[Piece, Piece]:
    day, second = np.divmod(moment, DAY_SECONDS)
    first, last = int(day.min()), int(day.max())
    days: Texts = table(
        write(datetime.fromtimestamp(each * DAY_SECONDS, timezone.utc)) for each in range(first, last + 1)
    )
    written: Piece = days[0].decode() if first == last else (days, day - first)
    return written, (SECONDS_OF_DAY, second)


def _iso_day(day: datetime) -> str:
    return day.date().isoformat()


def _log_day(day: datetime) -> str:
    return f"{day.day:02}/{_MONTHS[day.month - 1]}/{day.year:04}"
