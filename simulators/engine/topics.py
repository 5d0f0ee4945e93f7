"""Records as messages: to topics of Kafka, or to a folder with a file for each topic."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np

from schemas.avro.wire_format import make_encoder
from simulators.engine.batch import GARBAGE, Batch, Marks, Routes, Stream
from simulators.engine.files import replaced
from simulators.engine.metering import metered
from simulators.engine.outlet import Outlet
from sinks.kafka.producer import ProducerSettings, make_topics
from sources.kafka.client import Brokers
from sources.signals import Echoes

#: How long brokers may be away in the middle of a stream.
PATIENCE_SECONDS = 60.0
_ENDING = ".jsonl"


def to_topics(stream: Stream, outlet: Outlet) -> int:
    """Send each record as a message, and return their number.

    Without a topic in the address, records go to the topics of the stream's route. What was handed over is delivered
    also when the stream is interrupted.

    Raises:
        BrokerError: brokers are not there, refuse, or stay away.
        RegistryError: the schema registry is not there, or refuses.
        OSError: a record does not fit its schema.
        ValueError: an extra is missing.
    """
    brokers = Brokers(outlet.address.host, outlet.security)
    sender = ProducerSettings(brokers, patience_seconds=PATIENCE_SECONDS).open()
    known = set(outlet.address.topics)
    if known:
        make_topics(brokers, sorted(known))
    rows = 0
    guarded: Callable[[], AbstractContextManager[None]] = _undisturbed
    try:
        for piece in metered(stream.batches, outlet.pace, outlet.clock):
            with _undisturbed():
                routes = None if stream.route is None else stream.route(piece)
                if routes is not None and not outlet.address.topics and not known.issuperset(routes.topics):
                    make_topics(brokers, routes.topics)
                    known.update(routes.topics)
                for topic, records, keys, marks in _messages(piece, routes, outlet.address.topics):
                    sender.send(topic, _values(records, marks, outlet, topic), keys)
                stream.on_sent(piece)
                rows += piece.rows
    except (KeyboardInterrupt, SystemExit):
        guarded = nullcontext  # who asks again does not wait
        raise
    finally:
        try:
            with guarded():
                sender.flush()
        finally:
            sender.close()
            stream.on_end()
    return rows


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until all is handed over and counted; who asks again does not wait."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    echoes = Echoes()

    def note(number: int, _frame: object) -> None:
        if echoes.is_echo(number):
            return
        if came:
            signal.signal(number, handlers[signal.Signals(number)])
            signal.raise_signal(number)
        came.append(number)

    handlers = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


#: A topic, the records that go there, their keys if they have any, and what befell them.
_Portion = tuple[str, list[bytes], list[bytes | None] | None, Marks | None]


def _messages(piece: Batch, routes: Routes | None, topics: tuple[str, ...]) -> Iterator[_Portion]:
    """Return, for each topic, the messages of a batch in their order."""
    records, marks = piece.records(), piece.marks
    if routes is None:
        yield topics[0], records, None, marks
        return
    if topics:
        yield topics[0], records, list(routes.keys), marks
        return
    for topic, places in _by_topic(routes):
        keys = [routes.keys[place] for place in places]
        yield topic, [records[place] for place in places], keys, None if marks is None else marks[places]


def _values(records: list[bytes], marks: Marks | None, outlet: Outlet, topic: str) -> list[bytes]:
    """Return the values of messages; garbage is what it is in any format."""
    if outlet.values.is_json:
        return records
    is_sound = [True] * len(records) if marks is None else (marks & GARBAGE == 0).tolist()
    try:
        encode = make_encoder(outlet.values, topic)
        sound = iter(encode([record for record, is_so in zip(records, is_sound, strict=True) if is_so]))
    except ValueError as error:
        raise OSError(f"cannot send to kafka://{outlet.address.host}/{topic}: {error}") from None
    return [next(sound) if is_so else record for record, is_so in zip(records, is_sound, strict=True)]


def _by_topic(routes: Routes) -> Iterator[tuple[str, list[int]]]:
    for number in np.unique(routes.which).tolist():
        yield routes.topics[number], np.flatnonzero(routes.which == number).tolist()


def to_folder(stream: Stream, outlet: Outlet) -> int:
    """Write each record into the file of its topic, and return their number. The files are whole or not there at all.

    Raises:
        OSError: a file cannot be written.
    """
    assert stream.route is not None  # noqa: S101 - checked with the options
    folder, files = Path(outlet.address.path), {}
    rows = 0
    with ExitStack() as stack:
        for piece in metered(stream.batches, outlet.pace, outlet.clock):
            routes = stream.route(piece)
            for number, topic in enumerate(routes.topics):
                if topic not in files:
                    files[topic] = stack.enter_context(replaced(folder / f"{topic}{_ENDING}"))
                _write(files[topic], piece, routes.which == number)
            stream.on_sent(piece)
            rows += piece.rows
    stream.on_end()
    return rows


def _write(file: BinaryIO, piece: Batch, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    """Write some of a batch's records, run by run."""
    if which.all():
        file.write(piece.data)
        return
    edges = np.flatnonzero(np.diff(which, prepend=False, append=False))
    starts, data = np.concatenate([[0], piece.ends]), memoryview(piece.data)
    runs = zip(starts[edges[::2]].tolist(), starts[edges[1::2]].tolist(), strict=True)
    file.writelines(data[first:last] for first, last in runs)
