"""Records that were not used, rejected or late ones, into a file of JSON lines, so that somebody can look at them."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam

from schemas.record_type import Rejected
from sinks.lines.object_lines import LineKeeper, lines_to
from sinks.lines.once import AppendOnce
from sinks.lines.write import OUTLETS, Outlet
from sources.positions import delivery

_BUFFER_BYTES = 1 << 20
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@beam.typehints.with_input_types(Rejected)
@beam.typehints.with_output_types(Rejected)
@dataclass(eq=False)
class WriteRejected(beam.PTransform):
    """Append each record to a file of JSON lines, and hand it on.

    A line has ``origin``, ``position``, ``reason`` and ``raw``, the record's text, or ``raw_base64`` where its bytes
    are not UTF-8. Lines are written when a bundle ends, or fills 1 MiB before, and never in parts; the order is that
    of arrival. At least once: a bundle that is tried again may write its lines again.

    Attributes:
        path: the file, or where it is, to append to it; of a store, where objects of lines go (see
            :class:`sinks.lines.object_lines.ObjectLines`); None writes nothing and only hands the records on.

    Raises:
        SinkError: when run, the file cannot be written.
    """

    path: LineKeeper | str | None

    def expand(self, pcoll: beam.PCollection) -> beam.PCollection:
        """Apply the one step, if any."""
        place = self.place
        if place is None:
            return pcoll
        if place.base is None:
            return pcoll | "AppendLines" >> beam.ParDo(_AppendFn(place))
        pcoll | "AppendLines" >> AppendOnce(place.name, place.base, place.header, json_line)
        return pcoll

    @property
    def place(self) -> LineKeeper | None:
        """The file."""
        return lines_to(self.path) if isinstance(self.path, str) else self.path


def json_line(record: Rejected) -> bytes:
    """Return the line of one record."""
    fields: dict[str, str | int] = {"origin": record.origin, "position": record.position, "reason": record.reason}
    try:
        fields["raw"] = record.raw.decode("utf-8")
    except UnicodeDecodeError:
        fields["raw_base64"] = base64.b64encode(record.raw).decode("ascii")
    # File names need not be UTF-8: their odd bytes are surrogates here, which backslashreplace writes as JSON does.
    return _json(fields).encode("utf-8", "backslashreplace") + b"\n"


class _AppendFn(beam.DoFn):
    def __init__(self, place: LineKeeper) -> None:
        self._place = place
        self._outlet: Outlet | None = None
        self._lines: list[bytes] = []
        self._bytes = 0
        self._receipts: Counter[str] = Counter()

    def start_bundle(self) -> None:
        self._lines, self._bytes = [], 0
        self._receipts.clear()

    def process(self, element: Rejected) -> Iterator[Rejected]:
        line = json_line(element)
        if self._bytes + len(line) > _BUFFER_BYTES:
            self._flush()
        self._lines.append(line)
        self._bytes += len(line)
        self._receipts[element.receipt] += 1
        yield element

    def finish_bundle(self) -> None:
        self._flush()
        if self._outlet is not None:
            self._outlet.flush()

    def _flush(self) -> None:
        if self._lines:
            if self._outlet is None:
                self._outlet = OUTLETS.borrow(self._place)
            standing = self._outlet.write(b"".join(self._lines))
            if standing is not None:
                delivery.log(self._place.name, standing, self._receipts)
            for receipt, number in self._receipts.items():
                delivery.deliver(receipt, number)
        self._lines, self._bytes = [], 0
        self._receipts.clear()

    def teardown(self) -> None:
        if self._outlet is not None:
            OUTLETS.give_back(self._place, self._outlet)
            self._outlet = None
