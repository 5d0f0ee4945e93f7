"""What damage does to lines of a log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulators.engine.damage import _LOG_STATUS, _LOG_TIME, _NO_LOG_TIMES, _NO_LOGS, _NO_STATUSES, _one_of


@dataclass(frozen=True)
class LogDamage:
    """Cuts lines of an access log before the status, gives what is none, spoils the IP address, time or status."""

    def __call__(self, line: bytes, rng: np.random.Generator) -> bytes:
        """Return a damaged line; never one with a line feed in it."""
        kind = int(rng.integers(5))
        status = _LOG_STATUS.search(line)
        if kind == 0 and status is not None:
            return line[: int(rng.integers(1, status.start() + 2))]
        if kind in {0, 1}:
            return _one_of(_NO_LOGS, rng)
        if kind == 2:  # noqa: PLR2004
            return b"10.0.300.1" + line[line.index(b" ") :]
        if kind == 3:  # noqa: PLR2004
            return _LOG_TIME.sub(_one_of(_NO_LOG_TIMES, rng), line, count=1)
        return _LOG_STATUS.sub(_one_of(_NO_STATUSES, rng), line, count=1)
