"""Where results and records go: files, databases, topics, peers, the console; the names that others use.

They are imported when they are asked for: simulators use some modules of this package, and no Beam.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sinks.console.screen import PaintTable, ShowLive
    from sinks.console.tables import PrintResults
    from sinks.files.atomic import SinkError
    from sinks.files.rejected import WriteRejected
    from sinks.write import WriteLines, WriteRecords, WriteResults, WriteSettings

__all__ = [
    "PaintTable",
    "PrintResults",
    "ShowLive",
    "SinkError",
    "WriteLines",
    "WriteRecords",
    "WriteRejected",
    "WriteResults",
    "WriteSettings",
]
_HOMES = {
    "PaintTable": "sinks.console.screen",
    "ShowLive": "sinks.console.screen",
    "PrintResults": "sinks.console.tables",
    "SinkError": "sinks.files.atomic",
    "WriteRejected": "sinks.files.rejected",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("schemas.elements.quiet_beam")  # before anything else imports Beam
    return getattr(import_module(_HOMES.get(name, "sinks.write")), name)
