"""Asking a job for its metrics, once a second, as long as it runs."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from pages.jobs.balance import Balance, read_metrics

#: What a run prints where it has ``--metrics-port``.
METRICS = "metrics: "
_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0
#: The rate that is shown is that of so long.
_RATE_SECONDS = 5.0


class Metrics:
    """Asks, in a thread of its own, until it is closed."""

    def __init__(self, url: str, show: Callable[[Balance, str], None]) -> None:
        """Begin.

        Args:
            url: of the metrics, as the run has printed it.
            show: is told the balance, and why the run is stuck, if it is.
        """
        self._netloc = urlsplit(url).netloc
        self._show = show
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="metrics of a job", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _ask(self) -> None:
        while not self._closed.wait(_SECONDS):
            try:
                balance = read_metrics(self._get("/metrics"))
                stuck = "" if balance.is_healthy else str(json.loads(self._get("/health"))["reason"])
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                continue  # it is about to end, or too busy to answer
            if not self._closed.is_set():
                self._show(replace(balance, rate=self._rate(balance.counts.get("read", 0))), stuck)

    def _rate(self, read: int) -> int:
        now = time.monotonic()
        self._seen.append((now, read))
        while len(self._seen) > 2 and self._seen[1][0] < now - _RATE_SECONDS:  # noqa: PLR2004
            self._seen.popleft()
        then, before = self._seen[0]
        return round((read - before) / max(now - then, 1e-9))

    def _get(self, path: str) -> str:
        connection = http.client.HTTPConnection(self._netloc, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()
