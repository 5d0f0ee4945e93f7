"""Lines, one after the other, to where somebody reads them: a file, the standard output, a peer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from schemas.elements.frames import Written
from sinks.console.tables import print_bytes
from sinks.files.atomic import SinkError
from sinks.lines.once import AppendOnce
from sinks.shared import Shared
from sources.drain import drain
from sources.positions import delivery
from sources.positions.delivery import Standing


class Outlet(ABC):
    """Where lines go, once it is open. Threads take turns; what one writes is not mixed with what another does."""

    @abstractmethod
    def write(self, lines: bytes) -> Standing | None:
        r"""Hand whole lines over, each ended by ``\n``, before it returns; of a file, return where they stand now.

        Raises:
            SinkError: that cannot be done.
        """

    def flush(self) -> None:  # noqa: B027 - most write at once
        """See that what was written is where it goes, at the end of a bundle.

        Raises:
            SinkError: that cannot be done.
        """

    def close(self) -> None:
        """Close what is open; may be called again."""
        return


class Destination(ABC):
    """Where lines go: a frozen dataclass, so that it pickles, and equal ones are one outlet in a process.

    Attributes:
        base: of a file whose lines are written once where bundles are tried again, the length at which they begin.
        header: the first line of a file.
    """

    header: bytes = b""
    base: int | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """The address."""

    @abstractmethod
    def open(self) -> Outlet:
        """Open it.

        Raises:
            SinkError: it cannot be.
        """


@beam.typehints.with_output_types(Written)
@dataclass(eq=False)
class WriteLines(beam.PTransform):
    r"""Write elements of whole lines, each as it comes, and yield a :class:`Written` for each.

    An element is handed to the system before the next one is taken, and nothing waits for a bundle to end. The order is
    that of the elements: it is that of the records where one reader gives them and no shuffle stands between. At least
    once: a bundle that is tried again writes its lines again.

    Attributes:
        place: where they go.
        render: makes lines of elements; None where elements are lines. What is rendered is acknowledged (see
            :mod:`sources.positions.delivery`) when it was written.

    Raises:
        SinkError: when run, they cannot be written.
    """

    place: Destination
    render: Callable[[Any], bytes] | None = None

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Apply the one step."""
        if self.place.base is not None:
            return pcoll | "WriteLines" >> AppendOnce(self.place.name, self.place.base, self.place.header, self.render)
        return pcoll | "WriteLines" >> beam.ParDo(_WriteFn(self.place, self.render))


class _WriteFn(beam.DoFn):
    def __init__(self, place: Destination, render: Callable[[Any], bytes] | None) -> None:
        self._place = place
        self._render = render
        self._outlet: Outlet | None = None

    def process(self, element: Any) -> Iterator[Written]:
        if self._outlet is None:
            self._outlet = OUTLETS.borrow(self._place)
        lines: bytes = element if self._render is None else self._render(element)
        standing = self._outlet.write(lines)
        number = lines.count(b"\n")
        if self._render is not None:
            receipt = element.block.receipt
            if standing is not None:
                delivery.log(self._place.name, standing, {receipt: number})
            delivery.deliver(receipt)
        yield Written(self._place.name, number)

    def finish_bundle(self) -> None:
        if self._outlet is not None:
            self._outlet.flush()

    def teardown(self) -> None:
        if self._outlet is not None:
            OUTLETS.give_back(self._place, self._outlet)
            self._outlet = None


#: A runner may have several of the same step at once; they share what they write to, or the order would be lost.
OUTLETS: Shared[Destination, Outlet] = Shared(lambda place: place.open(), lambda outlet: outlet.close())


@dataclass(frozen=True)
class StdoutLines(Destination):
    """The standard output, flushed with each element. That its reader has gone away ends the run, and is no error."""

    @property
    def name(self) -> str:
        """The address."""
        return "-"

    def open(self) -> Outlet:
        """Return the standard output, which is open."""
        return _Stdout()


class _Stdout(Outlet):
    def __init__(self) -> None:
        self._is_gone = False

    def write(self, lines: bytes) -> None:
        if self._is_gone:
            return
        try:
            print_bytes(lines)
        except SinkError as error:
            if not isinstance(error.__cause__, BrokenPipeError):
                raise
            self._is_gone = True
            drain()
