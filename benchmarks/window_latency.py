"""How long after a window's end is its file there, at 10,000 rows a second of live register tape?

python -m benchmarks.window_latency [--windows 60] [--window-seconds 1] [--rate 10000]

A register of the benchmark's own stamps each row with the time at which it leaves, in ticks of 10 ms. A window cannot
be known to have ended before a row from after its end has been sent, so that is where the clock starts; it stops when
the window's file is seen under its final name, which is looked for every 2 ms.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

from benchmarks.measure import OUT, CommandError, Run
from benchmarks.report import code_block, environment, publish, show_command, table, this_command
from schemas.tape import COLUMNS, PRODUCE, SALE_TYPES

FOLDER = OUT / "latency"
TICK_SECONDS = 0.01
LOOK_SECONDS = 0.002
START_SECONDS = 60.0
LAST_FILES_SECONDS = 10.0
STOP_SECONDS = 30.0
WARM_UP_WINDOWS = 3
WORTH_KEEPING_WINDOWS = 50
PRODUCTS = 200
DRAINED = 130  # the exit status after Ctrl-C
_WINDOW = re.compile(r"(\d{8}T\d{6})Z-(\d{8}T\d{6})Z")


class Register(threading.Thread):
    """Serves rows to the pipeline that connects, at a steady rate, until it is told to stop.

    Attributes:
        crossed: window end (seconds since the epoch) to the moment the first row from after it was sent.
        sent: window end to the rows that were sent in it.
        slowest_tick_seconds: by how much it was behind at worst; a register that stammers measures itself.
    """

    def __init__(self, rate: int, window_seconds: int) -> None:
        """Listens, on a port that is free."""
        super().__init__(daemon=True)
        self.crossed: dict[int, float] = {}
        self.sent: dict[int, int] = {}
        self.slowest_tick_seconds = 0.0
        self.stop = threading.Event()
        self.started = threading.Event()
        self._window_seconds = window_seconds
        self._rows_a_tick = round(rate * TICK_SECONDS)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])
        self._tails = [b"\t" + tail(number) for number in range(PRODUCTS)]

    def run(self) -> None:
        """Waits for the pipeline, and sends."""
        with self._listener:
            while not self.stop.is_set():
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    self._send(connection)
                return

    def _send(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(STOP_SECONDS)
        # It begins with a window, so that the first one is whole.
        start = math.ceil(time.time() / self._window_seconds + 0.5) * self._window_seconds
        self.started.set()
        tick, end = 0, start + self._window_seconds
        while not self.stop.is_set():
            due = start + tick * TICK_SECONDS
            time.sleep(max(0.0, due - time.time()))
            now = time.time()
            self.slowest_tick_seconds = max(self.slowest_tick_seconds, now - due)
            stamp = datetime.fromtimestamp(due, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S").encode()
            first = tick * self._rows_a_tick
            rows = b"".join(stamp + self._tails[(first + place) % PRODUCTS] for place in range(self._rows_a_tick))
            while due >= end:
                self.crossed[end] = time.time()
                end += self._window_seconds
            connection.sendall(rows)
            self.sent[end] = self.sent.get(end, 0) + self._rows_a_tick
            tick += 1


def tail(number: int) -> bytes:
    """Gives the columns of a row behind its time: one sale of one of the products."""
    values = dict.fromkeys(COLUMNS[1:], "0") | {
        "upc": f"{4_000 + number:013d}",
        "description": f"PRODUCT {number}",
        "trans_type": SALE_TYPES[0],
        "department": str(PRODUCE),
        "quantity": "1.2500" if number % 2 else "1",
        "scale": str(number % 2),
        "total": f"{1 + number % 7}.9900",
    }
    return "\t".join(values.values()).encode() + b"\n"


def watch(seen: dict[int, float], stop: threading.Event) -> None:
    """Takes down when each window's file is seen first."""
    while not stop.wait(LOOK_SECONDS):
        with os.scandir(FOLDER) as entries:
            for entry in entries:
                match = _WINDOW.search(entry.name)
                if match and entry.name.endswith(".jsonl") and not entry.name.startswith("."):
                    seen.setdefault(_seconds(match[2]), time.time())


def rows_written() -> dict[int, int]:
    """Gives the rows that were counted in each window, by its end."""
    counted: dict[int, int] = {}
    for path in FOLDER.glob("*.jsonl"):
        match = _WINDOW.search(path.name)
        if match:
            lines = path.read_text(encoding="utf-8").splitlines()
            end = _seconds(match[2])
            counted[end] = counted.get(end, 0) + sum(int(json.loads(line)["rows"]) for line in lines)
    return counted


