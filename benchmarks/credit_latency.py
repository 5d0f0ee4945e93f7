"""How long after a transfer is sent is the total that includes it in SQLite, at 1,000 a second and --emit 1s?

python -m benchmarks.credit_latency [--seconds 60] [--rate 1000]

A bank of the benchmark's own sends transfers of 1 cent in ticks of 10 ms, so that the count in the table tells which
ones are included. The table is looked at every 5 ms, as any reader of it would: each transfer counts from just before
it was sent to the look that first saw a count that includes it.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
import time

from benchmarks.measure import OUT, CommandError, Run
from benchmarks.report import code_block, environment, publish, show_command, this_command
from benchmarks.visible import LOOK_SECONDS, Sender, Watcher, delays, figures, parse_arguments, verdict
from benchmarks.window_latency import DRAINED, START_SECONDS, STOP_SECONDS, TICK_SECONDS, wait_until

FOLDER = OUT / "credit-latency"
DATABASE = FOLDER / "credit.db"
LAST_TOTAL_SECONDS = 10.0
WARM_UP_SECONDS = 5
WORTH_KEEPING_SECONDS = 50
AIM_SECONDS = 1.2
TRANSFER = b'{"account_id": 1234567, "account_region": "Eurasia Trade Zone", "transaction_value": 0.01}\n'


class Bank(Sender):
    """Serves transfers to the pipeline that connects."""

    def __init__(self, rate: int, seconds: int) -> None:
        """Listens, on a port that is free."""
        super().__init__(rate, seconds)
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
        self.send_ticks(lambda _: connection.sendall(TRANSFER * self.a_tick))
        self.stop.wait()


def command(port: int) -> list[str]:
    """Gives the pipeline that connects."""
    options = ["--input", f"tcp://127.0.0.1:{port}", "--emit", "1s"]
    output = ["--output", f"sqlite:///{DATABASE}", "--quiet"]
    return [sys.executable, "-m", "pipelines.credit", "--runner=DirectRunner", *options, *output]


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where transfers are missing in the table."""
    options = parse_arguments(argv, "benchmarks.credit_latency", __doc__, "transfers", 1_000)
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
    millis = delays(watcher.seen, bank, WARM_UP_SECONDS)
    if not millis:
        print(f"no total was written; the pipeline said:\n{cost.output[-2_000:]}", file=sys.stderr)
        return 1
    publish(
        "credit_latency",
        "From a transfer to the total in SQLite",
        [
            (
                f"{options.rate:,} transfers a second in ticks of {1_000 * TICK_SECONDS:.0f} ms, after "
                f"{WARM_UP_SECONDS} s of warming up. From just before a transfer is sent until a reader of the table, "
                f"who looks every {1_000 * LOOK_SECONDS:.0f} ms, sees a total that includes it."
            ),
            figures("transfers", "bank", millis, bank, missing, cost),
            verdict(millis, AIM_SECONDS),
            environment(),
            code_block(this_command("benchmarks.credit_latency"), "", show_command(command(12_000))),
        ],
        keep=options.seconds >= WORTH_KEEPING_SECONDS,
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
