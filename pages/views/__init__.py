"""Views: what is in the tables of a pipeline, made ready for a browser.

A view is two files of the same name.

``pages/views/NAME.py`` has ``read(watched, query)``. It is called, in a thread, when a browser asks for
``/api/views/NAME?window=...``, for the same query every half a second at most. It reads tables
(:class:`pages.database.Database`; decimals are texts there, and stay so) and returns what JSON can have; None while
there is nothing yet.

``pages/static/views/NAME.js`` exports ``mount(root, tools)``. It fills ``root``, an empty element, and returns an
object with ``update(data, job)``, which is called each second with what ``read`` has returned (null, too; the very same
object where nothing has changed) and the state of the job, and, if the view has a query, ``query()``, which returns an
object of texts. ``tools`` is ``pages/static/dom.js``: ``el`` makes elements, whose texts can have anything in them,
``number`` writes numbers, ``readable`` shows texts of data. Charts are drawn by uPlot (``window.uPlot``). Colours and
sizes are the variables at the top of ``pages/static/style.css``; what only views have is in ``views.css``. Nothing may
be set as HTML, and nothing be asked of another host: the browser refuses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from pages.database import Database


class Watched(NamedTuple):
    """What a view looks at.

    Attributes:
        database: with the tables.
        job: what there is to say of the job: state, balance (:meth:`pages.jobs.job.Job.told`).
    """

    database: Database
    job: Mapping[str, Any]


class View(Protocol):
    """A module of this folder."""

    def read(self, watched: Watched, query: Mapping[str, str]) -> Any:
        """Return what there is to show."""


def view_of(name: str) -> View:
    """Return the view of a pipeline."""
    found: Any = importlib.import_module(f"pages.views.{name}")
    return found  # type: ignore[no-any-return]
