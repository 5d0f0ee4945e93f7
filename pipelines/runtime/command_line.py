"""From a command line to options: ours, those of Beam and of its runners, and the file of ``--config``."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from command_line.config_file import Translate, parse_with_file
from command_line.option import Group, Option
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.runners import is_local
from pipelines.runtime.shared_options import RESULTS, shared_options
from schemas.passwords import exposed, withhold
from schemas.text.readable import readable, readable_lines

RUNNER = Group(
    "runner",
    Option("--runner", "DirectRunner (default), PrismRunner, FlinkRunner, ...", default="DirectRunner"),
    Option("--prism_location", "the Prism binary, if Beam should not look for it", "PATH", is_rare=True),
    Option("--detach", "leave the job to its cluster (Flink) and print its id", values="flag", is_rare=True),
    Option(
        "--workers-elsewhere",
        "the workers of the cluster do not see the files of this machine, though --flink_master is on loopback",
        values="flag",
        is_rare=True,
    ),
)
_EPILOG = """\
Exit status: 0 if all went well, 1 if the run has failed (also if no record could be used),
2 for wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
All of Apache Beam's own pipeline options are understood, too;
--default_sdk_harness_log_level=ERROR, say, shows what Beam logs when a job fails."""
_HELP_ALL = "--help-all"
_SHORT_EPILOG = f"{_HELP_ALL} shows all options: pace, lateness, Kafka, an options file, and what is told."
#: Runners that have a job server, which may know options of its own, and how those look.
_WITH_SERVER = ("flink", "portable", "spark")
_OF_SERVER = re.compile(r"--\w+(=|$)")
_NEGATIVE = re.compile(r"-\.?\d")
#: How much an unknown option has to be like a known one to be taken for that.
_NEAR, _VERY_NEAR = 0.6, 0.9
_TYPED = (
    "every user sees the password that was typed, or the signature, in the list of processes; leave it out: see "
    "docs/security.md"
)


def all_groups(own: Sequence[Group], window: str, lateness: str, outputs: str = RESULTS) -> tuple[Group, ...]:
    """Return the groups of options of a pipeline that has these of its own, as its help shows them."""
    return (*own, *shared_options(window, lateness, outputs), RUNNER)


def parse_command_line(
    argv: Sequence[str] | None = None,
    prog: str | None = None,
    description: str = "",
    *,
    pipeline: str = "stream",
    groups: Sequence[Group] = (),
    options_type: type[StreamOptions] = StreamOptions,
    window: str = "all",
    lateness: str = "0s",
    translate: Translate | None = None,
    outputs: str = RESULTS,
) -> StreamOptions:
    """Parse a command line: our options, and any of Beam's and of its runners', and the file of ``--config``.

    Args:
        argv: the command line, or None for that of the process.
        prog: what the user has typed to start it.
        description: for the help.
        pipeline: its name.
        groups: the options that it alone has.
        options_type: what is made of all.
        window: where none is given.
        lateness: where none is given.
        translate: makes options of what a configuration file has in keys of its own, of which the first mode is taken
            where none is named.
        outputs: where its totals or records may go, for the help.

    Raises:
        SystemExit: 0 after ``--help`` and ``--help-all``; 2 with one line for wrong usage, an unknown option among it.
    """
    known = all_groups(groups, window, lateness, outputs)
    typed = sys.argv[1:] if argv is None else list(argv)
    tells_all = _HELP_ALL in typed
    parser = _OneLineParser(
        prog=prog,
        usage=None if tells_all else "%(prog)s [--input ADDRESS ...] [--output ADDRESS ...] [OPTION ...]",
        description=description,
        epilog=_EPILOG if tells_all else _SHORT_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(_HELP_ALL, action="help", help="show all options and exit")
    for group in known:
        group.add_to(parser, tells_rare=tells_all)
    beside = _beam_parser()
    beside.error = parser.error  # type: ignore[method-assign]
    arguments = _joined(map(withhold, typed))
    try:
        values, others = parse_with_file(
            parser, arguments, beside, translate=translate, takes_first=translate is not None
        )
    except ValueError as error:
        parser.error(str(error))
    runner = values.runner.rpartition(".")[2].lower()
    flags = [option.flag for group in known for option in group.options]
    _check_beam_options(parser, beside, flags, others, has_server=runner.startswith(_WITH_SERVER))
    told = exposed(values.config, values.kafka_security)
    for line in [*told, *([_TYPED] if arguments != _joined(typed) else [])]:
        print(f"warning: {readable_lines(line)}", file=sys.stderr)
    options = options_type(**vars(values))
    options.pipeline, options.own_names = pipeline, tuple(each.name for group in groups for each in group.options)
    options.default_window, options.default_lateness = window, lateness
    for_beam = {name: value for name, value in vars(values).items() if name in ("runner", "prism_location")}
    options.beam_flags = tuple(others)
    options.beam = PipelineOptions(others, **for_beam)
    with contextlib.suppress(UsageError):  # which whoever runs it tells
        is_here = options.view_as(PortableOptions).environment_type in (None, "LOOPBACK")
        options.works_here = is_here and is_local(options)
    return options


def _joined(arguments: Iterable[str]) -> list[str]:
    """Return the arguments with ``--window=-5m`` for ``--window -5m``, so that it is said what is wrong with it."""
    joined: list[str] = []
    for text in arguments:
        if _NEGATIVE.match(text) and joined and re.fullmatch(r"--[\w-]+", joined[-1]):
            joined[-1] += f"={text}"
        else:
            joined.append(text)
    return joined


def _beam_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options_class in _subclasses(PipelineOptions):
        options_class._add_argparse_args(parser)
    return parser


def _check_beam_options(
    parser: argparse.ArgumentParser,
    beside: argparse.ArgumentParser,
    flags: Sequence[str],
    others: Sequence[str],
    *,
    has_server: bool,
) -> None:
    """Refuse options that neither we nor Beam know, which Beam itself would pass over with a warning.

    A runner that has a job server takes more, in the form ``--name=value``, of which only the server knows.
    """
    found, unknown = beside.parse_known_args(others)
    known = [*flags, *(f"--{name}" for name in vars(found))]
    for text in unknown:
        near = difflib.get_close_matches(text.split("=")[0], known, 1, _VERY_NEAR if has_server else _NEAR)
        if near or not has_server or not _OF_SERVER.match(text):
            parser.error(f"unknown option {text}" + (f": did you mean {near[0]}?" if near else ""))


def _subclasses(base: type) -> list[Any]:
    children: list[Any] = base.__subclasses__()
    return [found for child in children for found in (child, *_subclasses(child))]


class _OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"wrong usage: {readable(message)} (see --help)\n")
