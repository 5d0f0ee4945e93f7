"""Whether a run that came to its end is a success, by what became of its records, and why not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from schemas.forms.form import Form
from schemas.record_type import Rejected
from sources import progress as board
from transforms.counting import FILTERED, LATE, READ, REJECTED, USED
from transforms.parse.content import describe

_ALL_PERCENT = 100
_PERCENT = re.compile(r"[0-9]+(?:\.[0-9]+)?%")
#: A message of Kafka is a place of its own.
_MESSAGE = re.compile(r"\[[0-9]+\]@[0-9]+$")
_SHOWN_INPUTS = 3
#: So much of a rejected record, of its reason and of its place is shown.
_SHOWN_BYTES = 80
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class MaxRejected:
    """How many records may be rejected: so many, or so many percent of those that were read; just one of the two."""

    records: int | None = None
    percent: Decimal | None = None

    @classmethod
    def parse(cls, text: str) -> MaxRejected:
        """Return the limit of a text such as ``100`` or ``0.5%``.

        Raises:
            ValueError: it is neither a whole number nor a percentage from 0 to 100.
        """
        bare = text.strip()
        if bare.isascii() and bare.isdigit():
            return cls(records=int(bare))
        if _PERCENT.fullmatch(bare) and (percent := Decimal(bare[:-1])) <= _ALL_PERCENT:
            return cls(percent=percent)
        raise ValueError(f"expected a number of records such as 100, or 0% to 100% of them, got {text!r}")

    def __str__(self) -> str:
        """Return the text that :meth:`parse` reads."""
        return f"{self.percent}%" if self.records is None else str(self.records)

    def is_exceeded(self, rejected: int, read: int) -> bool:
        """Tell whether too many records of those that a whole run has read were rejected."""
        if self.percent is not None:
            return rejected * _ALL_PERCENT > Fraction(self.percent) * read  # a Decimal would be rounded
        return self.is_exceeded_for_good(rejected)

    def is_exceeded_for_good(self, rejected: int) -> bool:
        """Tell whether more records were rejected than may be, whatever is read after them."""
        return self.records is not None and rejected > self.records


def is_all_lost(counts: Mapping[str, int]) -> bool:
    """Tell whether records were read and none was used, nor left out because a filter did not want it."""
    return counts[READ] > 0 and not (counts[USED] or counts[FILTERED])


def find_faults(counts: Mapping[str, int], limit: MaxRejected | None, form: Form) -> list[str]:
    """Return why the run is no success although it came to its end, in a line each; none where it is one.

    Args:
        counts: the balance of the run.
        limit: how many records may be rejected, if that was said.
        form: what records were expected.
    """
    faults = []
    read, rejected = counts[READ], counts[REJECTED]
    if is_all_lost(counts):
        late = f", {counts[LATE]:,} late" if counts[LATE] else ""
        fault = f"none of {read:,} record{'' if read == 1 else 's'} could be used ({rejected:,} rejected{late})"
        faults.append(fault + _guess(form))
    if limit is not None and limit.is_exceeded(rejected, read):
        faults.append(f"{rejected:,} of {read:,} records were rejected, and --max-rejected is {limit}")
    return faults


def show_rejected(record: Rejected) -> str:
    r"""Return one line of a rejected record: its place, the reason, and the beginning of its bytes, all escaped.

    >>> show_rejected(Rejected("my.csv", 17, "not JSON", b"a,b\x00"))
    'my.csv:17: not JSON: a,b\\x00'
    >>> show_rejected(Rejected("sales[0]@5", 0, "not JSON", b"a"))
    'sales[0]@5: not JSON: a'
    """
    place = record.origin if _MESSAGE.search(record.origin) else f"{record.origin}:{record.position}"
    raw = record.raw[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    cut = "..." if len(record.raw) > _SHOWN_BYTES else ""
    return f"{_escaped(place)}: {_escaped(record.reason)}: {_escaped(raw)}{cut}"


def tell_rejected(first: Sequence[Rejected], number: int, kept: str | None, *, is_all: bool) -> list[str]:
    """Return what is said of rejected records beside their number: the first one, or the first ones of a failed run.

    Args:
        first: the first ones; none where other processes have parsed them.
        number: how many there were.
        kept: the file that they were written to, if any was asked for.
        is_all: whether no record could be used.
    """
    if not number:
        return []
    hint = "" if kept else "; --rejected PATH keeps them all"
    if not first:
        return [] if kept else ["why records were rejected is known to the workers only; --rejected PATH keeps them"]
    shown = [f"rejected: {show_rejected(record)}" for record in (first if is_all else first[:1])]
    return [*shown[:-1], shown[-1] + hint]


def tell_unread(inputs: Sequence[str]) -> str:
    """Return what is said of a run that has come to its end and has read nothing, though it had these inputs."""
    more = f" and {len(inputs) - _SHOWN_INPUTS:,} others" if len(inputs) > _SHOWN_INPUTS else ""
    return f"no record was read: there is none in {', '.join(map(_escaped, inputs[:_SHOWN_INPUTS]))}{more}"


def _guess(form: Form) -> str:
    """Return what the input of the first rejected record seems to be, where this process has seen that."""
    what = describe(board.rejected_head(), form) if board.rejected_head() else ""
    return f"; {_escaped(board.first_rejected()[0].origin)} {what}" if what else ""


def _escaped(text: str) -> str:
    """Return a text in one line, without control characters, shortened."""
    most = _SHOWN_CHARACTERS
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text[:most])
    return shown + ("..." if len(text) > most else "")
