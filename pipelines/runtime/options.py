"""The options that all pipelines share, and how a command line becomes them."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from apache_beam.options.pipeline_options import PipelineOptions

from command_line.arguments import NEVER, checked, period, positive, positive_duration, positive_number
from command_line.config_file import Translate, add_config_options, with_config
from pipelines.runtime.kafka_options import KafkaOptions
from pipelines.runtime.verdict import MaxRejected
from schemas.passwords import exposed, withhold
from schemas.times import MICROS_PER_SECOND, parse_duration, parse_range
from sinks.address import parse_output
from sinks.output import Output
from sources.address import Address, parse_address
from sources.pacing import Pace
from transforms.windows import Windows

#: How far the records of a paced file may be out of order, and those of a live stream, whose registers are in order.
DEFAULT_DISORDER = "1h"
DEFAULT_LIVE_DISORDER = "0s"
#: Runners that have a job server, which may know options of its own, and how those look.
_WITH_SERVER = ("flink", "portable", "spark")
_OF_SERVER = re.compile(r"--\w+(=|$)")
#: How much an unknown option has to be like a known one to be taken for that.
_NEAR, _VERY_NEAR = 0.6, 0.9


class UsageError(Exception):
    """The command line asks for something that cannot be; the message is one line for the user."""


class StreamOptions(KafkaOptions, PipelineOptions):
    """Where records come from, how time is cut, where results go. The properties give them parsed."""

    #: What is taken where nothing is said; a pipeline may have its own.
    default_window = "all"
    default_lateness = "0s"

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("input")
        group.add_argument(
            "--input",
            nargs="+",
            action="extend",
            type=checked(parse_address),
            metavar="ADDRESS",
            help="files, globs and folders (also .gz and .zst), tcp://host:port to connect, tcp-listen://host:port to "
            "be connected to, udp-listen://host:port to receive datagrams, exec:COMMAND to read what it prints, "
            "kafka://host:port/topic[,topic] to read topics, - for standard input; several are read side by side",
        )
        group.add_argument(
            "--follow",
            action="store_true",
            help="go on with what is appended to the files, as tail -F does, until Ctrl-C or --idle-timeout",
        )
        group.add_argument(
            "--max-records", type=positive, metavar="N", help="end after so many records (files and live input each)"
        )
        group.add_argument(
            "--idle-timeout",
            type=checked(positive_duration),
            metavar="TIME",
            help="a live input that has been silent so long is at its end (default: it never is)",
        )
        group.add_argument(
            "--disorder",
            type=checked(parse_duration),
            metavar="TIME",
            help="how far records may be out of order in event time before they are late; matters for live and paced "
            f"input and with --max-records (default: {DEFAULT_DISORDER}, for live input {DEFAULT_LIVE_DISORDER})",
        )
        group.add_argument(
            "--positions",
            dest="positions_file",
            metavar="FILE",
            help="keep here what of files and topics is in the output, and go on behind it when the same command runs "
            "again (relay)",
        )
        group = parser.add_argument_group("pace of a replay (default: as fast as possible)")
        pace = group.add_mutually_exclusive_group()
        pace.add_argument("--speed", type=positive_number, metavar="X", help="X times event time: 60 plays 1h in 1m")
        pace.add_argument("--rate", type=positive_number, metavar="N", help="N records a second")
        pace.add_argument(
            "--interval", type=checked(parse_range), metavar="A..B", help="A to B seconds between two records"
        )
        group = parser.add_argument_group("windows")
        group.add_argument(
            "--window",
            type=checked(Windows.parse),
            metavar="TIME[/STEP]",
            help="all, or the length of fixed windows (10m, 1h, 1d), or of sliding ones and their step (10m/5m) "
            f"(default: {cls.default_window})",
        )
        group.add_argument(
            "--emit",
            type=checked(period),
            metavar="TIME",
            help="also give early results so often, each the whole total so far (not to files), or never",
        )
        group.add_argument(
            "--lateness",
            type=checked(parse_duration),
            metavar="TIME",
            help=f"how long after its end a window still takes records (default: {cls.default_lateness})",
        )
        group = parser.add_argument_group("output")
        group.add_argument(
            "--output",
            nargs="+",
            action="extend",
            type=checked(parse_output),
            metavar="ADDRESS",
            help="files by ending (.jsonl, .avro, .parquet; one per window), - for the console; several may be given",
        )
        cls.add_kafka_options(parser)
        group = parser.add_argument_group("what is told")
        group.add_argument("--rejected", metavar="PATH", help="write records that cannot be read here, as JSON lines")
        group.add_argument(
            "--max-rejected",
            type=checked(MaxRejected.parse),
            metavar="N|P%",
            help="fail (exit status 1) if more than N records, or P percent of those that were read, are rejected; a "
            "live run ends beyond N, percents are judged at the end (default: any number may be, but not all)",
        )
        group.add_argument("--late", metavar="PATH", help="write records that came too late here, as JSON lines")
        group.add_argument("--quiet", action="store_true", help="no progress and no summary")
        add_config_options(parser)

    @property
    def inputs(self) -> list[Address]:
        """Where records come from."""
        return [parse_address(text) for text in self._get("input") or ()]

    @property
    def outputs(self) -> list[Output]:
        """Where results go."""
        return [parse_output(text) for text in self._get("output") or ()]

    @property
    def destinations(self) -> list[Output]:
        """Everything that is written to but rejected and late records; a pipeline may have more than its outputs."""
        return self.outputs

    @property
    def job(self) -> dict[str, Any]:
        """What the pipeline makes of its input: the window, and the options that it alone has."""
        parser = argparse.ArgumentParser(add_help=False)
        if type(self) is not StreamOptions:
            self._add_argparse_args(parser)
        return {"window": self._get("window")} | {action.dest: self._get(action.dest) for action in parser._actions}

    @property
    def windows(self) -> Windows:
        """How event time is cut."""
        return Windows.parse(self._get("window") or self.default_window)

    @property
    def pace(self) -> Pace:
        """When records of files leave."""
        interval = self._get("interval")
        return Pace(self._get("speed"), self._get("rate"), parse_range(interval) if interval else None)

    @property
    def emit_micros(self) -> int:
        """How often early results are given; 0 for never."""
        return period(self._get("emit") or NEVER)

    @property
    def lateness_micros(self) -> int:
        """How long windows stay open."""
        return parse_duration(self._get("lateness") or self.default_lateness)

    def disorder_micros(self, *, is_live: bool) -> int:
        """How far records may be out of order."""
        return parse_duration(self._get("disorder") or (DEFAULT_LIVE_DISORDER if is_live else DEFAULT_DISORDER))

    @property
    def idle_timeout_seconds(self) -> float | None:
        """After how much silence a live input is at its end."""
        text = self._get("idle_timeout")
        return parse_duration(text) / MICROS_PER_SECOND if text else None

    @property
    def is_following(self) -> bool:
        """Whether files are followed as they grow, which makes them live."""
        return bool(self._get("follow"))

    @property
    def positions(self) -> str:
        """The file in which it is kept what of the input is in the output; empty for none."""
        return self._get("positions_file") or ""

    @property
    def reads_again(self) -> bool:
        """Whether the same command reads all records again, from their beginning: so are files, and nothing else."""
        return not self.positions and all(address.scheme == "file" for address in self.inputs)

    @property
    def rejected_limit(self) -> MaxRejected | None:
        """How many records may be rejected, or None where nothing was said."""
        text = self._get("max_rejected")
        return MaxRejected.parse(text) if text else None

    @property
    def needs_clock(self) -> bool:
        """Whether results are due while records still come, so that the runner must not hold them back."""
        is_live = self.is_following or any(address.is_live for address in self.inputs)
        return bool(self.emit_micros) or self.pace.is_paced or is_live


def parse_command_line(
    options_class: type[StreamOptions],
    prog: str,
    description: str,
    argv: Sequence[str] | None,
    translate: Translate | None = None,
) -> StreamOptions:
    """Reads a command line: our options, and any of Beam's and of its runners', and the file of ``--config``.

    Args:
        options_class: the options of the pipeline.
        prog: what the user has typed to start it.
        description: for the help.
        argv: the command line, or None for that of the process.
        translate: makes options of what a configuration file has in keys of its own.

    Raises:
        SystemExit: 0 after ``--help``; 2 with one line for wrong usage, an unknown option among it.
    """
    parser = _OneLineParser(
        prog=prog,
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # So that --window -5m is told what is wrong with the value, not that there is none.
    parser._negative_number_matcher = re.compile(r"-\.?\d")
    # With the defaults of the pipeline in its texts.
    StreamOptions._add_argparse_args.__func__(options_class, parser)  # type: ignore[attr-defined]
    if options_class is not StreamOptions:
        options_class._add_argparse_args(parser)
    group = parser.add_argument_group("runner")
    group.add_argument("--runner", default="DirectRunner", help="DirectRunner (default), PrismRunner, FlinkRunner, ...")
    group.add_argument("--prism_location", metavar="PATH", help="the Prism binary, if Beam should not look for it")
    parser.epilog = (
        "Exit status: 0 if all went well, 1 if the run has failed (also if no record could be used),\n"
        "2 for wrong usage, 130 after Ctrl-C, 143 after SIGTERM.\n"
        "All of Apache Beam's own pipeline options are understood, too;\n"
        "--default_sdk_harness_log_level=ERROR, say, shows what Beam logs when a job fails."
    )
    beam_parser = _beam_parser(parser)
    typed = sys.argv[1:] if argv is None else argv
    try:
        flags = with_config(parser, typed, [beam_parser], translate)
    except ValueError as error:
        parser.error(str(error))
    known, others = parser.parse_known_args(flags)
    runner = known.runner.rpartition(".")[2].lower()
    _check_beam_options(parser, beam_parser, others, has_server=runner.startswith(_WITH_SERVER))
    for line in exposed(known.config, known.kafka_security):
        parser._print_message(f"warning: {line}\n", sys.stderr)
    if any(withhold(text) != text for text in typed):
        line = (
            "every user sees the password that was typed, in the list of processes; leave it out: see docs/security.md"
        )
        parser._print_message(f"warning: {line}\n", sys.stderr)
    options: StreamOptions = PipelineOptions([withhold(text) for text in flags]).view_as(options_class)
    return options


def _beam_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    beam_parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options_class in _subclasses(PipelineOptions):
        if not issubclass(options_class, StreamOptions):
            options_class._add_argparse_args(beam_parser)
    beam_parser.error = parser.error  # type: ignore[method-assign]
    return beam_parser


def _check_beam_options(
    parser: argparse.ArgumentParser, beam_parser: argparse.ArgumentParser, others: list[str], *, has_server: bool
) -> None:
    """Finds options that neither we nor Beam know, which Beam itself would pass over with a warning.

    A runner that has a job server takes more, in the form ``--name=value``, of which only the server knows.
    """
    _, unknown = beam_parser.parse_known_args(others)
    known = [flag for each in (parser, beam_parser) for flag in each._option_string_actions]
    for text in unknown:
        near = difflib.get_close_matches(text.split("=")[0], known, 1, _VERY_NEAR if has_server else _NEAR)
        if near or not has_server or not _OF_SERVER.match(text):
            parser.error(f"unknown option {text}" + (f": did you mean {near[0]}?" if near else ""))


def _subclasses(base: type) -> list[Any]:
    found: list[Any] = []
    child: Any
    for child in base.__subclasses__():
        found += [child, *_subclasses(child)]
    return found


class _OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")
