"""How many purchases a second become windowed totals, waiting in four partitions of Kafka, here and in other hands?

python -m benchmarks.kafka_throughput [--rows 2000000] [--sample-rows 200000] [--runs 2] [--only NAME ...]

The shop's simulator fills the topics of a broker on this machine. Every contender runs as a process of its own, one
after the other, round by round, and sums up drinks and sales per product in sliding windows of 10 minutes every 5. The
sums over all windows are compared with what the simulator says it sold, which is in two windows each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from benchmarks.broker import end_of, make_topics, messages_from, running_broker
from benchmarks.contest import OURS, Contender, check_positive, find_versions, race, race_parser
from benchmarks.measure import OUT, CommandError, Cost, measure
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

#: Where this project writes its totals.
TOTALS = "bench.sales"
AIM = 150_000
RUN_SECONDS = 900.0
PARTITIONS = 4
SAMPLE_PART = 10
#: Every purchase is in so many windows.
WINDOWS_EACH = 2
KINDS = ("products", "purchases", "inventories")
#: About one purchase a second while the shop is open, so that a window has some hundreds.
SHOP = """[KAFKA]
bootstrap_servers = {servers}
topic_products = {name}.products
topic_purchases = {name}.purchases
topic_inventories = {name}.inventories

[SALES]
min_sale_freq = 0.5
max_sale_freq = 2
"""

Sums = tuple[int, int]


@dataclass(frozen=True)
class Topic:
    """What waits to be read.

    Attributes:
        name: of the topic.
        purchases: how many messages.
        sums: the drinks and cents of all of them, twice.
    """

    name: str
    purchases: int
    sums: Sums


@dataclass
class Reader(Contender):
    """One line of the table: a program that reads a topic and prints what its windows add up to."""

    topic: Topic | None = None
    found: list[Sums] = field(default_factory=list)
    groups: int = 0

    def read_command(self, servers: str) -> list[str]:
        """Gives the command that reads its topic."""
        assert self.topic is not None  # noqa: S101 - for the type checker
        return [self.python, "-m", self.module, servers, self.topic.name, str(self.rows), str(self.topic.sums[0])]

    def run(self, servers: str) -> float:
        """Runs it once, takes that down, and gives the seconds that it took."""
        self.costs.append(self.read(servers))
        return self.costs[-1].wall_seconds

    def read(self, servers: str) -> Cost:
        """Runs it, and takes down what it found."""
        cost = measure(self.read_command(servers), RUN_SECONDS)
        printed = [line for line in cost.output.splitlines() if line.startswith('{"complete"')]
        if not printed:
            raise CommandError(f"{self.name} printed no totals\n{cost.output[-2_000:]}")
        self.groups, drinks, cents = json.loads(printed[-1])["totals"]
        self.found.append((drinks, cents))
        return cost


class Ours(Reader):
    """This project."""

    def read_command(self, servers: str) -> list[str]:
        """Gives the user's command."""
        assert self.topic is not None  # noqa: S101 - for the type checker
        options = ["--input", f"kafka://{servers}/{self.topic.name}", "--from", "earliest"]
        options += ["--max-records", str(self.rows), "--window", "10m/5m", "--emit", "never"]
        options += ["--tables", "windows"]
        output = ["--output", f"kafka://{servers}/{TOTALS}"]
        return [self.python, "-m", self.module, "--runner=DirectRunner", *options, *output]

    def read(self, servers: str) -> Cost:
        """Runs the pipeline, and reads what it has written."""
        before = end_of(servers, TOTALS)
        cost = measure(self.read_command(servers), RUN_SECONDS)
        values = messages_from(servers, TOTALS, before)
        rows = [json.loads(value, parse_float=Decimal) for value in values]
        self.groups = len(rows)
        self.found.append((sum(row["drinks"] for row in rows), int(sum(row["sales"] for row in rows) * 100)))
        return cost


def contenders() -> list[Reader]:
    """Gives all of them."""
    scripts = "benchmarks.contenders"
    return [
        Ours(OURS, "pipelines.sales"),
        Reader("PySpark Structured Streaming", f"{scripts}.sales_spark", package="pyspark", sampled=True),
        Reader("Quix Streams", f"{scripts}.sales_quix", package="quixstreams", sampled=True),
        Reader("Bytewax", f"{scripts}.sales_bytewax", package="bytewax", sampled=True),
    ]


def shop_command(settings: Path, rows: int) -> list[str]:
    """Gives the simulator that fills the topics, and says what it did."""
    options = [
        "--config",
        str(settings),
        "--speed",
        "max",
        "--rows",
        str(rows),
        "--truth",
        str(truth_of(settings)),
        "--quiet",
    ]
    return [sys.executable, "-m", "simulators.smoothies", *options]


