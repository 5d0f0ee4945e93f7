"""What a pipeline was asked for: the options that all of them share, parsed."""

from __future__ import annotations

from typing import Any, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

from command_line.arguments import NEVER, period
from pipelines.runtime.kafka_options import KafkaOptions
from pipelines.runtime.verdict import MaxRejected
from schemas.time_formats import COMMON_TIMES, TimeFormat, parse_time_format
from schemas.times import MICROS_PER_SECOND, parse_duration, parse_range
from sinks.address import parse_output
from sinks.files.formats import Files
from sinks.output import Output
from sources.address import Address, parse_address
from sources.pacing import Pace
from sources.parts import Spread
from transforms.windows import Windows

#: How far the records of a paced file may be out of order, and those of a live stream, whose registers are in order.
DEFAULT_DISORDER = "1h"
DEFAULT_LIVE_DISORDER = "0s"

#: What is at its end some time, though it may be live.
_ENDING = ("file", "-", "exec")
_View = TypeVar("_View", bound=PipelineOptions)


class UsageError(Exception):
    """The command line asks for something that cannot be; the message is one line for the user."""


class StreamOptions(KafkaOptions):
    """The values of all options, each an attribute; properties give them parsed.

    Attributes:
        own_names: the names of the options that it alone has.
        default_window: the window where none was given; ``default_lateness`` likewise.
        beam: the options of Beam's own, for the runner.
        works_here: whether the runner works in this process.
        beam_flags: those of them that were given.
        spread: how sources are spread over the workers of a cluster.
        balance: a file for what became of all records, where none was asked for and this process needs it.
    """

    own_names: tuple[str, ...]
    default_window: str
    default_lateness: str
    beam: PipelineOptions
    works_here: bool = False
    beam_flags: tuple[str, ...] = ()
    spread: Spread | None = None
    balance: str = ""

    def view_as(self, view: type[_View]) -> _View:
        """Return options of Beam's."""
        seen: _View = self.beam.view_as(view)
        return seen

    @property
    def inputs(self) -> list[Address]:
        """Where records come from."""
        return [parse_address(text) for text in self.input or ()]

    @property
    def outputs(self) -> list[Output]:
        """Where results go."""
        return [parse_output(text) for text in self.output or ()]

    @property
    def destinations(self) -> list[Output]:
        """Everything that is written to but rejected and late records; a pipeline may have more than its outputs."""
        return self.outputs

    @property
    def job(self) -> dict[str, Any]:
        """What the pipeline makes of its input: the window, and the options that it alone has."""
        return {name: getattr(self, name) for name in ("window", *self.own_names)}

    @property
    def windows(self) -> Windows:
        """How event time is cut."""
        return Windows.parse(self.window or self.default_window, many=self.many_windows)

    @property
    def files_as(self) -> Files:
        """How results become files: of a replay all in one, of what takes its time each window as it ends."""
        found: Files | None = getattr(self, "files", None)
        return found or ("per-window" if self.is_live or self.pace.is_paced else "single")

    @property
    def may_never_end(self) -> bool:
        """Whether nobody has said when the input ends."""
        goes_on = any(address.scheme not in _ENDING for address in self.inputs)
        return (self.is_following or goes_on) and not (self.max_records or self.idle_timeout)

    @property
    def pace(self) -> Pace:
        """When records of files leave."""
        interval = self.interval
        return Pace(self.speed, self.rate, parse_range(interval) if interval else None)

    @property
    def emit_micros(self) -> int:
        """How often early results are given; 0 for never."""
        return period(self.emit or NEVER)

    @property
    def lateness_micros(self) -> int:
        """How long windows stay open."""
        return parse_duration(self.lateness or self.default_lateness)

    def disorder_micros(self, *, is_live: bool) -> int:
        """How far records may be out of order."""
        return parse_duration(self.disorder or (DEFAULT_LIVE_DISORDER if is_live else DEFAULT_DISORDER))

    @property
    def idle_timeout_seconds(self) -> float | None:
        """After how much silence a live input is at its end."""
        text = self.idle_timeout
        return parse_duration(text) / MICROS_PER_SECOND if text else None

    @property
    def plot_path(self) -> str:
        """The file of the chart; empty for none."""
        return getattr(self, "plot", None) or ""

    @property
    def plot_emit_micros(self) -> int:
        """How often the chart gets early totals: those of a live stream each second, if nothing else is said."""
        return self.emit_micros or (MICROS_PER_SECOND if self.needs_clock else 0)

    @property
    def is_following(self) -> bool:
        """Whether files are followed as they grow, which makes them live."""
        return bool(self.follow)

    @property
    def positions(self) -> str:
        """The file in which it is kept what of the input is in the output; empty for none."""
        return self.positions_file or ""

    @property
    def reads_again(self) -> bool:
        """Whether the same command reads all records again, from their beginning: so are files, and nothing else."""
        is_resumed = any(flag.startswith("--savepoint_path") for flag in self.beam_flags)
        is_again = not self.positions and not is_resumed
        return is_again and all(address.scheme == "file" for address in self.inputs)

    @property
    def ends_here(self) -> bool:
        """Whether the input has an end, and this process reads it, so that it knows when all lines are there."""
        return self.reads_again and self.works_here and not (self.is_following or getattr(self, "loop", False))

    @property
    def tries_again(self) -> bool:
        """Whether bundles that have failed are tried again, as on a cluster."""
        return self.spread is not None

    @property
    def rejected_limit(self) -> MaxRejected | None:
        """How many records may be rejected, or None where nothing was said."""
        text = self.max_rejected
        return MaxRejected.parse(text) if text else None

    @property
    def times(self) -> TimeFormat:
        """How the event time is written, in records that nobody has described.

        Raises:
            ValueError: it was said, and not which column has it.
        """
        if not self.time_format:
            return COMMON_TIMES
        if not self.time:
            raise ValueError("--time-format says how times are written: say with --time which column has them")
        return parse_time_format(self.time_format)

    @property
    def needs_clock(self) -> bool:
        """Whether results are due while records still come, so that the runner must not hold them back."""
        return bool(self.emit_micros) or self.pace.is_paced or self.is_live

    @property
    def is_live(self) -> bool:
        """Whether records come as they happen."""
        return self.is_following or any(address.is_live for address in self.inputs)
