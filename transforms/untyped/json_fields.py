"""Fields of JSON objects, many at once, just as they are written: where lines have the same keys in one order."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import polars as pl

from schemas.elements.frames import RECORD
from transforms.parse.parser import ODD, RAW
from transforms.parse.patterns import LINE, Pattern

#: Before the names of columns, so that none is that of a column of ours.
FIELD = "."
#: Before those of the same fields as JSON, where the records are.
JSON = ":"
#: A line with more fields is read one by one.
_MOST_FIELDS = 64
_GROUPS = "_groups"
#: Keys that are written as they are.
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')
_BLANK = r"[ \t]*"
_OTHER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null"
#: What is read, and what is passed over, which may have escapes; but none that may be half a character.
_READ = rf'("[^"\\\x00-\x1f]*"|{_OTHER})'
_ESCAPE = r'\\(?:["\\/bfnrt]|u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))'
_PASSED = rf'(?:"(?:[^"\\\x00-\x1f]|{_ESCAPE})*"|{_OTHER})'


def find_pattern(line: str, read: Collection[str], taken: Collection[str] | None) -> Pattern | None:
    """Return the pattern of objects with the same keys in the same order; None where this is no flat object.

    Args:
        line: a record.
        read: the columns that are wanted.
        taken: those that are no surprise; all others are read, too. None where none is a surprise.
    """
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, _Pairs) or len(pairs) > _MOST_FIELDS:
        return None
    keys = [key for key, _ in pairs]
    is_flat = not any(isinstance(value, list) for _, value in pairs)
    if not is_flat or len(set(keys)) < len(keys) or not all(map(_PLAIN_KEY.fullmatch, keys)):
        return None
    wanted = tuple(key for key in keys if key in read or (taken is not None and key not in taken))
    parts = [f'"{pl.escape_regex(key)}"{_BLANK}:{_BLANK}{_READ if key in wanted else _PASSED}' for key in keys]
    body = f"{_BLANK},{_BLANK}".join(parts)
    return Pattern(rf"^{_BLANK}\{{{_BLANK}{body}{_BLANK}\}}{_BLANK}()$", wanted)


def read_fields(pattern: Pattern, lines: pl.DataFrame, columns: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the fields of the lines that the pattern matches, and the lines that it does not match.

    The columns of the fields are those of :class:`transforms.untyped.fields.FieldParser`, and under RAW and their names
    those of the pattern, as they are written.
    """
    groups = pl.col(_GROUPS).struct
    raw = [groups[place].alias(RAW + name) for place, name in enumerate(pattern.columns)]
    found = (
        lines.lazy()
        .with_columns(pl.col(LINE).str.extract_groups(pattern.regex).alias(_GROUPS))
        .select(RECORD, LINE, *raw, groups[len(pattern.columns)].is_null().alias(ODD))
        .collect()
    )
    fields: list[pl.Expr] = []
    for name in columns:
        written = pl.col(RAW + name) if name in pattern.columns else pl.lit("null")
        text = written.str.strip_prefix('"').str.strip_suffix('"')
        fields += [pl.when(written != "null").then(text).alias(FIELD + name), written.alias(JSON + name)]
    kept = found.filter(~pl.col(ODD)).select(RECORD, pl.selectors.starts_with(RAW), *fields)
    return kept, found.filter(pl.col(ODD)).select(RECORD, LINE)


class _Pairs(list[tuple[str, Any]]):
    """The fields of a JSON object, in order."""
