"""Reading on a cluster: the parts of a source are elements of their own, so that they spread over its workers.

Beam makes one element of a source and splits it where it is read. Flink keys by the element, so that all parts of a
source are read by one of its subtasks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import UnboundedReader, UnboundedSource, _ReadFromUnboundedSourceDoFn

from sources import drain
from sources.files.replay import FileReplay

#: Keys fall where their hashes say: with several parts for each subtask, each has about as many.
PARTS_PER_SUBTASK = 4


class Spread(NamedTuple):
    """How a source is spread over the workers of a cluster.

    Attributes:
        parallelism: how many subtasks the cluster has for it.
        drain_file: readers end once this file is there; empty where workers cannot see one.
    """

    parallelism: int
    drain_file: str = ""

    @property
    def parts(self) -> int:
        """Into how many parts a source is split at most."""
        return self.parallelism if self.parallelism == 1 else self.parallelism * PARTS_PER_SUBTASK


@dataclass(frozen=True)
class SourcePart(UnboundedSource):
    """A part of a source that is not to be split again."""

    source: UnboundedSource

    def split(self, desired_num_splits: int, options: Any = None) -> list[SourcePart]:  # noqa: ARG002
        """Return itself."""
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> UnboundedReader:
        """Return a reader of the part."""
        return self.source.create_reader(options, checkpoint_mark)

    def get_checkpoint_mark_coder(self) -> Coder:
        """Return the coder of its marks."""
        return self.source.get_checkpoint_mark_coder()

    def default_output_coder(self) -> Coder:
        """Return the coder of what it gives."""
        return self.source.default_output_coder()


@dataclass
class ReadParts(beam.PTransform):
    """Read a source by its parts, side by side.

    Attributes:
        source: is split where the pipeline is built.
        spread: into how many parts.
        poll_seconds: how long an idle part is left alone.
        bundle_seconds: after how long a bundle ends.
    """

    source: UnboundedSource
    spread: Spread
    poll_seconds: float
    bundle_seconds: float
    max_records_per_bundle: int

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Make an element of each part, and read it."""
        parts = [SourcePart(part) for part in self._split()]
        read = _ReadPartsFn(self.spread.drain_file, self.poll_seconds, self.max_records_per_bundle, self.bundle_seconds)
        return pipeline | "Create" >> beam.Create(parts, reshuffle=False) | "ReadUnbounded" >> beam.ParDo(read)

    def _split(self) -> Iterable[UnboundedSource]:
        wanted = self.spread.parts
        # By the cluster's subtasks: those of this machine's processors are another matter.
        return self.source.parts(wanted) if isinstance(self.source, FileReplay) else self.source.split(wanted, None)


class _ReadPartsFn(_ReadFromUnboundedSourceDoFn):
    def __init__(self, drain_file: str, *options: Any) -> None:
        super().__init__(*options)
        self._drain_file = drain_file

    def setup(self) -> None:
        super().setup()
        if self._drain_file:
            drain.watch_file(self._drain_file)
