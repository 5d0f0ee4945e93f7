"""Pathway: a Python connector, committed every second. It has no decimals: cents as integers do."""

import socket
import sys
from decimal import Decimal

import pathway as pw

from benchmarks.contenders.credit_result import print_totals

CENTS = 100
COMMIT_MILLISECONDS = 1_000


class Transfer(pw.Schema):
    """The columns that are needed."""

    account_region: str
    transaction_value: float


class Connection(pw.io.python.ConnectorSubject):
    """The lines that arrive, until the peer closes; the engine parses them."""

    def __init__(self, port: int) -> None:
        """Takes where the peer listens."""
        super().__init__()
        self._port = port

    def run(self) -> None:
        """Hands on line by line."""
        with socket.create_connection(("127.0.0.1", self._port)) as connection, connection.makefile("rb") as lines:
            for line in lines:
                self.next_bytes(line)


def main(port: str, _rows: str) -> None:
    """Prints the totals of all that the peer sends."""
    rows = pw.io.python.read(
        Connection(int(port)), schema=Transfer, autocommit_duration_ms=COMMIT_MILLISECONDS, format="json"
    )
    cents = pw.cast(int, (pw.this.transaction_value * CENTS).num.round(0))
    totals = (
        rows.select(pw.this.account_region, cents=cents)
        .groupby(pw.this.account_region)
        .reduce(pw.this.account_region, count=pw.reducers.count(), cents=pw.reducers.sum(pw.this.cents))
    )
    latest: dict[str, tuple[int, Decimal]] = {}

    def on_change(key: pw.Pointer, row: dict, time: int, is_addition: bool) -> None:  # noqa: ARG001  # as Pathway calls
        if is_addition:
            latest[row["account_region"]] = row["count"], Decimal(row["cents"]) / CENTS

    pw.io.subscribe(totals, on_change)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    print_totals(latest)


if __name__ == "__main__":
    main(*sys.argv[1:])
