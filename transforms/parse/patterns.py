"""Parsing lines of text that look alike: one regular expression cuts thousands, and the rest is read one by one.

What a pattern matches has to be right by its form alone, apart from texts, times and addresses, which are checked each.
So the pattern may be narrow: what it does not match is not wrong, it is only read by the slow rule.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from schemas.elements.block import Block
from schemas.elements.frames import RECORD
from schemas.record_type import Column, Rejected
from schemas.text.lines import Flags, Lines, are_utf8, find_lines, join_lines
from transforms.parse.parser import ODD, RAW, BlockParser, Parsed
from transforms.parse.values import POLARS_TYPES, read_ips

#: The column with the text of a line.
LINE = "_line"
_GROUPS = "_groups"
#: So many lines are read one by one at once: a plan costs as much as the slow rule for about as many.
FEW_LINES = 100
#: How many patterns are tried on what is left of a block, and how many lines are looked at for the next one.
_MOST_PATTERNS = 8
_SAMPLE_LINES = 8


class Pattern(NamedTuple):
    """A regular expression (of Rust's kind) and which of its groups have which columns, from 0 on.

    Its last group matches nothing, and so tells whether the line matched.
    """

    regex: str
    columns: tuple[str, ...]


class PatternParser(BlockParser):
    """Parse one block after the other with patterns, and what they do not match with ``read_record``."""

    @abstractmethod
    def find_pattern(self, line: str) -> Pattern | None:
        """Return a pattern for lines like this one, if there is one."""

    def cut(self, column: str, group: pl.Expr) -> pl.Expr:  # noqa: ARG002 - for subclasses
        """Return the text of a column as its group has it; null where it is missing."""
        return group

    @abstractmethod
    def read_texts(self, texts: pl.Series) -> pl.Series:
        """Read texts as they were cut; null where one cannot be."""

    def parse(self, block: Block) -> Parsed:
        """Parse the records of the block."""
        lines = find_lines(block.data)
        frames, slow = read_alike(
            block.data, lines, self.find_pattern, lambda pattern, texts: self._match(pattern, texts, block)
        )
        rejected: list[Rejected] = []
        if slow or not frames:
            frames.append(self._parse_slowly(block, lines, slow, rejected))
        rows = frames[0] if len(frames) == 1 else pl.concat(frames).sort(RECORD)
        return Parsed(rows, sorted(rejected), len(lines.starts))

    def _match(self, pattern: Pattern, lines: pl.DataFrame, block: Block) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows that the pattern reads and the filter lets pass, and the lines that it does not read."""
        columns = (*self._first, *self._then)
        groups = pl.col(_GROUPS).struct
        raw = {column.name: f"{RAW}{column.name}" for column in columns}
        cut = [
            self.cut(name, groups[pattern.columns.index(name)]).alias(alias)
            if name in pattern.columns
            else pl.lit(None, pl.String).alias(alias)
            for name, alias in raw.items()
        ]
        typed = {c.name: self._typed(c, pl.col(raw[c.name]), block).alias(self._name(c.name)) for c in columns}
        first = [typed.pop(column.name) for column in self._first]
        then = typed.values()
        is_odd_first = [self._looks_odd(column, pl.col(raw[column.name])) for column in self._first]
        is_odd_then = [self._looks_odd(column, pl.col(raw[column.name])) for column in self._then]
        found = (
            lines.lazy()
            .with_columns(pl.col(LINE).str.extract_groups(pattern.regex).alias(_GROUPS))
            .select(RECORD, LINE, *cut, groups[len(pattern.columns)].is_null().alias(ODD))
            .with_columns(*first, *self._arrived(block))
            .with_columns(pl.any_horizontal(ODD, *is_odd_first).alias(ODD))
            .filter(pl.col(ODD) | self._where)
            .with_columns(then)
            .with_columns(pl.any_horizontal(ODD, *is_odd_then).alias(ODD))
            .select(*self._output, LINE, ODD)
            .collect()
        )
        return found.filter(~pl.col(ODD)).select(self._output), found.filter(ODD).select(RECORD, LINE)

    def _typed(self, column: Column, raw: pl.Expr, block: Block) -> pl.Expr:
        """Return the typed column."""
        readers: dict[str, Any] = {"text": self.read_texts, "ip": read_ips, "time": self._type.times.read_many}
        if column.kind == "boolean":
            return raw == "true"
        dtype = POLARS_TYPES[column.kind]
        reader = readers.get(column.kind)
        typed = raw.cast(dtype, strict=False) if reader is None else raw.map_batches(reader, return_dtype=dtype)
        return self._or_arrival(column, typed, raw.is_null(), block)

    def _looks_odd(self, column: Column, raw: pl.Expr) -> pl.Expr:
        """Tell where the typed column cannot be taken as it is."""
        is_unread = pl.col(self._name(column.name)).is_null()
        return is_unread if column.required else raw.is_not_null() & is_unread


def read_alike(
    data: bytes,
    lines: Lines,
    find_pattern: Callable[[str], Pattern | None],
    match: Callable[[Pattern, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]],
) -> tuple[list[pl.DataFrame], list[int]]:
    """Read lines with patterns that are made of some of them; give the frames, and the numbers of the lines left.

    Args:
        data: the lines' bytes.
        lines: where they are.
        find_pattern: makes a pattern for lines like the one that it gets, if it can.
        match: reads numbered lines by a pattern; gives their frame, and the lines that it does not match.
    """
    records = len(lines.starts)
    if records <= FEW_LINES:
        return [], list(range(records))
    is_text = np.ones(records, bool)
    frames: list[pl.DataFrame] = []
    try:
        rest = line_texts(data, lines, is_text)
    except pl.exceptions.ComputeError:  # polars takes no bytes among which some are not UTF-8
        is_text = are_utf8(data, lines)
        rest = line_texts(data, lines, is_text)
    tried: set[Pattern] = set()
    while rest.height > FEW_LINES and len(tried) < _MOST_PATTERNS:
        found = filter(None, map(find_pattern, rest[LINE].head(_SAMPLE_LINES)))
        pattern = next((pattern for pattern in found if pattern not in tried), None)
        if pattern is None:
            break
        tried.add(pattern)
        rows, rest = match(pattern, rest)
        frames.append(rows)
    return frames, sorted([*np.flatnonzero(~is_text).tolist(), *rest[RECORD].to_list()])


def line_texts(data: bytes, lines: Lines, which: Flags) -> pl.DataFrame:
    """Return those of the lines as texts, with their numbers."""
    numbers = pl.Series(RECORD, np.flatnonzero(which).astype(np.uint32))
    if not len(numbers):
        return pl.DataFrame({RECORD: numbers, LINE: pl.Series([], dtype=pl.String)})
    return pl.read_lines(join_lines(data, lines, which), name=LINE).select(numbers, LINE)
