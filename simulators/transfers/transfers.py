"""Transfers of a bank as a stream: JSON lines, made some thousand at a time in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from schemas.bank import CURRENCY, REGIONS, check_regions
from schemas.times import MICROS_PER_SECOND
from simulators.engine.batch import Batch, Facts, Times
from simulators.engine.byte_layout import Ints, Piece, Texts, lay_out, table
from simulators.engine.number_text import cents_as_json, padded, utc, whole
from simulators.engine.start_time import DEFAULT_START, END, begun, check_start
from sources.pacing import Pace

Values = Literal["uniform", "lognormal"]
Fields = Literal["short", "full"]

DEFAULT_ROWS = 100_000
#: Seconds from one transfer to the next.
DEFAULT_GAP = (0.01, 3.0)
#: What is remembered of each transfer: the place of its region, its value in cents.
FACTS = np.dtype([("region", np.int64), ("cents", np.int64)])

_BATCH_ROWS = 8_192
#: All numbers of 7 digits are accounts.
_FIRST_ACCOUNT, _LAST_ACCOUNT = 1_000_000, 9_999_999
_MOST_UNIFORM_CENTS = 1_000_000
_MEDIAN_CENTS, _SPREAD = 25_000, 1.6
_MOST_CENTS = 9_999_999_999
_CHANNELS = ("online", "mobile", "branch", "atm", "standing order")
_CHANNEL_SHARES = np.cumsum([0.42, 0.33, 0.08, 0.05, 0.12])
_PEOPLE = 8_192
# What scatters neighbouring accounts over regions and people, always the same way (Knuth's multiplicative hash).
_SCATTER, _SCATTER_BITS = 2_654_435_769, 32
_STREAM = 9_041


@dataclass(frozen=True)
class Transfers:
    r"""Transfers between accounts; the same options give the same bytes, and fewer rows the beginning of them.

    An account always belongs to the same region and the same person. The clock of the stream is its own: it begins at
    ``start`` and goes on as ``pace`` says (a rate, or an interval between two transfers), so that a stream that is
    sent at that pace (of the same seed), from that moment on, has the times at which its transfers leave.

    Attributes:
        rows: how many; 0 goes on until the calendar ends.
        seed: of everything that is drawn.
        regions: names and probabilities, which add up to 1.
        values: ``uniform`` from 0.01 to 10000, or ``lognormal`` around 250 up to 99999999.99.
        fields: ``short`` has account, region and value; ``full`` has all.
        start: microseconds since the epoch; None is the moment at which somebody begins to take the batches.
        pace: of the stream's clock; where it says neither rate nor interval, :data:`DEFAULT_GAP` between two transfers.

    Example:
        >>> next(Transfers(rows=1).batches()).data
        b'{"account_id": 1031222, "account_region": "Eurasia Trade Zone", "transaction_value": 9053.88}\n'
    """

    rows: int = DEFAULT_ROWS
    seed: int = 0
    regions: Mapping[str, float] = field(default_factory=lambda: REGIONS)
    values: Values = "uniform"
    fields: Fields = "short"
    start: int | None = DEFAULT_START
    pace: Pace = Pace()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is out of its range, or a library is missing.
        """
        for name in ("rows", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name, known in (("values", get_args(Values)), ("fields", get_args(Fields))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, got {getattr(self, name)!r}")
        check_start(self.start)
        check_regions(self.regions)
        if self.fields == "full":
            _names(self.seed)

    @property
    def preamble(self) -> bytes:
        """Nothing: JSON lines have no header row."""
        return b""

    def batches(self, *, facts: bool = False, times: bool = True) -> Iterator[Batch]:  # noqa: ARG002 - they cost little
        """Yield the transfers, with their event times and, if wanted, the facts that flows add up."""
        encoder = _RowEncoder(self)
        clock = _Clock(begun(self.start), self.pace, self.seed)
        left = self.rows or None
        number = 0
        while left is None or left > 0:
            moments = clock.advance(_BATCH_ROWS if left is None else min(left, _BATCH_ROWS))
            if not len(moments):
                return
            made = self._make(number, moments)
            yield Batch(encoder.lines(made), moments, _facts(made) if facts else None)
            number += 1
            left = None if left is None else left - len(moments)

    def _make(self, number: int, moments: Times) -> _Made:
        """Return the transfers of one batch; all of a batch are drawn, however many are wanted of the last one."""
        rng = np.random.default_rng([self.seed, _STREAM, number])
        count = len(moments)
        account = rng.integers(_FIRST_ACCOUNT, _LAST_ACCOUNT, _BATCH_ROWS, endpoint=True)[:count]
        if self.values == "uniform":
            cents = rng.integers(1, _MOST_UNIFORM_CENTS, _BATCH_ROWS, endpoint=True)[:count]
        else:
            drawn = np.rint(_MEDIAN_CENTS * np.exp(rng.normal(0, _SPREAD, _BATCH_ROWS)[:count]))
            cents = np.clip(drawn, 1, _MOST_CENTS).astype(np.int64)
        bounds = np.cumsum(list(self.regions.values()))
        region = np.searchsorted(bounds / bounds[-1], _scattered(account) / 2**_SCATTER_BITS, side="right")
        first = 1 + number * _BATCH_ROWS
        # Never the account itself.
        step = rng.integers(1, _LAST_ACCOUNT - _FIRST_ACCOUNT, _BATCH_ROWS, endpoint=True)[:count]
        other = _FIRST_ACCOUNT + (account - _FIRST_ACCOUNT + step) % (_LAST_ACCOUNT - _FIRST_ACCOUNT + 1)
        channel = np.searchsorted(_CHANNEL_SHARES[:-1], rng.random(_BATCH_ROWS)[:count], side="right")
        return _Made(np.arange(first, first + count), moments, account, region, cents, other, channel)


@dataclass(frozen=True, eq=False)
class _Made:
    """Transfers as columns; regions and channels by place, values in cents."""

    number: Ints
    moments: Times
    account: Ints
    region: Ints
    cents: Ints
    other: Ints
    channel: Ints


class _Clock:
    """The moments of transfers, those at which the same pace lets them leave."""

    def __init__(self, start: int, pace: Pace, seed: int) -> None:
        self._start = start
        self._rate = pace.rate
        self._bounds = DEFAULT_GAP if pace.interval is None else pace.interval
        # As the schedule of a pace of that seed is, so that both draw the same gaps.
        self._gaps = np.random.default_rng([seed, 0])
        self._count = 0
        self._elapsed = 0.0

    def advance(self, count: int) -> Times:
        """Return the next moments in microseconds; fewer where the calendar ends."""
        if self._rate is not None:
            seconds = np.arange(self._count, self._count + count) / self._rate
            self._count += count
        else:
            gaps = self._gaps.uniform(*self._bounds, count)
            seconds = np.cumsum(np.concatenate([[self._elapsed], gaps]))
            self._elapsed = float(seconds[-1])
            seconds = seconds[:-1]
        seconds = seconds[seconds * MICROS_PER_SECOND < END - self._start]
        return self._start + np.rint(seconds * MICROS_PER_SECOND).astype(np.int64)


class _RowEncoder:
    """Prints transfers, each field by looking it up."""

    def __init__(self, transfers: Transfers) -> None:
        self._regions = table(map(json.dumps, transfers.regions))
        self._full = transfers.fields == "full"
        if self._full:
            self._channels = table(map(json.dumps, _CHANNELS))
            self._names = _names(transfers.seed)

    def lines(self, made: _Made) -> bytes:
        account = padded(made.account, 7)
        region, value = (self._regions, made.region), cents_as_json(made.cents)
        pieces: list[Piece] = ['"account_id": ', *account, ', "account_region": ', region]
        pieces += [', "transaction_value": ', *value]
        if self._full:
            number, moment = whole(made.number), utc(made.moments)
            pieces = ['"transfer_id": ', *number, ', "transfer_time": "', *moment, '", ', *pieces]
            pieces += [', "from_account": ', *account, ', "to_account": ', *padded(made.other, 7)]
            pieces += [', "from_name": ', self._name(made.account), ', "to_name": ', self._name(made.other)]
            pieces += [', "channel": ', (self._channels, made.channel), f', "currency": "{CURRENCY}"']
        return lay_out(["{", *pieces, "}\n"], len(made.account))

    def _name(self, account: Ints) -> Piece:
        return self._names, _scattered(account) % _PEOPLE


@lru_cache(maxsize=1)
def _names(seed: int) -> Texts:
    """Return people's names, as JSON; they are chosen once.

    Raises:
        ValueError: the library that knows names is not there.
    """
    try:
        from mimesis import Locale, Person  # noqa: PLC0415 - nothing else needs it
    except ImportError:
        needed = "pip install 'transaction-streams[simulators]'"
        raise ValueError(f"full fields have people's names, which need the package mimesis: {needed}") from None
    person = Person(Locale.EN, seed=seed)
    return table(json.dumps(person.full_name()) for _ in range(_PEOPLE))


def _scattered(account: Ints) -> Ints:
    return account * _SCATTER & (1 << _SCATTER_BITS) - 1


def _facts(made: _Made) -> Facts:
    facts = np.empty(len(made.account), FACTS)
    facts["region"], facts["cents"] = made.region, made.cents
    return facts
