"""The options of pipelines that keep one copy of what comes more than once, and their transform."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from command_line.arguments import positive_duration
from command_line.option import Option
from pipelines.runtime.options import StreamOptions
from transforms import Deduplicate, Windows

DEDUPLICATE = (
    Option(
        "--deduplicate",
        "keep one of the records that have the same values in these columns and event times less than --within apart",
        "COLUMN",
        default=[],
        values="several, added",
    ),
    Option(
        "--within",
        "how far apart copies are (default: 10m)",
        "TIME",
        check=positive_duration,
        default="10m",
        is_rare=True,
    ),
)


def deduplicate(options: StreamOptions, by: Sequence[str], windows: Iterable[Windows]) -> Deduplicate:
    """Return the transform: no record that still has an open window comes too late for it."""
    longest = max((some.length for some in windows), default=0) + options.lateness_micros
    within = str(options.within)
    return Deduplicate(tuple(dict.fromkeys(by)), within, max(positive_duration(within), longest))
