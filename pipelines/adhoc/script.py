"""The lines of Python that do what a command line of :mod:`pipelines.totals` asks for, ready to paste."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import fields
from typing import Any

import sinks
import transforms
from pipelines.adhoc.plan import TotalsOptions
from schemas.forms.json_lines import JSON_LINES
from schemas.http import ACCESS_LOG
from schemas.record_type import Column, RecordType
from sinks.output import Table

# Ours come first: then Beam tells of no library of Google's that it misses.
_SCRIPT = """\
{imports}
import apache_beam as beam

{records}

with beam.Pipeline({runner}) as pipeline:
    blocks = pipeline | Read({read})
    parsed = blocks | parse_as({parse})
    records = parsed["records"]{join}{late}{once}
    totals = records | Aggregate({total})
    {outputs}"""
_HOMES = {
    "pipelines.runtime.lookup": ["read_lookup"],
    "sources": ["Read"],
    "schemas.forms.json_lines": ["JSON_LINES"],
    "schemas.record_type": ["Column", "RecordType"],
    "schemas.time_formats": ["CommonTimes", "EpochTimes", "StrptimeTimes"],
    "sinks": sinks.__all__,
    "transforms": transforms.__all__,
}
_WIDTH = 100


def script(options: TotalsOptions) -> str:
    """Return a script that reads, parses, totals and writes the same; for live input it takes Prism."""
    planned, is_live = options.plan, options.needs_clock
    total, record_type = planned.total, planned.record_type
    is_cut = total.windows.length > 0
    windows = f"Windows.parse({_code(str(total.windows))})"
    times = [f"{name}={value}" for name in ("emit_micros", "lateness_micros") if (value := getattr(total, name))]
    values = ",\n    ".join(f"{_code(name)}: {_code(value)}" for name, value in total.values.items())
    where = [f"pl.sql_expr({_code(options.where)})"] if options.where else []
    joined = planned.join
    join = (
        [f"read_lookup({_code(options.join)})", *map(_code, (joined.on, joined.columns, joined.how))] if joined else []
    )
    parts = {
        "records": f"{_type_of(record_type)}VALUES = {{\n    {values},\n}}",
        "runner": _code("PrismRunner") if is_live else "",
        "read": ", ".join([_code(options.input), "RECORDS", *(["follow=True"] if options.follow else [])]),
        "parse": ", ".join(["RECORDS", _code(planned.columns), *where, *([f"windows=[{windows}]"] if is_cut else [])]),
        "join": f"\n    records = records | JoinTable({', '.join(join)})" if join else "",
        "late": f'\n    records = (records | SplitLate({windows}, {total.lateness_micros}))["records"]'
        if is_live
        else "",
        "once": f'\n    records = (records | {_code(planned.deduplicate)})["records"]' if planned.deduplicate else "",
        "total": ", ".join([_code(total.by), "VALUES", windows, *times]),
        "outputs": "\n    ".join(_output(path, planned.table, options.limit, planned.order) for path in options.output),
    }
    return _SCRIPT.format(imports=_imports(" ".join(parts.values()), record_type), **parts)


def _imports(code: str, record_type: RecordType) -> str:
    used = {*re.findall(r"\w+", re.sub(r'"(?:\\.|[^"\\])*"', "", code)), "Aggregate", "Read", "parse_as"}
    lines = ["from schemas.http import ACCESS_LOG as RECORDS"] if record_type is ACCESS_LOG else []
    for module, names in _HOMES.items():
        if here := [name for name in names if name in used]:
            lines.append(f"from {module} import {', '.join(here)}")
    return "\n".join([*sorted(lines), *(["import polars as pl"] if "pl" in used else [])])


def _type_of(record_type: RecordType) -> str:
    if record_type is ACCESS_LOG:
        return ""
    names = textwrap.fill(_code(record_type.names), _WIDTH, subsequent_indent="     ")
    columns = ",\n     ".join(map(_code, record_type.columns))
    form = ", form=JSON_LINES" if record_type.form == JSON_LINES else f", separator={_code(record_type.separator)}"
    time = _code(record_type.event_time)
    time += f", time_format={_code(record_type.times)}" if record_type.event_time else ""
    return f'RECORDS = RecordType(\n    "record",\n    {names},\n    ({columns},),\n    event_time={time}{form},\n)\n'


def _output(path: str, table: Table, limit: int, by: str) -> str:
    if path == "-":
        return f"totals | PrintResults({limit}, {_code(by)})"
    return f"totals | {_code(path)} >> WriteResults({_code(path)}, {_code(table.key)}, {_code(table.name)})"


def _code(value: Any) -> str:
    """Return the code of a value: a text, several, a column, an aggregation."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_code, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Column):
        return f"Column({_code(value.name)}, {_code(value.kind)}{', required=True' if value.required else ''})"
    given = (getattr(value, field.name) for field in fields(value))
    return f"{type(value).__name__}({', '.join(_code(v) for v in given if v is not None)})"
