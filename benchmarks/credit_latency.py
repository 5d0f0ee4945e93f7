"""How long after a transfer is sent is the total that includes it in SQLite, at 1,000 a second and --emit 1s?

python -m benchmarks.credit_latency [--seconds 60] [--rate 1000]

A bank of the benchmark's own sends transfers of 1 cent in ticks of 10 ms, so that the count in the table tells which
ones are included. The table is looked at every 5 ms, as any reader of it would: each transfer counts from just before
it was sent to the look that first saw a count that includes it.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import statistics
import sys
import threading
import time

from benchmarks.measure import OUT, CommandError, Run
from benchmarks.report import code_block, environment, publish, show_command, table, this_command
from benchmarks.visible import LOOK_SECONDS, Watcher, delays, figures
from benchmarks.window_latency import DRAINED, START_SECONDS, STOP_SECONDS, TICK_SECONDS, wait_until

FOLDER = OUT / "credit-latency"
DATABASE = FOLDER / "credit.db"
LAST_TOTAL_SECONDS = 10.0
WARM_UP_SECONDS = 5
WORTH_KEEPING_SECONDS = 50
AIM_SECONDS = 1.2
TRANSFER = b'{"account_id": 1234567, "account_region": "Eurasia Trade Zone", "transaction_value": 0.01}\n'


class Bank(threading.Thread):
    """Serves transfers to the pipeline that connects, at a steady rate, for so many seconds.

    Attributes:
        sent: the moments just before each tick's transfers were sent.
        slowest_tick_seconds: by how much it was behind at worst; a bank that stammers measures itself.
    """

    def __init__(self, rate: int, seconds: int) -> None:
        """Listens, on a port that is free."""
        super().__init__(daemon=True)
        self.sent: list[float] = []
        self.slowest_tick_seconds = 0.0
        self.a_tick = round(rate * TICK_SECONDS)
        self.stop = threading.Event()
        self._ticks = round(seconds / TICK_SECONDS)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Waits for the pipeline, and sends; then it keeps the connection until it is told to stop."""
        with self._listener:
            while not self.stop.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = self._listener.accept()
                    with connection:
                        self._send(connection)
                    return

    def _send(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(STOP_SECONDS)
        start = time.time()
        for tick in range(self._ticks):
            due = start + tick * TICK_SECONDS
            time.sleep(max(0.0, due - time.time()))
            if self.stop.is_set():
                return
            now = time.time()
            self.slowest_tick_seconds = max(self.slowest_tick_seconds, now - due)
            self.sent.append(now)
            connection.sendall(TRANSFER * self.a_tick)
        self.stop.wait()


def command(port: int) -> list[str]:
    """Gives the pipeline that connects."""
    options = ["--input", f"tcp://127.0.0.1:{port}", "--emit", "1s"]
    output = ["--output", f"sqlite:///{DATABASE}", "--quiet"]
    return [sys.executable, "-m", "pipelines.credit", "--runner=DirectRunner", *options, *output]


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where transfers are missing in the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.credit_latency", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long to measure (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=1_000, help="transfers a second (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.seconds < 1 or options.rate < 1 / TICK_SECONDS:
        parser.error(f"seconds must be positive, and the rate at least {1 / TICK_SECONDS:g}")

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    bank = Bank(options.rate, WARM_UP_SECONDS + options.seconds)
    watcher = Watcher(DATABASE, "SELECT sum(count) FROM credit")
    bank.start()
    watcher.start()
    with Run(command(bank.port)) as pipeline:
        try:
            if not wait_until(lambda: bool(bank.sent) or pipeline.ended, START_SECONDS):
                raise CommandError(f"{' '.join(pipeline.command)} did not connect within {START_SECONDS:g} s")
            time.sleep(WARM_UP_SECONDS + options.seconds)
            sent = len(bank.sent) * bank.a_tick
            wait_until(lambda: pipeline.ended or watcher.count >= sent, LAST_TOTAL_SECONDS)
        finally:
            bank.stop.set()
            watcher.stop()
        pipeline.interrupt()
        cost = pipeline.wait((0, DRAINED))
        bank.join()

    missing = len(bank.sent) * bank.a_tick - watcher.count
    latencies = delays(watcher.seen, bank.sent, bank.a_tick, round(WARM_UP_SECONDS / TICK_SECONDS))
    if not latencies:
        print(f"no total was written; the pipeline said:\n{cost.output[-2_000:]}", file=sys.stderr)
        return 1
    median = statistics.median(latencies)
    lines = [
        *figures("transfers", latencies, bank.a_tick, missing),
        ("the bank was behind by at most", f"{1_000 * bank.slowest_tick_seconds:.0f} ms"),
        ("cores busy, starting up included", f"{cost.cores_busy:.2f}"),
    ]
    publish(
        "credit_latency",
        "From a transfer to the total in SQLite",
        [
            (
                f"{options.rate:,} transfers a second in ticks of {1_000 * TICK_SECONDS:.0f} ms, after "
                f"{WARM_UP_SECONDS} s of warming up. From just before a transfer is sent until a reader of the table, "
                f"who looks every {1_000 * LOOK_SECONDS:.0f} ms, sees a total that includes it."
            ),
            table(("", "figure"), lines),
            f"- median at most {AIM_SECONDS:g} s: {'yes' if median <= 1_000 * AIM_SECONDS else 'NO'} ({median:.0f} ms)",
            environment(),
            code_block(this_command("benchmarks.credit_latency"), "", show_command(command(12_000))),
        ],
        keep=options.seconds >= WORTH_KEEPING_SECONDS,
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
