"""Keeping one copy of what comes more than once: as retries, replays and at-least-once deliveries make it come."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import polars as pl
from apache_beam.coders import PickleCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindows

from schemas.elements.frames import EVENT_TIME, NO_BLOCK, RECORD, Batch, FrameCoder
from schemas.elements.wiring import check_elements, known_rows, tell_rows, try_on
from schemas.times import parse_duration
from transforms.aggregate.live import is_live, not_before
from transforms.counting import DUPLICATE, LATE, count_rows, counting
from transforms.late import SplitLate
from transforms.stateful import StatefulFn
from transforms.time_sorted.fold import in_order
from transforms.windows import Windows

#: Bounded input is compared in so many parts, one after the other.
BUCKETS = 16
#: So many frames of kept keys become one: who has to read them reads few.
MOST_FRAMES = 1_000
_ROW, _COUNTED = "_row", "_is_counted"
Numbers = npt.NDArray[np.int64]


@dataclass
class Deduplicate(beam.PTransform):
    """Keep one of the rows that have the same values in some columns, and event times less than ``within`` apart.

    For example::

        purchases | Deduplicate(by=("transaction_id",), within="10m")

    Gives a dict of two PCollections: ``records``, of :class:`Batch`, and ``late``, of :class:`Rejected` with the raw
    records. The others are counted as duplicates. No two rows that are kept have the same key and times less than
    ``within`` apart, and each duplicate has one that was kept so near, however the input is cut and ordered. So of
    copies that all lie within that time just one is kept. A row without a value in one of the columns is no duplicate.

    Of live input the copy is kept that arrives first, at once; of those in one block, the first in event time. Of
    bounded input it is the first in event time, and of several at that moment the least of their columns. So both
    keep the same if copies are the same in all columns, and may keep another copy, or of copies that spread over more
    than ``within`` another number, if not.

    Keys are forgotten when the watermark has passed them by ``within`` and the lateness: what is held does not grow. A
    row that comes behind the watermark by more than the lateness could be a copy of what was forgotten, and is late.
    Rows of bounded input have no raw record afterwards; those of live input keep it.

    Attributes:
        by: the columns that tell what is the same.
        within: a duration such as ``10m``; times of copies are less than that apart.
        lateness_micros: how far behind the watermark a row may come; ``within``, if none is given.
    """

    by: tuple[str, ...]
    within: str
    lateness_micros: int | None = None

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: there is no column, ``within`` is no positive duration, or the lateness is negative.
        """
        super().__init__()
        if isinstance(self.by, str) or not self.by:
            raise ValueError(f'by must be columns such as ("transaction_id",), got {self.by!r}')
        self.by = tuple(self.by)
        self._within = parse_duration(self.within)
        if not self._within:
            raise ValueError(f"within must be positive, got {self.within!r}")
        if self.lateness_micros is not None and self.lateness_micros < 0:
            raise ValueError(f"lateness_micros must not be negative, got {self.lateness_micros} us")

    def expand(self, batches: beam.PCollection) -> dict[str, beam.PCollection]:
        """Split off what is late, and compare the others: live under one key, which has all that is known."""
        check_elements(batches, "Deduplicate", Batch)
        try_on(batches, "Deduplicate", lambda rows: rows.select(_columns(self.by)))
        lateness = self._within if self.lateness_micros is None else self.lateness_micros
        timely = batches | "SplitLate" >> SplitLate(Windows(1), lateness)
        in_all_time = timely["records"] | "AllTime" >> beam.WindowInto(GlobalWindows())
        if is_live(batches):
            keyed = in_all_time | "OneKey" >> beam.Map(lambda batch: (0, batch)).with_output_types(tuple[int, Batch])
            kept = counting(keyed, "Deduplicate", DeduplicateFn(self.by, self._within, lateness), {"records": Batch})
        else:
            parts = in_all_time | "Buckets" >> beam.ParDo(_BucketsFn(self.by))
            grouped = parts | "Copies" >> beam.GroupByKey()
            kept = counting(grouped, "Deduplicate", _AtEndFn(self.by, self._within), {"records": Batch})
        return {"records": tell_rows(kept["records"], known_rows(batches)), "late": timely["late"]}


