"""How many rows a second does one register get through over TCP, pushing as fast as it can?

python -m benchmarks.tcp_throughput [--rows 3000000] [--runs 3]

Two registers are tried: one that reads its tape from a file, which costs next to nothing, and the simulator, which
makes each row as it sends and so needs a part of the same processors. The totals are compared with those of the tape.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import (
    OUT,
    CommandError,
    Cost,
    Run,
    count_rows,
    free_port,
    is_listened_on,
    make_tape,
    measure,
    tape_of,
)
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

FOLDER = OUT / "tcp"
AIM = 300_000
START_SECONDS = 60.0
RUN_SECONDS = 600.0
SUMS = ("quantity", "scale", "spend", "rows")
_RATE = re.compile(r"([\d,._]+)\s*rows/s")

Register = Callable[[int], None]


@dataclass(frozen=True)
class Pushed:
    """One run.

    Attributes:
        wall_seconds: from the moment the register starts to the moment the pipeline's process is gone.
        reported: rows a second from first to last record, by the pipeline's own summary; None where it tells none.
        sums: of what was written.
        cost: of the pipeline.
    """

    wall_seconds: float
    reported: float | None
    sums: tuple[str, ...]
    cost: Cost


def pipeline_command(port: int, rows: int) -> list[str]:
    """Gives the pipeline that listens."""
    options = ["--input", f"tcp-listen://127.0.0.1:{port}", "--window", "1h", "--max-records", str(rows)]
    output = ["--output", str(FOLDER / "produce.parquet")]
    return [sys.executable, "-m", "pipelines.produce", "--runner=DirectRunner", *options, *output]


def simulator_command(port: int, rows: int) -> list[str]:
    """Gives the register that makes rows as it sends them."""
    return [sys.executable, "-m", "simulators.registers", "--rows", str(rows), "--output", f"tcp://127.0.0.1:{port}"]


def push_file(tape: Path, port: int) -> None:
    """Sends a whole tape over one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=RUN_SECONDS) as connection, tape.open("rb") as file:
        connection.sendfile(file)


def push(register: Register, rows: int) -> Pushed:
    """Runs the pipeline, and the register once the pipeline listens."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    port = free_port()
    with Run(pipeline_command(port, rows), RUN_SECONDS) as pipeline:
        wait_for_listener(port, pipeline)
        start = time.perf_counter()
        register(port)
        cost = pipeline.wait()
        wall_seconds = time.perf_counter() - start
    rates = _RATE.findall(cost.output)
    reported = float(re.sub(r"[,_]", "", rates[-1])) if rates else None
    return Pushed(wall_seconds, reported, sums_of(FOLDER), cost)


def wait_for_listener(port: int, pipeline: Run) -> None:
    """Waits until the pipeline listens.

    Raises:
        CommandError: it ended before, or took longer than START_SECONDS.
    """
    deadline = time.perf_counter() + START_SECONDS
    while not is_listened_on(port):
        if pipeline.ended:
            pipeline.wait(())
        if time.perf_counter() > deadline:
            raise CommandError(f"{' '.join(pipeline.command)} did not listen within {START_SECONDS:g} s")
        time.sleep(0.02)


def sums_of(folder: Path) -> tuple[str, ...]:
    """Gives the sums of everything that was written there."""
    printed = measure([sys.executable, "-m", "benchmarks.totals", str(folder)]).output
    totals = json.loads(printed.splitlines()[-1])
    return tuple(totals[name] for name in SUMS)


def right_sums(tape: Path) -> tuple[str, ...]:
    """Gives the sums of the tape, by a whole-file scan."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    measure([sys.executable, "-m", "benchmarks.contenders.polars_scan", str(tape), str(FOLDER)])
    return sums_of(FOLDER)


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where totals differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tcp_throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows to push (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="this tape for the register that has a file, with its rows")
    parser.add_argument("--runs", type=int, default=3, help="runs of each register (default: %(default)s)")
    options = parser.parse_args(argv)
    if min(options.rows, options.runs) < 1:
        parser.error("rows and runs must be positive")

    tape = make_tape(options.file.resolve() if options.file else tape_of(options.rows), options.rows)
    rows = count_rows(tape)
    right = right_sums(tape)
    registers: dict[str, Register] = {"a tape from a file": lambda port: push_file(tape, port)}
    if not options.file:  # the same seed makes the same rows, so the same totals are right
        registers["the simulator"] = lambda port: measure(simulator_command(port, rows), RUN_SECONDS) and None
    runs: dict[str, list[Pushed]] = {name: [] for name in registers}
    for number in range(options.runs):
        for name, register in registers.items():
            runs[name].append(push(register, rows))
            print(f"run {number + 1} of {options.runs}: {name}, {runs[name][-1].wall_seconds:.2f} s", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)

    table_rows = []
    for name, pushed in runs.items():
        best = min(pushed, key=lambda one: one.wall_seconds)
        reported = max((one.reported for one in pushed if one.reported is not None), default=None)
        table_rows.append(
            (
                name,
                f"{best.wall_seconds:.2f}",
                f"{statistics.median(one.wall_seconds for one in pushed):.2f}",
                f"{rows / best.wall_seconds:,.0f}",
                "" if reported is None else f"{reported:,.0f}",
                megabytes(max(one.cost.peak_bytes for one in pushed)),
                "equal" if all(one.sums == right for one in pushed) else "DIFFERENT",
            )
        )
    fastest = max(max(rows / one.wall_seconds, one.reported or 0.0) for one in next(iter(runs.values())))
    header = ("register", "best s", "median s", "rows/s by wall", "rows/s reported", "peak MB", "totals")
    publish(
        "tcp_throughput",
        "One register over TCP",
        [
            (
                f"{rows:,} rows over one connection on the loopback address, {options.runs} runs each, interleaved. By "
                "wall: from the first byte sent until the pipeline's process is gone, all windows written. Reported: "
                "by the pipeline's summary."
            ),
            table(header, table_rows),
            f"- at least {AIM:,} rows/s: {'yes' if fastest >= AIM else 'NO'} ({fastest:,.0f})",
            environment(),
            code_block(
                this_command("benchmarks.tcp_throughput"),
                "",
                show_command(pipeline_command(12_000, rows)),
                show_command(simulator_command(12_000, rows)),
            ),
        ],
        keep=is_worth_keeping(rows),
    )
    return 0 if all(one.sums == right for pushed in runs.values() for one in pushed) else 1


if __name__ == "__main__":
    sys.exit(main())
