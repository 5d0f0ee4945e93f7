"""What a relay is asked to do, worked out before it runs: what the records are, which are wanted, how they leave."""

from __future__ import annotations

from dataclasses import dataclass

from command_line.option import Group, Option
from pipelines.runtime.dialect_options import dialect_options
from pipelines.runtime.going_on import check_going_on
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.results_out import reading
from pipelines.runtime.shared_options import TIME_FORMAT
from sinks.lines.render import STYLES, Layout, parse_template, style_of
from sources.files.chunks import find_files
from sources.files.opening import seems_sequential
from sources.read import Read
from storage.place import size_of
from transforms.untyped.column_counts import ColumnWatch
from transforms.untyped.fields import with_numbers
from transforms.untyped.infer_schema import FORMS, Shape, find_shape
from transforms.untyped.sql_condition import Condition

OPTIONS = (
    Group(
        "relay: what comes in",
        Option(
            "--read-as",
            "how records are written (default: JSON where a file ends in .jsonl, .ndjson or .json, else delimited; "
            "live input is not looked into, unless --names or this says what it is)",
            choices=FORMS,
            dest="form",
        ),
        Option(
            "--names", "the columns, where no header row of a file tells them; price:number for one of numbers", "A,B,C"
        ),
        Option("--time", "the column with the event time, for --speed", "COLUMN"),
        TIME_FORMAT,
        Option("--sequence", "the column of sequence numbers: gaps in UDP are counted", "COLUMN"),
        Option("--loop", "begin again at the end of the files, without end", values="flag"),
    ),
    Group(
        "relay: what goes out",
        Option("--key", "the column whose text is the key of messages in Kafka", "COLUMN"),
        Option("--columns", "only these columns, in this order", "A,B"),
        Option("--where", 'only the records that meet a condition, as "price > 3"', "SQL"),
        Option("--as", "how to write them (default: by the output)", choices=STYLES, dest="style"),
        Option(
            "--csv-safe",
            "in CSV, put ' before what a spreadsheet would take for a formula: fields that begin with = + - @, a tab "
            "or a carriage return and are no numbers",
            values="flag",
        ),
        Option("--format", 'a line of text for each, as "{time}: {item} at {price}"', "TEXT"),
    ),
)


class RelayOptions(StreamOptions):
    """The values of the options."""

    @property
    def needs_clock(self) -> bool:
        """Whether records are due while others still come: a loop has no end to wait for."""
        return self.loop or super().needs_clock


@dataclass(frozen=True)
class Plan:
    """How to relay.

    Attributes:
        read: where records come from.
        shape: what they are.
        columns: the fields that have to be read; none where records are not looked into.
        condition: which ones are wanted.
        layouts: how the records of each output are written.
        key: the column that is the key of messages, or none.
        watch: the columns to count.
        total_bytes: how much there is to read, None where nobody knows.
    """

    read: Read
    shape: Shape
    columns: tuple[str, ...]
    condition: Condition | None
    layouts: tuple[Layout, ...]
    key: str
    watch: ColumnWatch
    total_bytes: int | None


def plan(options: RelayOptions) -> Plan:
    """Work out what to do.

    Raises:
        UsageError: it cannot be done; the message is one line.
    """
    if not options.inputs:
        raise UsageError("expected --input and an address, got none")
    for name, is_given in (
        ("window", bool(options.windows.length)),
        ("emit", bool(options.emit_micros)),
        ("lateness", bool(options.lateness_micros)),
        ("late", bool(options.late)),
    ):
        if is_given:
            raise UsageError(f"a relay sums nothing up, so --{name} is not for it")
    check_going_on(options, sums_up=False)
    try:
        return _plan(options)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from None


