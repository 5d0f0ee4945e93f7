"""Live totals as a table and, right below it, which keys are the first of them: redrawn together, in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from schemas.elements.frames import Result
from sinks.console.screen import PaintTable
from sinks.console.tables import printed, shown_value
from sinks.files.table_layout import require
from transforms.rank import Ranking, best

_GAP = "  "


@dataclass(frozen=True, kw_only=True)
class PaintRanked(PaintTable):
    """A table of the best rows, and below it a line per ranking; both are of one result, so they always fit together.

    Attributes:
        key: the column that tells the rows apart.
        rankings: which keys are told to be the first, and by what; their names are the words for it.
    """

    key: str
    rankings: tuple[Ranking, ...]

    def __call__(self, shown: Result, before: Result | None, width: int, color: bool) -> str:
        """Return the lines of the table, and those below."""
        require(shown.rows, [self.key, *self.columns, *(ranking.by for ranking in self.rankings)])
        ranks = [(ranking, best(shown.rows, self.key, ranking)) for ranking in self.rankings]
        rounded = [pl.col(name).round(places) for name, places in self.places.items()]
        table = super().__call__(shown, before, width, color)
        grid = Table.grid(padding=(0, 2, 0, 0))
        labels = [f"first by {ranking.name}" for ranking, _ in ranks]
        room = max(map(len, labels), default=0)
        grid.add_column(no_wrap=True, min_width=room)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(width - room - len(_GAP), 1))
        for label, (ranking, rows) in zip(labels, ranks, strict=True):
            texts = [
                f"{shown_value(name)} {shown_value(value)}"
                for name, value in rows.with_columns(rounded).select(self.key, ranking.by).iter_rows()
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
