"""Going on after the end: what of the input is in the output, kept in a file that the next run begins with.

A thread looks twice a second how far the outputs have acknowledged what was read, and writes that down, after the files
that were written to are on the disk.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import DirectOptions, PortableOptions, StandardOptions

from pipelines.runtime.job import FAILED, OK
from pipelines.runtime.options import StreamOptions, UsageError
from pipelines.runtime.positions_file import Kept, PositionsFile
from pipelines.runtime.runners import is_local
from schemas.object_path import is_remote, shown
from schemas.paths import is_among
from schemas.text.readable import readable_lines
from sinks.files.atomic import SinkError
from sinks.kafka.producer import count_messages
from sinks.lines.line_file import FileLines
from sinks.output import RECORDS
from sources import progress as board
from sources.address import Address
from sources.files.chunks import find_files
from sources.positions.delivery import Delivery, Position, Tail
from sources.positions.position import TopicPosition
from sources.positions.source import go_on
from sources.read import Read

#: How often positions are written, where they have changed.
WRITE_SECONDS = 0.5
_BLOCK_BYTES = 1 << 20
_NO_FILE = Tail(0, 0, 0)


def check_positions(options: StreamOptions, *, is_loop: bool) -> None:
    """See that there are positions to keep, and that this process can keep them.

    Args:
        options: what was asked for.
        is_loop: whether files begin again and again.

    Raises:
        UsageError: there are none, or it cannot.
    """
    if not options.positions:
        return
    paths = [address.path for address in options.inputs if address.scheme == "file"]
    with suppress(OSError):  # which is told by those who open it
        paths += find_files(paths) if paths else []
    paths += [path for output in options.outputs for path in output.files([RECORDS])]
    if is_among(options.positions, [*paths, *filter(None, [options.rejected])]):
        raise UsageError(f"{options.positions!r} is read or written, so it cannot have the positions")
    for address in options.inputs:
        if address.scheme not in ("file", "kafka"):
            raise UsageError(
                f"--positions keeps where files and topics of Kafka were read: {address.text} has nothing to go back to"
            )
        if is_remote(address.path):
            raise UsageError(
                f"--positions keeps where files of this machine were read: {shown(address.text)} is an object, which "
                "does not grow: it is read again, whole"
            )
    for path in [*(output.path for output in options.outputs), *filter(None, [options.rejected])]:
        if is_remote(path):
            raise UsageError(
                f"--positions keeps how much of a file was written, and {path} is an object: leave one out"
            )
    if is_loop:
        raise UsageError("--loop reads the same files again and again, so there is no position to go on from")
    if not is_local(options) or options.view_as(DirectOptions).direct_running_mode == "multi_processing":
        runner = options.view_as(StandardOptions).runner or options.view_as(PortableOptions).job_endpoint
        raise UsageError(
            f"--positions is kept by this process, and {runner} works in others: there a job goes on from a savepoint "
            "(docs/flink.md)"
        )


class Keeper:
    """Keeps the positions of one run."""

    def __init__(self, options: StreamOptions, read: Read, files: Sequence[FileLines], pipeline: str) -> None:
        """Open the file, and let the sources go on where it says.

        Args:
            options: what was asked for.
            read: the sources; they are changed.
            files: the files of lines that are appended to, those of rejected records among them.
            pipeline: the name of the program.

        Raises:
            UsageError: the file, or what it tells of, cannot be used.
        """
        self._options = options
        self._files = files
        self._topics = [topic for output in options.outputs for topic in output.topics([RECORDS], options)]
        self._command = command_of(options, pipeline)
        self._file = PositionsFile(options.positions)
        self._delivery = Delivery()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._last: tuple[Any, ...] = ()
        self.failure = ""
        try:
            kept = self._file.read(self._command)
            wrap = self._wrap(kept.positions if kept else ())
            read.wrap_sources(wrap)
            if kept is not None:
                self._tell(kept)
            self._open_logs()
        except OSError as error:
            self.close()
            raise UsageError(str(error)) from None
        except BaseException:
            self.close()
            raise

    def _wrap(self, positions: Sequence[Position]) -> Any:
        sinks, keeps_rejected = len(self._options.outputs), bool(self._options.rejected)

        def wrap(source: Any) -> Any:
            return go_on(source, positions, self._delivery, _say, sinks=sinks, keeps_rejected=keeps_rejected)

        return wrap

    def write(self) -> None:
        """Write the positions, if they have changed; a failure is remembered, and told once."""
        with self._lock:
            is_ended = not self._delivery.under_way
            found, tails = self._delivery.covered()
            positions = tuple(position for source in found for position in source.values())
            now = (positions, dict(tails), is_ended)
            if now == self._last or self._file is None:
                return
            try:
                for path in tails:
                    _sync(path)
                self._file.write(self._command, Kept(positions, tails, is_ended))
            except SinkError as error:
                if not self.failure:
                    board.note(f"warning: {error}; trying again")
                self.failure = str(error)
            else:
                self._last, self.failure = now, ""

    def run(self) -> None:
        """Write every now and then, until :meth:`close`."""
        while not self._stopping.wait(WRITE_SECONDS):
            self.write()

    def close(self) -> None:
        """Let go of the file."""
        self._stopping.set()
        with self._lock:
            self._file.close()
            self._delivery.close()

    def _tell(self, kept: Kept) -> None:
        """Tell what comes twice, and what is missing."""
        partitions = sum(isinstance(position, TopicPosition) for position in kept.positions)
        files = len(kept.positions) - partitions
        known = [_number(count, noun) for count, noun in ((files, "file"), (partitions, "partition")) if count]
        if known and not self._options.quiet:
            _say(f"going on at the positions of {' and '.join(known)} in {self._options.positions}")
        for place in self._files:
            tail = (kept.outputs or {}).get(place.path)
            if tail is not None:
                for line in _compare(place, tail):
                    _say(line)
        if not kept.is_ended:
            for topic in self._topics:
                tail = (kept.outputs or {}).get(topic.address, _NO_FILE)
                more = count_messages(topic.producer.brokers, topic.name) - tail.size - tail.lines
                if more > 0:
                    _say(
                        f"{topic.address} has {_number(more, 'message')} behind the positions, unless others write to "
                        "it: what they are of is written again"
                    )
            for output in self._options.outputs:
                if not output.unit:
                    sent = f"what it sent to {output.name} behind its positions"
                    _say(f"the last run was ended in mid-work: {sent} comes again")

    def _open_logs(self) -> None:
        for place in self._files:
            tail = _NO_FILE
            with suppress(FileNotFoundError):
                found = os.stat(place.path)  # noqa: PTH116
                if found.st_size:
                    tail = Tail(found.st_dev, found.st_ino, found.st_size)
            self._delivery.open_log(place.path, tail)
        for topic in self._topics:
            self._delivery.open_log(topic.address, Tail(0, 0, count_messages(topic.producer.brokers, topic.name)))


@contextmanager
def keeping(keeper: Keeper | None) -> Iterator[None]:
    """Keep positions as long as the context lasts, and once more at its end."""
    if keeper is None:
        yield
        return
    keeper.write()
    thread = threading.Thread(target=keeper.run, name="positions", daemon=True)
    thread.start()
    try:
        yield
    finally:
        keeper.write()
        keeper.close()
        thread.join()


def status_of(status: int, keeper: Keeper | None) -> int:
    """Return the exit status of a run, which has failed if its positions could not be written."""
    if keeper is not None and keeper.failure:
        print(f"failed: {readable_lines(str(keeper.failure))}", file=sys.stderr, flush=True)
        return FAILED if status == OK else status
    return status


def command_of(options: StreamOptions, pipeline: str) -> dict[str, Any]:
    """Return what a positions file belongs to: it shows no password."""
    outputs = [
        os.path.abspath(output.path) if output.unit == "file" else output.path  # noqa: PTH100
        for output in options.outputs
    ]
    tables = [output.named_table for output in options.outputs if output.named_table]
    return {
        "pipeline": pipeline,
        "inputs": [_shown(address) for address in options.inputs],
        "follow": options.is_following,
        "outputs": [*outputs, *tables],
        "rejected": os.path.abspath(options.rejected) if options.rejected else "",  # noqa: PTH100
    }


def _shown(address: Address) -> str:
    return os.path.abspath(address.path) if address.scheme == "file" else address.text  # noqa: PTH100


def _say(line: str) -> None:
    with suppress(OSError):
        print(readable_lines(line), file=sys.stderr, flush=True)


def _sync(path: str) -> None:
    """See that what was written to a file is on the disk."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise SinkError(f"cannot write {path}: {error.strerror}") from error
        finally:
            os.close(descriptor)


