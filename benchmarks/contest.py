"""Contenders of a benchmark: programs that do the same, each as a process of its own, round by round.

So a slow minute of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import compileall
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks.measure import ROOT, CommandError, Cost
from command_line.packages import PACKAGES

OURS = "this project"
#: Contenders whose packages get in the way of ours live here; see `make bench`.
OTHER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass
class Contender:
    """One line of the table.

    Attributes:
        name: as the table has it.
        module: of Python, that is run.
        package: that it needs from the other environment.
        sampled: whether it gets a part of the input, for it would take minutes.
        rows: how many it gets.
        costs: of its runs.
        trouble: why it does not run, or not any more.
    """

    name: str
    module: str
    package: str = ""
    sampled: bool = False
    rows: int = 0
    costs: list[Cost] = field(default_factory=list)
    trouble: str = ""

    @property
    def script(self) -> str:
        """The name that ``--only`` takes."""
        return self.module.rpartition(".")[2]

    @property
    def python(self) -> str:
        """The interpreter that has its package."""
        return str(OTHER_PYTHON) if self.package and OTHER_PYTHON.exists() else sys.executable

    @property
    def best_seconds(self) -> float:
        """The wall time of its best run."""
        return min(cost.wall_seconds for cost in self.costs)

    def command(self, path: Path, folder: Path) -> list[str]:
        """Gives the command that reads ``path`` and writes what it finds into ``folder``."""
        return [self.python, "-m", self.module, str(path), str(folder)]

    def version(self) -> str:
        """Gives the version of its package, empty where it is not installed."""
        code = f"import {self.package}, importlib.metadata as m; print(m.version('{self.package}'))"
        run = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        return run.stdout.strip() if run.returncode == 0 else ""


Entrant = TypeVar("Entrant", bound=Contender)


def race_parser(
    module: str, about: str | None, noun: str, rows: int, runs: int, scripts: Sequence[str]
) -> argparse.ArgumentParser:
    """Gives a parser of the options that all races have."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=(about or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=rows, help=f"{noun} (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=runs, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=scripts, metavar="NAME", help=f"of {', '.join(scripts)}")
    return parser


def check_positive(parser: argparse.ArgumentParser, *numbers: int | None) -> None:
    """Ends the program with one line where a number was given that is below one."""
    if any(number is not None and number < 1 for number in numbers):
        parser.error("rows and runs must be positive")


def find_versions(entrants: Sequence[Contender]) -> list[str]:
    """Gives name and version of the packages that are installed; who lacks its own gets it noted as its trouble."""
    found = []
    for contender in entrants:
        if contender.package:
            version = contender.version()
            contender.trouble = "" if version else "not installed"
            found += [f"{contender.package} {version}"] if version else []
    return found


def attempt(contender: Contender, work: Callable[[], float]) -> float | None:
    """Does a contender's work, which gives seconds; a failure is noted in its line and ends only its own runs."""
    try:
        return work()
    except (CommandError, OSError) as failure:
        contender.trouble = "failed"
        print(f"{contender.name}: {failure}", file=sys.stderr, flush=True)
        return None


def race(entrants: Sequence[Entrant], runs: int, work: Callable[[Entrant], float]) -> None:
    """Runs all that have no trouble, round by round; ``work`` runs one once, and gives the seconds that count.

    What is compiled of this project before is what an installation compiles, as that of every other contender was.
    """
    for package in (*PACKAGES, "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=1)
    for number in range(runs):
        for contender in entrants:
            if contender.trouble:
                continue
            seconds = attempt(contender, lambda contender=contender: work(contender))
            if seconds is not None:
                print(f"run {number + 1} of {runs}: {contender.name}, {seconds:.2f} s", flush=True)
