"""Pictures of the page in a real browser, after jobs that read seeded data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scripts.browser import CHROMIUM, open_chromium, serving

#: What is asked for besides the input, so that there is something to see over time.
_MORE = {"produce": {"--window": "1h"}, "credit": {"--last": "5m"}}
#: What is another number each time it is run.
_VARIES = ".since, .number.rate, .number.wide, .number.lag"
_KNOWN = "() => /[a-z]/.test(document.querySelector('main .state')?.textContent ?? '')"
_ENDED = "() => /done|failed|stopped/.test(document.querySelector('main .state').textContent)"
_SIZE = {"width": 1280, "height": 1010}
_PATIENCE_MILLISECONDS = 120_000
_SETTLED_MILLISECONDS = 2_500


def take_pictures(folder: Path, options: Mapping[str, Sequence[str]]) -> None:
    """Start the page, run a job for each pipeline with these options, and take a picture of each into the folder.

    It is told, and nothing is done, where there is no browser or nothing to drive it.
    """
    if CHROMIUM is None or find_spec("playwright") is None:
        print("no pictures of the page: they need Chromium and Playwright")
        return
    with tempfile.TemporaryDirectory() as jobs, serving(jobs) as (_, address), open_chromium() as browser:
        for name, given in options.items():
            with browser.new_context(base_url=address, viewport=_SIZE, color_scheme="light") as context:
                context.set_default_timeout(_PATIENCE_MILLISECONDS)
                values = _values(given) | _MORE.get(name, {})
                _take(context.new_page(), name, values, folder / f"page-{name}.png")


def _values(options: Sequence[str]) -> dict[str, str]:
    return dict(zip(options[::2], options[1::2], strict=True))


def _take(tab: Any, name: str, values: Mapping[str, str], picture: Path) -> None:
    """Run a job, unless it was run, and take a picture of the first screen of its page."""
    tab.goto(f"/{name}")
    tab.wait_for_function(_KNOWN)
    if "stopped" in tab.locator("main .state").first.inner_text():
        asked = {"values": {"--emit": "1s", **values}, "demo": False}
        answer = tab.request.post(
            f"/api/jobs/{name}/start", data=asked, headers={"Origin": tab.url.removesuffix(f"/{name}")}
        )
        if not answer.ok:
            raise SystemExit(f"pictures: cannot start {name}: {answer.text()}")
        tab.wait_for_function("() => !/stopped/.test(document.querySelector('main .state').textContent)")
    tab.wait_for_function(_ENDED)
    if "done" not in tab.locator("main .state").first.inner_text():
        raise SystemExit(f"pictures: {name} has failed: {' '.join(tab.locator('.reason').all_inner_texts())}")
    tab.wait_for_selector(".view-parts")
    tab.wait_for_timeout(_SETTLED_MILLISECONDS)
    tab.add_style_tag(content=f"{_VARIES} {{ display: none !important }}")
    tab.screenshot(path=picture)
