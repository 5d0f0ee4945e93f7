"""What totals are asked for, worked out before they run: the records, the keys, the values, the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import NamedTuple, get_args

import polars as pl

from command_line.arguments import positive
from command_line.option import Group, Option
from pipelines.runtime.deduplicate import DEDUPLICATE, deduplicate
from pipelines.runtime.demo import demo_trips
from pipelines.runtime.dialect_options import dialect_options
from pipelines.runtime.lookup import read_lookup
from pipelines.runtime.options import StreamOptions
from pipelines.runtime.shared_options import TIME_FORMAT
from schemas.elements.frames import EVENT_TIME
from schemas.record_type import Column, ColumnKind, RecordType
from sinks.console.tables import PrintResults
from sinks.output import Table
from sources.files.chunks import find_files
from transforms import (
    Aggregate,
    Aggregation,
    Count,
    CountDistinct,
    Deduplicate,
    First,
    JoinTable,
    Last,
    Max,
    Mean,
    Min,
    Sum,
    TopN,
)
from transforms.join_table import How
from transforms.untyped.infer_record_type import TypedForm, Use, infer_record_type, kind_for, kind_of
from transforms.untyped.sql_allowed import sql_expression

_AGGREGATIONS: dict[str, tuple[str, Callable[[str], Aggregation]]] = {
    "sum": ("the exact sums of these columns", Sum),
    "mean": ("their means", Mean),
    "min": ("their least values", Min),
    "max": ("their greatest values", Max),
    "first": ("their earliest values in event time", First),
    "last": ("their latest values in event time", Last),
    "distinct": ("how many different values they have", CountDistinct),
}
_OF_NUMBERS = ("sum", "mean")
_KINDS: dict[str, ColumnKind] = {kind: kind for kind in get_args(ColumnKind)} | {"number": "decimal"}


class Asked(NamedTuple):
    """A column that an option names, what was said of its kind, and how many of its values are wanted."""

    option: str
    column: str
    kind: ColumnKind | None = None
    number: int = 0


def read_column(text: str, option: str = "") -> Asked:
    """Read ``zone`` or ``fare:decimal``.

    Raises:
        ValueError: there is no name, or no such kind.
    """
    name, colon, kind = text.rpartition(":") if ":" in text else (text, "", "")
    if not name or (colon and kind not in _KINDS):
        raise ValueError(f"expected a column such as zone or fare:KIND (of {', '.join(_KINDS)}), got {text!r}")
    return Asked(option, name, _KINDS.get(kind))


def read_top(text: str) -> Asked:
    """Read ``5:fare``.

    Raises:
        ValueError: it is written otherwise.
    """
    number, _, name = text.partition(":")
    if not name:
        raise ValueError(f"expected a number and a column such as 5:fare, got {text!r}")
    return read_column(name, "top")._replace(number=positive(number))


_several = partial(Option, default=[], values="several, added")
OPTIONS = (
    Group(
        "totals: the records",
        Option(
            "--read-as",
            "how records are written (default: by the ending .jsonl, .ndjson or .log of a file, else delimited)",
            choices=get_args(TypedForm),
            dest="form",
        ),
        Option("--names", "the columns, where no header row of a file tells them", "A,B,C"),
        Option("--time", "the column with the event time (default: none, but that of an access log)", "COLUMN"),
        TIME_FORMAT,
        Option("--where", 'only the records that meet a condition, as "fare > 0"', "SQL"),
        *DEDUPLICATE,
    ),
    Group(
        "totals: what is totalled, of columns such as fare or fare:decimal (default: --count)",
        _several("--by", "a total for each value of these columns (default: one of all)", "COLUMN", check=read_column),
        *(_several(f"--{name}", text, "COLUMN", check=read_column) for name, (text, _) in _AGGREGATIONS.items()),
        _several("--top", "the N greatest values of a column", "N:COLUMN", check=read_top),
        Option("--count", "the number of records", values="flag"),
    ),
    Group(
        "totals: a table to join",
        Option(
            "--join",
            "add the columns of a small table, which options may name: a file (.csv, .jsonl, .parquet) or a database "
            "with ?table=NAME",
            "ADDRESS",
        ),
        Option("--on", "the key, a column of the records and of that table", "COLUMN"),
        Option("--how", "keep records without a match (left, default), or leave them out", choices=get_args(How)),
    ),
    Group(
        "totals: what is shown",
        Option("--order-by", "show the greatest values of this column of the totals (default: the first)", "COLUMN"),
        Option("--limit", "show so many rows of a window on the console (default: 20)", "N", type=positive, default=20),
        Option("--explain", "print lines of Python that do the same, and end", values="flag"),
    ),
)


@dataclass(frozen=True)
class Plan:
    """What to total: the records, the columns of them that are read, which are wanted, the transforms, the table.

    On the console the rows with the greatest ``order`` are shown.
    """

    record_type: RecordType
    columns: tuple[str, ...]
    wanted: pl.Expr | None
    join: JoinTable | None
    total: Aggregate
    table: Table
    order: str
    deduplicate: Deduplicate | None = None


class TotalsOptions(StreamOptions):
    """The values of the options, and what they ask for."""

    plan: Plan


def plan(options: StreamOptions) -> Plan:
    """Work out what is asked for; of the trips that are read if nothing else is, totals that show something.

    Raises:
        ValueError: it cannot be; the message is one line.
        OSError: a file cannot be read.
    """
    if options.input == [demo_trips()] and not any(getattr(options, name) for name in ("by", "top", *_AGGREGATIONS)):
        options.by, options.sum, options.mean, options.count = ["zone"], ["fare"], ["distance"], True
    asked = [read_column(text, name) for name in ("by", *_AGGREGATIONS) for text in getattr(options, name)]
    asked += map(read_top, options.top)
    files = [address.path for address in options.inputs if address.scheme == "file"]
    paths = find_files(files) if files else []
    uses = [Use(name, kind, option == "by", option in _OF_NUMBERS) for option, name, kind, _ in asked]
    join = _join(options, uses)
    if join:
        uses = [use for use in uses if use.column not in map(attrgetter("name"), join.columns)] + [
            Use(join.on, is_key=True)
        ]
    where, time = options.where or "", options.time or ""
    # What is looked at for copies alone is compared as it is written.
    used = {time, *(use.column for use in uses)}
    uses += [Use(name, is_key=True) for name in options.deduplicate if name not in used]
    form = _form(options, paths)
    record_type = infer_record_type(
        paths,
        uses or [Use(time)],
        form=form,
        names=options.names or "",
        time=time,
        times=options.times,
        where=where,
        written=dialect_options(options),
    )
    time = record_type.event_time
    if options.windows.length and not time and len(files) == len(options.inputs) and not options.is_following:
        raise ValueError("--window cuts event time: say with --time which column has it")
    values = _values(asked, time, is_counted=options.count)
    sortable = [name for name, value in values.items() if not isinstance(value, TopN)]
    order = options.order_by or sortable[0]
    if order not in sortable:
        raise ValueError(f"--order-by takes {' or '.join(sortable)}, got {order!r}")
    by = tuple(each.column for each in asked if each.option == "by")
    total = Aggregate(by, values, options.windows, options.emit_micros, options.lateness_micros)
    for column in join.columns if join else ():
        if column.name in record_type.names:
            raise ValueError(f"both the records and the table to join have {column.name!r}: rename one of them")
    columns = tuple(dict.fromkeys(use.column for use in uses if use.column != time))
    table = Table("totals", by, show=PrintResults(options.limit, order))
    wanted = sql_expression(where) if where else None
    same = [EVENT_TIME if name == time else name for name in options.deduplicate]
    once = deduplicate(options, same, [options.windows]) if same else None
    return Plan(record_type, columns, wanted, join, total, table, order, once)


def _form(options: StreamOptions, paths: list[str]) -> TypedForm | None:
    """Return how records are written, None where the files tell."""
    form: TypedForm | None = options.form
    if form is None and paths and all(path.lower().endswith(".log") for path in paths):
        return "log"
    if form is None and options.inputs and all(address.scheme == "kafka" for address in options.inputs):
        return "jsonl"
    return form


def _values(asked: list[Asked], time: str, *, is_counted: bool) -> dict[str, Aggregation]:
    """Return the columns of the totals: ``sum_fare``, ``top_fare``, ``count``."""
    values: dict[str, Aggregation] = {}
    for option, name, _, number in asked:
        value = EVENT_TIME if name == time else name
        if option == "top":
            values[f"top_{name}"] = TopN(number, value)
        elif option != "by":
            values[f"{option}_{name}"] = _AGGREGATIONS[option][1](value)
    is_all_lists = all(isinstance(value, TopN) for value in values.values())
    return values | {"count": Count()} if is_counted or is_all_lists else values


def _join(options: StreamOptions, uses: Sequence[Use]) -> JoinTable | None:
    """Return the transform that joins the table, with those of its columns that are used; None for no table."""
    if not options.join:
        if options.on or options.how:
            raise ValueError("--on and --how are for --join, of which there is none")
        return None
    if not options.on:
        raise ValueError("--join needs a key: say with --on which column of both it is")
    table = read_lookup(options.join)
    columns = []
    for name in dict.fromkeys(use.column for use in uses if use.column in table.columns and use.column != options.on):
        known = table[name].drop_nulls()
        kind = kind_of(known) if len(known) else "text"
        columns.append(Column(name, kind_for([use for use in uses if use.column == name], kind, keeps_text=True)))
    return JoinTable(table, options.on, columns, options.how or "left")
