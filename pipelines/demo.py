"""The tape that a pipeline reads when it is given none: made by the project's own simulator, once, and kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from simulators.registers import write_tape

ROWS = 100_000
SEED = 1


def demo_tape() -> str:
    """Gives the path of the demo tape in the user's cache folder; makes it if it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transaction-streams"
    path = cache / f"registers-{ROWS}-{SEED}.tsv"
    if path.is_file():
        return str(path)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return str(write_tape(path, ROWS, seed=SEED))
    except OSError:  # no home to write to: a temporary folder will do
        return str(write_tape(Path(tempfile.mkdtemp(prefix="transaction-streams-")) / path.name, ROWS, seed=SEED))
