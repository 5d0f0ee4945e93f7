"""What is killed, row by row of the table."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import psycopg
from confluent_kafka import Producer

from tests.brokers import running_broker
from tests.kills.ground import Ground, Toll
from tests.pipelines.tools import processes_of
from tests.servers import Postgres, running_postgres

Progress = Callable[[int], None]
#: How long a run goes on after the last record, and how many records a round has.
_IDLE = ("--idle-timeout", "1s")
_RECORDS, _LIVE_RECORDS = 30_000, 200
#: How long a round may last before it is its own fault.
_LONGEST_SECONDS = 60.0


def kill_simulator(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill simulators that append to a file which is followed: what they had written is in the outputs."""
    ground, toll = Ground(folder, seed), Toll("simulator, into a file that a relay follows")
    ground.feed.write_text("")
    ground.out = ground.folder / "out.txt"
    relay = ground.start(
        "pipelines.relay", "--input", ground.feed, "--follow", "--read-as", "lines", "--output", ground.out,
        "--positions", ground.positions, "--idle-timeout", "20s",
    )  # fmt: skip
    try:
        while toll.kills < kills:
            with ground.feed.open("ab") as feed:
                simulator = ground.start("simulators.bank", "--output", "-", "--rate", 5_000, stdout=feed.fileno())
            moment = time.monotonic() + ground.random.uniform(0.0, 2.5)
            while time.monotonic() < moment and simulator.poll() is None:
                time.sleep(0.005)
            simulator.kill()
            simulator.wait()
            toll.kills += 1
            progress(toll.kills)
        with ground.feed.open("ab") as feed:
            feed.write(b"the end\n")
    finally:
        ground.finish(relay, toll)
    ground.sweep(toll)
    written = Counter(ground.feed.read_bytes().splitlines())
    found = Counter(ground.out.read_bytes().splitlines())
    toll.records = sum(written.values())
    toll.lost = sum((written - found).values())
    toll.doubled = sum((found - written).values())
    ground.count_left(toll)
    return toll


