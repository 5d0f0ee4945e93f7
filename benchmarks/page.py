"""What does the live page cost with browsers that look on, and how soon is something seen?

Five demos run, and pages of a real browser look at them: two at each, one of them the width of a phone.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import code_block, environment, megabytes, publish, table, this_command
from scripts.browser import CHROMIUM, open_chromium, serving

JOBS = ("produce", "errors", "credit", "sales", "totals")
_TICKS = os.sysconf("SC_CLK_TCK")
#: What there is to reach: the share of a core, and seconds.
MOST_CORE, MOST_PAINT = 0.15, 1.0
#: A shorter run is a check that this works.
_LEAST_SECONDS = 30
_WIDTHS = (1440, 390)
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_HEAP = "() => (window.gc?.(), performance.memory.usedJSHeapSize)"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and keep the table; return 1 if something was not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure (default: %(default)s)")
    options = parser.parse_args(argv)
    if CHROMIUM is None:
        parser.error("there is no Chromium: scripts/get_chromium.sh gets one")
    with tempfile.TemporaryDirectory() as folder, serving(folder) as (server, address):
        share, paints, memory, heaps = _measure(server.pid, address.rstrip("/"), options.seconds)
        server.send_signal(signal.SIGINT)
        server.wait(60)
    lines = [
        ("the server takes of a core", f"{share:.1%}"),
        ("first paint before they run, median", f"{statistics.median(paints):.0f} ms"),
        ("first paint before they run, longest", f"{max(paints):.0f} ms"),
        ("memory of the server, before and after", " and ".join(f"{megabytes(each)} MB" for each in memory)),
        ("memory of the scripts of a page, before and after", " and ".join(f"{each / 1e6:.1f} MB" for each in heaps)),
    ]
    reached = [
        (f"the server takes at most {MOST_CORE:.0%} of a core", share <= MOST_CORE),
        (f"first paint within {MOST_PAINT:g} s", max(paints) <= 1_000 * MOST_PAINT),
    ]
    publish(
        "page",
        "What the live page costs",
        [
            f"{len(JOBS)} demos, {2 * len(JOBS)} pages of one Chromium, {options.seconds} s, all on this machine.",
            table(("", "figure"), lines),
            "\n".join(f"- {what}: {'yes' if is_so else 'NO'}" for what, is_so in reached),
            environment(),
            code_block(this_command("benchmarks.page")),
        ],
        keep=options.seconds >= _LEAST_SECONDS,
    )
    return 0 if all(is_so for _, is_so in reached) else 1


def _measure(server: int, address: str, seconds: int) -> tuple[float, list[float], list[int], list[float]]:
    """Return the share of a core, first paints in ms, and bytes of the server and of a page, before and after."""
    with open_chromium("--enable-precise-memory-info", "--js-flags=--expose-gc") as chromium:
        alone = [_paint(chromium, f"{address}/{name}") for name in JOBS]
        for name in JOBS:
            _post(f"{address}/api/jobs/{name}/start", {"demo": True})
        while not all(job["state"] == "running" for job in _get(f"{address}/api/jobs") if job["name"] in JOBS):
            time.sleep(0.5)
        tabs = []
        for width in _WIDTHS:
            for name in JOBS:
                tab = chromium.new_page(base_url=address, viewport={"width": width, "height": 900})
                tab.goto(f"/{name}")
                tab.locator(".view").wait_for()
                tabs.append(tab)
        heaps, memory = [tabs[0].evaluate(_HEAP)], [_memory(server)]
        cpu, begun = _cpu(server), time.monotonic()
        tabs[0].wait_for_timeout(1_000 * seconds)
        share = (_cpu(server) - cpu) / (time.monotonic() - begun)
        heaps.append(tabs[0].evaluate(_HEAP))
        memory.append(_memory(server))
    return share, alone, memory, heaps


def _paint(chromium: Any, url: str) -> float:
    """Return after how many milliseconds a browser that knows nothing of a page shows something of it."""
    with chromium.new_context() as context:
        tab = context.new_page()
        tab.goto(url)
        tab.locator(".view").wait_for()
        return float(tab.evaluate(_PAINT) or math.inf)


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def _post(url: str, content: Any) -> None:
    origin = "/".join(url.split("/")[:3])
    request = urllib.request.Request(url, json.dumps(content).encode(), {"Origin": origin})  # noqa: S310
    with urllib.request.urlopen(request):  # noqa: S310
        pass


if __name__ == "__main__":
    sys.exit(main())