def are_first(rows: pl.DataFrame, kept: pl.DataFrame, by: Sequence[str], within: int) -> pl.Series:
    """Return for each row whether it is kept: neither near a row that was kept before, nor near one of these.

    These go by event time, those of one moment by their order.

    Args:
        rows: they have the columns ``by`` and EVENT_TIME.
        kept: the columns ``by`` and EVENT_TIME of what was kept before; no two of one key are near.
        by: what is the same in copies.
        within: copies are less than so many microseconds apart.
    """
    keys = rows.select(_columns(by)).with_row_index(_ROW).cast({_ROW: pl.Int64}).drop_nulls(by)
    known = kept.join(keys, by, how="semi") if kept.height else keys.clear().drop(_ROW)
    again = keys.filter(pl.struct(by).is_duplicated())
    doubted = pl.concat([again, keys.join(known, by, how="semi")]).unique() if known.height else again
    mask = np.ones(rows.height, bool)
    if doubted.height:
        old = known.select(pl.lit(-1, pl.Int64).alias(_ROW), pl.all())
        both = pl.concat([old, doubted]).sort(*by, EVENT_TIME, _ROW)
        groups, times = both.select(pl.struct(by).rle_id().cast(pl.Int64).alias(_ROW), _micros()).get_columns()
        numbers = both[_ROW].to_numpy()
        mask[numbers[numbers >= 0]] = False
        mask[numbers[_first(groups.to_numpy(), times.to_numpy(), numbers < 0, within)]] = True
    return pl.Series(mask)


def _columns(by: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*by, EVENT_TIME)))


def _micros() -> pl.Expr:
    return pl.col(EVENT_TIME).to_physical().fill_null(0)


def _first(groups: Numbers, times: Numbers, is_old: npt.NDArray[np.bool_], within: int) -> Numbers:
    """Return the numbers of the new rows that are kept, of rows sorted by group, time and whether they are new."""
    places = np.arange(len(times))
    before = np.maximum.accumulate(np.where(is_old, places, -1))
    after = np.minimum.accumulate(np.where(is_old, places, len(times))[::-1])[::-1]
    is_near = np.zeros(len(times), bool)
    for other in (before, after):
        at = np.clip(other, 0, len(times) - 1)
        is_near |= (other == at) & (groups[at] == groups) & (np.abs(times[at] - times) < within)
    fresh = places[~is_old & ~is_near]
    return fresh[_far_apart(groups[fresh], times[fresh], within)]


def _far_apart(groups: Numbers, times: Numbers, within: int) -> npt.NDArray[np.bool_]:
    """Return which rows are kept if each one takes with it those less than ``within`` behind it in its group.

    The next one after each row is known at once. Those that are reached from the first are found in steps of one, two,
    four and so on, so that a group of any length takes few.
    """
    number = len(times)
    is_kept = np.zeros(number + 1, bool)
    if not number:
        return is_kept[:-1]
    is_kept[0] = True
    # Of rows and of the times where they end to matter, sorted together, those before an end are as many rows.
    order = np.lexsort((np.repeat([1, 0], number), np.append(times, times + within), np.append(groups, groups)))
    rows_before = np.cumsum(order < number)
    following = np.empty(number + 1, np.int64)
    ends = order >= number
    following[order[ends] - number] = rows_before[ends]
    following[number] = number
    for _ in range(number.bit_length()):
        is_kept[following[np.flatnonzero(is_kept)]] = True
        following = following[following]
    return is_kept[:-1]


class _Known(NamedTuple):
    """What is known without reading the keys; times in microseconds.

    Attributes:
        token: names the keys as they are; a worker that remembers them need not read them.
        frames: how many frames they are in.
        wakes: when the timer fires; None if it is not set.
        forgotten: the watermark when keys were last forgotten; None for never.
    """

    token: str = ""
    frames: int = 0
    wakes: int | None = None
    forgotten: int | None = None