def _plan(options: RelayOptions) -> Plan:
    files = [address.path for address in options.inputs if address.scheme == "file"]
    paths = find_files(files) if files else []
    is_live = options.is_following or len(files) < len(options.inputs)
    if options.loop:
        _check_loop(options, paths)
    template = _template(options)
    condition, wanted, time = options.where, _listed(options.columns), options.time or ""
    if options.pace.speed is not None and not time:
        raise ValueError("--speed plays event time: say which column has it with --time")
    has_columns = any(style_of(options.style or output.format) for output in options.outputs)
    key = options.key or ""
    if key and not any(output.is_topic for output in options.outputs):
        raise ValueError(f"--key is for messages in Kafka: expected an --output kafka://..., got --key {key}")
    looks_inside = bool(condition or wanted or template or time or options.sequence or has_columns or key)
    form = options.form
    if form is None and not options.values.is_json and all(address.scheme == "kafka" for address in options.inputs):
        form = "jsonl"
    written = dialect_options(options)
    shape = find_shape(paths, form, options.names or "", time, looks_inside=looks_inside, written=written)
    shape = shape._replace(times=options.times)
    if paths and shape.names and not shape.declared and (looks_inside or any(out.is_table for out in options.outputs)):
        shape = with_numbers(shape, *paths)
    _check_names(shape, "--columns", wanted)
    _check_names(shape, "--format", template[1::2])
    _check_names(shape, "--key", _listed(options.key))
    _check_names(shape, "--sequence", _listed(options.sequence))
    # Any record of JSON may have a column that none at the head of the first files has.
    names = () if shape.form == "jsonl" else shape.names
    where = Condition(condition, shape.numbers, names) if condition else None
    layouts = tuple(output.choose_layout(options.style, shape, wanted, template) for output in options.outputs)
    if options.csv_safe:
        layouts = _csv_safe(options, layouts)
    for output, layout in zip(options.outputs, layouts, strict=True):
        is_json = layout.style == "jsonl" or (layout.style == "raw" and shape.form != "csv")
        if output.is_topic and not (is_json or options.values.is_json):
            raise ValueError(f"--value-format {options.values.form} is made of JSON: say --as jsonl")
    fields = (name for layout in layouts for name in (*layout.columns, *layout.template[1::2]))
    columns = tuple(dict.fromkeys((*fields, *([key] if key else []))))
    chosen = (*wanted, *template[1::2], *([key] if key else []), *(where.columns if where else ()))
    takes_all = any(layout.columns for layout in layouts) and not wanted
    watch = ColumnWatch(
        frozenset(shape.names) if takes_all else None,
        tuple(dict.fromkeys(chosen)) if shape.form == "jsonl" else (),
    )
    read = reading(options, shape.record_type, sequence=options.sequence or "", in_order=True, loop=options.loop)
    is_known = not (
        is_live or options.positions or options.loop or options.max_records or any(map(seems_sequential, paths))
    )
    total = sum(map(size_of, paths)) if is_known else None
    return Plan(read, shape, columns, where, layouts, key, watch, total)


def _csv_safe(options: RelayOptions, layouts: tuple[Layout, ...]) -> tuple[Layout, ...]:
    places = zip(options.outputs, layouts, strict=True)
    is_csv = [layout.style == "csv" and not output.is_table for output, layout in places]
    if not any(is_csv):
        raise ValueError("--csv-safe is for CSV: expected an --output that ends in .csv, or --as csv")
    return tuple(layout._replace(csv_safe=is_so) for layout, is_so in zip(layouts, is_csv, strict=True))


def _check_loop(options: StreamOptions, paths: list[str]) -> None:
    if not paths or options.is_following:
        raise ValueError("--loop begins files again: there is none that has an end")
    if any(output.is_table for output in options.outputs):
        raise ValueError("--loop would write the same rows of the database again and again")


def _template(options: RelayOptions) -> tuple[str, ...]:
    text, style = options.format, options.style
    if style == "text" and text is None:
        raise ValueError("--as text needs a template: --format '{time}: {item}'")
    if text is None:
        return ()
    if style not in (None, "text"):
        raise ValueError(f"--format writes text, and --as says {style}")
    if options.columns:
        raise ValueError("--format says which columns to write, so --columns is not for it")
    return parse_template(text)


def _listed(text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (text or "").split(",")) if text else ()
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"expected names of columns, each once, got {text!r}")
    return names


def _check_names(shape: Shape, option: str, names: tuple[str, ...]) -> None:
    unknown = [name for name in names if shape.form != "jsonl" and shape.names and name not in shape.names]
    if unknown:
        raise ValueError(f"{option} asks for {unknown[0]!r}, and there is only {', '.join(shape.names)}")
