"""What a demo of a pipeline reads: its simulator, which the job itself starts and ends."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple


class Demo(NamedTuple):
    """A simulator, and what a form has to say besides so that its records are read."""

    simulator: tuple[str, ...]
    values: Mapping[str, Any] = {}


#: Each sends without end: some records a second, so that one sees them come, and event time that moves faster.
DEMOS = {
    "produce": Demo(("registers", "--rows=0", "--rate=400")),
    "errors": Demo(("http", "--rows=0", "--rate=400")),
    "credit": Demo(("bank", "--rows=0", "--speed=60", "--fields=full")),
    "sales": Demo(("smoothies", "--rows=0", "--rate=200")),
    "relay": Demo(("gps", "--rows=0", "--rate=5"), {"--read-as": "jsonl"}),
    "totals": Demo(
        ("pos", "--rows=0", "--rate=400"),
        {"--read-as": "jsonl", "--by": "item", "--sum": "total:decimal", "--count": True},
    ),
}


def with_demo(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form that reads the simulator of its pipeline instead of its own input."""
    demo = DEMOS[name]
    simulator, *options = demo.simulator
    command = shlex.join([sys.executable, "-m", f"simulators.{simulator}", "--output=-", "--quiet", *options])
    filled = {**demo.values, **{flag: value for flag, value in values.items() if value not in ("", False)}}
    return {**filled, "--input": shlex.quote(f"exec:{command}")}
