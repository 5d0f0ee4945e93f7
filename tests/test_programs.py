"""Each program starts as a user starts it, in a process that has imported nothing before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = [
    f"{folder}.{path.stem}"
    for folder in ("pipelines", "simulators")
    for path in sorted((ROOT / folder).glob("*.py"))
    if '__name__ == "__main__"' in path.read_text()
]


def test_there_are_programs():
    assert {"pipelines.produce", "pipelines.relay", "simulators.bank", "simulators.registers"} <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_and_says_what_it_is_for(program):
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"usage: python -m {program} ")
    assert done.stderr == ""
