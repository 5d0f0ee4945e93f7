"""Where output goes, as people type it: a file by its ending, a database, a peer, or ``-`` for the console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.paths import is_stream
from sinks.files.formats import _EXPECTED, FORMATS, Format, format_of
from sources.address import parse_address

if TYPE_CHECKING:
    from sqlalchemy import URL

OutputKind = Literal["file", "console", "sql", "tcp", "udp", "kafka"]

#: The formats that only single records are written in, as they come: results are not.
LINE_FORMATS: dict[str, Format] = {".txt": "txt", ".csv": "csv", ".ndjson": "ndjson"}
#: The schemes of those that single records are sent to.
PEERS: dict[str, OutputKind] = {"tcp": "tcp", "udp": "udp"}
#: The schemes of databases; what SQLAlchemy calls them is in :mod:`sinks.sql.url`.
DATABASES = ("sqlite", "postgresql", "postgres")
_OTHERS = "sqlite:///PATH, postgresql://..., kafka://HOST:PORT/TOPIC or - for the console"
_KAFKA: OutputKind = "kafka"


class Output(NamedTuple):
    """A parsed address.

    Attributes:
        kind: what is written to.
        path: the path of a file; the address of a peer, or of a topic of Kafka; that of a database as it may be shown,
            without its password.
        format: of a file.
        url: of a database; it shows itself without its password.
        table: of a database, where one was named.
    """

    kind: OutputKind
    path: str = ""
    format: Format | None = None
    url: URL | None = None
    table: str = ""


def parse_output(text: str) -> Output:
    """Parses the address of an output.

    >>> parse_output("out/totals.avro")
    Output(kind='file', path='out/totals.avro', format='avro', url=None, table='')
    >>> parse_output("sqlite:///credit.db?table=regions").table
    'regions'

    Raises:
        ValueError: it is no path with a known ending, no address of a database or a peer, and not ``-``.
    """
    if not text.strip():
        raise ValueError(f"expected a path ending in {_EXPECTED}, {_OTHERS}, got an empty text")
    if text == "-":
        return Output("console")
    scheme, found, rest = text.partition("://")
    if scheme in DATABASES and found:
        from sinks.sql.url import parse_sql, shown  # noqa: PLC0415 (what costs 0.2 s to import is for those who ask for it)

        url, table = parse_sql(text)
        return Output("sql", shown(url), url=url, table=table)
    if scheme in PEERS and found:
        return Output(PEERS[scheme], parse_address(text).text)
    if scheme == _KAFKA and found:
        return _parse_topic(text)
    if found and scheme != "file":
        # The rest may hold a password.
        raise ValueError(f"not yet an output: {scheme}://, expected a path ending in {_EXPECTED}, {_OTHERS}")
    path = rest if found else text
    if is_stream(path) and Path(path).suffix.lower() not in {**FORMATS, **LINE_FORMATS}:
        return Output("file", path, "txt")
    try:
        return Output("file", path, LINE_FORMATS.get(Path(path).suffix.lower()) or format_of(path))
    except ValueError as error:
        raise ValueError(f"{error}, {_OTHERS}") from None


def _parse_topic(text: str) -> Output:
    address = parse_address(text)
    if len(address.topics) != 1:
        raise ValueError(f"expected kafka://HOST:PORT/TOPIC with one topic to write to, got {text!r}")
    return Output(_KAFKA, f"kafka://{address.host}/{address.path}")


def check_takes_results(output: Output) -> None:
    """Sees that results, which are tables, can be written there.

    Raises:
        ValueError: only single records can.
    """
    if output.kind in PEERS.values() or output.format in LINE_FORMATS.values():
        told = f"{output.path!r} takes single records, from pipelines.relay, and no results"
        raise ValueError(f"{told}: expected a path ending in {_EXPECTED}, {_OTHERS}")
