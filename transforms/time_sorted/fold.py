"""What a fold is: a state that rows go into in the order of their event time, and what comes out of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import polars as pl

from schemas.elements.frames import EVENT_TIME, Frames

#: So many rows are folded at once, unless more of them have one moment: what a fold works out takes many times a row.
PART_ROWS = 200_000


class FoldOutput(NamedTuple):
    """Rows for one of the outputs of a fold.

    Attributes:
        output: which one.
        window_start: the window that the rows are about, in microseconds; None for all time.
        window_end: the same, exclusive.
        rows: the key columns and the values.
    """

    output: str
    window_start: int | None
    window_end: int | None
    rows: pl.DataFrame


class Fold(Protocol):
    """What becomes of rows that come in order. It is pure and can be pickled; a state is some frames by name."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it gives; each becomes a PCollection."""

    def begin(self) -> Frames:
        """Return the state before the first row."""

    def fold(self, state: Frames, rows: pl.DataFrame, until: int | None) -> tuple[Frames, list[FoldOutput]]:
        """Return the state after some rows, and what is final.

        The rows are those of :func:`in_order`. All before ``until``, in microseconds, have come; with None, all there
        are. However rows are cut between moments, all pieces together have to be the same in the end.
        """

    def peek(self, settled: Frames, ahead: Frames) -> list[FoldOutput]:
        """Return how it stands: the state of what is settled, and the one with the rows that still wait, too."""


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows by ascending EVENT_TIME, those of one moment by their other columns, in the order that these have.

    So it does not matter how they came.

    >>> in_order(pl.DataFrame({"kind": [2, 1, 0], EVENT_TIME: [7, 7, 8]}))["kind"].to_list()
    [1, 2, 0]
    """
    return rows.sort(EVENT_TIME, *(name for name in rows.columns if name != EVENT_TIME))


def between(rows: pl.DataFrame, since: int | None, until: int | None) -> pl.DataFrame:
    """Return the rows from ``since`` on and before ``until``, in microseconds; None is no bound."""
    micros = pl.col(EVENT_TIME).to_physical()
    if since is not None:
        rows = rows.filter(micros >= since)
    return rows if until is None else rows.filter(micros < until)


def fold_in_parts(fold: Fold, state: Frames, rows: pl.DataFrame, until: int | None) -> tuple[Frames, list[FoldOutput]]:
    """Return what ``fold.fold`` gives, in memory for PART_ROWS at a time; moments stay whole."""
    times, start = rows[EVENT_TIME].to_physical(), 0
    pieces: list[FoldOutput] = []
    while rows.height - start > PART_ROWS:
        newest = times[start + PART_ROWS - 1]
        end = int(times.search_sorted(newest, "left"))
        if end == start:
            end = int(times.search_sorted(newest, "right"))
        state, given = fold.fold(state, rows[start:end], int(times[end - 1]) + 1)
        pieces += given
        start = end
    state, given = fold.fold(state, rows[start:], until)
    return state, pieces + given
