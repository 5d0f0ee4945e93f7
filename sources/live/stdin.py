"""The standard input as a source."""

from __future__ import annotations

import select
import sys
from dataclasses import dataclass
from typing import BinaryIO

from schemas.record_type import RecordType
from sources.backlog import Backlog
from sources.line_cutter import LineCutter
from sources.live.source import PACKET_BYTES, POLL_SECONDS, STOPPED, LineSource, Receiver
from sources.watermark import Stream


@dataclass(frozen=True)
class StdinLines(LineSource):
    """Reads records from the standard input, in a thread; the end of the input is the end of the stream.

    Its blocks come from the origin ``stdin``. The fields are those of :class:`LineSource`. Only one reader at a time
    can use it, in the process whose input it is.
    """

    record_type: RecordType

    def receiver(self, backlog: Backlog) -> Receiver:
        """Return the thread that reads the standard input."""
        return _StdinReceiver(self, backlog)


class _StdinReceiver(Receiver):
    """Reads the standard input as it comes."""

    def __init__(self, source: StdinLines, backlog: Backlog) -> None:
        super().__init__(backlog, source.clock, source.idle_timeout_seconds)
        # An interrupted reader has left its stream open, with the record that it was in the middle of.
        self._stream = next(iter(backlog.open_streams()), None) or Stream("stdin", LineCutter(source.max_record_bytes))
        self._is_resumed = bool(backlog.open_streams())
        self._input: BinaryIO | None = None

    def open(self) -> None:
        self._input = sys.stdin.buffer
        if not self._is_resumed:
            self.backlog.open(self._stream)

    def listen(self) -> bool:
        assert self._input is not None  # noqa: S101 - opened before the thread was started
        # A read that waits could not be stopped, and would swallow the next reader's input.
        if not select.select([self._input], [], [], POLL_SECONDS)[0]:
            self.backlog.listened([], self.clock())
            return False
        self.backlog.listened([self._stream], self.clock())
        packet = self._input.read1(PACKET_BYTES)  # type: ignore[attr-defined]
        if packet:
            self.backlog.receive(self._stream, packet)
        else:
            self.backlog.close(self._stream)
            self.is_exhausted = True
        return bool(packet)

    def hang_up(self, *, is_interrupted: bool) -> None:
        if self._stream.is_open and not is_interrupted:
            self.backlog.close(self._stream, STOPPED)
