"""The options of the errors pipeline."""

from __future__ import annotations

from command_line.option import Group, Option
from pipelines.runtime.lines_out import check_line_outputs, read_rows_output
from pipelines.runtime.options import StreamOptions
from pipelines.runtime.shared_options import PLOT
from schemas.http import ACCESS_LOG, RESPONSES
from sinks.output import Output
from transforms.aggregate.distinct import DEFAULT_LG_K, require_sketches, standard_error

FORMATS = {"json": RESPONSES, "clf": ACCESS_LOG}
WEEKDAYS = {"mon-fri": 5, "all": 7}
#: How often the board of a live stream is drawn, if nothing is said.
EMIT = "1s"
OPTIONS = Group(
    "errors",
    Option("--weekdays", "which days count (default: mon-fri)", choices=tuple(WEEKDAYS), default="mon-fri"),
    Option(
        "--format",
        "how responses are written: JSON lines, or the common or combined log format (default: json)",
        choices=tuple(FORMATS),
        default="json",
    ),
    Option(
        "--approximate",
        f"count visitors by a sketch of at most {2**DEFAULT_LG_K * 8 // 1024} KiB an hour: exact up to "
        f"{2**DEFAULT_LG_K:,} visitors an hour, beyond with a standard error of "
        f"{100 * standard_error(DEFAULT_LG_K):.1f} % (needs the extra 'sketches')",
        values="flag",
    ),
    Option(
        "--visitors",
        "write who was counted here, a line of ip, date and hour each, once an hour is over: "
        "kafka://host:port/topic, a path in .jsonl",
        "ADDRESS",
        check=read_rows_output,
    ),
    PLOT,
)


class VisitorsOptions(StreamOptions):
    """The values of the options."""

    @property
    def visitors_output(self) -> Output | None:
        """Where the visitors that were counted go."""
        return read_rows_output(self.visitors) if self.visitors else None

    @property
    def destinations(self) -> list[Output]:
        """The outputs, and where the visitors go."""
        visitors = self.visitors_output
        return [*self.outputs, *([] if visitors is None else [visitors])]


def settle(options: VisitorsOptions) -> None:
    """Have a live stream give early results, and check what goes together.

    Raises:
        ValueError: it does not; the message is one line.
    """
    if options.windows.length:
        raise ValueError(f"errors are counted by the hour, so --window is not for them, got {options.windows}")
    if options.approximate:
        try:
            require_sketches()
        except ValueError as error:
            raise ValueError(f"--approximate: {error}") from None
    if options.emit is None and options.needs_clock:
        options.emit = EMIT
    if options.visitors_output is not None:
        check_line_outputs(options, [options.visitors_output])
