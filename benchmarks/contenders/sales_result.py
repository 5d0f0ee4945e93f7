"""What the contenders for windowed sales share: how they say that their totals are complete."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

#: How purchases are put into windows: so long, one every so often.
LENGTH_SECONDS, STEP_SECONDS = 600, 300
#: The columns of a purchase that are looked at, as Spark names types.
SCHEMA = "transaction_time TIMESTAMP, product_id STRING, quantity BIGINT, total_purchase DECIMAL(20, 2)"


def print_windows(totals: Iterable[tuple[int, int]]) -> None:
    """Prints how many totals there are, and what they add up to, as one line of JSON.

    Args:
        totals: of each window and product, the drinks, and the sales in cents.
    """
    complete = time.time()
    drinks, cents = zip(*totals, strict=True)
    print(json.dumps({"complete": complete, "totals": [len(drinks), sum(drinks), sum(cents)]}), flush=True)
