"""Parsing the delimited blocks that need no parser of quotes: only the fields that somebody looks at are cut."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.records import Column
from sources.block import Block
from sources.fields import MOST_BYTES, as_texts, cut_fields, find_alike
from sources.scan import Flags, Lines, Ranks, Words, are_utf8, find_bits
from transforms.columns import fast_type, looks_odd
from transforms.frames import RECORD
from transforms.parsing import BlockParser

_ODD, _WANTED = "_odd", "_wanted"


class CuttingParser(BlockParser):
    """Decides about the texts that the filter reads, each combination once, and cuts the other fields of what stays."""

    def can_cut(self, block: Block) -> bool:
        """Tells whether the block is one in UTF-8 without quotes that count."""
        dialect = block.dialect
        return (
            not (dialect.quoted and b'"' in block.data)
            and (dialect.encoding == "utf-8" or block.data.isascii())
            and dialect.separator.isascii()
            and len(block.data) <= MOST_BYTES
        )

    def parse_cut(self, block: Block, all_lines: Lines) -> tuple[pl.DataFrame | None, Flags]:
        """Gives the rows that are wanted or need a second look (these are _ODD), and which lines were parsed."""
        data, dialect = block.data, block.dialect
        width = len(self._type.order(dialect))
        separators = find_bits(data, ord(dialect.separator))
        # There are none between the lines, so that one look per line is enough.
        is_plain = np.diff(Ranks(separators).before(all_lines.stops), prepend=0) == width - 1
        if not _is_utf8(data):
            is_plain &= are_utf8(data, all_lines)
        if not is_plain.any():
            return None, is_plain
        lines = all_lines if is_plain.all() else all_lines.only(is_plain)
        first = self._cut(block, separators, lines, self._first)
        is_odd, is_wanted = self._decide(block, first, len(lines.starts))
        kept = np.flatnonzero(is_wanted)
        then = self._cut(block, separators, lines.only(is_wanted), self._then)
        texts = {name: views[kept] for name, views in first.items()} | then
        raw = pl.LazyFrame(
            [
                pl.Series(RECORD, kept.astype(np.uint32)),
                pl.Series(_ODD, is_odd[kept]),
                *(as_texts(data, views).alias(_raw(name)) for name, views in texts.items()),
            ]
        )
        is_odd_then = [looks_odd(column, _raw(column.name), column.name) for column in self._then]
        rows = (
            raw.with_columns(*self._typed(block, (*self._first, *self._then)), *self._arrived(block))
            .with_columns(pl.any_horizontal(_ODD, *is_odd_then).alias(_ODD))
            .select(*self._output, _ODD)
            .collect()
        )
        return rows.with_columns(_copied(column) for column in rows if column.dtype == pl.String), is_plain

    def _cut(self, block: Block, separators: Words, lines: Lines, columns: tuple[Column, ...]) -> dict[str, Words]:
        """Cuts the fields of some columns, by their names."""
        order = self._type.order(block.dialect)
        places = {column.name: order.index(column.name) for column in columns}
        fields = cut_fields(block.data, separators, lines, places.values(), len(order))
        return {name: fields[place] for name, place in places.items()}

    def _decide(self, block: Block, fields: dict[str, Words], count: int) -> tuple[Flags, Flags]:
        """Tells which rows look odd, and which of all are to be kept."""
        time = [column for column in self._first if self._name(column.name) not in self._reads]
        reads = [column for column in self._first if column not in time]
        alike = find_alike(count, [fields[column.name] for column in reads])
        ones = np.flatnonzero(alike == np.arange(count))
        raw = pl.LazyFrame(
            [
                pl.Series(RECORD, ones),
                *(as_texts(block.data, fields[column.name][ones]).alias(_raw(column.name)) for column in reads),
            ]
        )
        is_odd_one = [looks_odd(column, _raw(column.name), self._name(column.name)) for column in reads]
        decided = (
            raw.with_columns(*self._typed(block, reads), *self._arrived(block))
            .with_columns(pl.any_horizontal(pl.lit(value=False), *is_odd_one).alias(_ODD))
            .with_columns((pl.col(_ODD) | self._where).alias(_WANTED))
            .collect()
        )
        number = np.empty(count, np.int64)
        number[ones] = np.arange(len(ones))
        number = number[alike]
        is_odd, is_wanted = (decided[name].to_numpy()[number] for name in (_ODD, _WANTED))
        for column in time:
            texts = as_texts(block.data, fields[column.name]).to_frame(_raw(column.name))
            is_odd_time = texts.select(looks_odd(column, _raw(column.name), "")).to_series().to_numpy()
            is_odd, is_wanted = is_odd | is_odd_time, is_wanted | is_odd_time
        return is_odd, is_wanted

    def _typed(self, block: Block, columns: Iterable[Column]) -> list[pl.Expr]:
        return [self._or_arrival(c, fast_type(c, _raw(c.name)), block).alias(self._name(c.name)) for c in columns]


def _raw(name: str) -> str:
    return f"_raw_{name}"


def _copied(texts: pl.Series) -> pl.Series:
    """Gives the same texts without the data that they were cut from."""
    return pl.Series(texts.name, texts.to_arrow())


def _is_utf8(data: bytes) -> bool:
    borders = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.Array.from_buffers(pa.string(), 1, [None, borders, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
