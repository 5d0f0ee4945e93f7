"""The page as a process of its own, and a real browser to look at it: for tests, pictures and benchmarks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.runtime.prism_server import die_with

ROOT = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def serving(folder: str | Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the page from a folder until the context ends, and give its process and its address.

    Raises:
        RuntimeError: it does not come up; the message is what it said.
    """
    command = [sys.executable, "-m", "pages", "--no-open", "--port=0", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    with subprocess.Popen(  # noqa: S603 - our own
        command,
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # So that it ends, too, where whoever looks at it is killed.
        preexec_fn=partial(die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
    ) as process:
        try:
            assert process.stderr is not None  # noqa: S101 - for the type checker
            first = process.stderr.readline()
            if not first.startswith("the page is at http://127.0.0.1:"):
                raise RuntimeError(first + process.stderr.read())
            yield process, first.split()[4]
        finally:
            process.kill()


@contextmanager
def open_chromium(*flags: str) -> Iterator[Any]:
    """Give a browser without a window, as Playwright has it, until the context ends."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the tools of the tests

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
        try:
            yield browser
        finally:
            browser.close()
