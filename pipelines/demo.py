"""The tape that a pipeline reads when it is given none: made by the project's own simulator, once, and kept."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

NAME = "transaction-streams"
ROWS = 100_000
SEED = 1


def demo_tape() -> str:
    """Gives the path of the demo tape in the user's cache folder; makes it if it is not there yet.

    Where that folder cannot be written, a folder of the user's own among the temporary ones takes its place.
    """
    from simulators.registers import write_tape  # noqa: PLC0415 - costs a tenth of a second, which few have to pay

    for folder in (_cache, _temporary):
        with contextlib.suppress(OSError, RuntimeError):  # the next one, then: no home, or not ours to write to
            path = folder() / f"registers-{ROWS}-{SEED}.tsv"
            return str(path if path.is_file() else write_tape(path, ROWS, seed=SEED))
    return str(write_tape(Path(tempfile.mkdtemp(prefix=NAME)) / "registers.tsv", ROWS, seed=SEED))


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / NAME
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _temporary() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Anybody may make a folder of that name, and put another tape into it.
    if folder.is_symlink() or (user != "" and folder.stat().st_uid != user):
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder
