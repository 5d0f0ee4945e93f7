"""Records as lines: as they came, or their fields as CSV, as JSON lines, or in a template."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from schemas.elements.frames import RECORD, Batch
from schemas.text.lines import join_lines
from schemas.text.records import find_records
from sinks.files.json_text import json_lines, json_text
from transforms.untyped.json_fields import FIELD, JSON
from transforms.untyped.numbers import is_number

Style = Literal["raw", "csv", "jsonl", "text"]
STYLES: tuple[Style, ...] = ("csv", "jsonl", "text")
_STYLES: dict[str | None, Style] = {"csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl"}
_LINE_BREAKS = r"[\r\n]+"
#: How a cell begins that a spreadsheet works out.
_FORMULA = r"^[=+\-@\t\r]"


class Layout(NamedTuple):
    """How records are written.

    Attributes:
        style: as they came (``raw``), or how their fields are.
        columns: the fields, in order.
        numbers: those of them that JSON has as numbers, where their values are.
        template: of the style ``text``: literal texts and names of fields in turn, a literal first.
        declared: whether somebody said which ones are numbers, so that those with an exponent are, too.
        csv_safe: of the style ``csv``: whether no spreadsheet may take a field for a formula.
    """

    style: Style = "raw"
    columns: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()
    template: tuple[str, ...] = ()
    declared: bool = False
    csv_safe: bool = False


def style_of(form: str | None) -> Style | None:
    """Return the style that writes the columns of records, for the ending of a file or the name of a style."""
    return _STYLES.get(form)


def parse_template(text: str) -> tuple[str, ...]:
    """Parse a template such as ``{time}: {item} at {price}``; ``{{`` and ``}}`` are braces.

    >>> parse_template("{time}: {item}")
    ('', 'time', ': ', 'item', '')

    Raises:
        ValueError: it is none, or asks for more than fields, as ``{price:>9}`` and ``{item.name}`` do.
    """
    parts = [""]
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"cannot read the template {text!r}: {str(error).lower()}") from None
    for literal, field, spec, conversion in pieces:
        parts[-1] += literal
        if field is None:
            continue
        if not field or spec or conversion or any(mark in field for mark in ".[]"):
            raise ValueError(f"expected fields such as {{item}}, and nothing else in braces, got {text!r}")
        parts += [field, ""]
    if len(parts) == 1:
        raise ValueError(f"expected a template with a field such as {{item}}, got {text!r}")
    if "\n" in text or "\r" in text:
        raise ValueError(f"a template is one line, got {text!r}")
    return tuple(parts)


def renderer(layout: Layout | None) -> Callable[[Batch], bytes]:
    """Return what makes lines of batches; without a layout, their rows as JSON, less columns that begin with ``_``.

    A record is one line: a line break in a field, which only JSON can have, becomes a blank in CSV and text.
    """
    return row_lines if layout is None else partial(render_lines, layout=layout)


def row_lines(batch: Batch) -> bytes:
    """Return the rows of a batch as lines of JSON."""
    return json_lines(batch.rows.select(name for name in batch.rows.columns if not name.startswith("_")))


def render_lines(batch: Batch, layout: Layout) -> bytes:
    """Return the lines of a batch, which has a row."""
    if layout.style == "csv":
        fields = (_one_line(name).alias(f"c{at}") for at, name in enumerate(layout.columns))
        return csv_lines(batch.rows.select(fields), safe=layout.csv_safe)
    if layout.style == "jsonl":
        lines = pl.concat_str(pl.lit("{"), pl.concat_str(_members(batch.rows, layout), separator=","), pl.lit("}"))
    elif layout.style == "text":
        template = layout.template
        lines = pl.concat_str(
            _one_line(part).fill_null("") if at % 2 else pl.lit(part) for at, part in enumerate(template)
        )
    else:
        return raw_lines(batch)
    text: str = batch.rows.select(lines.str.join("\n")).item()
    return text.encode() + b"\n"


def raw_lines(batch: Batch) -> bytes:
    """Return the records of a batch just as they came."""
    data = batch.block.data
    lines = find_records(data, batch.block.dialect)
    which = np.zeros(len(lines.starts), bool)
    which[batch.rows[RECORD].to_numpy()] = True
    joined = join_lines(data, lines, which)
    return joined if joined.endswith(b"\n") else joined + b"\n"


def header_line(layout: Layout) -> bytes:
    """Return the header row of a CSV file."""
    names = pl.DataFrame({f"c{at}": [name] for at, name in enumerate(layout.columns)})
    return csv_lines(names, safe=layout.csv_safe)


def csv_lines(rows: pl.DataFrame, *, safe: bool = False) -> bytes:
    r"""Return rows of texts as CSV, quoted where they have to be; what is missing is empty.

    >>> csv_lines(pl.DataFrame({"a": ["=1+2"], "b": ["-3.5"]}), safe=True)
    b"'=1+2,-3.5\n"

    Args:
        rows: the texts.
        safe: whether ``'`` goes before what a spreadsheet would take for a formula; it takes numbers for numbers.
    """
    if safe:
        rows = rows.select(_guarded(pl.col(name)).alias(name) for name in rows.columns)
    if rows.width == 1:  # an empty line would be no record
        rows = rows.fill_null("")
    return rows.write_csv(include_header=False, null_value="").encode()


def _guarded(text: pl.Expr) -> pl.Expr:
    is_formula = text.str.contains(_FORMULA) & ~is_number(text, declared=True)
    return pl.when(is_formula).then(pl.concat_str(pl.lit("'"), text)).otherwise(text)


def _members(rows: pl.DataFrame, layout: Layout) -> Iterator[pl.Expr]:
    present = set(rows.columns)
    for name in layout.columns:
        value = pl.col(JSON + name) if JSON + name in present else _value(name, layout)
        yield pl.concat_str(pl.lit(f"{json.dumps(name, ensure_ascii=False)}:"), value)


def _value(name: str, layout: Layout) -> pl.Expr:
    text = pl.col(FIELD + name)
    quoted = json_text(text, pl.String())
    if name not in layout.numbers:
        return quoted
    return pl.when(is_number(text, declared=layout.declared)).then(text).otherwise(quoted)


def _one_line(name: str) -> pl.Expr:
    return pl.col(FIELD + name).str.replace_all(_LINE_BREAKS, " ")
