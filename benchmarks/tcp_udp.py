"""What do TCP and UDP lose and reorder, at 1,000, 10,000 and 100,000 records a second?

python -m benchmarks.tcp_udp [--seconds 5] [--rates 1000 10000 100000]

A relay sends numbered records from a file to a relay that writes them to another, both in processes of their own: over
TCP, over UDP where records that are due together share a datagram, and over UDP with a datagram for each record, which
a loop sends. The numbers that arrived are compared with those that were sent.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import OUT, CommandError, Run, free_port, measure
from benchmarks.report import code_block, environment, publish, show_command, table, this_command

FOLDER = OUT / "tcp_udp"
RATES = (1_000, 10_000, 100_000)
WAYS = ("TCP", "UDP, shared datagrams", "UDP, a datagram each")
PADDING = "x" * 40
START_SECONDS = 60.0
RUN_SECONDS = 300.0
#: How long the receiver waits for what is still under way, before it is told to end.
PATIENCE_SECONDS = 1.0
_INTERRUPTED = 130
_KEEP_SECONDS = 5.0
_TOLD = re.compile(r"in ([\d.]+) s \(([\d,]+) rows/s\)")
_DROPPED = re.compile(r"([\d,]+) dropped by the kernel")


@dataclass(frozen=True)
class Sent:
    """One run.

    Attributes:
        sent: how many records.
        rate: records a second by what the sender said; a relay counts the start of its run, too.
        lost: how many did not arrive.
        doubled: how many arrived once more.
        reordered: how many came behind a later one.
        dropped: datagrams that the receiver's kernel had no room for; None over TCP.
    """

    sent: int
    rate: float
    lost: int
    doubled: int
    reordered: int
    dropped: int | None


def receiver_command(scheme: str, port: int) -> list[str]:
    """Gives the relay that receives."""
    what = ["--input", f"{scheme}-listen://127.0.0.1:{port}", "--names", "number,text", "--sequence", "number"]
    if scheme == "tcp":
        what = what[:-2]
    return [sys.executable, "-m", "pipelines.relay", *what, "--output", str(FOLDER / "received.txt")]


def sender_command(way: str, port: int, rate: int) -> list[str]:
    """Gives the relay, or the loop, that sends."""
    path = str(FOLDER / "sent.csv")
    if way == WAYS[2]:
        return [sys.executable, "-m", "benchmarks.tcp_udp", "--send", path, str(port), str(rate)]
    address = f"{way[:3].lower()}://127.0.0.1:{port}"
    return [sys.executable, "-m", "pipelines.relay", "--input", path, "--rate", str(rate), "--output", address]


def send(way: str, rate: int, records: int) -> Sent:
    """Sends so many records, and counts what came of them."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    lines = "".join(f"{number},{PADDING}\n" for number in range(records))
    (FOLDER / "sent.csv").write_text("number,text\n" + lines)
    port, scheme = free_port(), way[:3].lower()
    with Run(receiver_command(scheme, port), RUN_SECONDS) as receiver:
        wait_for_port(scheme, port, receiver)
        told = measure(sender_command(way, port, rate), RUN_SECONDS).output
        time.sleep(PATIENCE_SECONDS)
        receiver.interrupt()
        output = receiver.wait((_INTERRUPTED,)).output
    numbers = np.array([int(line.partition(",")[0]) for line in (FOLDER / "received.txt").open()], dtype=np.int64)
    distinct = len(np.unique(numbers))
    behind = int((numbers < np.maximum.accumulate(numbers)).sum()) if len(numbers) else 0
    found = _TOLD.findall(told)
    dropped = _DROPPED.search(output)
    return Sent(
        records,
        float(found[-1][1].replace(",", "")) if found else 0.0,
        records - distinct,
        len(numbers) - distinct,
        behind,
        int(dropped[1].replace(",", "")) if dropped else None,
    )


def wait_for_port(scheme: str, port: int, receiver: Run) -> None:
    """Waits until somebody has the port, without talking to them.

    Raises:
        CommandError: nobody has, and it took longer than START_SECONDS or the receiver has ended.
    """
    deadline = time.perf_counter() + START_SECONDS
    while f":{port:04X} " not in Path(f"/proc/net/{scheme}").read_text():
        if receiver.ended:
            receiver.wait(())
        if time.perf_counter() > deadline:
            raise CommandError(f"{' '.join(receiver.command)} did not listen within {START_SECONDS:g} s")
        time.sleep(0.02)


def send_each(path: str, port: int, rate: int) -> None:
    """Sends each record of a file as a datagram, when it is due; says so as a relay does."""
    records = Path(path).read_bytes().splitlines(keepends=True)[1:]
    began, done = time.perf_counter(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while done < len(records):
            due = min(len(records), int((time.perf_counter() - began) * rate) + 1)
            for record in records[done:due]:
                sender.sendto(record, ("127.0.0.1", port))
            done = due
            time.sleep(0.001)
    seconds = time.perf_counter() - began
    print(f"in {seconds:.1f} s ({len(records) / seconds:,.0f} rows/s)")


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where TCP lost, doubled or reordered anything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tcp_udp", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to send (default: %(default)s)")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="records a second (default: %(default)s)")
    parser.add_argument("--send", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.send:
        path, port, rate = options.send
        send_each(path, int(port), int(rate))
        return 0
    if options.seconds <= 0 or min(options.rates) < 1:
        parser.error("seconds and rates must be positive")

    runs: dict[tuple[int, str], Sent] = {}
    for rate in options.rates:
        for way in WAYS:
            runs[rate, way] = sent = send(way, rate, max(1, int(rate * options.seconds)))
            print(f"{rate:,} a second, {way}: {sent.lost:,} of {sent.sent:,} lost", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    rows = [
        (
            way,
            f"{rate:,}",
            f"{sent.rate:,.0f}",
            f"{sent.sent:,}",
            f"{sent.lost:,}",
            f"{sent.doubled:,}",
            f"{sent.reordered:,}",
            "" if sent.dropped is None else f"{sent.dropped:,}",
        )
        for (rate, way), sent in runs.items()
    ]
    header = ("way", "asked rows/s", "sent rows/s", "sent", "lost", "doubled", "reordered", "dropped by the kernel")
    publish(
        "tcp_udp",
        "TCP and UDP, side by side",
        [
            f"Records of some 45 bytes on the loopback address, for {options.seconds:g} s each, to a file.",
            table(header, rows),
            environment(),
            code_block(
                this_command("benchmarks.tcp_udp"),
                "",
                show_command(receiver_command("udp", 9_000)),
                show_command(sender_command(WAYS[1], 9_000, 10_000)),
            ),
        ],
        keep=options.seconds >= _KEEP_SECONDS,
    )
    tcp = [sent for (_, way), sent in runs.items() if way == WAYS[0]]
    return int(any(sent.lost or sent.doubled or sent.reordered for sent in tcp))


if __name__ == "__main__":
    sys.exit(main())
