"""The options that all pipelines share."""

from __future__ import annotations

from typing import get_args

from command_line.arguments import period, positive, positive_duration, positive_number
from command_line.config_file import CONFIG
from command_line.option import Group, Option
from pipelines.runtime.dialect_options import DIALECT
from pipelines.runtime.kafka_options import KAFKA
from pipelines.runtime.options import DEFAULT_DISORDER, DEFAULT_LIVE_DISORDER
from pipelines.runtime.verdict import MaxRejected
from schemas.object_path import local_path, path_to_write
from schemas.time_formats import parse_time_format
from schemas.times import parse_duration, parse_range
from sinks.address import parse_output
from sinks.files.formats import Files
from sources.address import parse_address, parse_listener
from transforms.windows import Windows

INPUT = Group(
    "input",
    Option(
        "--input",
        "files, globs and folders (also compressed), here or as s3://bucket/key, https://host/file and others, "
        "tcp://host:port to connect, tcp-listen://host:port to "
        "be connected to, udp-listen://host:port to receive datagrams, exec:COMMAND to read what it prints, "
        "kafka://host:port/topic[,topic] to read topics, - for standard input; several are read side by side",
        "ADDRESS",
        check=parse_address,
        values="several, added",
    ),
    Option(
        "--follow",
        "go on with what is appended to the files, as tail -F does, until Ctrl-C or --idle-timeout",
        values="flag",
    ),
    Option("--max-records", "end after so many records (files and live input each)", "N", type=positive, is_rare=True),
    Option(
        "--idle-timeout",
        "a live input that has been silent so long is at its end (default: it never is)",
        "TIME",
        check=positive_duration,
        is_rare=True,
    ),
    Option(
        "--disorder",
        "how far records may be out of order in event time before they are late; matters for live and paced "
        f"input and with --max-records (default: {DEFAULT_DISORDER}, for live input {DEFAULT_LIVE_DISORDER})",
        "TIME",
        check=parse_duration,
        is_rare=True,
    ),
    Option(
        "--positions",
        "keep here what of files and topics is in the output, and go on behind it when the same command runs "
        "again (relay)",
        "FILE",
        check=local_path,
        dest="positions_file",
        is_rare=True,
    ),
)
PACE = Group(
    "pace of a replay (default: as fast as possible)",
    Option("--speed", "X times event time: 60 plays 1h in 1m", "X", type=positive_number),
    Option("--rate", "N records a second", "N", type=positive_number),
    Option("--interval", "A to B seconds between two records", "A..B", check=parse_range),
    is_one=True,
    is_rare=True,
)
#: Of pipelines that have a chart.
PLOT = Option(
    "--plot",
    "draw a chart over event time into this .png or .svg file, anew with each totals (needs the extra 'plot')",
    "PATH",
    check=local_path,
)
#: What takes totals, and what takes single records.
RESULTS = (
    "files (.jsonl, .avro, .parquet), sqlite:///PATH, postgresql://..., kafka://host:port/topic, "
    "- for the console; several may be given"
)
RECORDS = (
    "files (.jsonl, .csv, .txt), tcp://host:port, udp://host:port, sqlite:///PATH, postgresql://..., "
    "kafka://host:port/topic, - for the console; several may be given"
)
FILES = Option(
    "--files",
    "how results become files: single for one with all windows, in their order, when the input ends; per-window for "
    "one each, with its bounds in the name; hive for a folder of partitions, window_start=.../part.parquet "
    "(default: single, of live and paced input per-window)",
    choices=get_args(Files),
    is_rare=True,
)
TOLD = Group(
    "what is told",
    Option("--rejected", "write records that cannot be read here, as JSON lines", "PATH", type=path_to_write),
    Option(
        "--max-rejected",
        "fail (exit status 1) if more than N records, or P percent of those that were read, are rejected; a "
        "live run ends beyond N, percents are judged at the end (default: any number may be, but not all)",
        "N|P%",
        check=MaxRejected.parse,
        is_rare=True,
    ),
    Option("--late", "write records that came too late here, as JSON lines", "PATH", type=path_to_write, is_rare=True),
    Option(
        "--summary",
        "write here, as JSON, what became of all records, when the input has ended: counted by the job itself, so that "
        "restarts change nothing",
        "PATH",
        type=path_to_write,
        is_rare=True,
    ),
    Option(
        "--metrics-port",
        "tell how the run is doing on this port of 127.0.0.1, or of another host, as Prometheus reads it (/metrics, "
        "/health); 0 for any free one",
        "[HOST:]PORT",
        check=parse_listener,
        is_rare=True,
    ),
    Option("--quiet", "no progress and no summary", values="flag"),
)
#: For pipelines that are told which column has the event time.
TIME_FORMAT = Option(
    "--time-format",
    "how --time is written, where it is neither ISO 8601 nor a number since 1970 of 10, 13, 16 or 19 digits: as "
    "strptime has it (%d/%m/%Y %H:%M), or s, ms, us or ns for any number since 1970",
    "FORMAT",
    check=parse_time_format,
)


def _read_any_window(text: str) -> Windows:
    return Windows.parse(text, many=True)


def shared_options(window: str, lateness: str, outputs: str = RESULTS) -> tuple[Group, ...]:
    """Return the options of every pipeline, for one that has these defaults and takes these outputs."""
    output = Option("--output", outputs, "ADDRESS", check=parse_output, values="several, added")
    written = Group("output", output, *([FILES] if outputs == RESULTS else []))
    windows = Group(
        "windows",
        Option(
            "--window",
            "all, or the length of fixed windows (10m, 1h, 1d), or of sliding ones and their step (10m/5m) "
            f"(default: {window})",
            "TIME[/STEP]",
            check=_read_any_window,
        ),
        Option(
            "--many-windows",
            "allow sliding windows of which a record is in more than 1,000",
            values="flag",
            is_rare=True,
        ),
        Option(
            "--emit",
            "also give early results so often, each the whole total so far (not to files), or never",
            "TIME",
            check=period,
        ),
        Option(
            "--lateness",
            f"how long after its end a window still takes records (default: {lateness})",
            "TIME",
            check=parse_duration,
            is_rare=True,
        ),
    )
    return INPUT, DIALECT, PACE, windows, written, KAFKA, TOLD, CONFIG
