"""Where output goes, as people type it: a file by its ending, a database, a peer, or ``-`` for the console."""

from __future__ import annotations

from collections.abc import Callable

from schemas.object_path import REMOTE, file_path, scheme_of
from sinks.console.output import ConsoleOutput
from sinks.files.output import FileOutput
from sinks.kafka.output import TopicOutput
from sinks.lines.output import PeerOutput
from sinks.output import EXPECTED, Output

_SCHEMES: dict[str, Callable[[str], Output]] = {
    "kafka": TopicOutput.parse,
    "tcp": PeerOutput.parse,
    "udp": PeerOutput.parse,
}
#: The schemes of databases; what SQLAlchemy calls them is in :mod:`sinks.sql.url`.
DATABASES = ("sqlite", "postgresql", "postgres")


def parse_output(text: str) -> Output:
    """Parse the address of an output.

    >>> parse_output("out/totals.avro")
    FileOutput(path='out/totals.avro', file_format='avro')
    >>> parse_output("postgresql://me:secret@host/credit?table=regions")
    SqlOutput(path='postgresql://me@host/credit', url=postgresql+psycopg://me:***@host/credit, table='regions')

    Raises:
        ValueError: it is no path with a known ending, no address of a database or a peer, and not ``-``.
    """
    if not text.strip():
        raise ValueError(f"expected a path ending in {EXPECTED}, got an empty text")
    if text == "-":
        return ConsoleOutput()
    scheme = scheme_of(text, ("file", *REMOTE, *DATABASES, *_SCHEMES), f"a path ending in {EXPECTED}")
    if not scheme or scheme in ("file", *REMOTE):
        return FileOutput.parse(file_path(text, writes=True))
    if scheme in DATABASES:
        from sinks.sql.output import SqlOutput  # noqa: PLC0415 (costs 0.2 s, and few write to a database)

        return SqlOutput.parse(text)
    return _SCHEMES[scheme](text)