def command(port: int, window_seconds: int) -> list[str]:
    """Gives the pipeline that connects."""
    options = ["--input", f"tcp://127.0.0.1:{port}", "--window", f"{window_seconds}s", "--disorder", "0s"]
    output = ["--output", str(FOLDER / "produce.jsonl"), "--quiet"]
    return [sys.executable, "-m", "pipelines.produce", "--runner=DirectRunner", *options, *output]


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where a window or a row is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.window_latency", description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=60, help="windows to measure (default: %(default)s)")
    parser.add_argument("--window-seconds", type=int, default=1, help="length of a window (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=10_000, help="rows a second (default: %(default)s)")
    options = parser.parse_args(argv)
    if min(options.windows, options.window_seconds) < 1 or options.rate < 1 / TICK_SECONDS:
        parser.error(f"windows and seconds must be positive, and the rate at least {1 / TICK_SECONDS:g}")

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    wanted = options.windows + WARM_UP_WINDOWS
    seen: dict[int, float] = {}
    stop_watching = threading.Event()
    register = Register(options.rate, options.window_seconds)
    register.start()
    watcher = threading.Thread(target=watch, args=(seen, stop_watching), daemon=True)
    watcher.start()
    with Run(command(register.port, options.window_seconds)) as pipeline:
        try:
            send_windows(register, pipeline, wanted)
            ends = sorted(register.crossed)[:wanted]
            wait_until(lambda: all(end in seen for end in ends), LAST_FILES_SECONDS)
        finally:
            register.stop.set()
            register.join()
            stop_watching.set()
            watcher.join()
        pipeline.interrupt()
        killer = threading.Timer(STOP_SECONDS, pipeline.kill)
        killer.start()
        cost = pipeline.wait((0, DRAINED))
        killer.cancel()

    counted = rows_written()
    measured = ends[WARM_UP_WINDOWS:]
    latencies = sorted(seen[end] - register.crossed[end] for end in measured if end in seen)
    missing = [end for end in ends if end not in seen]
    wrong = [end for end in ends if end in seen and counted.get(end) != register.sent[end]]
    if not latencies:
        print(f"no window was written; the pipeline said:\n{cost.output[-2_000:]}", file=sys.stderr)
        return 1
    milliseconds = [1_000 * latency for latency in latencies]
    p99 = milliseconds[math.ceil(0.99 * len(milliseconds)) - 1]
    figures = [
        ("windows", str(len(latencies))),
        ("median", f"{statistics.median(milliseconds):.0f} ms"),
        ("p99", f"{p99:.0f} ms"),
        ("max", f"{milliseconds[-1]:.0f} ms"),
        ("windows missing", str(len(missing))),
        ("windows with another number of rows than was sent", str(len(wrong))),
        ("the register was behind by at most", f"{1_000 * register.slowest_tick_seconds:.0f} ms"),
        ("cores busy, starting up included", f"{cost.cores_busy:.2f}"),
    ]
    publish(
        "window_latency",
        "From a window's end to its file",
        [
            (
                f"{options.rate:,} rows a second in ticks of {1_000 * TICK_SECONDS:.0f} ms, windows of "
                f"{options.window_seconds} s, after {WARM_UP_WINDOWS} windows of warming up. From just before the "
                "first row past the window's end is sent until its file is seen under its final name."
            ),
            table(("", "figure"), figures),
            environment(),
            code_block(
                this_command("benchmarks.window_latency"), "", show_command(command(12_000, options.window_seconds))
            ),
        ],
        keep=options.windows >= WORTH_KEEPING_WINDOWS,
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 1 if missing or wrong else 0


def send_windows(register: Register, pipeline: Run, windows: int) -> None:
    """Waits until so many windows have been sent.

    Raises:
        CommandError: the pipeline did not connect, ended, or hung up.
    """
    if not wait_until(lambda: register.started.is_set() or pipeline.ended, START_SECONDS):
        raise CommandError(f"{' '.join(pipeline.command)} did not connect within {START_SECONDS:g} s")
    while len(register.crossed) < windows:
        if pipeline.ended:
            pipeline.wait(())
        if not register.is_alive():
            raise CommandError(f"{' '.join(pipeline.command)} hung up")
        time.sleep(0.1)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits until the condition holds, so many seconds at most, and gives whether it does."""
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            return False
        time.sleep(0.02)
    return True


def _seconds(compact: str) -> int:
    return int(datetime.strptime(compact, "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc).timestamp())


if __name__ == "__main__":
    sys.exit(main())
