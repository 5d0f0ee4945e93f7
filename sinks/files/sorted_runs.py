"""Sorting results by window although they do not fit into memory: sorted runs of them, merged a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from schemas.elements.frames import Result, register_fields
from schemas.elements.spill import read_slice, spill
from sinks.files.atomic import SinkError
from sinks.files.table_layout import WINDOW_COLUMNS, concat_alike, lay_out_all

#: So many rows are merged at a time, unless one window has more; a row group of Parquet has so many at most.
PART_ROWS = 100_000
_RESULTS = {"start": pl.Int64, "end": pl.Int64, "pane": pl.Int64, "rows": pl.Int64}
_WINDOW = ("start", "end")


class Run(NamedTuple):
    """Results in the order of their windows, their rows laid out one after the other.

    Attributes:
        results: a row per result: ``start`` and ``end`` of its window in microseconds, ``pane``, and how many ``rows``.
        rows: the rows; of those in a file only the columns.
        path: the file of Arrow IPC with the rows; empty where they are in memory.
    """

    results: pl.DataFrame
    rows: pl.DataFrame
    path: str = ""

    @classmethod
    def of(cls, results: Sequence[Result], key: tuple[str, ...]) -> Run:
        """Return the run of some results, in memory.

        Raises:
            ValueError: a key column is missing, or the columns of two results do not go together.
        """
        first = -(2**63)
        ordered = sorted(results, key=lambda result: (*(first if at is None else at for at in result[:2]), result.pane))
        bounds = [(*result[:3], result.rows.height) for result in ordered]
        return cls(pl.DataFrame(bounds, _RESULTS, orient="row"), lay_out_all(ordered, key)[0])

    def spilled(self, folder: str | None = None) -> Run:
        """Return the same run, its rows in a new file.

        Args:
            folder: where; by default where this process has its temporary files.

        Raises:
            SinkError: it cannot be written.
        """
        try:
            path = spill(self.rows, folder)
        except OSError as error:
            raise SinkError(str(error)) from error
        return self._replace(rows=self.rows.clear(), path=path)

    def slice(self, offset: int, rows: int) -> pl.DataFrame:
        """Return some of the rows."""
        return read_slice(self.path, offset, rows) if self.path else self.rows.slice(offset, rows)


register_fields(Run)


class Merge:
    """The rows of several runs in the order of window and key, a part at a time.

    Of several results of a window those of the highest pane count. How rows are cut into parts depends on how many of
    them each window has, and not on the runs that they come in.

    Attributes:
        columns: a frame without rows that has the columns of all.
    """

    def __init__(self, runs: Sequence[Run], key: tuple[str, ...]) -> None:
        """Plan what is merged with what.

        Raises:
            ValueError: the columns of two runs do not go together.
        """
        self._runs = runs
        self._order = (*WINDOW_COLUMNS, *key)
        self.columns = concat_alike([run.rows.clear() for run in runs])
        self._plan = _plan([run.results for run in runs])

    @property
    def height(self) -> int:
        """How many rows there are."""
        return int(self._plan["rows"].sum())

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the rows, PART_ROWS or some more at a time, and at most as many of a large window."""
        for _, pieces in self._plan.group_by("part", maintain_order=True):
            found = pieces.select("run", "offset", "rows").rows()
            if pieces["is_sorted"].all() and len(found) == 1:
                run, offset, height = found[0]
                for start in range(offset, offset + height, PART_ROWS):
                    yield self._piece(run, start, min(PART_ROWS, offset + height - start))
                continue
            rows = pl.concat([self._piece(*piece) for piece in found])
            yield from rows.sort(self._order, maintain_order=True).iter_slices(PART_ROWS)

    def _piece(self, run: int, offset: int, height: int) -> pl.DataFrame:
        return self._runs[run].slice(offset, height).cast(self.columns.schema)


def _plan(runs: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return which rows of which run are in each part: ``part``, ``run``, ``offset``, ``rows``, ``is_sorted``.

    They are not if a window has several results in one run.
    """
    rows = pl.col("rows")
    whole = pl.concat(
        results.with_columns(pl.lit(number).alias("run"), (rows.cum_sum() - rows).alias("offset"))
        for number, results in enumerate(runs)
    )
    newest = whole.filter(pl.col("pane") == pl.col("pane").max().over(_WINDOW)).sort(*_WINDOW, "run", "offset")
    part = ((rows.cum_sum() - rows) // PART_ROWS).first().over(_WINDOW)
    placed = newest.with_columns(part.alias("part"), pl.len().over(_WINDOW).alias("results"))
    placed = placed.sort("part", "run", "offset")
    is_next = pl.col("offset") == (pl.col("offset") + rows).shift(1)
    is_new = ~is_next.fill_null(value=False)
    return (
        placed.with_columns(is_new.over("part", "run").cum_sum().alias("piece"))
        .group_by("part", "run", "piece", maintain_order=True)
        .agg(pl.col("offset").first(), rows.sum(), (pl.col("results") == 1).all().alias("is_sorted"))
    )
