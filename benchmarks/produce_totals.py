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
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contest import OURS, Contender, attempt, check_positive, find_versions, race, race_parser
from benchmarks.measure import OUT, CommandError, Cost, count_rows, make_tape, measure, tape_of
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
from schemas.tape import COLUMNS

REFERENCE = "polars, whole-file scan"
ELEMENTS = "Beam, element by element"
TINY_ROWS = 1_000
SAMPLE_PART = 20
MOST_BYTES = 1_000_000_000
#: What our wall time may be to that of the reference, and that of so many rows and more.
MOST_TO_POLARS, MOST_TO_POLARS_OF_MANY, MANY_ROWS = 1.25, 1.1, 90_000_000


@dataclass
class Totaller(Contender):
    """One line of the table.

    Attributes:
        header: whether its tape has to have a header row.
        startup: what it needs for a few rows, where it does not get all of them.
        totals: a fingerprint of what it wrote.
    """

    header: bool = False
    startup: Cost | None = None
    totals: dict[str, str] = field(default_factory=dict)

    def seconds(self, cost: Cost, rows: int) -> float:
        """Gives what that cost would be for ``rows``."""
        if self.startup is None or self.rows == rows:
            return cost.wall_seconds
        fixed = self.startup.wall_seconds
        return fixed + max(0.0, cost.wall_seconds - fixed) * rows / self.rows

    def best(self, rows: int) -> float:
        """Gives the best run's seconds for ``rows``."""
        return min(self.seconds(cost, rows) for cost in self.costs)


class Ours(Totaller):
    """This project: no script, but what a user types."""

    def command(self, path: Path, folder: Path) -> list[str]:
        """Gives the user's command."""
        options = ["--input", str(path), "--window", "1d", "--output", str(folder / "produce.parquet"), "--quiet"]
        return [self.python, "-m", self.module, "--runner=DirectRunner", *options]


def contenders() -> list[Totaller]:
    """Gives all of them."""
    scripts = "benchmarks.contenders"
    return [
        Ours(OURS, "pipelines.produce"),
        Totaller(REFERENCE, f"{scripts}.polars_scan"),
        Totaller("DuckDB", f"{scripts}.duckdb_sql", package="duckdb"),
        Totaller("plain Python loop", f"{scripts}.python_loop"),
        Totaller(ELEMENTS, f"{scripts}.beam_elements", sampled=True),
        Totaller("Bytewax", f"{scripts}.bytewax_flow", package="bytewax", sampled=True),
        Totaller("Pathway", f"{scripts}.pathway_flow", package="pathway", sampled=True, header=True),
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


def run(contender: Totaller, tape: Path, *, check: bool = True) -> Cost:
    """Runs a contender once, and takes down its totals the first time."""
    folder = OUT / "totals" / contender.script
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


def start_up(entrants: list[Totaller], tapes: Tapes) -> None:
    """Takes down what those need for a few rows who do not get all."""

    def tiny(contender: Totaller) -> float:
        tape = tapes.beginning(min(TINY_ROWS, tapes.rows), header=contender.header)
        contender.startup = run(contender, tape, check=False)
        return contender.startup.wall_seconds

    for contender in entrants:
        if contender.rows != tapes.rows:
            attempt(contender, functools.partial(tiny, contender))


def run_whole(tapes: Tapes, contender: Totaller) -> float:
    """Runs a contender once, on its part of the tape."""
    cost = run(contender, tapes.beginning(contender.rows, header=contender.header))
    contender.costs.append(cost)
    return cost.wall_seconds


def references(entrants: list[Totaller], tapes: Tapes) -> dict[int, dict[str, str]]:
    """Gives the right totals of every tape that was used: those of the whole-file scan."""
    right = {}
    for rows in sorted({contender.rows for contender in entrants if contender.totals}):
        scan = Totaller(REFERENCE, "benchmarks.contenders.polars_scan", rows=rows)
        run(scan, tapes.beginning(rows, header=False))
        right[rows] = scan.totals
    return right


def lines(entrants: list[Totaller], rows: int, right: dict[int, dict[str, str]]) -> list[tuple[str, ...]]:
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


def verdicts(entrants: list[Totaller], rows: int) -> list[str]:
    """Gives what was to be reached, and whether it was."""
    best = {contender.name: contender.best(rows) for contender in entrants if contender.costs}
    ours = best.get(OURS)
    if ours is None:
        return []
    most = MOST_TO_POLARS if rows < MANY_ROWS else MOST_TO_POLARS_OF_MANY
    aims = [("DuckDB", "at least as fast as DuckDB", 1.0), (REFERENCE, f"at most {most} x polars' own scan", 1 / most)]
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
    entrants = [one for one in contenders() if not options.only or one.script in options.only]
    versions = find_versions(entrants)
    for contender in entrants:
        contender.rows = min(rows, options.sample_rows or max(1, rows // SAMPLE_PART)) if contender.sampled else rows
        if contender.module.endswith("python_loop") and options.loop_rows:
            contender.rows = min(rows, options.loop_rows)
    racing = [contender for contender in entrants if not contender.trouble]
    start_up(racing, tapes)
    race(racing, options.runs, functools.partial(run_whole, tapes))
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
    scripts = [one.script for one in contenders()]
    parser = race_parser("benchmarks.produce_totals", __doc__, "rows of tape to make", 10_000_000, 3, scripts)
    parser.add_argument("--file", type=Path, help="this tape instead; made there where it is not")
    parser.add_argument("--loop-rows", type=int, help="rows for the plain Python loop (default: all)")
    parser.add_argument("--sample-rows", type=int, help="rows for the slow contenders (default: a twentieth)")
    options = parser.parse_args(argv)
    check_positive(parser, options.rows, options.runs, options.loop_rows, options.sample_rows)
    options.file = options.file and options.file.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
