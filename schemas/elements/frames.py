"""Frames as Beam elements: what travels between the transforms, and how it is encoded where it must be.

Inside a fused stage elements are handed on as they are; only a shuffle encodes them, and then as Arrow IPC streams.
"""

from __future__ import annotations

import io
from typing import Any, Literal, NamedTuple, cast, get_type_hints

import polars as pl
from apache_beam.coders import Coder, FastPrimitivesCoder, TupleCoder, registry

from schemas.elements.block import Block
from schemas.times import to_datetime

#: In a batch, the column that tells which record of the block (0, 1, ...) a row was.
RECORD = "_record"
#: A frame with more bytes is compressed: runners and states keep several copies of what is encoded, all at once.
COMPRESS_BYTES = 1 << 20


def encode_frame(frame: pl.DataFrame) -> bytes:
    """Return the frame as an Arrow IPC stream."""
    sink = io.BytesIO()
    # polars locks a frame that it writes, and then waits for the interpreter; another thread that has the interpreter
    # and looks at the same frame would wait for ever. A clone has the same columns and a lock of its own.
    # The newest level is far slower where texts lie in the buffers of many blocks.
    compression: Literal["lz4", "uncompressed"] = "lz4" if frame.estimated_size() > COMPRESS_BYTES else "uncompressed"
    frame.clone().write_ipc_stream(sink, compression=compression, compat_level=pl.CompatLevel.oldest())
    return sink.getvalue()


def decode_frame(encoded: bytes) -> pl.DataFrame:
    """Return the frame of :func:`encode_frame`."""
    return pl.read_ipc_stream(io.BytesIO(encoded))


#: The block of rows whose records nobody needs any more: some runners encode all that is handed on.
NO_BLOCK = Block(b"", ())


class Batch(NamedTuple):
    """The parsed rows of one block, with the block they came from, so that a row's raw record can still be had.

    ``rows`` has the typed columns of the record type and RECORD (u32).

    Attributes:
        is_counted: whether it was counted what became of the rows, or they are no records: nobody counts them again.
    """

    rows: pl.DataFrame
    block: Block
    is_counted: bool = False


class Result(NamedTuple):
    """The totals of one window.

    Attributes:
        window_start: microseconds of event time, or None where the window is all time.
        window_end: the same, exclusive.
        pane: a number that rises each time the window is given; a higher one replaces a lower one.
        final: whether it is the window's last word.
        rows: a row per key: ``window_start`` and ``window_end`` (Datetime us UTC, null for all time), the key
            columns, the values.
        times: the first and the last event time in it that is believed, in microseconds; None where there is none, or
            nobody asked for them.
    """

    window_start: int | None
    window_end: int | None
    pane: int
    final: bool
    rows: pl.DataFrame
    times: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """The window as file names show it, e.g. ``20110401T000000Z-20110402T000000Z``; ``all`` for all time."""
        if self.window_start is None or self.window_end is None:
            return "all"
        return f"{_compact(self.window_start)}-{_compact(self.window_end)}"


def _compact(micros: int) -> str:
    # strftime would write the year 1 as 1.
    return to_datetime(micros).replace(tzinfo=None).isoformat().replace("-", "").replace(":", "") + "Z"


class FrameCoder(Coder):
    """Encodes a polars frame as an Arrow IPC stream."""

    def encode(self, value: pl.DataFrame) -> bytes:
        """Return the stream."""
        return encode_frame(value)

    def decode(self, encoded: bytes) -> pl.DataFrame:
        """Return the frame."""
        return decode_frame(encoded)

    def estimate_size(self, value: pl.DataFrame) -> int:
        """Estimate the size in bytes: Beam asks for that of most elements, and shall not encode them."""
        return int(value.estimated_size())

    def is_deterministic(self) -> bool:
        """Return False: a frame is never a key."""
        return False

    def to_type_hint(self) -> type:
        """Return what it encodes."""
        return pl.DataFrame


#: Frames by name, as a state that is more than one table.
Frames = dict[str, pl.DataFrame]


class FramesCoder(Coder):
    """Encodes frames by name, each as FrameCoder does."""

    def __init__(self) -> None:
        """Take Beam's coder of plain values for the names and the streams."""
        self._plain = FastPrimitivesCoder()

    def encode(self, value: Frames) -> bytes:
        """Return the names and the streams."""
        return cast(bytes, self._plain.encode({name: encode_frame(frame) for name, frame in value.items()}))

    def decode(self, encoded: bytes) -> Frames:
        """Return the frames."""
        return {name: decode_frame(stream) for name, stream in self._plain.decode(encoded).items()}

    def is_deterministic(self) -> bool:
        """Frames are never a key."""
        return False


class _FieldsCoder(Coder):
    """Encodes a NamedTuple field by field, each with the coder of its type."""

    def __init__(self, of: Any, coders: tuple[Coder, ...]) -> None:
        self._of = of
        self._fields = TupleCoder(coders)

    @classmethod
    def from_type_hint(cls, typehint: Any, registry: Any) -> _FieldsCoder:
        """Called by Beam's registry."""
        coders = {pl.DataFrame: FrameCoder(), Block: registry.get_coder(Block)}
        hints = get_type_hints(typehint)
        return cls(typehint, tuple(coders.get(hint, FastPrimitivesCoder()) for hint in hints.values()))

    def encode(self, value: Any) -> bytes:
        return cast(bytes, self._fields.encode(tuple(value)))

    def decode(self, encoded: bytes) -> Any:
        return self._of(*self._fields.decode(encoded))

    def estimate_size(self, value: Any) -> int:
        return cast(int, self._fields.estimate_size(tuple(value)))

    def is_deterministic(self) -> bool:
        return False

    def to_type_hint(self) -> Any:
        return self._of


def register_fields(of: Any) -> None:
    """Register a NamedTuple type that has frames, so that each field is encoded by the coder of its type."""
    registry.register_coder(of, _FieldsCoder)


registry.register_coder(pl.DataFrame, FrameCoder)
register_fields(Batch)
register_fields(Result)


#: The name that the event time has in every frame, whatever it was called in the record.
EVENT_TIME = "event_time"
#: The pane number of a window's final result, higher than that of any early one.
FINAL_PANE = 2**31 - 1
EDGES = ("window_start", "window_end")


def edges(start: pl.Expr, end: pl.Expr) -> list[pl.Expr]:
    """Return the columns of a window's bounds from expressions of microseconds."""
    return [
        micros.cast(pl.Int64).cast(pl.Datetime("us", "UTC")).alias(name)
        for name, micros in zip(EDGES, (start, end), strict=True)
    ]


class Written(NamedTuple):
    """A file that is complete, and how many rows it has."""

    path: str
    rows: int
