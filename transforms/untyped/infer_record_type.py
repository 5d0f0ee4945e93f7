"""The type of records that nobody has described: from the head of a file, and from what is done with their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

import polars as pl

from schemas.elements.block import Block, Span
from schemas.forms.json_lines import JSON_LINES
from schemas.http import ACCESS_LOG
from schemas.record_type import Column, ColumnKind, RecordType
from schemas.text.dialect_options import DialectOptions
from schemas.time_formats import COMMON_TIMES, TimeFormat
from transforms.parse.parser import check_names
from transforms.parse.values import POLARS_TYPES
from transforms.untyped.fields import FieldParser
from transforms.untyped.infer_schema import NOTHING_SAID, InputForm, Shape, find_shape, head_of
from transforms.untyped.json_fields import FIELD, JSON
from transforms.untyped.numbers import is_number
from transforms.untyped.sql_allowed import SQL_ERRORS, sql_expression
from transforms.untyped.sql_condition import Condition

#: How records are written, where access logs are among what there may be.
TypedForm = Literal["csv", "jsonl", "log"]
_NUMBERS: tuple[ColumnKind, ...] = ("integer", "decimal")
#: A whole number that is written in the one usual way, so that its text and its value tell the same keys apart.
_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"


class Use(NamedTuple):
    """What somebody does with a column: its kind, where that was said; whether it is a key; whether it is added up."""

    column: str
    kind: ColumnKind | None = None
    is_key: bool = False
    is_number: bool = False


def infer_record_type(
    paths: Sequence[str],
    uses: Sequence[Use] = (),
    *,
    form: TypedForm | None = None,
    names: str = "",
    time: str = "",
    times: TimeFormat = COMMON_TIMES,
    where: str = "",
    written: DialectOptions = NOTHING_SAID,
) -> RecordType:
    """Return the type of the records of files, or of live input that is described well enough.

    A column is a number if every value in the head of the first file is one, in JSON only where none is a string. Keys
    of delimited records are texts, since 007 and 7 are two.

    Args:
        paths: the files; none for live input.
        uses: what is done with columns; none for a type that has all that there are.
        form: how records are written; by default what the files look like.
        names: the columns, as :func:`transforms.untyped.infer_schema.parse_names` takes them; by default the files'.
        time: the column with the event time; empty for none.
        times: how that is written; an access log has its own way.
        where: a condition in SQL that will be asked of the records; empty for none.
        written: what was said of how records are written.

    Raises:
        ValueError: a column is not there, cannot be all that is wanted of it, or nobody knows how records are written.
        OSError: a file cannot be read.
    """
    seen: Mapping[str, ColumnKind]
    if form == "log":
        shape, seen = Shape("csv", ACCESS_LOG.names), {name: ACCESS_LOG.column(name).kind for name in ACCESS_LOG.names}
        time = ACCESS_LOG.event_time
    else:
        shape = find_shape(paths, cast("InputForm | None", form), names, time, written=written)
        seen = _kinds_of(paths, shape) if paths else dict.fromkeys(shape.numbers, "decimal")
    known = shape.names if shape.form == "csv" else ()
    numbers = [name for name, kind in seen.items() if kind in _NUMBERS]
    condition = Condition(where, numbers, known) if where else None
    wanted = condition.kinds if condition else {}
    if time in wanted:
        raise ValueError(f"the condition {where!r} is about the event time {time!r}, which it cannot be")
    uses = uses or [Use(name) for name in shape.names]
    used = [name for name in dict.fromkeys((*(use.column for use in uses), *wanted)) if name != time]
    for name in used:
        if known and name not in known:
            raise ValueError(f"there is no column {name!r}, only {', '.join(known)}")
    columns = []
    for name in used:
        here = [use for use in uses if use.column == name]
        if wanted.get(name) == "number":
            here.append(Use(name, is_number=True))
        kind = "boolean" if wanted.get(name) == "boolean" else seen.get(name, "text")
        columns.append(Column(name, kind_for(here, kind, keeps_text=shape.form == "csv")))
    if condition:
        _check_condition(where, columns)
    if any(use.is_key and use.column == time for use in uses):
        raise ValueError(f"{time!r} is the event time, which is no key: windows cut it")
    if form == "log":
        return ACCESS_LOG
    timed = (Column(time, "time", required=True),) if time else ()
    if shape.form == "jsonl":
        names_of_json = (*(column.name for column in timed), *used)
        found = RecordType("record", names_of_json, (*timed, *columns), time, times, form=JSON_LINES, written=written)
    else:
        found = RecordType("record", shape.names, (*timed, *columns), time, times, separator=",", written=written)
    check_names(used, found)
    return found


def kind_for(uses: Sequence[Use], seen: ColumnKind, *, keeps_text: bool) -> ColumnKind:
    """Return the kind of a column: what was said, else what it is used for, else what its values look like.

    Raises:
        ValueError: there is none that is good for all.
    """
    said = sorted({use.kind for use in uses if use.kind})
    is_key, is_number = any(use.is_key for use in uses), any(use.is_number for use in uses)
    if len(said) > 1:
        raise ValueError(f"{uses[0].column!r} cannot be both {said[0]} and {said[1]}: say one of them")
    if said:
        return said[0]
    if is_key and keeps_text and not is_number:
        return "text"
    if is_key and is_number and seen != "integer":
        name = uses[0].column
        raise ValueError(f"{name!r} is a key, which is a text, and a number elsewhere: say {name}:decimal")
    if is_key:
        return seen
    return "decimal" if is_number or seen in _NUMBERS else seen


def _check_condition(text: str, columns: Sequence[Column]) -> None:
    """See that a condition makes sense with columns of these kinds.

    Raises:
        ValueError: it does not.
    """
    nothing = pl.DataFrame(schema={column.name: POLARS_TYPES[column.kind] for column in columns})
    try:
        nothing.select(sql_expression(text))
    except SQL_ERRORS as error:
        kinds = ", ".join(f"{column.name}:{column.kind}" for column in columns if column.name in text)
        raise ValueError(f"the condition {text!r} makes no sense with {kinds}: {str(error).splitlines()[0]}") from None


def _kinds_of(paths: Sequence[str], shape: Shape) -> dict[str, ColumnKind]:
    """Return the kind of each column that has a value in the head of the files.

    Raises:
        OSError: a file cannot be read.
    """
    chunk = head_of(paths, shape)
    if chunk is None or chunk.fault or not shape.names:
        return {}
    block = Block(chunk.data, (Span(0, paths[chunk.piece], 0),), chunk.dialect)
    rows = FieldParser(shape, shape.names)(block).rows
    found: dict[str, ColumnKind] = {}
    for name in shape.names:
        texts = rows[FIELD + name].drop_nulls()
        if len(texts):
            is_string = shape.form == "jsonl" and rows[JSON + name].str.starts_with('"').any()
            found[name] = "text" if is_string else kind_of(texts)
    return found


def kind_of(texts: pl.Series) -> ColumnKind:
    """Return the kind that all of these texts are."""
    if texts.str.contains(_INTEGER).all():
        return "integer"
    if texts.to_frame().select(is_number(pl.all()).all()).item():
        return "decimal"
    return "boolean" if texts.is_in(["true", "false"]).all() else "text"
