"""How many transfers a second become running totals, JSON over one TCP connection, here and in other hands?

python -m benchmarks.credit_throughput [--rows 1000000] [--sample-rows 200000] [--runs 3] [--only NAME ...]

The peer sends a file that the simulator made before, as fast as it is taken. Every contender runs as a process of its
own, one after the other, round by round. The totals are compared with those of the simulator's truth file.
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
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from benchmarks.contest import OURS, Contender, check_positive, find_versions, race, race_parser
from benchmarks.measure import OUT, ROOT, CommandError, Cost, Run, count_rows, free_port, measure
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
from benchmarks.tcp_throughput import START_SECONDS, push_file, wait_for_listener

FOLDER = OUT / "credit"
AIM = 200_000
RUN_SECONDS = 600.0
TICK_SECONDS = 0.1
SAMPLE_PART = 5

_RATE = re.compile(r"([\d,]+) rows/s\)")
Totals = dict[str, tuple[int, Decimal]]


@dataclass(frozen=True)
class Pushed:
    """One run.

    Attributes:
        complete_seconds: from the first byte sent until the totals of all transfers were written or printed.
        gone_seconds: from the first byte sent until the process was gone.
        totals: count and sum per region.
        cost: of the process.
    """

    complete_seconds: float
    gone_seconds: float
    totals: Totals
    cost: Cost

    @property
    def reported(self) -> float:
        """Transfers a second by the pipeline's own summary; 0 where there is none."""
        rates = _RATE.findall(self.cost.output)
        return float(rates[-1].replace(",", "")) if rates else 0.0


@dataclass
class Streamed(Contender):
    """One line of the table: a program that connects to a port and prints its totals."""

    pushed: list[Pushed] = field(default_factory=list)

    def stream_command(self, port: int) -> list[str]:
        """Gives the command that reads from ``port``."""
        return [self.python, "-m", self.module, str(port), str(self.rows)]

    def run(self, transfers: Path) -> float:
        """Runs it once, takes that down, and gives the seconds until its totals were complete."""
        self.pushed.append(self.push(transfers))
        return self.pushed[-1].complete_seconds

    def push(self, transfers: Path) -> Pushed:
        """Runs it, and sends it a file once it has connected."""
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            Run(self.stream_command(server.getsockname()[1]), RUN_SECONDS) as run,
        ):
            with accept(server, run) as connection, transfers.open("rb") as file:
                start = time.time()
                connection.sendfile(file)
            cost = run.wait()
            gone = time.time()
        found = [line for line in cost.output.splitlines() if line.startswith('{"complete"')]
        if not found:
            raise CommandError(f"{self.name} printed no totals\n{cost.output[-2_000:]}")
        printed = json.loads(found[-1])
        return Pushed(printed["complete"] - start, gone - start, totals_of(printed["regions"]), cost)


class Ours(Streamed):
    """This project: it listens, and writes its totals."""

    def stream_command(self, port: int) -> list[str]:
        """Gives the user's command."""
        options = ["--input", f"tcp-listen://127.0.0.1:{port}", "--max-records", str(self.rows)]
        output = ["--output", str(FOLDER / "credit.jsonl")]
        return [self.python, "-m", self.module, "--runner=DirectRunner", *options, *output]

    def push(self, transfers: Path) -> Pushed:
        """Runs the pipeline, and the peer once the pipeline listens."""
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        port = free_port()
        with Run(self.stream_command(port), RUN_SECONDS) as pipeline:
            wait_for_listener(port, pipeline)
            start = time.time()
            push_file(transfers, port)
            cost = pipeline.wait()
            gone = time.time()
        complete = (FOLDER / "credit.jsonl").stat().st_mtime
        return Pushed(complete - start, gone - start, totals_written(), cost)


def contenders() -> list[Streamed]:
    """Gives all of them."""
    scripts = "benchmarks.contenders"
    return [
        Ours(OURS, "pipelines.credit"),
        Streamed("PySpark Structured Streaming", f"{scripts}.credit_spark", package="pyspark", sampled=True),
        Streamed("Bytewax", f"{scripts}.credit_bytewax", package="bytewax"),
        Streamed("Pathway", f"{scripts}.credit_pathway", package="pathway"),
    ]


def accept(server: socket.socket, run: Run) -> socket.socket:
    """Waits until the contender connects.

    Raises:
        CommandError: it ended before, or took longer than START_SECONDS.
    """
    deadline = time.perf_counter() + START_SECONDS
    server.settimeout(TICK_SECONDS)
    while True:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            if run.ended:
                run.wait(())
            if time.perf_counter() > deadline:
                raise CommandError(f"{' '.join(run.command)} did not connect within {START_SECONDS:g} s") from None
        else:
            connection.settimeout(RUN_SECONDS)
            return connection


def simulator_command(path: Path, rows: int) -> list[str]:
    """Gives the bank that writes the file, and the truth beside it."""
    options = ["--rows", str(rows), "--output", str(path), "--truth", str(truth_of(path)), "--quiet"]
    return [sys.executable, "-m", "simulators.bank", *options]


def truth_of(path: Path) -> Path:
    """Gives the truth file of a file of transfers."""
    return path.with_suffix(".truth.json")


def transfers_of(rows: int) -> Path:
    """Gives where so many transfers are kept between runs."""
    return OUT / f"transfers-{rows}.jsonl"


