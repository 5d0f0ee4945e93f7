"""The server of the page: what it answers, and its beginning and end."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import signal
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from pages.app import make_app
from pages.database import Database
from pages.door import Door
from pages.jobs.jobs import all_jobs, drain
from pages.peers import OwnConnections

_LOCK = "page.lock"
_OK = 0


def serve(door: Door, folder: str, database: str | None, *, opens: bool) -> int:
    """Serve the page until Ctrl-C or SIGTERM, drain its jobs, and return the exit status.

    Args:
        door: where it listens.
        folder: for what jobs write.
        database: the address of one that views show instead.
        opens: whether to open a browser.

    Raises:
        ValueError: the address is none.
        OSError: the folder cannot be used, or another page uses it.
    """
    watched = Database(database) if database else None
    with locked(Path(folder)):
        jobs = all_jobs(Path(folder))
        app = make_app(door, jobs, watched)
        protocol = "h11" if door.token else OwnConnections
        config = uvicorn.Config(app, http=protocol, log_level="error", lifespan="off", timeout_graceful_shutdown=2)
        server = _Server(config)
        stops = 0

        def stop(number: int, frame: Any) -> None:  # noqa: ARG001
            nonlocal stops
            stops += 1
            server.should_exit = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            _note(f"the page is at {door.address} (Ctrl-C ends it and drains its jobs)")
            if opens:
                with contextlib.suppress(webbrowser.Error):
                    webbrowser.open(door.address)
            asyncio.run(server.serve([door.listener]))
            drain(jobs, _note, lambda: stops > 1)
        finally:
            for job in jobs.values():
                job.close()
            for number, handler in before.items():
                signal.signal(number, handler)
    return _OK


class _Server(uvicorn.Server):
    """Leaves the signals to us, who have jobs to drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Have a folder for ourselves: another page would write to the same files.

    Raises:
        OSError: another page has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another page uses the folder {folder}: --folder PATH takes another one") from None
        yield


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
