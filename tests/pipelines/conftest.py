"""What the tests of pipelines share: tapes, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.registers import write_tape

ROWS = 20_000


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tape of two days."""
    return write_tape(tmp_path_factory.mktemp("tape") / "tape.tsv", ROWS, seed=5)


@pytest.fixture(scope="session")
def short_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tape of an hour or two."""
    return write_tape(tmp_path_factory.mktemp("tape") / "short.tsv", 1_000, seed=6)
