"""Bytewax: one connection, one worker; every batch that reaches a region gives the region's new total."""

import json
import socket
import sys
from collections.abc import Iterable
from decimal import Decimal

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from benchmarks.contenders.credit_result import print_totals

BLOCK_BYTES = 1 << 18
Total = tuple[int, Decimal]


class Connection(StatelessSourcePartition[bytes]):
    """The lines that have arrived, until the peer closes."""

    def __init__(self, port: int) -> None:
        """Connects; from then on nothing waits."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._rest = b""

    def next_batch(self) -> list[bytes]:
        """Gives the whole lines of one block."""
        try:
            block = self._socket.recv(BLOCK_BYTES)
        except BlockingIOError:
            return []
        if not block:
            raise StopIteration
        *lines, self._rest = (self._rest + block).split(b"\n")
        return lines

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()


class Transfers(DynamicSource[bytes]):
    """One connection for the one worker."""

    def __init__(self, port: int) -> None:
        """Takes where the peer listens."""
        self._port = port

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Connection:  # noqa: ARG002  # as Bytewax calls
        """Connects."""
        return Connection(self._port)


class RunningTotal(StatefulBatchLogic[Decimal, Total, Total]):
    """Count and sum of one region."""

    def __init__(self, resumed: Total | None) -> None:
        """Starts from nothing, or from a snapshot."""
        self._count, self._sum = resumed or (0, Decimal(0))

    def on_batch(self, values: list[Decimal]) -> tuple[Iterable[Total], bool]:
        """Adds a batch and gives the total so far."""
        self._count += len(values)
        self._sum += sum(values)
        return [(self._count, self._sum)], StatefulBatchLogic.RETAIN

    def snapshot(self) -> Total:
        """Gives the state."""
        return self._count, self._sum


class Latest(StatelessSinkPartition[tuple[str, Total]], DynamicSink[tuple[str, Total]]):
    """The latest total of every region."""

    def __init__(self) -> None:
        """Starts with none."""
        self.totals: dict[str, Total] = {}

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "Latest":  # noqa: ARG002  # as Bytewax calls
        """Gives itself to the one worker."""
        return self

    def write_batch(self, items: list[tuple[str, Total]]) -> None:
        """Takes new totals in place of the old."""
        self.totals.update(items)


def keyed(line: bytes) -> tuple[str, Decimal]:
    """Gives a transfer's region and value."""
    transfer = json.loads(line, parse_float=Decimal)
    return transfer["account_region"], transfer["transaction_value"]


def main(port: str, _rows: str) -> None:
    """Prints the totals of all that the peer sends."""
    latest = Latest()
    flow = Dataflow("credit")
    lines = op.input("transfers", flow, Transfers(int(port)))
    totals = op.stateful_batch("total", op.map("parse", lines, keyed), RunningTotal)
    op.output("latest", totals, latest)
    run_main(flow)
    print_totals(latest.totals)


if __name__ == "__main__":
    main(*sys.argv[1:])
