"""What the contenders for credit flow share: how they say that their totals are complete."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from decimal import Decimal


def print_totals(totals: Mapping[str, tuple[int, Decimal]]) -> None:
    """Prints count and sum per region, and when they were complete, as one line of JSON."""
    regions = {name: {"count": count, "sum": str(total)} for name, (count, total) in totals.items()}
    print(json.dumps({"complete": time.time(), "regions": regions}), flush=True)
