"""How fast are daily totals per UPC of 2 GB of register tape, here and in other hands?

python -m benchmarks.produce_totals [--rows 10000000] [--file TAPE] [--runs 3] [--only NAME ...]

Every contender runs as a process of its own, one after the other, round by round, so that a slow minute of the machine
meets all of them. Those that would take minutes run on a part of the tape, and their time for the whole is worked out:
what they need for a thousand rows (starting up) once, and the rest in proportion. All totals are compared.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import OUT, ROOT, CommandError, Cost, count_rows, make_tape, measure, tape_of
from benchmarks.report import (
    code_block,
    environment,
    is_worth_keeping,
    megabytes,
    publish,
    show_command,
    table,
    this_command,
)
from schemas.wedge import COLUMNS

OURS = "this project"
REFERENCE = "polars, whole-file scan"
ELEMENTS = "Beam, element by element"
TINY_ROWS = 1_000
SAMPLE_PART = 20
MOST_BYTES = 1_000_000_000
#: Contenders whose packages get in the way of ours live here; see `make bench`.
OTHER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass
class Contender:
    """One line of the table."""

    name: str
    module: str
    package: str = ""  # that it needs from the other environment
    sampled: bool = False
    header: bool = False
    rows: int = 0
    costs: list[Cost] = field(default_factory=list)
    startup: Cost | None = None
    totals: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def python(self) -> str:
        """The interpreter that has its package."""
        return str(OTHER_PYTHON) if self.package and OTHER_PYTHON.exists() else sys.executable

    def command(self, tape: Path, folder: Path) -> list[str]:
        """Gives the command that reads ``tape`` and writes its totals into ``folder``."""
        return [self.python, "-m", self.module, str(tape), str(folder)]

    def version(self) -> str:
        """Gives the version of its package, empty where it is not installed."""
        code = f"import {self.package}, importlib.metadata as m; print(m.version('{self.package}'))"
        run = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        return run.stdout.strip() if run.returncode == 0 else ""

    def seconds(self, cost: Cost, rows: int) -> float:
        """Gives what that cost would be for ``rows``."""
        if self.startup is None or self.rows == rows:
            return cost.wall_seconds
        fixed = self.startup.wall_seconds
        return fixed + max(0.0, cost.wall_seconds - fixed) * rows / self.rows

    def best(self, rows: int) -> float:
        """Gives the best run's seconds for ``rows``."""
        return min(self.seconds(cost, rows) for cost in self.costs)


class Ours(Contender):
    """This project: no script, but what a user types."""

    def command(self, tape: Path, folder: Path) -> list[str]:
        """Gives the user's command."""
        options = ["--input", str(tape), "--window", "1d", "--output", str(folder / "produce.parquet"), "--quiet"]
        return [self.python, "-m", self.module, "--runner=DirectRunner", *options]


def contenders() -> list[Contender]:
    """Gives all of them."""
    scripts = "benchmarks.contenders"
    return [
        Ours(OURS, "pipelines.produce"),
        Contender(REFERENCE, f"{scripts}.polars_scan"),
        Contender("DuckDB", f"{scripts}.duckdb_sql", package="duckdb"),
        Contender("plain Python loop", f"{scripts}.python_loop"),
        Contender(ELEMENTS, f"{scripts}.beam_elements", sampled=True),
        Contender("Bytewax", f"{scripts}.bytewax_flow", package="bytewax", sampled=True),
        Contender("Pathway", f"{scripts}.pathway_flow", package="pathway", sampled=True, header=True),
    ]


class Tapes:
    """The tape, and its beginnings for those who get less of it."""

    def __init__(self, tape: Path, rows: int) -> None:
        """Takes the tape and how many rows it has."""
        self.rows = rows
        self._made = {(rows, False): tape}
        self._tape = tape

    def beginning(self, rows: int, *, header: bool) -> Path:
        """Gives a tape of the first ``rows`` rows, with a header row where it is asked for."""
        if (rows, header) in self._made:
            return self._made[rows, header]
        path = self._made[rows, header] = OUT / f"beginning-{rows}{'-header' if header else ''}.txt"
        OUT.mkdir(parents=True, exist_ok=True)
        with self._tape.open("rb") as tape, path.open("wb") as file:
            if header:
                file.write("\t".join(COLUMNS).encode() + b"\n")
            file.writelines(itertools.islice(tape, rows))
        return path


def run(contender: Contender, tape: Path, *, check: bool = True) -> Cost:
    """Runs a contender once, and takes down its totals the first time."""
    folder = OUT / "totals" / contender.module.rpartition(".")[2]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cost = measure(contender.command(tape, folder))
    if check:
        totals = fingerprint(folder)
        if contender.totals not in ({}, totals):
            raise CommandError(f"{contender.name} gave other totals than in the round before")
        contender.totals = totals
    shutil.rmtree(folder)
    return cost


def fingerprint(folder: Path) -> dict[str, str]:
    """Gives the sums and the hash of what was written, from a process of its own (see benchmarks/totals.py)."""
    return json.loads(measure([sys.executable, "-m", "benchmarks.totals", str(folder)]).output.splitlines()[-1])


def attempt(contender: Contender, work: Callable[[], Cost]) -> Cost | None:
    """Does one contender's work; a failure is noted in its line and ends nothing but its own runs."""
    try:
        return work()
    except CommandError as failure:
        contender.trouble = "failed"
        print(f"{contender.name}: {failure}", file=sys.stderr, flush=True)
        return None


