"""How long after a purchase is produced to Kafka is the total that includes it in SQLite, at --emit 1s?

python -m benchmarks.kafka_latency [--seconds 60] [--rate 2000]

A shop of the benchmark's own produces purchases of one drink in ticks of 10 ms, so that the drinks in the table tell
which ones are included. The table is looked at every 5 ms, as any reader of it would: each purchase counts from just
before it was handed to the producer to the look that first saw a total that includes it.
"""

from __future__ import annotations

import shutil
import sys
from datetime import datetime, timezone

from benchmarks.broker import make_topics, running_broker
from benchmarks.measure import OUT, CommandError, Run
from benchmarks.report import code_block, environment, publish, show_command, this_command
from benchmarks.visible import LOOK_SECONDS, Sender, Watcher, delays, figures, parse_arguments, verdict
from benchmarks.window_latency import DRAINED, START_SECONDS, TICK_SECONDS, wait_until

FOLDER = OUT / "kafka-latency"
DATABASE = FOLDER / "sales.db"
TOPIC = "demo.purchases"
PARTITIONS = 4
PRODUCTS = 27
LAST_TOTAL_SECONDS = 20.0
WARM_UP_SECONDS = 10
WORTH_KEEPING_SECONDS = 50
AIM_SECONDS = 1.5
FLUSH_SECONDS = 30.0


class Shop(Sender):
    """Produces purchases, once it is told to begin."""

    def __init__(self, servers: str, rate: int, seconds: int) -> None:
        """Connects to nothing yet."""
        super().__init__(rate, seconds)
        self._servers = servers
        self._sold = 0

    def run(self) -> None:
        """Produces."""
        from confluent_kafka import Producer  # noqa: PLC0415 (an extra)

        producer = Producer({"bootstrap.servers": self._servers, "linger.ms": 1})

        def sell(now: float) -> None:
            moment = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
            for _ in range(self.a_tick):
                key = f"P{self._sold % PRODUCTS:02}".encode()
                producer.produce(TOPIC, purchase(moment, self._sold), key)
                self._sold += 1
            producer.poll(0)

        self.send_ticks(sell)
        producer.flush(FLUSH_SECONDS)


def purchase(moment: str, number: int) -> bytes:
    """Gives the message of a purchase of one drink."""
    return (
        f'{{"transaction_time": "{moment}", "transaction_id": "T{number}", "product_id": "P{number % PRODUCTS:02}", '
        '"price": 4.99, "quantity": 1, "is_member": false, "member_discount": 0.00, "add_supplements": false, '
        '"supplement_price": 0.00, "total_purchase": 4.99}'
    ).encode()


def command(servers: str) -> list[str]:
    """Gives the pipeline that reads the topic."""
    options = ["--input", f"kafka://{servers}/{TOPIC}", "--from", "earliest", "--emit", "1s"]
    output = ["--output", f"sqlite:///{DATABASE}", "--quiet"]
    return [sys.executable, "-m", "pipelines.sales", "--runner=DirectRunner", *options, *output]


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where purchases are missing in the table."""
    options = parse_arguments(argv, "benchmarks.kafka_latency", __doc__, "purchases", 2_000)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with running_broker() as servers:
        make_topics(servers, [TOPIC], PARTITIONS)
        shop = Shop(servers, options.rate, WARM_UP_SECONDS + options.seconds)
        watcher = Watcher(DATABASE, "SELECT sum(drinks) FROM sales_products")
        watcher.start()
        with Run(command(servers)) as pipeline:
            try:
                shop.start()
                if not wait_until(lambda: watcher.count > 0 or pipeline.ended, START_SECONDS):
                    raise CommandError(f"{' '.join(pipeline.command)} wrote nothing within {START_SECONDS:g} s")
                shop.join()
                sent = len(shop.sent) * shop.a_tick
                wait_until(lambda: pipeline.ended or watcher.count >= sent, LAST_TOTAL_SECONDS)
            finally:
                shop.stop.set()
                watcher.stop()
                shop.join()
            pipeline.interrupt()
            cost = pipeline.wait((0, DRAINED))

    missing = len(shop.sent) * shop.a_tick - watcher.count
    millis = delays(watcher.seen, shop, WARM_UP_SECONDS)
    if not millis:
        print(f"no total was written; the pipeline said:\n{cost.output[-2_000:]}", file=sys.stderr)
        return 1
    publish(
        "kafka_latency",
        "From a purchase in Kafka to the total in SQLite",
        [
            (
                f"{options.rate:,} purchases a second in ticks of {1_000 * TICK_SECONDS:.0f} ms, into "
                f"{PARTITIONS} partitions of a broker on the same machine, after {WARM_UP_SECONDS} s of warming up. "
                "From just before a purchase is handed to the producer until a reader of the table, who looks every "
                f"{1_000 * LOOK_SECONDS:.0f} ms, sees a running total that includes it. All tables of the pipeline are "
                "kept up meanwhile."
            ),
            figures("purchases", "shop", millis, shop, missing, cost),
            verdict(millis, AIM_SECONDS),
            environment(),
            code_block(this_command("benchmarks.kafka_latency"), "", show_command(command("127.0.0.1:9092"))),
        ],
        keep=options.seconds >= WORTH_KEEPING_SECONDS,
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
