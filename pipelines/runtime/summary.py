"""The summary of a run as a file: what became of all records, written by the job itself when its input has ended."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam

from pipelines.runtime.options import StreamOptions
from sinks.files.atomic import write_whole
from storage.place import open_bytes
from transforms.counting import COUNTS, Balance
from transforms.total_counts import TotalCounts

#: So much of it is read.
_MOST_BYTES = 1 << 16


class Summary:
    """A file of JSON, the same whoever writes it however often.

    It is there from the beginning on, and then tells that it is not complete: so no summary of an earlier run is taken
    for that of one that was killed.

    Args:
        path: where it is; empty where nobody reads it, and the job counts all the same, for one that goes on from it.
        pipeline: the name of the pipeline.
    """

    def __init__(self, path: str, pipeline: str) -> None:
        """Name the run."""
        self.path = path
        self._told = {"pipeline": pipeline, "run": uuid.uuid4().hex, "complete": False}

    def begin(self) -> None:
        """Tell that the run is not complete.

        Raises:
            SinkError: it cannot be written.
        """
        if self.path:
            write_whole(self.path, _encode(self._told))

    def add_to(self, pipeline: beam.Pipeline) -> None:
        """Have a pipeline, which is whole but for this, write it when its input has ended."""
        counts = pipeline | "CountAll" >> TotalCounts()
        # Also without a path: the steps of a job that goes on from a savepoint are those of the earlier one.
        counts | "WriteSummary" >> beam.ParDo(_WriteFn(self.path, self._told))

    def read(self) -> Counter[str] | None:
        """Return what became of all records; None where the job has not told, or not here."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open_bytes(self.path) as file:
            found = json.loads(file.read(_MOST_BYTES))
            if found["run"] == self._told["run"] and found["complete"] is True:
                return Counter({name: int(found[name]) for name in COUNTS})
        return None


@contextlib.contextmanager
def summing_up(options: StreamOptions) -> Iterator[Summary | None]:
    """Give the summary of a run that needs one, as all on a cluster do; remove what only this process has wanted."""
    path = options.summary or ("" if options.detach else options.balance)
    if not (path or options.tries_again):
        yield None
        return
    try:
        yield Summary(path, options.pipeline)
    finally:
        if path and not options.summary:
            Path(path).unlink(missing_ok=True)


class _WriteFn(beam.DoFn):
    def __init__(self, path: str, told: dict[str, Any]) -> None:
        self._path = path
        self._told = told

    def process(self, counts: Balance) -> None:
        if self._path:
            write_whole(self._path, _encode({**self._told, "complete": True, **_balance(counts)}))


def _balance(counts: Sequence[int]) -> dict[str, Any]:
    read, *became = counts
    return {**dict(zip(COUNTS, counts, strict=True)), "balances": read == sum(became)}


def _encode(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"
