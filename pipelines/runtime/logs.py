"""What reaches a person of all that is logged: our own warnings, a line each. A runner's messages only if asked for.

A record that cannot be written, say, fails the job, and costs Beam some hundred lines of traceback; the person gets one
line that names the file. ``--default_sdk_harness_log_level=ERROR``, an option of Beam's, shows the others, too.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from apache_beam.runners.worker import sdk_worker

_OURS = ("pipelines", "schemas", "sinks", "sources", "transforms")
_FORMAT = logging.Formatter("%(levelname)s %(name)s: %(message)s")


def _print_nothing(*_: object, **__: object) -> None:
    pass


class _Messages(logging.Handler):
    """Hands on what a person should see."""

    def __init__(self, show: Callable[[str], None], level: int | None) -> None:
        super().__init__()
        self._show = show
        self._level = level

    def emit(self, record: logging.LogRecord) -> None:
        if self._level is not None and record.levelno >= self._level:
            self._show(_FORMAT.format(record))
        elif record.levelno >= logging.WARNING and record.name.partition(".")[0] in _OURS:
            self._show(f"{record.levelname.lower()}: {record.getMessage()}")


@contextlib.contextmanager
def showing_messages(show: Callable[[str], None], level: str | None = None) -> Iterator[None]:
    """Show messages as long as the context lasts.

    Args:
        show: shows a line.
        level: from which level on to show those of others, too: a name or a number as in :mod:`logging`.
    """
    root = logging.getLogger()
    before = root.handlers[:], root.level
    # So that Python reads the level, as it would anywhere; a bad one is a ValueError.
    others = None if level is None else logging.Handler(int(level) if level.isdigit() else level.upper()).level
    root.handlers[:] = [_Messages(show, others)]
    root.setLevel(logging.WARNING if others is None else min(logging.WARNING, others))
    logging.captureWarnings(capture=True)
    # Beam's worker prints what it logs as well: as a global of its module, this is the ``print`` that it finds.
    sdk_worker.print = _print_nothing
    try:
        yield
    finally:
        del sdk_worker.print
        logging.captureWarnings(capture=False)
        root.handlers[:] = before[0]
        root.setLevel(before[1])
