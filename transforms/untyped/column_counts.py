"""Columns that records turn out to have: those that no output takes, and those that somebody asked for.

What columns there are is known from the heads of files. JSON may bring others later, and a header row may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from apache_beam.metrics import Metrics

#: The namespace of the metrics. What stands before the names of columns in it: of how many records one was left out; in
#: how many one was looked for that was asked for, and in how many of those it was.
NAMESPACE = "columns"
LEFT_OUT, LOOKED_FOR, FOUND = "left out:", "looked for:", "found:"
#: Before the key of a table to join: of how many records it had no row.
UNMATCHED = "unmatched:"
#: So many columns are told apart: somebody may have made keys of numbers.
MOST_NAMES = 100
OTHERS = "others"


@dataclass
class ColumnWatch:
    """Count the columns of records, as a parser reads them; it pickles.

    Attributes:
        taken: the columns that outputs take, where they take all that were known; None where somebody chose them.
        asked: the columns of JSON that somebody named, which need not be known.
    """

    taken: frozenset[str] | None = None
    asked: tuple[str, ...] = ()
    _told: set[str] = field(default_factory=set, repr=False)

    def left_out(self, names: Collection[str]) -> list[str]:
        """Return the names of columns that no output takes; those beyond MOST_NAMES are OTHERS."""
        found = []
        for name in names if self.taken is not None else ():
            if name in self.taken:  # type: ignore[operator]
                continue
            if len(self._told) < MOST_NAMES:
                self._told.add(name)
            found.append(name if name in self._told else OTHERS)
        return found


def count_columns(counts: Mapping[str, int]) -> None:
    """Add to the metrics; to be called inside a bundle."""
    for name, number in counts.items():
        Metrics.counter(NAMESPACE, name).inc(number)


def never_found(counts: Mapping[str, int]) -> list[str]:
    """Return the columns that were looked for and were in no record."""
    asked = [name.removeprefix(LOOKED_FOR) for name in counts if name.startswith(LOOKED_FOR)]
    return sorted(name for name in asked if not counts.get(FOUND + name))


def never_written(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the columns that no output took, and how many records had them; the most frequent first."""
    found = Counter({name.removeprefix(LEFT_OUT): n for name, n in counts.items() if name.startswith(LEFT_OUT)})
    return dict(found.most_common())


def never_matched(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the keys of joined tables, and how many records had no row there."""
    return {name.removeprefix(UNMATCHED): n for name, n in sorted(counts.items()) if name.startswith(UNMATCHED)}
