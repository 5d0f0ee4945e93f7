"""Results and records as messages of Kafka: delivered when a bundle ends, or the bundle fails."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import apache_beam as beam
import polars as pl
from apache_beam.transforms.window import GlobalWindows

from schemas.avro.columns import encode_bodies, frame_schema
from schemas.avro.registry import RegistryError
from schemas.avro.wire_format import ValueFormat, make_encoder, value_head
from schemas.elements.frames import Batch, Result, Written
from sinks.files.atomic import SinkError
from sinks.files.json_text import json_by_key, json_lines, json_text
from sinks.files.table_layout import lay_out, lay_out_all, require
from sinks.kafka.producer import ProducerSettings, Sender
from sinks.lines.render import Layout, render_lines
from sinks.shared import Shared
from sources.kafka.client import BrokerError
from sources.positions import delivery
from transforms.untyped.json_fields import FIELD

#: Behind the columns of a row, when it was given: the number of the result, and whether it is the window's last word.
PANE, FINAL = "pane", "final"
#: What stands between the columns of a key.
KEY_SEPARATOR = "|"
_NO_NAME_CHARACTER = re.compile(r"[^A-Za-z0-9_]")


class Messages(NamedTuple):
    """Values of messages and, for each, its key; None where they have none."""

    values: Sequence[bytes]
    keys: Sequence[bytes | None] | None = None


#: Rows of results are sent when so many have gathered, or the bundle ends.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Topic:
    """Where messages go.

    Attributes:
        producer: to which brokers, and how.
        name: of the topic.
        transactional: whether readers see the messages of a bundle together or not at all. Each worker has senders of
            its own then, and needs a runner that does not give a bundle again once it was committed.
        values: how the values of messages are written.
    """

    producer: ProducerSettings
    name: str
    transactional: bool = False
    values: ValueFormat = ValueFormat()

    @property
    def address(self) -> str:
        """How messages to people name it."""
        return f"{self.producer.brokers.address}/{self.name}"

    def encode_lines(self, lines: bytes) -> Sequence[bytes]:
        """Return a value for each line of JSON.

        Raises:
            SinkError: a record does not fit its schema, or the registry is not there; the message is one line.
        """
        with self._told():
            return make_encoder(self.values, self.name)(lines.split(b"\n")[:-1])

    def encode_rows(self, rows: pl.DataFrame) -> Sequence[bytes]:
        """Return a value for each row; a schema follows from the columns if none was given.

        Raises:
            SinkError: Avro cannot have these columns, a row does not fit a given schema, or the registry is not there.
        """
        if self.values.is_json or self.values.schemas:
            return self.encode_lines(json_lines(rows))
        name = _NO_NAME_CHARACTER.sub("_", self.name)
        with self._told():
            schema = frame_schema(rows.schema, f"_{name}" if name[0].isdigit() else name)
            head = value_head(self.values, self.name, schema)
            return [head + body for body in encode_bodies(rows, schema)]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, RegistryError) as error:
            raise SinkError(f"cannot write to {self.address}: {error}") from error


@beam.typehints.with_output_types(Written)
class _SendFn(beam.DoFn):
    """Send the messages of a bundle while it goes on, and wait for their delivery at its end."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._sender: Sender | None = None
        self._sent = 0

    def start_bundle(self) -> None:
        self._sent = 0
        if self._sender is None:
            return
        if self._topic.transactional:
            self._sender.abort()  # of a bundle that failed in another step
        if self._sender.has_failed:
            self.teardown()

    def send(self, messages: Messages) -> None:
        """Send messages."""
        values, keys = messages
        with _one_line_errors():
            if self._sender is None:
                self._sender = self._open()
            if self._topic.transactional:
                self._sender.begin()
            self._sent += self._sender.send(self._topic.name, values, keys)

    def finish_bundle(self) -> Iterator[Any]:
        if self._sender is None or not self._sent:
            return
        with _one_line_errors():
            if self._topic.transactional:
                self._sender.commit()
            else:
                self._sender.flush()
        yield GlobalWindows.windowed_value(Written(self._topic.address, self._sent))

    def teardown(self) -> None:
        sender, self._sender = self._sender, None
        if sender is None:
            return
        if self._topic.transactional:
            sender.abort()
            sender.close()
        else:
            _SENDERS.give_back(self._topic.producer, sender)

    def _open(self) -> Sender:
        if not self._topic.transactional:
            return _SENDERS.borrow(self._topic.producer)
        return replace(self._topic.producer, transactional_id=f"{self._topic.name}-{uuid.uuid4().hex}").open()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what brokers say into an error of a sink."""
    try:
        yield
    except BrokerError as error:
        raise SinkError(str(error)) from error


#: A runner may have several of the same step at once; one sender keeps their messages in order, and batches fuller. One
#: that has failed is left to those who have it, so that a bundle can be tried again.
_SENDERS: Shared[ProducerSettings, Sender] = Shared(ProducerSettings.open, Sender.close, lambda one: one.has_failed)


@beam.typehints.with_input_types(Result)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteTopic(beam.PTransform):
    """Send a message for each row of each result, early ones too, and yield a :class:`Written` for each bundle.

    The value is a JSON object: the columns of the row, as files have them, ``pane`` and ``final``. The key is that of
    the row, with ``|`` between its columns. Who keeps totals by window and key, each time those of the highest pane,
    has what a table of :class:`sinks.sql.write.WriteTable` would have.

    Attributes:
        topic: where to.
        key: the columns that tell the rows of a window apart.
        document: if there are any, a result is one message ``{key: [value, ...]}`` of these columns instead; its key is
            the window.

    Raises:
        SinkError: when run, messages cannot be delivered; the message is one line.
        ValueError: when run, a column is missing.
    """

    topic: Topic
    key: tuple[str, ...]
    document: tuple[str, ...] = ()

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return results | "AllTime" >> beam.WindowInto(GlobalWindows()) | "SendRows" >> beam.ParDo(_ResultsFn(self))


def result_messages(topic: Topic, results: Sequence[Result], key: tuple[str, ...]) -> Messages:
    """Return the messages of the rows of results.

    Raises:
        ValueError: a column is missing.
    """
    rows, place = lay_out_all(results, key)
    marked = rows.with_columns(
        pl.Series(PANE, [result.pane for result in results], pl.Int64).gather(place),
        pl.Series(FINAL, [result.final for result in results], pl.Boolean).gather(place),
    )
    return Messages(topic.encode_rows(marked), _keys(rows, key))


def document_message(result: Result, key: str, columns: tuple[str, ...]) -> Messages:
    """Return the one message of a result that is a document.

    Raises:
        ValueError: a column is missing.
    """
    require(result.rows, columns)
    document = json_by_key(lay_out(result, (key,)), key, columns)
    return Messages([document.rstrip(b"\n")], [result.label.encode()])


class _ResultsFn(_SendFn):
    """Gather results, for those of many windows are rendered together."""

    def __init__(self, options: WriteTopic) -> None:
        super().__init__(options.topic)
        self._key, self._document = options.key, options.document
        self._results: list[Result] = []
        self._rows = 0

    def start_bundle(self) -> None:
        super().start_bundle()
        self._results, self._rows = [], 0

    def process(self, element: Result) -> None:
        self._results.append(element)
        self._rows += element.rows.height
        if self._rows >= MOST_ROWS:
            self._send_results()

    def finish_bundle(self) -> Iterator[Any]:
        self._send_results()
        yield from super().finish_bundle()

    def _send_results(self) -> None:
        results, self._results, self._rows = self._results, [], 0
        if self._document:
            for result in results:
                self.send(document_message(result, self._key[0], self._document))
        elif results:
            self.send(result_messages(self._topic, results, self._key))


@beam.typehints.with_input_types(Batch)
@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteMessages(beam.PTransform):
    """Send a message for each record, in order, and yield a :class:`Written` for each bundle.

    Attributes:
        topic: where to.
        layout: how records are written; without, the columns of their rows as JSON, less those that begin with ``_``.
        key: the column whose text is the key of a message; none without.

    Raises:
        SinkError: when run, messages cannot be delivered; the message is one line.
    """

    topic: Topic
    layout: Layout | None = None
    key: str = ""

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        """Wire the one step."""
        return batches | "AllTime" >> beam.WindowInto(GlobalWindows()) | "SendRecords" >> beam.ParDo(self.step())

    def step(self) -> beam.DoFn:
        """Return the one step."""
        return _BatchesFn(self)


def record_messages(topic: Topic, batch: Batch, layout: Layout | None, key: str = "") -> Messages:
    """Return the messages of a batch."""
    if layout is None:
        values = topic.encode_rows(batch.rows.select(name for name in batch.rows.columns if not name.startswith("_")))
    else:
        values = topic.encode_lines(render_lines(batch, layout))
    keys = _keys(batch.rows, (FIELD + key if FIELD + key in batch.rows.columns else key,)) if key else None
    return Messages(values, keys)


class _BatchesFn(_SendFn):
    def __init__(self, options: WriteMessages) -> None:
        super().__init__(options.topic)
        self._layout, self._key = options.layout, options.key
        self._receipts: Counter[str] = Counter()

    def start_bundle(self) -> None:
        super().start_bundle()
        self._receipts.clear()

    def process(self, element: Batch) -> None:
        self.send(record_messages(self._topic, element, self._layout, self._key))
        self._receipts[element.block.receipt] += element.rows.height

    def finish_bundle(self) -> Iterator[Any]:
        yield from super().finish_bundle()
        delivery.log(self._topic.address, None, self._receipts)
        for receipt in self._receipts:
            delivery.deliver(receipt)
        self._receipts.clear()


def _keys(rows: pl.DataFrame, columns: Sequence[str]) -> list[bytes | None]:
    """Return the keys of rows: their text, with nothing around it, or None where the only column is missing."""
    require(rows, columns)
    texts = [_text(name, rows.schema[name]) for name in columns]
    key = (
        texts[0] if len(texts) == 1 else pl.concat_str([text.fill_null("") for text in texts], separator=KEY_SEPARATOR)
    )
    return rows.select(key.cast(pl.Binary).alias("key")).to_series().to_list()


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(name)
    text = value if dtype == pl.String else json_text(value, dtype).str.strip_chars('"')
    return pl.when(value.is_not_null()).then(text)