def truth_of(settings: Path) -> Path:
    """Gives the truth file of a shop."""
    return settings.with_suffix(".truth.json")


def fill(servers: str, name: str, rows: int) -> Topic:
    """Lets the shop sell something, and gives the topic that has it."""
    make_topics(servers, [f"{name}.{kind}" for kind in KINDS], PARTITIONS)
    settings = OUT / f"shop-{name}.ini"
    settings.write_text(SHOP.format(servers=servers, name=name), encoding="utf-8")
    print(f"filling {name}.purchases", flush=True)
    cost = measure(shop_command(settings, rows))
    truth = json.loads(truth_of(settings).read_text(encoding="utf-8"))
    print(f"{rows:,} messages in {cost.wall_seconds:.1f} s", flush=True)
    total = truth["total"]
    sums = WINDOWS_EACH * total["sold"], WINDOWS_EACH * int(Decimal(total["sales"]) * 100)
    return Topic(f"{name}.purchases", total["purchases"], sums)


def is_right(contender: Reader) -> bool:
    """Whether its windows add up to what was sold in all its runs."""
    return contender.topic is not None and all(found == contender.topic.sums for found in contender.found)


def lines(entrants: list[Reader]) -> list[tuple[str, ...]]:
    """Gives the table's lines."""
    result = []
    for contender in entrants:
        if not contender.costs:
            result.append((contender.name, contender.trouble, *[""] * 6))
            continue
        best = contender.best_seconds
        result.append(
            (
                contender.name,
                f"{contender.rows:,}",
                f"{best:.1f}",
                f"{statistics.median(cost.wall_seconds for cost in contender.costs):.1f}",
                f"{contender.rows / best:,.0f}",
                f"{contender.groups:,}",
                megabytes(max(cost.peak_bytes for cost in contender.costs)),
                "equal" if is_right(contender) else "DIFFERENT",
            )
        )
    return result


def verdict(entrants: list[Reader]) -> str:
    """Gives what was to be reached, and whether it was."""
    ours = next((contender for contender in entrants if contender.name == OURS and contender.costs), None)
    if ours is None:
        return "This project did not run."
    rate = ours.rows / ours.best_seconds
    return f"- at least {AIM:,} messages/s: {'yes' if rate >= AIM else 'NO'} ({rate:,.0f}, starting up included)"


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where totals differ or our own run failed."""
    options = parse_arguments(argv)
    entrants = [one for one in contenders() if not options.only or one.script in options.only]
    versions = find_versions(entrants)
    racing = [contender for contender in entrants if not contender.trouble]
    OUT.mkdir(parents=True, exist_ok=True)
    with running_broker() as servers:
        make_topics(servers, [TOTALS], 1)
        whole = fill(servers, "whole", options.rows)
        sample = fill(servers, "sample", options.sample_rows or max(1, options.rows // SAMPLE_PART))
        for contender in racing:
            contender.topic = sample if contender.sampled else whole
            contender.rows = contender.topic.purchases
        race(racing, options.runs, lambda contender: contender.run(servers))
        commands = [show_command(one.read_command("127.0.0.1:9092")) for one in racing]
    header = ("contender", "purchases", "best s", "median s", "purchases/s", "totals", "peak MB", "sums")
    publish(
        "kafka_throughput",
        "Purchases in Kafka to windowed totals",
        [
            (
                f"JSON, {PARTITIONS} partitions, broker on the same machine, {options.runs} runs each, interleaved. "
                "From the start of the process to its end: starting Python, or a virtual machine, counts. Slow "
                "contenders get fewer purchases, and their purchases/s are of those. Totals: how many, one for each "
                "window and product. This project writes them into another topic, a message each; the others keep them "
                "in memory and print their sums."
            ),
            table(header, lines(entrants)),
            verdict(entrants),
            environment(versions),
            code_block(
                this_command("benchmarks.kafka_throughput"),
                "",
                show_command(shop_command(OUT / "shop-whole.ini", options.rows)),
                *commands,
            ),
        ],
        keep=is_worth_keeping(options.rows) and not options.only,
    )
    return 0 if all(is_right(one) for one in racing) and not any(one.trouble for one in racing) else 1


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    scripts = [one.script for one in contenders()]
    parser = race_parser("benchmarks.kafka_throughput", __doc__, "messages of the shop", 2_000_000, 2, scripts)
    parser.add_argument("--sample-rows", type=int, help="for the slow contenders (default: a tenth)")
    options = parser.parse_args(argv)
    check_positive(parser, options.rows, options.runs, options.sample_rows)
    return options


if __name__ == "__main__":
    sys.exit(main())
