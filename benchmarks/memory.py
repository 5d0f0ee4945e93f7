"""Does memory stay the same, and does time grow in proportion, when the tape is ten times as long?

python -m benchmarks.memory [--rows 1000000] [--times 1 10] [--runs 3]

The long tape is the short one, so many times over: it has the same windows and products, so as many results.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import polars as pl

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
RESULT = FOLDER / "produce.parquet"
TINY_ROWS = 1_000
MOST_BYTES = 1_000_000_000
MANY_GROUPS = 300_000
SAME_WITHIN = 0.2
LINEAR_WITHIN = 0.25
DAILY = ("--window", "1d")
#: Of a million rows these are more than MANY_GROUPS windows and products.
FINE = ("--window", "6h", "--department", "all")


def command(tape: Path, *windows: str) -> list[str]:
    """Gives what a user types."""
    options = ["--input", str(tape), *windows, "--output", str(RESULT), "--quiet"]
    return [sys.executable, "-m", "pipelines.produce", "--runner=DirectRunner", *options]


def run(tape: Path, *windows: str) -> tuple[Cost, int]:
    """Runs it once, into an empty folder; gives how many rows the result has, too."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    cost = measure(command(tape, *windows))
    groups = int(pl.scan_parquet(RESULT).select(pl.len()).collect().item())
    shutil.rmtree(FOLDER)
    return cost, groups


def long_tape(short: Path, times: int) -> Path:
    """Gives the tape so many times over."""
    path = short.with_name(f"{short.stem}-x{times}.txt") if times > 1 else short
    if not path.exists():
        unfinished = path.with_name(path.name + ".part")
        with unfinished.open("wb") as file:
            for _ in range(times):
                with short.open("rb") as once:
                    shutil.copyfileobj(once, file, 1 << 20)
        unfinished.rename(path)
    return path


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where memory grows or time does not grow in proportion."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the short tape (default: %(default)s)")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10], help="how long tapes are (default: 1 10)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    options = parser.parse_args(argv)
    times = options.times
    if options.rows < 1 or options.runs < 1 or times[0] < 1 or times != sorted(set(times)) or times[1:] == []:
        parser.error("rows and runs must be positive, and times several ascending positive numbers")

    short = make_tape(tape_of(options.rows), options.rows)
    tapes = [make_tape(tape_of(TINY_ROWS), TINY_ROWS), *(long_tape(short, number) for number in times)]
    jobs = [*((tape, DAILY) for tape in tapes), (short, FINE)]
    counts = [count_rows(tape) for tape, _ in jobs]
    costs: list[list[Cost]] = [[] for _ in jobs]
    groups = [0] * len(jobs)
    for number in range(options.runs):
        for place, (tape, windows) in enumerate(jobs):
            cost, groups[place] = run(tape, *windows)
            costs[place].append(cost)
            print(f"run {number + 1} of {options.runs}: {counts[place]:,} rows, {groups[place]:,} results", flush=True)

    walls = [min(cost.wall_seconds for cost in runs) for runs in costs]
    peaks = [max(cost.peak_bytes for cost in runs) for runs in costs]
    cores = [min(runs, key=lambda cost: cost.wall_seconds).cores_busy for runs in costs]
    a_million = [(wall - walls[0]) / rows * 1e6 for wall, rows in zip(walls, counts, strict=True)]
    lines = [
        (f"{rows:,} rows", f"{found:,}", f"{wall:.2f}", f"{per:.2f}" if place else "", megabytes(peak), f"{busy:.2f}")
        for place, (rows, found, wall, per, peak, busy) in enumerate(
            zip(counts, groups, walls, a_million, peaks, cores, strict=True)
        )
    ]
    daily = peaks[1:-1]
    growth = max(daily) / daily[0]
    linearity = a_million[-2] / a_million[1]
    checks = [
        (
            f"the same memory within {SAME_WITHIN:.0%} for the same results",
            growth <= 1 + SAME_WITHIN,
            f"{growth:.2f} x",
        ),
        (
            f"peak memory under 1 GB, also of {MANY_GROUPS:,} results",
            max(peaks) < MOST_BYTES and groups[-1] >= MANY_GROUPS,
            f"{megabytes(max(peaks))} MB, {groups[-1]:,} results",
        ),
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
                f"million rows leave out what {counts[0]:,} rows take, which is starting up. A long tape is the short "
                "one, several times over; results are those of all windows and products, in one file."
            ),
            table(("tape", "results", "wall s", "s a million rows", "peak MB", "cores"), lines),
            "\n".join(f"- {aim}: {'yes' if reached else 'NO'} ({figure})" for aim, reached, figure in checks),
            environment(),
            code_block(
                this_command("benchmarks.memory"),
                "",
                show_command(command(tapes[-1], *DAILY)),
                show_command(command(short, *FINE)),
            ),
        ],
        keep=is_worth_keeping(counts[-2]),
    )
    return 0 if all(reached for _, reached, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
