"""What the transform tests share."""

from __future__ import annotations

import pytest

from sources import progress as board


@pytest.fixture(autouse=True)
def empty_board():
    """The counts of this process begin at nothing."""
    board.reset()
    yield
    board.reset()
