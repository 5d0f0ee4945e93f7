"""The page of a test, in this process, where nothing listens and no job runs before it is started; and a browser."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from pages.app import make_app
from pages.door import Door
from pages.jobs.job import Job
from pages.jobs.jobs import all_jobs
from scripts.browser import open_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[dict[str, Job]]:
    jobs = all_jobs(tmp_path / "page")
    yield jobs
    for job in jobs.values():
        job.close()


@pytest.fixture
def door() -> Iterator[Door]:
    with Door(socket.socket(), port=8080) as door:
        yield door


@pytest.fixture
def app(door: Door, jobs: dict[str, Job]) -> Starlette:
    return make_app(door, jobs)
