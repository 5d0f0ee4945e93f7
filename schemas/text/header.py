"""Telling a header row from a record, and what its columns are called."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.record_type import RecordType

_YEARS = range(1900, 2101)


def clean_names(words: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns, blanks and quotes around them left out; one without a name has its number.

    >>> clean_names(["", " item ", '"price"'])
    ('column_1', 'item', 'price')
    """
    bare = [word.strip().strip('"').strip() for word in words]
    return tuple(name or f"column_{number}" for number, name in enumerate(bare, 1))


def is_number_like(text: str) -> bool:
    """Return whether a text begins as numbers, dates and times do."""
    return text[:1].isdigit() or text[:1] in ("+", "-", ".")


def is_header(words: Sequence[str], rows: Sequence[Sequence[str]], *, is_sure: bool = False) -> bool:
    """Return whether the first row names the columns of the others.

    No name looks like a number, unless several are years. Some columns may have no name, or all names be texts among
    texts: then a column of numbers below a word settles it, and otherwise a word that comes again in its column is a
    value.

    Args:
        words: the fields of the first row, blanks around them left out.
        rows: those of the others.
        is_sure: whether only a column of numbers below a word will do.
    """
    named = [word for word in words if word]
    years = [int(word) for word in named if word.isascii() and word.isdigit() and int(word) in _YEARS]
    is_years = len(years) > 1 and years == sorted(set(years))
    if not named or any(is_number_like(word) and not (is_years and word.isdigit()) for word in named):
        return False
    contrasts = any(_is_numeric(at, rows) for at, word in enumerate(words) if word and not is_number_like(word))
    if is_years:
        return all(_is_numeric(at, rows) for at, word in enumerate(words) if word.isdigit()) and not any(
            row[at].strip() in map(str, _YEARS) for row in rows for at, word in enumerate(words) if word.isdigit()
        )
    if contrasts or is_sure:
        return contrasts
    if len(named) < len(words) or len(set(words)) < len(words):
        return False
    others = [row for row in rows if [word.strip() for word in row] != list(words)]
    return not any(word == row[at].strip() for row in others for at, word in enumerate(words))


def _is_numeric(at: int, rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a column has numbers, and nothing else."""
    values = [value for row in rows if (value := row[at].strip())]
    return bool(values) and all(map(is_number_like, values))


def match_names(names: tuple[str, ...], record_type: RecordType) -> tuple[str, ...]:
    """Return the names in their order, or none where the columns stand as usual, however some are called here."""
    order = record_type.names
    is_usual = len(names) == len(order) and all(
        name == usual or name not in order for name, usual in zip(names, order, strict=True)
    )
    wanted = {record_type.event_time, *record_type.typed} - {""}
    if is_usual or len(set(names)) < len(names) or not wanted <= set(names):
        return ()
    return names
