"""The rejected and the late records of a job, newest first."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pages.jobs.job import LATE, REJECTED

_PATHS = {"rejected": REJECTED, "late": LATE}
_MOST, _TAIL_BYTES, _SHOWN = 50, 256_000, 500


def newest_records(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the last records that were written, the newest first, each as it stands there.

    Args:
        folder: of the job.
        kind: ``rejected`` or ``late``.
    """
    path = folder / _PATHS.get(kind, REJECTED)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    whole = lines[1 if size > _TAIL_BYTES else 0 : -1]
    found = []
    for line in whole[: -_MOST - 1 : -1]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append({name: value[:_SHOWN] if isinstance(value, str) else value for name, value in record.items()})
    return found