def race(entrants: list[Contender], tapes: Tapes, runs: int) -> None:
    """Runs them all, round by round."""
    for contender in entrants:
        if contender.rows != tapes.rows:
            tiny = tapes.beginning(min(TINY_ROWS, tapes.rows), header=contender.header)
            contender.startup = attempt(contender, functools.partial(run, contender, tiny, check=False))
    for number in range(runs):
        for contender in entrants:
            if contender.trouble:
                continue
            tape = tapes.beginning(contender.rows, header=contender.header)
            cost = attempt(contender, functools.partial(run, contender, tape))
            if cost is not None:
                contender.costs.append(cost)
                print(f"run {number + 1} of {runs}: {contender.name}, {cost.wall_seconds:.2f} s", flush=True)


def references(entrants: list[Contender], tapes: Tapes) -> dict[int, dict[str, str]]:
    """Gives the right totals of every tape that was used: those of the whole-file scan."""
    right = {}
    for rows in sorted({contender.rows for contender in entrants if contender.totals}):
        scan = Contender(REFERENCE, "benchmarks.contenders.polars_scan", rows=rows)
        run(scan, tapes.beginning(rows, header=False))
        right[rows] = scan.totals
    return right


def lines(entrants: list[Contender], rows: int, right: dict[int, dict[str, str]]) -> list[tuple[str, ...]]:
    """Gives the table's lines."""
    ours = next((contender for contender in entrants if contender.name == OURS and contender.costs), None)
    result = []
    for contender in entrants:
        if not contender.costs:
            result.append((contender.name, contender.trouble, *[""] * 7))
            continue
        best = contender.best(rows)
        cost = min(contender.costs, key=lambda cost: cost.wall_seconds)
        result.append(
            (
                contender.name,
                f"{contender.rows:,}",
                f"{best:.2f}",
                f"{statistics.median(contender.seconds(cost, rows) for cost in contender.costs):.2f}",
                f"{rows / best:,.0f}",
                f"{best / ours.best(rows):.2f} x" if ours else "",
                megabytes(max(cost.peak_bytes for cost in contender.costs)),
                f"{cost.cores_busy:.2f}",
                "equal" if contender.totals == right[contender.rows] else "DIFFERENT",
            )
        )
    return result


def verdicts(entrants: list[Contender], rows: int) -> list[str]:
    """Gives what was to be reached, and whether it was."""
    best = {contender.name: contender.best(rows) for contender in entrants if contender.costs}
    ours = best.get(OURS)
    if ours is None:
        return []
    aims = [("DuckDB", "at least as fast as DuckDB", 1.0), (REFERENCE, "at most 2 x polars' own scan", 0.5)]
    aims.append((ELEMENTS, "at least 40 x Beam element by element", 40.0))
    result = []
    for name, aim, least in aims:
        if name in best:
            ratio = best[name] / ours
            result.append(f"- {aim}: {'yes' if ratio >= least else 'NO'} ({ratio:.2f} x its speed)")
    peak = max(cost.peak_bytes for contender in entrants if contender.name == OURS for cost in contender.costs)
    result.append(f"- peak memory under 1 GB: {'yes' if peak < MOST_BYTES else 'NO'} ({megabytes(peak)} MB)")
    return result


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where totals differ or our own run failed."""
    options = parse_arguments(argv)
    tape = make_tape(options.file or tape_of(options.rows), options.rows)
    rows = count_rows(tape)
    tapes = Tapes(tape, rows)
    entrants = [one for one in contenders() if not options.only or one.module.rpartition(".")[2] in options.only]
    versions = []
    for contender in entrants:
        contender.rows = min(rows, options.sample_rows or max(1, rows // SAMPLE_PART)) if contender.sampled else rows
        if contender.module.endswith("python_loop") and options.loop_rows:
            contender.rows = min(rows, options.loop_rows)
        if contender.package:
            version = contender.version()
            contender.trouble = "" if version else "not installed"
            versions += [f"{contender.package} {version}"] if version else []
    racing = [contender for contender in entrants if not contender.trouble]
    race(racing, tapes, options.runs)
    right = references(racing, tapes)
    header = ("contender", "rows read", "best s", "median s", "rows/s", "time to ours", "peak MB", "cores", "totals")
    how = (
        f"{rows:,} rows, {megabytes(tape.stat().st_size)} MB, in the page cache; {options.runs} runs each, "
        "interleaved; whole processes, from their start to their end. A contender that read fewer rows is shown with "
        "its seconds for all of them: its start-up, and the rest in proportion."
    )
    commands = [
        show_command(one.command(tapes.beginning(one.rows, header=one.header), OUT / "totals")) for one in racing
    ]
    publish(
        "produce_totals",
        "Daily totals per UPC of produce",
        [
            how,
            table(header, lines(entrants, rows, right)),
            "\n".join(verdicts(entrants, rows)) or "This project did not run.",
            "Totals of all rows: " + ", ".join(f"{name} {value}" for name, value in right.get(rows, {}).items()) + ".",
            environment(versions),
            code_block(this_command("benchmarks.produce_totals"), "", *commands),
        ],
        keep=is_worth_keeping(rows) and not options.only,
    )
    equal = all(contender.totals == right.get(contender.rows) for contender in racing if contender.costs)
    ran = not options.only or "produce" in options.only
    return 0 if equal and not (ran and any(one.name == OURS and one.trouble for one in entrants)) else 1


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.produce_totals", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of tape to make (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="this tape instead; made there where it is not")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default: %(default)s)")
    parser.add_argument("--loop-rows", type=int, help="rows for the plain Python loop (default: all)")
    parser.add_argument("--sample-rows", type=int, help="rows for the slow contenders (default: a twentieth)")
    names = [one.module.rpartition(".")[2] for one in contenders()]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    options = parser.parse_args(argv)
    if min(options.rows, options.runs, options.loop_rows or 1, options.sample_rows or 1) < 1:
        parser.error("rows and runs must be positive")
    options.file = options.file and options.file.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
