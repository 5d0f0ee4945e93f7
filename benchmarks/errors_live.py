"""Does the board of visitors with errors keep its second, at 100,000 records a second over TCP?

python -m benchmarks.errors_live [--seconds 20] [--rate 100000]

Script 1 of the simulator is sent from a file, in ticks of 10 ms, and it is taken down when each record left. Its
clock goes a second a record, so that every second some 28 hours begin and end. Each board that the pipeline prints
tells a number of visitors; the first record that met an error and is not in that number tells how old the board is.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measure import OUT, ROOT, CommandError, kill_all, measure
from benchmarks.report import code_block, environment, publish, show_command, table, this_command

FOLDER = OUT / "errors"
TICK_SECONDS = 0.01
START_SECONDS = 60.0
STOP_SECONDS = 60.0
#: What is left out at the start: workers begin, and everything is compiled and cached for the first time.
WARM_UP_SECONDS = 3.0
WORTH_KEEPING_SECONDS = 15
#: The board is drawn every second; so much longer, and it has not kept it.
LONGEST_SECONDS = 1.5
DRAINED = 130  # the exit status after Ctrl-C
_TOTAL = re.compile(rb"([\d,]+) in all")


class Sender(threading.Thread):
    """Sends records at a steady rate to the pipeline that connects.

    Attributes:
        sent: when the last record of each tick had left.
        slowest_tick_seconds: by how much it was behind at worst; a sender that stammers measures itself.
    """

    def __init__(self, records: bytes, bounds: list[int]) -> None:
        """Listens, on a port that is free; ``bounds`` are the places between what is sent in one tick and the next."""
        super().__init__(daemon=True)
        self.sent: list[float] = []
        self.slowest_tick_seconds = 0.0
        self.over = threading.Event()
        self._records = memoryview(records)
        self._bounds = bounds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(START_SECONDS)
        self.port = int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Waits for the pipeline, and sends; then keeps the connection, since the pipeline would connect again."""
        try:
            with self._listener:
                connection, _ = self._listener.accept()
                with connection:
                    self._send(connection)
                    self.over.set()
                    connection.settimeout(STOP_SECONDS)
                    connection.recv(1)  # until the pipeline has gone
        except OSError:
            self.over.set()

    def _send(self, connection: socket.socket) -> None:
        connection.settimeout(STOP_SECONDS)
        start = time.monotonic()
        for tick, (first, last) in enumerate(itertools.pairwise(self._bounds)):
            due = start + tick * TICK_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))
            connection.sendall(self._records[first:last])
            self.sent.append(time.monotonic())
            self.slowest_tick_seconds = max(self.slowest_tick_seconds, self.sent[-1] - due)


def command(port: int) -> list[str]:
    """Gives the pipeline that connects."""
    options = ["--input", f"tcp://127.0.0.1:{port}", "--weekdays", "all", "--emit", "1s", "--output", "-", "--quiet"]
    return [sys.executable, "-m", "pipelines.errors", "--runner=DirectRunner", *options]


def make_records(rows: int) -> Path:
    """Gives so many records of script 1, made unless they are there."""
    path = FOLDER / f"script1-{rows}.jsonl"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        options = ["--script", "1", "--rows", str(rows), "--output", str(path)]
        measure([sys.executable, "-m", "simulators.http", *options])
    return path


def new_visitors(path: Path) -> np.ndarray:
    """Gives the places of the records that are a visitor's first error in its hour."""
    rows = pl.read_ndjson(path).with_row_index("place")
    errors = rows.filter(pl.col("status_code").is_between(500, 599))
    firsts = errors.unique(["ip", pl.col("time").str.slice(0, 13)], keep="first", maintain_order=True)
    return firsts["place"].to_numpy()


def listen(pipeline: subprocess.Popen[bytes], drawn: list[tuple[float, int]]) -> None:
    """Takes down when each board comes, and its number of visitors."""
    for line in pipeline.stdout or ():
        match = _TOTAL.search(line)
        if match:
            drawn.append((time.monotonic(), int(match[1].replace(b",", b""))))