def _compare(place: FileLines, tail: Tail) -> Iterator[str]:
    """Tell what became of an output since positions were written; cut off a line that a killed run has torn."""
    path = place.path
    try:
        found = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        if tail.inode:
            yield f"{path} is not there any more: what it had is not written again"
        return
    if tail.inode and (found.st_dev, found.st_ino) != (tail.device, tail.inode):
        yield f"{path} is another file than the one that was written to: what that had is not written again"
        return
    if found.st_size < tail.size:
        yield f"{path} became shorter since its positions were written: what is gone from it is not written again"
        return
    lines, torn = _count_lines(path, tail.size)
    if torn:
        os.truncate(path, found.st_size - torn)
    if not tail.inode and place.header and lines:
        lines -= 1
    if lines > tail.lines:
        more = _number(lines - tail.lines, "line")
        yield f"{path} has {more} behind the positions: what they are of is written again"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _count_lines(path: str, start: int) -> tuple[int, int]:
    """Return how many lines a file has from a byte on, and how many bytes of a line without its end."""
    lines = torn = 0
    with Path(path).open("rb") as file:
        file.seek(start)
        while data := file.read(_BLOCK_BYTES):
            lines += data.count(b"\n")
            end = data.rfind(b"\n") + 1
            torn = len(data) - end if end else torn + len(data)
    return lines, torn
