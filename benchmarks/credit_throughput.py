"""How many transfers a second become running totals, JSON over one TCP connection, pushed as fast as it can be?

python -m benchmarks.credit_throughput [--rows 1000000] [--runs 3]

The peer sends a file that the simulator made before. The totals are compared with those of the simulator's truth file.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import time
from decimal import Decimal
from pathlib import Path

from benchmarks.measure import OUT, ROOT, Run, count_rows, free_port, measure
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
from benchmarks.tcp_throughput import Pushed, push_file, wait_for_listener

FOLDER = OUT / "credit"
AIM = 200_000
RUN_SECONDS = 600.0
#: What the same job was not run in, and why the table has no row for it.
NOT_MEASURED = "PySpark, Bytewax and Pathway were not measured."

_RATE = re.compile(r"([\d,]+) rows/s\)")
Totals = dict[str, tuple[int, Decimal]]


def pipeline_command(port: int, rows: int) -> list[str]:
    """Gives the pipeline that listens."""
    options = ["--input", f"tcp-listen://127.0.0.1:{port}", "--max-records", str(rows)]
    output = ["--output", str(FOLDER / "credit.jsonl")]
    return [sys.executable, "-m", "pipelines.credit", "--runner=DirectRunner", *options, *output]


def simulator_command(path: Path, rows: int) -> list[str]:
    """Gives the bank that writes the file, and the truth beside it."""
    options = ["--rows", str(rows), "--output", str(path), "--truth", str(truth_of(path)), "--quiet"]
    return [sys.executable, "-m", "simulators.bank", *options]


def truth_of(path: Path) -> Path:
    """Gives the truth file of a file of transfers."""
    return path.with_suffix(".truth.json")


def make_transfers(rows: int) -> Path:
    """Gives a file of so many transfers, made unless it is there; it is in the page cache from now on."""
    path = OUT / f"transfers-{rows}.jsonl"
    if not path.exists() or not truth_of(path).exists():
        OUT.mkdir(parents=True, exist_ok=True)
        print(f"making {rows:,} transfers in {path.relative_to(ROOT)}", flush=True)
        measure(simulator_command(path, rows))
    count_rows(path)
    return path


def right_totals(path: Path) -> Totals:
    """Gives count and sum per region as the simulator says it made them."""
    regions = json.loads(truth_of(path).read_text(encoding="utf-8"))["regions"]
    return {name: (flow["count"], Decimal(flow["sum"])) for name, flow in regions.items() if flow["count"]}


def totals_written() -> Totals:
    """Gives count and sum per region as the pipeline wrote them."""
    lines = (FOLDER / "credit.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line, parse_float=Decimal) for line in lines]
    return {row["account_region"]: (row["count"], Decimal(row["sum"])) for row in rows}


def push(transfers: Path, rows: int) -> tuple[Pushed, Totals]:
    """Runs the pipeline, and the peer once the pipeline listens."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    port = free_port()
    with Run(pipeline_command(port, rows), RUN_SECONDS) as pipeline:
        wait_for_listener(port, pipeline)
        start = time.perf_counter()
        push_file(transfers, port)
        cost = pipeline.wait()
        wall_seconds = time.perf_counter() - start
    rates = _RATE.findall(cost.output)
    reported = float(rates[-1].replace(",", "")) if rates else None
    return Pushed(wall_seconds, reported, (), cost), totals_written()


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where totals differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.credit_throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="transfers to push (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs (default: %(default)s)")
    options = parser.parse_args(argv)
    if min(options.rows, options.runs) < 1:
        parser.error("rows and runs must be positive")

    transfers, rows = make_transfers(options.rows), options.rows
    right = right_totals(transfers)
    runs: list[Pushed] = []
    are_right = True
    for number in range(options.runs):
        pushed, totals = push(transfers, rows)
        runs.append(pushed)
        are_right = are_right and totals == right
        print(f"run {number + 1} of {options.runs}: {pushed.wall_seconds:.2f} s", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)

    best = min(run.wall_seconds for run in runs)
    reported = max((run.reported for run in runs if run.reported is not None), default=0.0)
    figures = (
        "this project",
        f"{best:.2f}",
        f"{statistics.median(run.wall_seconds for run in runs):.2f}",
        f"{rows / best:,.0f}",
        f"{reported:,.0f}",
        megabytes(max(run.cost.peak_bytes for run in runs)),
        "equal" if are_right else "DIFFERENT",
    )
    fastest = max(rows / best, reported)
    header = ("", "best s", "median s", "transfers/s by wall", "transfers/s reported", "peak MB", "totals")
    publish(
        "credit_throughput",
        "Transfers over TCP to running totals",
        [
            (
                f"{rows:,} transfers as JSON lines over one connection on the loopback address, {options.runs} runs, "
                "early results every second. By wall: from the first byte sent until the pipeline's process is gone, "
                f"all totals written. Reported: by the pipeline's summary. {NOT_MEASURED}"
            ),
            table(header, [figures]),
            f"- at least {AIM:,} transfers/s: {'yes' if fastest >= AIM else 'NO'} ({fastest:,.0f})",
            environment(),
            code_block(
                this_command("benchmarks.credit_throughput"),
                "",
                show_command(simulator_command(transfers, rows)),
                show_command(pipeline_command(12_000, rows)),
            ),
        ],
        keep=is_worth_keeping(rows),
    )
    return 0 if are_right else 1


if __name__ == "__main__":
    sys.exit(main())
