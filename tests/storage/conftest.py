from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.object_stores import S3, running_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    with running_s3() as server:
        yield server


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Set the variables of a client, and forget clients that were made with others."""
    from storage.object_store import open_store

    def set_all(variables: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        open_store.cache_clear()

    yield set_all
    open_store.cache_clear()


@pytest.fixture
def bucket(s3_server: S3, enter: Callable[[dict[str, str]], None]) -> tuple[str, Path]:
    """Make a bucket that this process can get into; return its name and its folder."""
    enter(s3_server.environment())
    return s3_server.bucket()
