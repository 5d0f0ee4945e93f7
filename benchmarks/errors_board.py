"""How fast are 10 million responses of script 1 a board of visitors with errors, here and in other hands?

python -m benchmarks.errors_board [--rows 10000000] [--runs 3] [--only NAME ...]

Every contender runs as a process of its own, one after the other, round by round. All counts are compared.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks.contest import OURS, Contender, check_positive, find_versions, race, race_parser
from benchmarks.errors_live import make_records
from benchmarks.measure import OUT, measure
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

FOLDER = OUT / "errors" / "board"
REFERENCE = "polars, whole-file scan"
LEAST_RATE = 1_000_000
Counts = dict[int, int]


class Ours(Contender):
    """This project: no script, but what a user types."""

    def command(self, path: Path, folder: Path) -> list[str]:
        """Gives the user's command."""
        options = ["--input", str(path), "--output", "-", str(folder / "errors.jsonl"), "--quiet"]
        return [self.python, "-m", self.module, "--runner=DirectRunner", *options]


def contenders() -> list[Contender]:
    """Gives all of them."""
    scripts = "benchmarks.contenders"
    return [
        Ours(OURS, "pipelines.errors"),
        Contender(REFERENCE, f"{scripts}.errors_polars"),
        Contender("DuckDB", f"{scripts}.errors_duckdb", package="duckdb"),
        Contender("pandas", f"{scripts}.errors_pandas", package="pandas"),
    ]


def run(contender: Contender, path: Path) -> Counts:
    """Runs a contender once, takes down what it took, and gives its counts."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    contender.costs.append(measure(contender.command(path, FOLDER)))
    counts = read_counts(FOLDER)
    shutil.rmtree(FOLDER)
    return counts


def read_counts(folder: Path) -> Counts:
    """Gives the visitors by hour that were written there."""
    csv, jsonl = folder / "errors.csv", folder / "errors.jsonl"
    if csv.exists():
        rows = [line.split(",") for line in csv.read_text(encoding="utf-8").splitlines()[1:]]
        return {int(hour): int(visitors) for hour, visitors in rows}
    found = map(json.loads, jsonl.read_text(encoding="utf-8").splitlines())
    return {row["hour"]: row["visitors"] for row in found}


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where counts differ or our own run failed."""
    names = [one.script.removeprefix("errors_") for one in contenders()]
    parser = race_parser("benchmarks.errors_board", __doc__, "responses to make", 10_000_000, 3, names)
    options = parser.parse_args(argv)
    check_positive(parser, options.rows, options.runs)

    path = make_records(options.rows)
    wanted = options.only or names
    entrants = [one for one, name in zip(contenders(), names, strict=True) if name in wanted]
    counts: dict[str, list[Counts]] = {one.name: [] for one in entrants}
    versions = find_versions(entrants)
    for one in entrants:
        one.rows = options.rows

    def work(one: Contender) -> float:
        counts[one.name].append(run(one, path))
        return one.costs[-1].wall_seconds

    race(entrants, options.runs, work)
    right = next((found[0] for name, found in counts.items() if name != OURS and found), None)
    equal = all(found == right for all_found in counts.values() for found in all_found) or right is None
    lines = []
    for one in entrants:
        if not one.costs:
            lines.append((one.name, one.trouble, *[""] * 5))
            continue
        best = min(one.costs, key=lambda cost: cost.wall_seconds)
        lines.append(
            (
                one.name,
                f"{best.wall_seconds:.2f}",
                f"{statistics.median(cost.wall_seconds for cost in one.costs):.2f}",
                f"{options.rows / best.wall_seconds:,.0f}",
                megabytes(max(cost.peak_bytes for cost in one.costs)),
                f"{best.cores_busy:.2f}",
                "equal" if all(found == right for found in counts[one.name]) else "DIFFERENT",
            )
        )
    ours = next((one for one in entrants if one.name == OURS and one.costs), None)
    verdict = "This project did not run."
    if ours is not None:
        rate = options.rows / ours.best_seconds
        verdict = f"- at least {LEAST_RATE:,} records/s: {'yes' if rate >= LEAST_RATE else 'NO'} ({rate:,.0f})"
    publish(
        "errors_board",
        "Responses to the board of visitors with errors",
        [
            (
                f"{options.rows:,} responses of script 1, {megabytes(path.stat().st_size)} MB of JSON lines, in the "
                f"page cache; {options.runs} runs each, interleaved; whole processes, from their start to their end."
            ),
            table(("contender", "best s", "median s", "records/s", "peak MB", "cores", "counts"), lines),
            verdict,
            environment(versions),
            code_block(
                this_command("benchmarks.errors_board"),
                "",
                *(show_command(one.command(path, FOLDER)) for one in entrants if not one.trouble),
            ),
        ],
        keep=is_worth_keeping(options.rows) and not options.only,
    )
    return 0 if equal and (ours is not None or OURS not in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
