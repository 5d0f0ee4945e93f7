"""The page as a process of its own, as a user starts it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scripts import browser
from tests.patience import PATIENCE_SECONDS

#: Records that come until the job is stopped.
ENDLESS = f"exec:{sys.executable} -m simulators.registers --output=- --quiet --rows=0 --rate=500"


class Page(NamedTuple):
    process: subprocess.Popen[str]
    address: str
    folder: Path

    def ask(self, path: str, content: Any = None) -> Any:
        origin = self.address.rstrip("/")
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(origin + path, body, {"Origin": origin})  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    def job(self, name: str) -> Any:
        return next(job for job in self.ask("/api/jobs") if job["name"] == name)

    def wait(self, name: str, is_so: Callable[[Any], Any], *, may_fail: bool = False) -> Any:
        """Return the job once something is so of it; if it fails before that, so does the test."""
        while not is_so(job := self.job(name)):
            assert may_fail or job["state"] != "failed", [job, self.ask(f"/api/jobs/{name}/log")]
            time.sleep(0.05)
        return job


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Page]:
    """Serve a page whose jobs write to that folder, until the context ends."""
    with browser.serving(folder, *arguments) as (process, address):
        yield Page(process, address, folder)


def is_alive(process: int) -> bool:
    """Return whether there is such a process that has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def interrupt(page: Page) -> str:
    """Press Ctrl-C, and return what the page says until it has ended."""
    page.process.send_signal(signal.SIGINT)
    _, told = page.process.communicate(timeout=PATIENCE_SECONDS)
    return told