@beam.typehints.with_output_types(Batch)
class DeduplicateFn(StatefulFn):
    """Take (key, batch), in the global window, and give the rows that are no copies of earlier ones, at once."""

    KEPT = BagStateSpec("deduplicate_kept", FrameCoder())
    KNOWN = ReadModifyWriteStateSpec("deduplicate_known", PickleCoder())
    FORGET = TimerSpec("deduplicate_forget", TimeDomain.WATERMARK)

    def __init__(self, by: Sequence[str], within: int, lateness: int) -> None:
        """Take the columns, and in microseconds how near copies are, and how far behind the watermark rows may be."""
        super().__init__()
        self._by = tuple(by)
        self._within = within
        self._lateness = lateness

    def setup(self) -> None:
        """Begin with nothing remembered."""
        super().setup()
        self._remembered: tuple[str, pl.DataFrame] = ("", pl.DataFrame())

    def process(
        self,
        element: tuple[int, Batch],
        kept: Any = beam.DoFn.StateParam(KEPT),
        known: Any = beam.DoFn.StateParam(KNOWN),
        forget: Any = beam.DoFn.TimerParam(FORGET),
    ) -> Iterator[Any]:
        """Give the rows of a batch that are no copies, and keep their keys."""
        now, batch = known.read() or _Known(), element[1]
        if now.forgotten is not None:
            # No source gives such a row, but somebody's own elements may be behind the watermark as far as they like.
            timely = batch.rows.filter(_micros() + self._lateness >= now.forgotten)
            yield from count_rows(LATE, batch, batch.rows.height - timely.height)
            batch = batch._replace(rows=timely)
        keys = self._read(now, kept)
        rows = batch.rows.filter(are_first(batch.rows, keys, self._by, self._within))
        yield from count_rows(DUPLICATE, batch, batch.rows.height - rows.height)
        if not rows.height:
            return
        added = rows.select(_columns(self._by)).drop_nulls(self._by)
        keys = pl.concat([keys, added]) if keys.width else added
        now = self._write(now, kept, keys, added)
        known.write(self._set_timer(now, added, forget))
        yield batch._replace(rows=rows)

    @on_timer(FORGET)
    def forget_keys(
        self,
        kept: Any = beam.DoFn.StateParam(KEPT),
        known: Any = beam.DoFn.StateParam(KNOWN),
        forget: Any = beam.DoFn.TimerParam(FORGET),
    ) -> None:
        """Forget the keys of which no timely row can be a copy."""
        now = known.read()
        keys = self._read(now, kept).filter(_micros() + self._within + self._lateness > now.wakes)
        now = self._write(now._replace(wakes=None, forgotten=now.wakes), kept, keys, None)
        known.write(self._set_timer(now, keys, forget))

    def _read(self, now: _Known, kept: Any) -> pl.DataFrame:
        """Return all keys; a frame without columns if there are none."""
        if self._remembered[0] != now.token:
            frames = list(kept.read())
            self._remembered = (now.token, pl.concat(frames) if frames else pl.DataFrame())
        return self._remembered[1]

    def _write(self, now: _Known, kept: Any, keys: pl.DataFrame, added: pl.DataFrame | None) -> _Known:
        """Put down all keys: those that were added, or all anew."""
        frames = now.frames + 1
        if added is None or frames > MOST_FRAMES:
            kept.clear()
            frames, added = 1, keys
        if added.width:
            kept.add(added)
        # A name that nobody else gives: a bundle that is tried again has other keys than the one that failed.
        token = uuid.uuid4().hex
        self._remembered = (token, keys)
        return now._replace(token=token, frames=frames)

    def _set_timer(self, now: _Known, keys: pl.DataFrame, forget: Any) -> _Known:
        """Wake when half of some keys can be forgotten, or before: so each is written anew some few times in all.

        One with a wrong clock does not make the others stay.
        """
        if not keys.height:
            return now
        half = int(keys.select(_micros().sort().gather(keys.height // 2)).item())
        wakes = not_before(half + self._within + self._lateness)
        if now.wakes is not None and wakes.micros >= now.wakes:
            return now
        forget.set(wakes)
        return now._replace(wakes=wakes.micros)


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(tuple[int, pl.DataFrame])
class _BucketsFn(beam.DoFn):
    """Give the rows of each bucket, the copies together, with whether they were counted."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = tuple(by)

    def process(self, batch: Batch) -> Iterator[tuple[int, pl.DataFrame]]:
        rows = batch.rows.with_columns(pl.lit(batch.is_counted).alias(_COUNTED))
        bucket = rows.select(pl.struct(self._by).hash(0) % BUCKETS).to_series()
        for number in bucket.unique():
            yield number, rows.filter(bucket == number)


@beam.typehints.with_output_types(Batch)
class _AtEndFn(beam.DoFn):
    """Give the rows of a bucket of bounded input that are no copies, when all are there."""

    def __init__(self, by: Sequence[str], within: int) -> None:
        self._by = tuple(by)
        self._within = within

    def process(self, element: tuple[int, Iterable[pl.DataFrame]]) -> Iterator[Any]:
        rows = in_order(pl.concat(element[1]).select(pl.exclude(RECORD), RECORD))
        is_first = are_first(rows, pl.DataFrame(), self._by, self._within)
        for (is_counted,), part in rows.with_columns(is_first.alias(_ROW)).partition_by(_COUNTED, as_dict=True).items():
            kept = part.filter(_ROW).drop(_ROW, _COUNTED)
            yield from count_rows(DUPLICATE, Batch(kept, NO_BLOCK, is_counted=is_counted), part.height - kept.height)
            if kept.height:
                yield Batch(kept, NO_BLOCK, is_counted=is_counted)
