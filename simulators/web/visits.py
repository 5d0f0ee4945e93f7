"""Visits: the days of a web server that people come to in sessions, that bots crawl, and that fails now and then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from simulators.engine.batch import Batch
from simulators.engine.byte_layout import Ints, table
from simulators.web.responses import BATCH_ROWS, DAY_SECONDS, LogForm, Responses
from simulators.web.visitors import MAX_VISITORS, Visitors, make_visitors

DEFAULT_ROWS = 200_000
DEFAULT_VISITORS = 5_000
#: A Monday.
DEFAULT_START = date(2019, 5, 6)

_EPOCH = date(1970, 1, 1).toordinal()
_SESSIONS_PER_VISITOR = 0.5
_WEEK = (1.0, 1.03, 1.05, 1.02, 0.94, 0.68, 0.76)
_FIRST_WEEKEND_DAY = 5
# How many begin a session in each hour, on working days and at the weekend.
_CURVES = (
    np.array([9, 5, 3, 2, 2, 4, 9, 20, 38, 52, 56, 54, 50, 51, 53, 52, 48, 44, 42, 46, 50, 46, 33, 18]),
    np.array([14, 9, 6, 4, 3, 3, 5, 9, 17, 29, 38, 42, 43, 44, 45, 45, 44, 43, 45, 50, 54, 48, 35, 22]),
)
# The end of a session is half an hour of silence.
_LONGEST_PAUSE_SECONDS = 1_799
_MEAN_PAGES, _MOST_PAGES = 7, 80
_LOG_PAUSE, _LOG_PAUSE_SPREAD = 2.9, 1.1

_OK, _CACHED, _FOUND, _BAD_GATEWAY = 200, 304, 302, 502
_CODES = np.array([200, 304, 301, 302, 404, 403, 401, 400, 429, 500, 503])
# What people, crawlers and scanners get when nothing is wrong, in the order of the codes.
_PEOPLE, _CRAWLER, _SCANNER = range(3)
_CHANCES = np.array(
    [
        [0.862, 0.070, 0.012, 0.022, 0.018, 0.003, 0.008, 0.003, 0.0010, 0.0006, 0.0004],
        [0.720, 0.150, 0.060, 0.010, 0.045, 0.005, 0.000, 0.002, 0.0070, 0.0006, 0.0004],
        [0.020, 0.000, 0.010, 0.010, 0.700, 0.150, 0.050, 0.050, 0.0090, 0.0006, 0.0004],
    ]
)
_OUTAGE_CODES, _OUTAGE_CHANCES = np.array([502, 503, 504, 500]), (0.5, 0.28, 0.12, 0.1)
_OUTAGE_A_DAY, _OUTAGE_SECONDS, _OUTAGE_SHARE = 0.4, (180, 4_500), (0.3, 0.9)
_DEPLOY_SECOND, _DEPLOY_SECONDS, _DEPLOY_SHARE = 10 * 3_600 + 120, 45, 0.25
_RELOAD_SHARE, _RELOAD_SECONDS = 0.5, (1, 6)
_RUNS_A_DAY, _CRAWL_PAGES, _CRAWL_PAUSE = 1.2, (40, 400), (2, 12)
_SCAN_PAGES, _SCAN_PAUSE = (60, 300), (0, 1)
_MONITOR_PAUSE = 60

_PAGES = [
    *("GET / HTTP/1.1", "GET /search HTTP/1.1", "GET /cart HTTP/1.1", "POST /cart HTTP/1.1", "GET /login HTTP/1.1"),
    *("POST /login HTTP/1.1", "GET /favicon.ico HTTP/1.1", "GET /robots.txt HTTP/1.1", "POST /checkout HTTP/1.1"),
    *(f"GET /products/{product} HTTP/1.1" for product in range(1, 120)),
]
_HOLES = ("/.env", "/.git/config", "/wp-login.php", "/admin/", "/phpmyadmin/", "/backup.zip", "/server-status")
_REQUESTS = [*_PAGES, *(f"GET {hole} HTTP/1.1" for hole in _HOLES)]
_REQUEST_TEXTS = table(_REQUESTS)
# A size for each request that is answered in full; behind them that of an answer without a body, and of an error page.
_NO_BODY, _ERROR_PAGE = len(_REQUESTS), len(_REQUESTS) + 1
_SIZES = table([*(str(1_200 + 7_919 * place % 48_000) for place in range(len(_REQUESTS))), "-", "162"])

_VISIT = np.dtype([("second", np.int64), ("visitor", np.int64), ("status", np.int64), ("request", np.int64)])
_Visits = np.ndarray[tuple[int], np.dtype[Any]]


@dataclass(frozen=True)
class Visits:
    r"""The responses of a web server, day by day; the same options give the same bytes.

    Attributes:
        rows: how many; 0 goes on until the calendar ends.
        seed: of who comes, what they do, and what fails.
        visitors: how many people there are; about half as many sessions begin on a day.
        start: the first day.
        form: ``json`` or ``clf``.

    Example:
        >>> sum(batch.rows for batch in Visits(rows=1_000).batches())
        1000
    """

    rows: int = DEFAULT_ROWS
    seed: int = 0
    visitors: int = DEFAULT_VISITORS
    start: date = DEFAULT_START
    form: LogForm = "json"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range.
        """
        for name in ("rows", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 1 <= self.visitors <= MAX_VISITORS:
            raise ValueError(f"visitors must be 1 to {MAX_VISITORS}, got {self.visitors}")

    @property
    def preamble(self) -> bytes:
        """Nothing: neither form has a header."""
        return b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - always has them
        """Yield the responses with their event times and, if wanted, the facts that a truth adds up."""
        visitors = make_visitors(self.visitors, self.seed)
        left = self.rows or None
        for day in self._days(visitors):
            for first in range(0, len(day), BATCH_ROWS):
                part = day[first : first + BATCH_ROWS][:left]
                yield _responses(part, visitors).to_batch(self.form, facts=facts)
                if left is not None:
                    left -= len(part)
                    if left <= 0:
                        return

    def _days(self, visitors: Visitors) -> Iterator[_Visits]:
        """Yield days in order of time; a session that goes on past midnight goes on in the next one."""
        open_sessions = np.empty(0, _VISIT)
        for ordinal in range(self.start.toordinal(), date.max.toordinal()):
            day = np.concatenate([open_sessions, _make_day(visitors, date.fromordinal(ordinal), self.seed)])
            day = day[np.argsort(day["second"], kind="stable")]
            ends = np.searchsorted(day["second"], (ordinal + 1 - _EPOCH) * DAY_SECONDS)
            yield day[:ends]
            open_sessions = day[ends:]


def _make_day(visitors: Visitors, day: date, seed: int) -> _Visits:
    """Return what begins on a day."""
    rng = np.random.default_rng([seed, day.toordinal()])
    visitor, begin, pages, pause, kind = (
        np.concatenate(columns)
        for columns in zip(_people(rng, visitors, day), _bots(rng, visitors), _monitor(visitors), strict=True)
    )
    session = np.repeat(np.arange(len(pages)), pages)
    first = np.cumsum(pages) - pages
    pauses = pause[session]
    drawn = np.flatnonzero(pauses < 0)
    pauses[drawn] = rng.lognormal(_LOG_PAUSE, _LOG_PAUSE_SPREAD, len(drawn)).clip(1, _LONGEST_PAUSE_SECONDS)
    pauses[first] = 0
    elapsed = np.cumsum(pauses)
    made = np.empty(len(session), _VISIT)
    made["second"] = begin[session] + elapsed - elapsed[first][session]
    made["visitor"] = visitor[session]
    each = kind[session]
    made["request"] = _draw_requests(rng, each) * (made["visitor"] != visitors.monitor)
    limits = np.cumsum(_CHANCES, axis=1)
    made["status"] = _CODES[(rng.random(len(session))[:, np.newaxis] >= limits[each, :-1]).sum(axis=1)]
    made = _fail(rng, made, day)
    made["second"] += (day.toordinal() - _EPOCH) * DAY_SECONDS
    return made


def _draw_requests(rng: np.random.Generator, kind: Ints) -> Ints:
    """Draw requests: some pages are asked for a lot; scanners look for holes. The monitor asks for the first one."""
    draw = rng.random(len(kind)) ** 3
    return np.where(kind == _SCANNER, len(_PAGES) + draw * len(_HOLES), draw * len(_PAGES)).astype(np.int64)


_Sessions = tuple[Ints, Ints, Ints, Ints, Ints]


def _people(rng: np.random.Generator, visitors: Visitors, day: date) -> _Sessions:
    """Return visitor, first second, pages, pause between pages (-1 where it is drawn) and kind of each session."""
    count = int(rng.poisson(visitors.people * _SESSIONS_PER_VISITOR * _WEEK[day.weekday()]))
    curve = _CURVES[day.weekday() >= _FIRST_WEEKEND_DAY]
    share = np.concatenate([[0.0], np.cumsum(curve) / curve.sum()])
    begin = np.interp(rng.random(count), share, np.linspace(0, DAY_SECONDS, len(share))).astype(np.int64)
    pages = rng.geometric(1 / _MEAN_PAGES, count).clip(max=_MOST_PAGES)
    drawn = np.full(count, -1)
    return visitors.draw_people(rng, count), begin, pages, drawn, np.full(count, _PEOPLE)


def _bots(rng: np.random.Generator, visitors: Visitors) -> _Sessions:
    """Return the runs of the bots behind the monitor: every other one crawls, the rest look for holes."""
    runs = rng.poisson(_RUNS_A_DAY, visitors.bots - 1)
    bot = np.repeat(np.arange(1, visitors.bots), runs)
    count = len(bot)
    is_crawler = bot % 2 == 1
    pages = np.where(is_crawler, rng.integers(*_CRAWL_PAGES, size=count), rng.integers(*_SCAN_PAGES, size=count))
    pause = np.where(is_crawler, rng.integers(*_CRAWL_PAUSE, size=count), rng.integers(*_SCAN_PAUSE, size=count))
    begin = rng.integers(DAY_SECONDS, size=count)
    return visitors.people + bot, begin, pages, pause, np.where(is_crawler, _CRAWLER, _SCANNER)


def _monitor(visitors: Visitors) -> _Sessions:
    """Return the one bot that looks once a minute whether the server is there."""
    one = np.ones(1, np.int64)
    return visitors.monitor * one, 0 * one, DAY_SECONDS // _MONITOR_PAUSE * one, _MONITOR_PAUSE * one, _CRAWLER * one


def _fail(rng: np.random.Generator, made: _Visits, day: date) -> _Visits:
    """Let responses fail in an outage, on some days, and while a new version goes live; people try again at once."""
    troubles = []
    if day.weekday() < _FIRST_WEEKEND_DAY:
        troubles.append((_DEPLOY_SECOND, _DEPLOY_SECOND + _DEPLOY_SECONDS, _DEPLOY_SHARE))
    if rng.random() < _OUTAGE_A_DAY:
        begin = int(rng.integers(DAY_SECONDS))
        end = min(begin + int(rng.integers(*_OUTAGE_SECONDS)), DAY_SECONDS)
        troubles.append((begin, end, float(rng.uniform(*_OUTAGE_SHARE))))
    for begin, end, share in troubles:
        hit = (made["second"] >= begin) & (made["second"] < end)
        hit &= rng.random(len(made)) < share
        again = made[hit & (rng.random(len(made)) < _RELOAD_SHARE)]
        again["second"] += rng.integers(*_RELOAD_SECONDS, size=len(again))
        made["status"][hit] = rng.choice(_OUTAGE_CODES, np.count_nonzero(hit), p=_OUTAGE_CHANCES)
        still = (again["second"] < end) & (rng.random(len(again)) < share)
        again["status"][still] = _BAD_GATEWAY
        made = np.concatenate([made, again])
    return made


def _responses(visits: _Visits, visitors: Visitors) -> Responses:
    status = visits["status"]
    request = visits["request"]
    size = np.where(status == _OK, request, np.where(status < 400, _NO_BODY, _ERROR_PAGE))  # noqa: PLR2004
    return Responses(
        visits["second"],
        visits["visitor"],
        ((visitors.addresses, visits["visitor"]),),
        status,
        ((_REQUEST_TEXTS, request), (_SIZES, size)),
    )
