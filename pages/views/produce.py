"""What the page of ``produce`` shows of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.views import Watched
from pages.views.tables import newest_rows


def read(watched: Watched, query: Mapping[str, str]) -> Any:  # noqa: ARG001
    """Return the rows of each table."""
    return newest_rows(watched.database)
