"""How much memory do ten million visitors that all met an error in one open hour need, exactly and by a sketch?

python -m benchmarks.errors_memory [--visitors 10000000] [--runs 1]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measure import OUT, Cost, measure
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
from transforms.aggregate.distinct import DEFAULT_LG_K, standard_error

FOLDER = OUT / "errors"
RESULT = FOLDER / "memory"
PART_ROWS = 1_000_000
HOUR_SECONDS = 3_600
MOST_BYTES = 1_000_000_000
#: A sketch is further off than that once in some 16,000 times.
MOST_DEVIATIONS = 4
KINDS = {"exact": (), "--approximate": ("--approximate",)}


def make_visitors(visitors: int) -> Path:
    """Gives a file with an error for each of so many IPv4 addresses, all in the hour of 12, Monday, 2019-05-06."""
    path = FOLDER / f"one-hour-{visitors}.jsonl"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        for first in range(0, visitors, PART_ROWS):
            number = np.arange(first, min(first + PART_ROWS, visitors))
            second = number * HOUR_SECONDS // visitors
            columns = {"minute": second // 60, "second": second % 60}
            columns |= {f"octet{place}": number >> 8 * place & 255 for place in (2, 1, 0)}
            two = {name: pl.col(name).cast(pl.String).str.zfill(2) for name in ("minute", "second")}
            rows = pl.DataFrame(columns | {"net": 10 + (number >> 24)}).select(
                pl.lit('{"time":"2019-05-06 12:')
                + pl.format("{}:{}", two["minute"], two["second"])
                + pl.lit('","ip":"')
                + pl.format("{}.{}.{}.{}", "net", "octet2", "octet1", "octet0")
                + pl.lit('","status_code":500}')
            )
            file.write("\n".join(rows.to_series().to_list()).encode() + b"\n")
    unfinished.rename(path)
    return path


def command(path: Path, *more: str) -> list[str]:
    """Gives what a user types."""
    options = ["--input", str(path), "--output", str(RESULT / "errors.jsonl"), "--quiet", *more]
    return [sys.executable, "-m", "pipelines.errors", "--runner=DirectRunner", *options]


def run(path: Path, *more: str) -> tuple[Cost, int]:
    """Runs it once, and gives the number of visitors, too."""
    shutil.rmtree(RESULT, ignore_errors=True)
    RESULT.mkdir(parents=True)
    cost = measure(command(path, *more))
    rows = [json.loads(line) for line in (RESULT / "errors.jsonl").read_text().splitlines()]
    shutil.rmtree(RESULT)
    return cost, sum(row["visitors"] for row in rows)


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where a number is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.errors_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=10_000_000, help="in the hour (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=1, help="runs of each (default: %(default)s)")
    options = parser.parse_args(argv)
    most = 100 * 256**3
    if not 1 <= options.visitors <= most or options.runs < 1:
        parser.error(f"visitors must be 1 to {most:,}, and runs positive")
    path = make_visitors(options.visitors)
    runs = {name: [run(path, *more) for _ in range(options.runs)] for name, more in KINDS.items()}
    peaks = {name: max(cost.peak_bytes for cost, _ in done) for name, done in runs.items()}
    found = {name: done[0][1] for name, done in runs.items()}
    off = found["--approximate"] / options.visitors - 1
    lines = [
        (name, f"{min(cost.wall_seconds for cost, _ in done):.2f}", megabytes(peaks[name]), f"{found[name]:,}")
        for name, done in runs.items()
    ]
    commands = [show_command(command(path, *more)) for more in KINDS.values()]
    error = standard_error(DEFAULT_LG_K)
    is_right = found["exact"] == options.visitors and abs(off) <= MOST_DEVIATIONS * error
    publish(
        "errors_memory",
        "Visitors in one open hour",
        [
            (
                f"{options.visitors:,} different IPv4 addresses in one hour, one error each, from a file of "
                f"{megabytes(path.stat().st_size)} MB. Peak memory of the whole process, Python and Beam included."
            ),
            table(("visitors", "best s", "peak MB", "counted"), lines),
            (
                f"- exact: {'yes' if found['exact'] == options.visitors else 'NO'}\n"
                f"- the sketch is off by {100 * off:+.2f} % (its standard error: {100 * error:.2f} %)\n"
                f"- peak memory under 1 GB: {'yes' if peaks['exact'] < MOST_BYTES else 'NO'} "
                f"({megabytes(peaks['exact'])} MB)"
            ),
            environment(),
            code_block(this_command("benchmarks.errors_memory"), "", *commands),
        ],
        keep=is_worth_keeping(options.visitors),
    )
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
