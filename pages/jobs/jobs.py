"""All jobs of a page, one for each pipeline."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from command_line.main import PIPELINES
from pages.jobs.job import Job

#: What a form begins with: results to look at while records still come.
INITIAL: Mapping[str, Mapping[str, Any]] = {
    "produce": {"--emit": "1s", "--window": "1h"},
    "errors": {"--emit": "1s"},
    "credit": {"--emit": "1s", "--last": "5m"},
    "sales": {"--emit": "1s"},
    "totals": {"--emit": "1s"},
}
_LOOK_SECONDS = 0.05


def all_jobs(folder: Path) -> dict[str, Job]:
    """Return a job for each pipeline, by name; its folder is one of its own in this one."""
    found = [importlib.import_module(f"pipelines.{name}").PIPELINE for name in PIPELINES]
    return {each.name: Job(each, folder / each.name, INITIAL.get(each.name, {})) for each in found}


def drain(jobs: Mapping[str, Job], note: Callable[[str], None], is_urged: Callable[[], bool]) -> None:
    """Stop all jobs, and wait until their last results are written.

    Args:
        jobs: by name.
        note: shows a line.
        is_urged: whether somebody wants them to stop at once.
    """
    alive = [job for job in jobs.values() if job.is_alive]
    if alive:
        note(f"draining {', '.join(job.name for job in alive)}: open windows are being written; again to stop at once")
    for job in alive:
        if job.state != "draining":
            job.stop()
    while any(job.is_alive for job in alive):
        if is_urged():
            break
        time.sleep(_LOOK_SECONDS)
    for job in jobs.values():
        job.close()
