"""How many purchases a second does the smoothie shop sell, and how long is a replay of all that can be told of them?

python -m benchmarks.smoothies [--rows 2000000] [--runs 3]

The shop writes into one file, into a folder with a file for each kind of message, and into four partitions of a broker
on this machine. Then pipelines.sales reads the folder, and a tenth of it, into every table it has.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.broker import make_topics, running_broker
from benchmarks.kafka_throughput import KINDS, PARTITIONS, SHOP, shop_command, truth_of
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

FOLDER = OUT / "smoothies"
FILE_AIM, KAFKA_AIM = 300_000, 100_000
FILE, PARTS, TOPICS = "one file", "a folder", "Kafka"
#: Of a replay of all tables, a million messages.
MEMORY_AIM = 150_000_000
SMALLER = 10


def sales_command(folder: Path) -> list[str]:
    """Gives what a user types."""
    options = ["--input", f"{folder}/", "--output", f"sqlite:///{FOLDER}/sales.db", "--quiet"]
    return [sys.executable, "-m", "pipelines.sales", "--runner=DirectRunner", *options]


def shop_commands(servers: str, rows: int) -> dict[str, list[str]]:
    """Gives the commands of the shop, by where it writes."""
    commands = {}
    for name, output in ((FILE, FOLDER / "shop.jsonl"), (PARTS, f"{FOLDER}/{rows}/"), (TOPICS, "")):
        settings = FOLDER / f"{name.split()[-1]}.ini"
        settings.write_text(SHOP.format(servers=servers, name="bench"), encoding="utf-8")
        commands[name] = [*shop_command(settings, rows), *(["--output", str(output)] if output else [])]
    return commands


def purchases_of(command: Sequence[str]) -> int:
    """Gives how many purchases a shop has made in its run."""
    settings = Path(command[command.index("--config") + 1])
    return int(json.loads(truth_of(settings).read_text(encoding="utf-8"))["total"]["purchases"])


def repeat(runs: int, name: str, once: Callable[[], Cost]) -> list[Cost]:
    """Gives what each of some runs cost."""
    costs = []
    for number in range(runs):
        costs.append(once())
        print(f"run {number + 1} of {runs}: {name}, {costs[-1].wall_seconds:.2f} s", flush=True)
    return costs


def sell(servers: str, rows: int, runs: int) -> tuple[list[tuple[str, ...]], dict[str, float]]:
    """Lets the shop sell to each of its outputs; gives the table's lines, and purchases a second."""
    lines, rates = [], {}
    for name, command in shop_commands(servers, rows).items():
        costs = repeat(runs, name, lambda command=command: measure(command))  # type: ignore[misc]
        best, purchases = min(cost.wall_seconds for cost in costs), purchases_of(command)
        rates[name] = purchases / best
        peak = megabytes(max(cost.peak_bytes for cost in costs))
        lines.append((f"the shop, into {name}", f"{purchases:,}", f"{best:.1f}", f"{rates[name]:,.0f}", peak))
    return lines, rates


def tell(rows: int, runs: int) -> tuple[tuple[str, ...], int]:
    """Lets the pipeline read what the shop has written; gives the table's line, and the peak of memory."""
    command = shop_commands("127.0.0.1:9092", rows)[PARTS]
    measure(command)

    def once() -> Cost:
        for path in FOLDER.glob("sales.db*"):
            path.unlink()
        return measure(sales_command(FOLDER / str(rows)))

    costs, purchases = repeat(runs, f"all tables of {rows:,} messages", once), purchases_of(command)
    best, peak = min(cost.wall_seconds for cost in costs), max(cost.peak_bytes for cost in costs)
    line = (
        "all tables of sales, from a folder",
        f"{purchases:,}",
        f"{best:.1f}",
        f"{purchases / best:,.0f}",
        megabytes(peak),
    )
    return line, peak


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.smoothies", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="messages of the shop (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.rows < SMALLER or options.runs < 1:
        parser.error(f"rows must be {SMALLER} or more, and runs positive")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with running_broker() as servers:
        make_topics(servers, [f"bench.{kind}" for kind in KINDS], PARTITIONS)
        lines, rates = sell(servers, options.rows, options.runs)
    told = [tell(rows, options.runs) for rows in (options.rows // SMALLER, options.rows)]
    lines += [line for line, _ in told]
    a_million = (told[1][1] - told[0][1]) / (options.rows - options.rows // SMALLER) * 1e6
    checks = [(FILE, FILE_AIM), (PARTS, FILE_AIM), (TOPICS, KAFKA_AIM)]
    shops = [show_command(command) for command in shop_commands("127.0.0.1:9092", options.rows).values()]
    publish(
        "smoothies",
        "A smoothie shop at full speed",
        [
            (
                f"Best wall time and highest memory of {options.runs} runs each; whole processes, starting Python "
                f"included. Kafka: JSON, {PARTITIONS} partitions, a broker on the same machine."
            ),
            table(("what", "purchases", "wall s", "purchases/s", "peak MB"), lines),
            "\n".join(
                f"- into {name}, {aim:,} purchases/s: {'yes' if rates[name] >= aim else 'NO'} ({rates[name]:,.0f})"
                for name, aim in checks
            )
            + f"\n- memory of a replay a million messages, {megabytes(MEMORY_AIM)} MB: "
            + f"{'yes' if a_million <= MEMORY_AIM else 'NO'} ({megabytes(round(a_million))})",
            environment(),
            code_block(
                this_command("benchmarks.smoothies"),
                "",
                *shops,
                show_command(sales_command(FOLDER / str(options.rows))),
            ),
        ],
        keep=is_worth_keeping(options.rows),
    )
    shutil.rmtree(FOLDER)
    return 0 if all(rates[name] >= aim for name, aim in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