def watch(sender: Sender, seconds: float) -> list[tuple[float, int]]:
    """Runs the pipeline until everything was sent and drawn, and gives what it drew.

    Raises:
        CommandError: it ended before, or badly.
    """
    drawn: list[tuple[float, int]] = []
    with subprocess.Popen(
        command(sender.port), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as pipeline:
        try:
            ear = threading.Thread(target=listen, args=(pipeline, drawn), daemon=True)
            ear.start()
            sender.start()
            deadline = time.monotonic() + START_SECONDS + seconds + STOP_SECONDS
            while not sender.over.wait(0.1):
                if pipeline.poll() is not None or time.monotonic() > deadline:
                    break
            time.sleep(2.0)
            if pipeline.poll() is None:
                pipeline.send_signal(signal.SIGINT)
            status = pipeline.wait(STOP_SECONDS)
            ear.join(STOP_SECONDS)
        finally:
            kill_all(pipeline.pid)
        if status != DRAINED:
            said = pipeline.stderr.read().decode() if pipeline.stderr else ""
            raise CommandError(f"the pipeline ended with {status}\n{said[-2_000:]}")
    return drawn


def ages(drawn: list[tuple[float, int]], firsts: np.ndarray, sent: list[float], a_tick: int) -> list[float]:
    """Gives how long the first record that a board lacks had been sent when it was drawn; 0 where it lacks none."""
    result = []
    for moment, visitors in drawn:
        tick = firsts[visitors] // a_tick if visitors < len(firsts) else len(sent)
        result.append(max(0.0, moment - sent[tick]) if tick < len(sent) else 0.0)
    return result


def percentile(values: list[float], part: float) -> float:
    """Gives the value that this part of them does not exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where the last board is not right."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.errors_live", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20, help="how long to send (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=100_000, help="records a second (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.seconds <= WARM_UP_SECONDS or options.rate < 1 / TICK_SECONDS:
        parser.error(f"expected more than {WARM_UP_SECONDS:g} seconds, and at least {1 / TICK_SECONDS:g} records each")
    a_tick = round(options.rate * TICK_SECONDS)
    rows = round(options.seconds / TICK_SECONDS) * a_tick
    path = make_records(rows)
    firsts = new_visitors(path)
    records = path.read_bytes()
    ends = np.flatnonzero(np.frombuffer(records, np.uint8) == ord("\n")) + 1
    sender = Sender(records, [0, *map(int, ends[a_tick - 1 :: a_tick])])
    drawn = watch(sender, options.seconds)

    begin, end = sender.sent[0] + WARM_UP_SECONDS, sender.sent[-1]
    old = ages(drawn, firsts, sender.sent, a_tick)
    age = [one for one, (moment, _) in zip(old, drawn, strict=True) if begin <= moment <= end]
    times = [moment for moment, _ in drawn if begin <= moment <= end]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    if not gaps:
        print("no two boards were drawn while records came", file=sys.stderr)
        return 1
    is_right = drawn[-1][1] == len(firsts)
    lines = [
        (name, *(f"{1_000 * value:,.0f}" for value in (percentile(values, 0.5), percentile(values, 0.99), max(values))))
        for name, values in (("from one board to the next", gaps), ("age of what a board shows", age))
    ]
    publish(
        "errors_live",
        "The board of visitors with errors, live",
        [
            (
                f"{options.rate:,} records a second of script 1 for {options.seconds} s over TCP, `--emit 1s`, the "
                f"first {WARM_UP_SECONDS:g} s left out: {len(times)} boards. The sender was at most "
                f"{1_000 * sender.slowest_tick_seconds:,.0f} ms behind."
            ),
            table(("ms", "median", "99th percentile", "most"), lines),
            (
                f"- the board keeps its second: {'yes' if percentile(gaps, 0.99) <= LONGEST_SECONDS else 'NO'}\n"
                f"- the last board is right ({len(firsts):,} visitors): {'yes' if is_right else 'NO'}"
            ),
            environment(),
            code_block(this_command("benchmarks.errors_live"), "", show_command(command(12_000))),
        ],
        keep=options.seconds >= WORTH_KEEPING_SECONDS,
    )
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
