"""The options of the credit pipeline, and the windows and tables that follow from them."""

from __future__ import annotations

from command_line.arguments import positive
from command_line.option import Group, Option
from pipelines.runtime.options import StreamOptions
from pipelines.runtime.shared_options import PLOT
from schemas.bank import read_regions
from schemas.times import format_duration, parse_duration
from sinks.console.ranked import PaintRanked
from sinks.console.screen import ShowLive
from sinks.output import Table
from transforms.rank import Ranking
from transforms.windows import Windows

#: How often totals of a live stream are given, if nothing is said.
EMIT = "1s"
#: A window of the last minutes slides by such a part of its length.
STEPS = 10
KEY = "account_region"
SHOWN = (KEY, "count", "sum", "mean", "share")
#: On the console figures are rounded, in files and databases they are not.
SHOWN_PLACES = {"mean": 2, "share": 4}


def read_last(text: str) -> Windows:
    """Return the windows of ``--last``.

    Raises:
        ValueError: the text is no time, or one that cannot be cut into steps.
    """
    length = parse_duration(text)
    if not length or length % STEPS:
        raise ValueError(f"expected a time of some {STEPS} us, got {text!r}")
    return Windows(length, length // STEPS)


OPTIONS = Group(
    "credit",
    Option(
        "--last",
        "also give the totals of the last 5m, say, which slide by a tenth of that; several may be given",
        "TIME",
        check=read_last,
        default=[],
        values="several, added",
    ),
    Option("--top", "how many regions to rank by their mean (default: 3)", "N", type=positive, default=3),
    Option(
        "--regions",
        "reject transfers of regions that are not in the table [regions] of this file (default: none)",
        "FILE.toml",
        check=read_regions,
    ),
    PLOT,
)


class CreditOptions(StreamOptions):
    """The values of the options; properties give them parsed."""

    @property
    def all_windows(self) -> list[Windows]:
        """The windows that are totalled: all time, and those of ``--last``, the shortest first."""
        return [Windows(), *sorted(set(map(read_last, self.last)), key=lambda windows: windows.length)]

    @property
    def known_regions(self) -> tuple[str, ...]:
        """The regions that there are, or none where every name makes one."""
        return tuple(read_regions(self.regions)) if self.regions else ()

    @property
    def rankings(self) -> tuple[Ranking, ...]:
        """Which regions are the first."""
        return Ranking("count", "count"), Ranking("volume", "sum"), Ranking("mean", "mean", self.top)


def settle(options: CreditOptions) -> None:
    """Have a live stream give early results, and check what goes together.

    Raises:
        ValueError: it does not; the message is one line.
    """
    if options.windows.length:
        raise ValueError(f"totals are since the start; for the last minutes say --last, got --window {options.windows}")
    if options.emit is None and options.needs_clock:
        options.emit = EMIT


def words_of(windows: Windows) -> str:
    """Return what windows are called for a person."""
    return f"the last {format_duration(windows.length)}" if windows.length else "since the start"


def tables_of(windows: Windows, options: CreditOptions) -> tuple[Table, Table]:
    """Return the table of the totals of windows, and that of their ranks."""
    place = options.all_windows.index(windows)
    paint = PaintRanked(
        words_of(windows), by="sum", columns=SHOWN, places=SHOWN_PLACES, key=KEY, rankings=options.rankings
    )
    last = f"last-{format_duration(windows.length)}" if windows.length else ""
    name = f"credit_{last.replace('-', '_')}" if last else "credit"
    ranks = f"{last}-ranks" if last else "ranks"
    return Table(name, (KEY,), last, show=ShowLive(paint, place)), Table(f"{name}_ranks", ("ranking", "rank"), ranks)


def tables(options: CreditOptions) -> list[Table]:
    """Return all tables."""
    return [table for windows in options.all_windows for table in tables_of(windows, options)]