def kill_relay(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill a relay that reads a file to its end: while it starts, in mid-work, and while it ends."""
    toll = Toll("pipeline: relay of a file into a file and SQLite")
    return _kill_relays(Ground(folder, seed), toll, kills, progress)


def kill_live_relay(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill a relay that follows a file, on Prism."""
    toll = Toll("pipeline: relay that follows a file, into a file and SQLite")
    return _kill_relays(Ground(folder, seed), toll, kills, progress, "--follow", *_IDLE)


def _kill_relays(ground: Ground, toll: Toll, kills: int, progress: Progress, *options: str) -> Toll:
    longest = 4.0
    while toll.kills < kills:
        ground.write(ground.random.randrange(_RECORDS))
        began = time.monotonic()
        relay = ground.relay("--input", ground.feed, *options)
        # Of a file that is followed, every second time more comes while it is read, and so there is no end.
        is_growing = bool(options) and toll.kills % 2
        growing = _repeating(partial(ground.write, _LIVE_RECORDS)) if is_growing else nullcontext()
        with suppress(subprocess.TimeoutExpired), growing:
            relay.wait(ground.random.uniform(0.0, longest))
        if relay.poll() is None:
            relay.kill()
            relay.wait()
            toll.kills += 1
            progress(toll.kills)
            # So that there are kills in mid-work and at the end, however slow the machine is.
            longest = min(_LONGEST_SECONDS, 1.1 * longest)
        else:
            longest = time.monotonic() - began
        ground.sweep(toll)
    ground.finish(ground.relay("--input", ground.feed, *options), toll)
    ground.sweep(toll)
    ground.count_outputs(toll)
    return toll


def kill_final_write(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill a pipeline with totals while it writes its files: what stands under a name is whole and right."""
    ground, toll = Ground(folder, seed), Toll("pipeline: final write of totals, 48 files")
    tape = ground.folder / "tape.tsv"
    made = ground.start("simulators.registers", "--rows", 20_000, "--output", tape)
    ground.finish(made, toll)
    right = _totals(ground, tape, toll)
    toll.records = sum(len(text.splitlines()) for text in right.values())
    while toll.kills < kills:
        for path in ground.folder.glob("totals*"):
            path.unlink()
        produce = ground.start(
            "pipelines.produce", "--input", tape, "--window", "1h", "--files", "per-window", "--output", "totals.jsonl"
        )
        while produce.poll() is None and not any(ground.folder.glob("totals*")):
            time.sleep(0.001)
        time.sleep(ground.random.uniform(0.0, 0.05))
        if produce.poll() is None:
            produce.kill()
            toll.kills += 1
            progress(toll.kills)
        produce.wait()
        ground.sweep(toll)
        for path in ground.folder.glob("totals*"):
            if right.get(path.name) != path.read_bytes():
                toll.wrong.append(f"{path.name} is not whole")
    again = _totals(ground, tape, toll)
    toll.lost = sum(again.get(name) != text for name, text in right.items())
    known = {tape, ground.feed, ground.errors, *(ground.folder / name for name in right)}
    files = {path for path in ground.folder.rglob("*") if path.is_file()}
    toll.left += [f"file: {path.relative_to(ground.folder)}" for path in sorted(files - known)]
    return toll


def _totals(ground: Ground, tape: Path, toll: Toll) -> dict[str, bytes]:
    options = ("--input", tape, "--window", "1h", "--files", "per-window", "--output", "totals.jsonl")
    ground.finish(ground.start("pipelines.produce", *options), toll)
    return {path.name: path.read_bytes() for path in ground.folder.glob("totals*")}


def kill_prism(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill the runner of a relay that follows a file: the relay says so and ends, and goes on when it runs again."""
    ground, toll = Ground(folder, seed), Toll("Prism, of a relay that follows a file")
    options = ("--input", ground.feed, "--follow", *_IDLE)
    while toll.kills < kills:
        ground.write(ground.random.randrange(_LIVE_RECORDS * 10))
        relay = ground.relay(*options)
        prism = 0
        while not prism and relay.poll() is None:
            prism = next((number for number, line in processes_of(ground.mark).items() if "job_port" in line), 0)
            time.sleep(0.01)
        moment = time.monotonic() + ground.random.uniform(0.0, 2.0)
        while time.monotonic() < moment and relay.poll() is None:
            time.sleep(0.01)
        if relay.poll() is None and prism:
            with suppress(ProcessLookupError):
                os.kill(prism, signal.SIGKILL)
                toll.kills += 1
                progress(toll.kills)
        try:
            relay.wait(20)
        except subprocess.TimeoutExpired:
            toll.wrong.append("a relay that went on for 20 s without Prism")
            relay.kill()
            relay.wait()
        ground.sweep(toll)
    ground.finish(ground.relay(*options), toll)
    ground.sweep(toll)
    ground.count_outputs(toll)
    return toll


def kill_broker(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill the broker that a relay reads from: every message that the broker has taken is in the outputs."""
    ground, toll = Ground(folder, seed), Toll("Kafka broker that a relay reads, into a file and SQLite")
    with running_broker() as broker:
        topic = broker.create_topic(partitions=3)
        taken: list[str] = []
        settings = {"bootstrap.servers": broker.servers, "enable.idempotence": True, "log_level": 0, "linger.ms": 5}
        patience = {"message.timeout.ms": 600_000, "queue.buffering.max.messages": 2_000_000}
        producer = Producer({**settings, **patience, "reconnect.backoff.max.ms": 200})

        def send() -> None:
            for line in ground.lines(50):
                producer.produce(topic, line, on_delivery=lambda error, _, line=line: error or taken.append(line))

        options = ("--input", broker.address(topic), "--names", "n,word", "--idle-timeout", "10s")
        relay = ground.relay(*options)
        with _repeating(send, producer):
            while toll.kills < kills:
                time.sleep(ground.random.uniform(0.0, 4.0))
                broker.kill()
                toll.kills += 1
                progress(toll.kills)
                broker.start()
        producer.flush(120)
        ground.finish(relay, toll)
        ground.sweep(toll)
        if len(taken) != len(ground.good) + len(ground.bad):
            toll.wrong.append(f"the broker took {len(taken)} of {len(ground.good) + len(ground.bad)} messages")
    ground.count_outputs(toll)
    return toll


def kill_postgres(folder: Path, kills: int, seed: int, progress: Progress) -> Toll:
    """Kill the database that a relay writes to, with all its processes: every record is there, once."""
    ground, toll = Ground(folder, seed), Toll("PostgreSQL that a relay writes to")
    with running_postgres() as server:
        options = ("--input", ground.feed, "--follow", "--idle-timeout", "10s")
        relay = ground.relay(*options, outputs=(ground.out, server.url()))
        with _repeating(lambda: ground.write(100)):
            while toll.kills < kills:
                time.sleep(ground.random.uniform(0.0, 1.0))
                _kill_server(server)
                toll.kills += 1
                progress(toll.kills)
                _start_again(server)
        ground.finish(relay, toll)
        ground.sweep(toll)
        with psycopg.connect(server.url()) as connection:
            rows = Counter(
                f"{n},{word or ''}" for n, word in connection.execute("SELECT n, word FROM records").fetchall()
            )
            toll.doubled_rows += toll.compare(ground.good, rows)
            others = "SELECT count(*) - 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
            (sessions,) = connection.execute(others).fetchone() or (0,)
            toll.left += [f"session of PostgreSQL ({sessions})"] if sessions else []
    ground.count_outputs(toll, has_database=False)
    return toll


def _kill_server(server: Postgres) -> None:
    process = server._process
    assert process is not None
    group = [process.pid]
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "stat").read_text().rpartition(")")[2].split()[1] == str(process.pid):
                group.append(int(folder.name))
    for number in group:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


def _start_again(server: Postgres) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while True:
        try:
            server.start()
        except AssertionError:  # the processes of the one before it are not all gone yet
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@contextmanager
def _repeating(write: Callable[[], object], producer: Producer | None = None) -> Iterator[None]:
    """Have records made as long as the context lasts."""
    is_over = threading.Event()

    def go() -> None:
        while not is_over.wait(0.05):
            write()
            if producer is not None:
                producer.poll(0)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


#: The rows of the table by the names that --only takes.
ROWS: dict[str, Callable[[Path, int, int, Progress], Toll]] = {
    "simulator": kill_simulator,
    "relay": kill_relay,
    "live-relay": kill_live_relay,
    "final-write": kill_final_write,
    "prism": kill_prism,
    "broker": kill_broker,
    "postgresql": kill_postgres,
}
