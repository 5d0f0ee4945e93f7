"""A table as Markdown, with the machine, the versions and the command that made it: printed, and kept in results/."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from benchmarks.measure import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("apache-beam", "polars")
_FEW_ROWS = 1_000_000


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Gives a Markdown table: the first column to the left, the others, which are figures, to the right."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(3, *(len(line[place]) for line in lines)) for place in range(len(header))]
    texts = [
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |" for line in lines
    ]
    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def environment(more: Sequence[str] = ()) -> str:
    """Gives one paragraph: when, on what, with which versions (``more``: as ``name version``)."""
    versions = [f"{name} {metadata.version(name)}" for name in PACKAGES]
    return (
        f"{datetime.now(tz=timezone.utc):%Y-%m-%d}, {_cores()} cores of {_processor()}, "
        f"{_memory_gib():.0f} GiB, {platform.system()} {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, {', '.join([*versions, *more])}."
    )


def this_command(module: str) -> str:
    """Gives the command that is running, as one types it."""
    return f"python -m {module} {shlex.join(_relative(argument) for argument in sys.argv[1:])}".rstrip()


def show_command(command: Sequence[str]) -> str:
    """Gives a command as one types it in the project's folder."""
    return shlex.join(["python", *map(_relative, command[1:])])


def code_block(*lines: str) -> str:
    """Gives commands as a block of code."""
    return "\n".join(["```", *lines, "```"])


def publish(name: str, title: str, parts: Sequence[str], *, keep: bool = True) -> None:
    """Prints a report and writes it to ``benchmarks/results/NAME.md`` unless ``keep`` is off (a run on few rows)."""
    text = f"# {title}\n\n" + "\n\n".join(parts) + "\n"
    print("\n" + text, flush=True)
    if keep:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        print(f"written to {path.relative_to(ROOT)}")


def is_worth_keeping(rows: int) -> bool:
    """Whether a run on so many rows says anything; less is a check that the benchmark works."""
    return rows >= _FEW_ROWS


def megabytes(count: int) -> str:
    """Gives a number of bytes in MB."""
    return f"{count / 1e6:,.0f}"


def _relative(text: str) -> str:
    return text.replace(f"{ROOT}/", "")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
