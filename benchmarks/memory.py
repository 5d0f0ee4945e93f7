"""Does memory stay the same, and does time grow in proportion, when the tape is ten times as long?

python -m benchmarks.memory [--rows 1000000 10000000] [--runs 3]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.measure import OUT, Cost, count_rows, make_tape, measure, tape_of
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

FOLDER = OUT / "memory"
TINY_ROWS = 1_000
MOST_BYTES = 1_000_000_000
SAME_WITHIN = 0.2
LINEAR_WITHIN = 0.25


def command(tape: Path) -> list[str]:
    """Gives what a user types."""
    options = ["--input", str(tape), "--window", "1d", "--output", str(FOLDER / "produce.parquet"), "--quiet"]
    return [sys.executable, "-m", "pipelines.produce", "--runner=DirectRunner", *options]


def run(tape: Path) -> Cost:
    """Runs it once, into an empty folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    cost = measure(command(tape))
    shutil.rmtree(FOLDER)
    return cost


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where memory grows or time does not grow in proportion."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs=2, default=[1_000_000, 10_000_000], metavar=("FEW", "MANY"))
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    options = parser.parse_args(argv)
    if not 0 < options.rows[0] < options.rows[1] or options.runs < 1:
        parser.error("rows must be two ascending positive numbers, and runs positive")

    tapes = [make_tape(tape_of(rows), rows) for rows in (TINY_ROWS, *options.rows)]
    counts = [count_rows(tape) for tape in tapes]
    costs: list[list[Cost]] = [[] for _ in tapes]
    for number in range(options.runs):
        for place, tape in enumerate(tapes):
            costs[place].append(run(tape))
            print(f"run {number + 1} of {options.runs}: {counts[place]:,} rows", flush=True)

    walls = [min(cost.wall_seconds for cost in runs) for runs in costs]
    peaks = [max(cost.peak_bytes for cost in runs) for runs in costs]
    a_million = [(wall - walls[0]) / rows * 1e6 for wall, rows in zip(walls, counts, strict=True)]
    rows_of_table = [
        (f"{rows:,} rows", f"{wall:.2f}", f"{per:.2f}" if place else "", megabytes(peak), f"{busy:.2f}")
        for place, (rows, wall, per, peak, busy) in enumerate(
            zip(
                counts,
                walls,
                a_million,
                peaks,
                [min(runs, key=lambda cost: cost.wall_seconds).cores_busy for runs in costs],
                strict=True,
            )
        )
    ]
    growth = peaks[2] / peaks[1]
    linearity = a_million[2] / a_million[1]
    checks = [
        (f"the same memory within {SAME_WITHIN:.0%}", abs(growth - 1) <= SAME_WITHIN, f"{growth:.2f} x"),
        ("peak memory under 1 GB", peaks[2] < MOST_BYTES, f"{megabytes(peaks[2])} MB"),
        (
            f"seconds a million rows grow by no more than {LINEAR_WITHIN:.0%}",
            min(a_million[1:]) > 0 and linearity <= 1 + LINEAR_WITHIN,  # too few rows drown in the starting up
            f"{linearity:.2f} x",
        ),
    ]
    publish(
        "memory",
        "Memory and time by length of the tape",
        [
            (
                f"Best wall time and highest memory of {options.runs} runs each; whole processes. The seconds a "
                f"million rows leave out what {counts[0]:,} rows take, which is starting up."
            ),
            table(("tape", "wall s", "s a million rows", "peak MB", "cores"), rows_of_table),
            "\n".join(f"- {aim}: {'yes' if reached else 'NO'} ({figure})" for aim, reached, figure in checks),
            environment(),
            code_block(this_command("benchmarks.memory"), "", show_command(command(tapes[2]))),
        ],
        keep=is_worth_keeping(counts[2]),
    )
    return 0 if all(reached for _, reached, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
