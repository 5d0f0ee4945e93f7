"""A real browser for the tests of the page, and tabs of it in which nothing goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from scripts.browser import CHROMIUM, ROOT
from tests.patience import PATIENCE_SECONDS

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not there")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")
#: Pictures of what the tests have seen, for whoever wants to look at them.
PICTURES = ROOT / "out/pictures-of-tests"
expect = playwright.expect
expect.set_options(timeout=PATIENCE_SECONDS * 1_000)


@contextmanager
def opened(
    browser: playwright.Browser, address: str, expected: str = "", **options: object
) -> Iterator[playwright.Page]:
    """Give a tab in which nothing goes wrong, and which asks nobody but the page.

    Args:
        browser: what it is a tab of.
        address: that of the page.
        expected: what may be in complaints that are none; empty where there may be none at all.
        options: of the browser's context.
    """
    complaints: list[str] = []
    hosts: set[str] = set()
    with browser.new_context(base_url=address, **options) as context:
        context.set_default_timeout(PATIENCE_SECONDS * 1_000)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        yield tab
    assert hosts <= {urlsplit(address).netloc, ""}
    assert [text for text in complaints if not (expected and expected in text)] == []
