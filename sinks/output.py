"""Where output goes, whatever kind of place that is: what can be asked of it, and the transforms that write there."""

# ruff: noqa: ARG002 - kinds of outputs are asked the same things, and not all matter to each
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import apache_beam as beam

from sinks.files.formats import Files
from sinks.lines.render import Layout, renderer, style_of
from sinks.lines.write import Destination, WriteLines
from transforms.untyped.infer_schema import Shape

if TYPE_CHECKING:
    from schemas.avro.wire_format import ValueFormat
    from sinks.kafka.producer import Compression
    from sinks.kafka.write import Topic
    from sources.kafka.security import KafkaSecurity

#: What takes results, for messages.
EXPECTED = (
    ".jsonl, .avro, .parquet (here or in s3://, gs://, abfss://), sqlite:///PATH, postgresql://..., "
    "kafka://HOST:PORT/TOPIC or - for the console"
)
_TAKE_LINES = "a path ending in .jsonl, .ndjson, .txt or .csv, tcp://HOST:PORT, udp://HOST:PORT, or - for the console"


class OutputSettings(Protocol):
    """What an address does not say of how to write there."""

    @property
    def reads_again(self) -> bool:
        """Whether all records come again in a second run, so that lines of an earlier one are replaced."""

    @property
    def ends_here(self) -> bool:
        """Whether the input has an end, and this process reads it, so that it knows when all lines are there."""

    @property
    def tries_again(self) -> bool:
        """Whether bundles that have failed are tried again, on workers elsewhere."""

    @property
    def works_here(self) -> bool:
        """Whether all steps are in this process, so that one may leave files for another."""

    @property
    def files_as(self) -> Files | None:
        """How results become files; None for one where they have an end, else one per window."""

    @property
    def security(self) -> KafkaSecurity:
        """How to get in at brokers."""

    @property
    def kafka_compression(self) -> Compression:
        """How messages are compressed."""

    @property
    def kafka_transactional(self) -> bool:
        """Whether readers see the messages of a bundle together or not at all."""

    @property
    def values(self) -> ValueFormat:
        """How the values of messages are written."""


@dataclass(frozen=True)
class Table:
    """One of the tables that a pipeline gives.

    Attributes:
        name: what a database calls it, where its address names none.
        key: the columns that tell the rows of a window apart.
        part: what is added to the names of files, topics, and a table that an address names, if it is not the main one.
        document: the values of one JSON document per window, or none for a row per key.
        shrinks: whether a newer result may lack rows that an older one of its window has.
        show: prints the results, where the console is among the outputs.
    """

    name: str
    key: tuple[str, ...] = ()
    part: str = ""
    document: tuple[str, ...] = ()
    shrinks: bool = False
    show: beam.PTransform | None = field(default=None, compare=False)


#: Of single records, which have no key.
RECORDS = Table("records")


@dataclass(frozen=True)
class Output:
    """A parsed address; :func:`sinks.address.parse_output` makes one of a text. A kind of output is a subclass.

    Attributes:
        path: the address as it may be shown, without a password.
        unit: what is counted that was written: files, rows or messages; empty if nothing is.
        is_table: whether it has columns with types.
        is_topic: whether it is one of Kafka.
        takes_early: whether it takes early results, too.
    """

    path: str
    unit: ClassVar[str] = ""
    is_table: ClassVar[bool] = False
    is_topic: ClassVar[bool] = False
    takes_early: ClassVar[bool] = True

    @property
    def format(self) -> str | None:
        """How records are written if nobody says otherwise."""
        return None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.path

    @property
    def identity(self) -> str:
        """What tells it from others, the same from whatever folder, and without a password."""
        return self.path

    @property
    def has_password(self) -> bool:
        """Whether there is a password in the address."""
        return False

    @property
    def named_table(self) -> str:
        """The table that the address names, or an empty text."""
        return ""

    @property
    def shared_file(self) -> str:
        """The path of a file that several tables may share, or an empty text."""
        return ""

    def files(self, tables: Sequence[Table]) -> list[str]:
        """Return the paths of the files that take these tables."""
        return []

    def topics(self, tables: Sequence[Table], settings: OutputSettings) -> list[Topic]:
        """Return the topics that take these tables."""
        return []

    def counted(self, table: Table) -> str:
        """Return the name under which is counted what was written of a table."""
        return self.path

    def check(self, tables: Sequence[Table], settings: OutputSettings) -> None:
        """See that results can be written; change no file that is there.

        Raises:
            ValueError, OSError: they cannot; the message is one line.
        """
        return

    def check_records(self) -> None:
        """See that single records can be written; change no file that is there.

        Raises:
            ValueError, OSError: they cannot; the message is one line.
        """
        return

    def result_writer(self, table: Table, settings: OutputSettings) -> beam.PTransform:
        """Return the transform that writes results.

        Raises:
            ValueError: this takes no results, or not these.
        """
        told = f"{self.path!r} takes single records, from pipelines.relay, and no results"
        raise ValueError(f"{told}: expected a path ending in {EXPECTED}")

    def record_writer(self, layout: Layout | None, settings: OutputSettings, key: str = "") -> beam.PTransform:
        """Return the transform that writes the records of batches, each as it comes.

        Args:
            layout: how they are written; None for the columns of their rows as JSON, less those that begin with ``_``.
            settings: what the address does not say.
            key: the column that is the key of messages.

        Raises:
            ValueError: this takes no single records.
        """
        return WriteLines(self.destination(layout or Layout(), settings), renderer(layout))

    def destination(self, layout: Layout, settings: OutputSettings) -> Destination:
        """Return where lines of records go.

        Raises:
            ValueError: this takes no lines.
        """
        raise ValueError(f"{self.path!r} takes no lines: expected {_TAKE_LINES}")

    @contextmanager
    def held(self) -> Iterator[Callable[[], None]]:
        """Keep open what this process writes to; yield what raises a SinkError if that is not there any more."""
        yield lambda: None

    def choose_layout(
        self, style: str | None, shape: Shape, columns: tuple[str, ...], template: tuple[str, ...]
    ) -> Layout:
        """Choose how to write records, from what was said, and from the address.

        Args:
            style: how they are to be written, where that was said.
            shape: what they are.
            columns: those that were asked for; none for all.
            template: see Layout.

        Raises:
            ValueError: nobody knows their columns.
        """
        known = columns or shape.names
        if template:
            return Layout("text", template=template)
        found = style_of(style or self.format)
        if found is None and columns:
            found = "jsonl" if shape.form == "jsonl" else "csv"
        is_as_it_is = found == "jsonl" and shape.form == "jsonl" and not columns
        if found is None or is_as_it_is:
            return Layout()
        if not known:
            raise ValueError("nobody knows the columns of live JSON: say them with --columns a,b,c")
        return Layout(found, known, shape.numbers, declared=shape.declared)
