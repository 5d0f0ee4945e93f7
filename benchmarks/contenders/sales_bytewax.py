"""Bytewax: its Kafka input up to the end of the topic, sliding windows of event time, one worker."""

import json
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SlidingWindower
from bytewax.testing import TestingSink, run_main

from benchmarks.contenders.sales_result import LENGTH_SECONDS, STEP_SECONDS, print_windows

BATCH = 10_000
Purchase = tuple[datetime, int, int]
Total = tuple[int, int]


def keyed(message: KafkaSourceMessage) -> tuple[str, Purchase]:
    """Gives a purchase's product, and its time, quantity and cents."""
    purchase = json.loads(message.value, parse_float=Decimal)
    moment = datetime.fromisoformat(purchase["transaction_time"]).replace(tzinfo=timezone.utc)
    return purchase["product_id"], (moment, purchase["quantity"], int(purchase["total_purchase"] * 100))


def add(total: Total, purchase: Purchase) -> Total:
    """Adds a purchase."""
    return total[0] + purchase[1], total[1] + purchase[2]


def merge(one: Total, other: Total) -> Total:
    """Adds up two totals."""
    return one[0] + other[0], one[1] + other[1]


def main(servers: str, topic: str, _rows: str, _drinks: str) -> None:
    """Prints what the windows add up to."""
    found: list[tuple[str, tuple[int, Total]]] = []
    flow = Dataflow("sales")
    messages = op.input("purchases", flow, KafkaSource([servers], [topic], tail=False, batch_size=BATCH))
    # The partitions are read side by side, so nothing is late.
    clock = EventClock(lambda purchase: purchase[0], wait_for_system_duration=timedelta(days=3_650))
    windower = SlidingWindower(
        timedelta(seconds=LENGTH_SECONDS),
        timedelta(seconds=STEP_SECONDS),
        datetime(2020, 1, 1, tzinfo=timezone.utc),
    )
    totals = win.fold_window(
        "total", op.map("parse", messages, keyed), clock, windower, lambda: (0, 0), add, merge, ordered=False
    )
    op.output("totals", totals.down, TestingSink(found))
    run_main(flow)
    print_windows(total for _, (_, total) in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
