"""The newest windows as tables, one below the other: the newest window first, its best rows first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import polars as pl

from schemas.elements.frames import Result
from sinks.console.screen import screen_of, screen_token
from sinks.console.tables import PLAIN_COLUMNS, PRINTING, is_terminal, print_whole, render


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass(eq=False)
class PrintNewest(beam.PTransform):
    """Print the newest windows as tables of their best rows, redrawn in place, and hand each result on.

    However many windows a bundle has, only the newest are printed: a replay gives all of them at its end. Where the
    output is no terminal, each change is a block of lines, with the windows that have changed.

    Attributes:
        name: what is shown, in words; other ones of the pipeline have other names.
        windows: how many to show.
        top: how many rows to show of each.
        by: the column whose greatest values are the best; rows with equal ones stand in the order of their key.
        place: those with lower numbers stand above those with higher ones.

    Raises:
        ValueError: when made, a number is not positive; when run, the results have no such column.
        SinkError: when run, nothing can be printed, as when the reader of a pipe has gone.
    """

    name: str
    windows: int = 3
    top: int = 5
    by: str = "spend"
    place: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__init__()
        for name in ("windows", "top"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        return pcoll | "ShowNewest" >> beam.ParDo(_ShowNewestFn(screen_token(pcoll.pipeline), self))


class Newest:
    """The newest windows, and how they are painted: of each window its newest result."""

    def __init__(self, options: PrintNewest) -> None:
        """Begin with none."""
        self.name = options.name
        self._options = options
        self._results: dict[tuple[int, int], Result] = {}
        self._pane = 0

    def take(self, results: Sequence[Result]) -> list[Result]:
        """Take results; return those that are shown from now on and were not, the newest first."""
        changed = {}
        for result in results:
            key = (result.window_end or 0, result.window_start or 0)
            known = self._results.get(key)
            if known is None or result.pane > known.pane:
                self._results[key] = result
                if known is None or result.final or not result.rows.equals(known.rows):
                    changed[key] = result
        # Of those with the same newest record the first; the others are of a time that has not come.
        firsts: dict[int | tuple[int], int] = {}
        for (end, *_), result in sorted(self._results.items(), key=lambda item: item[0]):
            firsts.setdefault((result.times[1],) if result.times else end, end)
        ends = sorted(firsts.values())[-self._options.windows :]
        self._results = {key: self._results[key] for key in sorted(self._results, reverse=True) if key[0] in ends}
        return [result for key, result in self._results.items() if key in changed]

    def whole(self) -> Result:
        """Return all that is shown as one result, newer than the one before."""
        self._pane += 1
        rows = pl.concat([result.rows for result in self._results.values()])
        return Result(None, None, self._pane, False, rows)

    def __call__(self, shown: Result, before: Result | None, width: int, color: bool) -> str:  # noqa: ARG002
        """Paint them all."""
        return self.text(list(self._results.values()), width, color)

    def text(self, results: Sequence[Result], width: int, color: bool) -> str:
        """Return the tables of some results."""
        options = self._options
        return "\n".join(render(result, options.top, options.by, width, color, options.name) for result in results)


#: By pipeline and name: the windows of a table are one on the terminal, which is one for the whole process.
_newest: dict[tuple[str, str], Newest] = {}


class _ShowNewestFn(beam.DoFn):
    def __init__(self, token: str, options: PrintNewest) -> None:
        self._token = token
        self._options = options

    def start_bundle(self) -> None:
        self._results: list[Result] = []

    def process(self, element: Result) -> Iterator[Result]:
        self._results.append(element)
        yield element

    def finish_bundle(self) -> None:
        if not self._results:
            return
        name = self._options.name
        with PRINTING:
            newest = _newest.setdefault((self._token, name), Newest(self._options))
            changed = newest.take(self._results)
            if changed and is_terminal():
                screen_of(self._token).show(name, newest.whole(), newest, self._options.place)
            elif changed:
                print_whole(newest.text(changed, PLAIN_COLUMNS, False) + "\n")
        self._results = []
