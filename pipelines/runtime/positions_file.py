"""The file of positions: small, readable, locked by the run that writes it, and replaced whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pipelines.runtime.options import UsageError
from schemas.record_type import Dialect
from sinks.files.atomic import make_folder, one_line_errors
from sources.positions.delivery import Position, Tail
from sources.positions.position import FilePosition, TopicPosition

VERSION = 1
_MODE = 0o666  # less the umask, as for any file that a program makes


@dataclass(frozen=True)
class Kept:
    """What the file says.

    Attributes:
        positions: where to go on.
        outputs: how much of each file of lines belongs to them, by its absolute path.
        is_ended: whether everything that was read was covered when this was written.
    """

    positions: tuple[Position, ...] = ()
    outputs: Mapping[str, Tail] | None = None
    is_ended: bool = True


class PositionsFile:
    """A file that is open, and locked against any other process until this one closes it, or ends.

    The lock is on the file itself, so nothing else is left behind; whoever replaces it has the new one locked before
    anybody can see it.
    """

    def __init__(self, path: str) -> None:
        """Make or open the file, and lock it.

        Raises:
            UsageError: another process has it, or it cannot be written.
        """
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - it may be a link to nowhere
        self._shown = path
        self._temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            with one_line_errors(path):
                make_folder(self._path.parent)
                self._descriptor = self._lock()
                with suppress(FileNotFoundError):
                    self._temporary.unlink()  # of a run that was killed while it wrote
        except OSError as error:
            raise UsageError(str(error)) from None

    def _lock(self) -> int:
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise UsageError(f"expected a file for --positions, got {self._shown!r}")
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise UsageError(
                    f"the positions in {self._shown} are in use by a run that goes on: end it, or name another file"
                ) from None
            except FileNotFoundError:
                pass  # replaced or removed in this moment
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def read(self, command: Mapping[str, Any]) -> Kept | None:
        """Return what the file says; None where it is new.

        Args:
            command: what its run reads and writes.

        Raises:
            UsageError: it is damaged, or of another command.
        """
        data = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        if not data:
            return None
        try:
            found = json.loads(data)
            version, of = found["version"], found["command"]
            if version == VERSION:
                positions = tuple(map(_read_position, found["inputs"]))
                outputs = {each.pop("path"): _typed(Tail, each) for each in found["outputs"]}
                kept = Kept(positions, outputs, found["is_ended"] is True)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(
                f"{self._shown} is damaged, or holds no positions: expected what an earlier run has written there; "
                "name another file, or remove it to read everything from the start"
            ) from None
        if version != VERSION:
            raise UsageError(f"{self._shown} has positions of version {version!r}, expected {VERSION}")
        if of != json.loads(json.dumps(command)):
            other = (
                next((name for name in command if of.get(name) != command[name]), "") if isinstance(of, dict) else ""
            )
            was = of.get(other) if isinstance(of, dict) else of
            raise UsageError(
                f"{self._shown} has the positions of another command: {other} {_listed(was)}, and now "
                f"{_listed(command.get(other))}; name another file"
            )
        return kept

    def write(self, command: Mapping[str, Any], kept: Kept) -> None:
        """Replace what the file says; it is on the disk when this returns.

        Raises:
            SinkError: it cannot be written; the old file is as it was.
        """
        state = {
            "version": VERSION,
            "command": command,
            "is_ended": kept.is_ended,
            "inputs": [_shown_position(position) for position in kept.positions],
            "outputs": [{"path": path, **tail._asdict()} for path, tail in (kept.outputs or {}).items()],
        }
        with one_line_errors(self._shown):
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            descriptor = os.open(self._temporary, flags, _MODE)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rest = memoryview(_text(state).encode())
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
                os.replace(self._temporary, self._path)  # noqa: PTH105 - the one call that is known to be atomic
                _sync_folder(self._path.parent)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(self._descriptor)
            self._descriptor = descriptor

    def close(self) -> None:
        """Let go of it; one that nothing was written to goes."""
        if self._descriptor >= 0:
            if not os.fstat(self._descriptor).st_size:
                with suppress(OSError):
                    self._path.unlink()
            os.close(self._descriptor)
        self._descriptor = -1


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(state: Mapping[str, Any]) -> str:
    """Return JSON with one line for each position."""
    parts = []
    for name, value in state.items():
        text = json.dumps(value, ensure_ascii=True)
        if isinstance(value, list):
            text = "[" + ",".join(f"\n    {json.dumps(each)}" for each in value) + ("\n  ]" if value else "]")
        parts.append(f"\n  {json.dumps(name)}: {text}")
    return "{" + ",".join(parts) + "\n}\n"


def _shown_position(position: Any) -> dict[str, Any]:
    defaults = type(position)._field_defaults
    shown = {name: value for name, value in position._asdict().items() if value != defaults.get(name, ...)}
    if shown.get("dialect") is not None:
        shown["dialect"] = shown["dialect"]._asdict()
    return shown


def _read_position(fields: dict[str, Any]) -> Position:
    kind = FilePosition if "path" in fields else TopicPosition
    if fields.get("dialect") is not None:
        dialect = _typed(Dialect, {**fields["dialect"], "header": tuple(fields["dialect"]["header"])})
        fields = {**fields, "dialect": dialect}
    if "earlier" in fields:
        fields = {**fields, "earlier": tuple(map(str, fields["earlier"]))}
    position: Position = _typed(kind, fields)
    return position


def _typed(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Make a tuple of fields.

    Raises:
        TypeError: one is missing, or has another type.
    """
    made = kind(**fields)
    for name, hint in get_type_hints(kind).items():
        value = getattr(made, name)
        if hint in (int, str, bool) and (type(value) is not hint or (hint is int and value < 0)):
            raise TypeError(f"{name} must be {hint.__name__}, got {value!r}")
    return made


def _listed(value: Any) -> str:
    texts: Iterable[str] = map(str, value) if isinstance(value, list | tuple) else [str(value)]
    return ", ".join(texts) or "none"
