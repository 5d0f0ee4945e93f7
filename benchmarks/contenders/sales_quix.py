"""Quix Streams: hopping windows over the message's key, kept in RocksDB, one process."""

import json
import sys
import tempfile
import uuid
from datetime import datetime, timezone
from decimal import Decimal

from quixstreams import Application
from quixstreams.dataframe.windows import Sum
from quixstreams.models import Deserializer, SerializationContext

from benchmarks.contenders.sales_result import LENGTH_SECONDS, STEP_SECONDS, print_windows

MILLIS = 1_000


class Purchase(Deserializer):
    """Reads a purchase: its time, drinks and cents."""

    def __call__(self, value: bytes, ctx: SerializationContext) -> dict:  # noqa: ARG002  # as Quix Streams calls
        """Gives a purchase, with its total in cents."""
        purchase = json.loads(value, parse_float=Decimal)
        return {
            "time": purchase["transaction_time"],
            "drinks": purchase["quantity"],
            "cents": int(purchase["total_purchase"] * 100),
        }


def moment(value: dict, *_: object) -> int:
    """Gives the event time in milliseconds."""
    return int(datetime.fromisoformat(value["time"]).replace(tzinfo=timezone.utc).timestamp() * MILLIS)


def main(servers: str, topic: str, rows: str, _drinks: str) -> None:
    """Prints what the windows add up to, after so many messages."""
    latest: dict[tuple[object, int], tuple[int, int]] = {}

    def keep(value: dict, key: object, *_: object) -> None:
        latest[key, value["start"]] = value["drinks"], value["cents"]

    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            servers, consumer_group=uuid.uuid4().hex, auto_offset_reset="earliest", state_dir=folder, loglevel="ERROR"
        )
        purchases = app.topic(topic, value_deserializer=Purchase(), timestamp_extractor=moment)
        windows = app.dataframe(purchases).hopping_window(
            duration_ms=LENGTH_SECONDS * MILLIS, step_ms=STEP_SECONDS * MILLIS, grace_ms=LENGTH_SECONDS * MILLIS
        )
        totals = windows.agg(drinks=Sum("drinks"), cents=Sum("cents")).current()
        totals.update(keep, metadata=True)
        # It counts what comes out: every purchase is in so many windows.
        app.run(count=int(rows) * (LENGTH_SECONDS // STEP_SECONDS), collect=False)
    print_windows(latest.values())


if __name__ == "__main__":
    main(*sys.argv[1:])
