"""Live totals as a table and, right below it, which keys are the first of them: redrawn together, in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
import polars as pl
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from schemas.elements.frames import Result
from sinks.console.screen import ShowFn, screen_token
from sinks.console.tables import printed, render, shown_value
from sinks.files.table_layout import require
from transforms.rank import Ranking, best

_GAP = "  "


@dataclass(frozen=True)
class _PaintRanked:
    options: PrintRanked

    def __call__(self, shown: Result, before: Result | None, width: int, color: bool) -> str:  # noqa: ARG002
        options = self.options
        require(shown.rows, [options.key, *options.columns, *(ranking.by for ranking in options.rankings)])
        ranks = [(ranking, best(shown.rows, options.key, ranking)) for ranking in options.rankings]
        rounded = [pl.col(name).round(places) for name, places in options.places.items()]
        rows = shown.rows.with_columns(rounded)
        table = render(shown._replace(rows=rows), options.top, options.by, width, color, options.name, options.columns)
        grid = Table.grid(padding=(0, 2, 0, 0))
        labels = [f"first by {ranking.name}" for ranking, _ in ranks]
        room = max(map(len, labels), default=0)
        grid.add_column(no_wrap=True, min_width=room)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(width - room - len(_GAP), 1))
        for label, (ranking, rows) in zip(labels, ranks, strict=True):
            texts = [
                f"{shown_value(name)} {shown_value(value)}"
                for name, value in rows.with_columns(rounded).select(options.key, ranking.by).iter_rows()
            ]
            if ranking.top > 1:
                texts = [f"{place}. {text}" for place, text in enumerate(texts, 1)]
            lines = "\n".join(_lines(texts, width - room - len(_GAP)))
            grid.add_row(Text(label, "dim" if color else ""), Text(lines))
        return table + printed(grid, width, color)


def _lines(texts: Sequence[str], width: int) -> Iterator[str]:
    """Return the texts, several in a line where they have room."""
    line = ""
    for text in texts:
        longer = f"{line}{_GAP}{text}" if line else text
        if line and cell_len(longer) > width:
            yield line
            longer = text
        line = longer
    yield line


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Result)
@dataclass(eq=False)
class PrintRanked(beam.PTransform):
    """Print the newest result as :class:`~sinks.console.screen.PrintLive` does, and below it a line per ranking.

    Both are of one result, so they always fit together.

    Attributes:
        name: what is shown, in words; other ones of the pipeline have other names.
        key: the column that tells the rows apart.
        rankings: which keys are told to be the first, and by what; their names are the words for it.
        top: how many rows the table has.
        by: the column whose greatest values are the best.
        columns: which columns to show; all, if none is named.
        places: to how many places the values of a column are rounded where they are shown.
        place: those with lower numbers stand above those with higher ones.

    Raises:
        ValueError: when made, ``top`` is not positive; when run, the results have no such column.
        SinkError: when run, nothing can be printed, as when the reader of a pipe has gone.
    """

    name: str
    key: str
    rankings: tuple[Ranking, ...]
    top: int = 20
    by: str = "spend"
    columns: tuple[str, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)
    place: int = 0

    def __post_init__(self) -> None:
        """Check the number."""
        super().__init__()
        if self.top < 1:
            raise ValueError(f"top must be positive, got {self.top}")

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        show = ShowFn(screen_token(pcoll.pipeline), self.name, _PaintRanked(self), self.place)
        return pcoll | "ShowRanked" >> beam.ParDo(show)