def make_transfers(rows: int) -> Path:
    """Gives a file of so many transfers, made unless it is there; it is in the page cache from now on."""
    path = transfers_of(rows)
    if not path.exists() or not truth_of(path).exists():
        OUT.mkdir(parents=True, exist_ok=True)
        print(f"making {rows:,} transfers in {path.relative_to(ROOT)}", flush=True)
        measure(simulator_command(path, rows))
    count_rows(path)
    return path


def right_totals(path: Path) -> Totals:
    """Gives count and sum per region as the simulator says it made them."""
    return totals_of(json.loads(truth_of(path).read_text(encoding="utf-8"))["regions"])


def totals_of(regions: dict[str, dict]) -> Totals:
    """Gives count and sum per region as they are in a truth file, and as the contenders print them."""
    return {name: (flow["count"], Decimal(flow["sum"])) for name, flow in regions.items() if flow["count"]}


def totals_written() -> Totals:
    """Gives count and sum per region as the pipeline wrote them."""
    lines = (FOLDER / "credit.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line, parse_float=Decimal) for line in lines]
    return {row["account_region"]: (row["count"], Decimal(row["sum"])) for row in rows}


def is_right(contender: Streamed) -> bool:
    """Whether the totals of all its runs are those of the truth file."""
    right = right_totals(make_transfers(contender.rows))
    return all(pushed.totals == right for pushed in contender.pushed)


def lines(entrants: list[Streamed]) -> list[tuple[str, ...]]:
    """Gives the table's lines."""
    result = []
    for contender in entrants:
        if not contender.pushed:
            result.append((contender.name, contender.trouble, *[""] * 7))
            continue
        best = min(contender.pushed, key=lambda pushed: pushed.complete_seconds)
        result.append(
            (
                contender.name,
                f"{contender.rows:,}",
                f"{best.complete_seconds:.2f}",
                f"{statistics.median(pushed.complete_seconds for pushed in contender.pushed):.2f}",
                f"{contender.rows / best.complete_seconds:,.0f}",
                f"{min(pushed.gone_seconds for pushed in contender.pushed):.2f}",
                f"{min(pushed.cost.wall_seconds for pushed in contender.pushed):.2f}",
                megabytes(max(pushed.cost.peak_bytes for pushed in contender.pushed)),
                "equal" if is_right(contender) else "DIFFERENT",
            )
        )
    return result


def verdict(entrants: list[Streamed]) -> str:
    """Gives what was to be reached, and whether it was."""
    ours = next((contender for contender in entrants if contender.name == OURS and contender.pushed), None)
    if ours is None:
        return "This project did not run."
    by_wall = ours.rows / min(pushed.gone_seconds for pushed in ours.pushed)
    reported = max(pushed.reported for pushed in ours.pushed)
    answer = "yes" if max(by_wall, reported) >= AIM else "NO"
    return (
        f"- at least {AIM:,} transfers/s: {answer} ({by_wall:,.0f} until the process is gone, {reported:,.0f} from "
        "first to last record by the pipeline's summary)"
    )


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where totals differ or our own run failed."""
    options = parse_arguments(argv)
    entrants = [one for one in contenders() if not options.only or one.script in options.only]
    versions = find_versions(entrants)
    for contender in entrants:
        sample = min(options.rows, options.sample_rows or max(1, options.rows // SAMPLE_PART))
        contender.rows = sample if contender.sampled else options.rows
    racing = [contender for contender in entrants if not contender.trouble]
    files = {contender.rows: make_transfers(contender.rows) for contender in racing}
    race(racing, options.runs, lambda contender: contender.run(files[contender.rows]))
    shutil.rmtree(FOLDER, ignore_errors=True)
    header = ("contender", "transfers", "best s", "median s", "transfers/s", "gone s", "process s", "peak MB", "totals")
    publish(
        "credit_throughput",
        "Transfers over TCP to running totals",
        [
            (
                f"JSON lines over one connection on the loopback address, {options.runs} runs each, interleaved; "
                "totals so far come out all the while. Best, median and transfers/s: from the first byte sent, to a "
                "contender that has started and listens or has connected, until the totals of all are written or "
                "printed. Gone: from the same byte until the process has ended. Process: from its start to its end. "
                "Slow contenders get fewer transfers, and their transfers/s are of those. PySpark runs on local[2], "
                "its socket source in more partitions than by default."
            ),
            table(header, lines(entrants)),
            verdict(entrants),
            environment(versions),
            code_block(
                this_command("benchmarks.credit_throughput"),
                "",
                show_command(simulator_command(transfers_of(options.rows), options.rows)),
                *(show_command(one.stream_command(12_000)) for one in racing),
            ),
        ],
        keep=is_worth_keeping(options.rows) and not options.only,
    )
    equal = all(is_right(contender) for contender in racing)
    return 0 if equal and not any(one.name == OURS and one.trouble for one in entrants) else 1


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    scripts = [one.script for one in contenders()]
    parser = race_parser("benchmarks.credit_throughput", __doc__, "transfers to push", 1_000_000, 3, scripts)
    parser.add_argument("--sample-rows", type=int, help="transfers for the slow contenders (default: a fifth)")
    options = parser.parse_args(argv)
    check_positive(parser, options.rows, options.runs, options.sample_rows)
    return options


if __name__ == "__main__":
    sys.exit(main())
