"""How long does tape in an S3 store take beside the same tape in a local file?

python -m benchmarks.object_store [--rows 1000000] [--runs 3]

The store is versitygw on loopback (scripts/get_versitygw.sh), on the same processors.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import OUT, count_rows, free_port, is_listened_on, make_tape, measure, tape_of
from benchmarks.report import code_block, environment, is_worth_keeping, publish, show_command, table, this_command

FOLDER = OUT / "object_store"
PROGRAM = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / (
    "transaction-streams/versitygw-v1.8.0/versitygw"
)
MOST = 1.5
_READ = """
import sys
from schemas.tape import TAPE
from sources.files.chunks import ByteRange, find_files, read_chunks
from sources.files.replay import BLOCK_BYTES
pieces = [ByteRange(path) for path in find_files(sys.argv[1:])]
print(sum(len(chunk.data) for chunk in read_chunks(pieces, TAPE, BLOCK_BYTES)))
"""


@contextlib.contextmanager
def running_store(tape: Path) -> Iterator[str]:
    """Run a store that has the tape, and give its address there."""
    bucket = FOLDER / "root" / "tape"
    shutil.rmtree(FOLDER, ignore_errors=True)
    bucket.mkdir(parents=True)
    os.link(tape, bucket / tape.name)
    port = free_port()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    secrets = {"ROOT_ACCESS_KEY": "benchmark", "ROOT_SECRET_KEY": "benchmark"}
    command = [str(PROGRAM), "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(bucket.parent)]
    server = subprocess.Popen(command, env={**os.environ, **secrets}, stdout=subprocess.DEVNULL)
    try:
        while not is_listened_on(port):
            time.sleep(0.05)
        yield f"s3://tape/{tape.name}"
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(FOLDER, ignore_errors=True)


def ways(address: str) -> dict[str, list[str]]:
    """Return what is run on a tape: by name, its command."""
    options = ["--input", address, "--window", "1d", "--output", str(FOLDER / "produce.parquet"), "--quiet"]
    return {
        "read and cut into blocks": [sys.executable, "-c", _READ, address],
        "produce": [sys.executable, "-m", "pipelines.produce", "--runner=DirectRunner", *options],
    }


def main(argv: list[str] | None = None) -> int:
    """Runs the benchmark; exit status 1 where the store takes too long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.object_store", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of tape (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: %(default)s)")
    options = parser.parse_args(argv)
    if not PROGRAM.exists() or find_spec("obstore") is None:
        print("left out: it needs an S3 server (make s3-server, with Go) and obstore (pip install '.[s3]')")
        return 0
    tape = make_tape(tape_of(options.rows), options.rows)
    count_rows(tape)
    seconds: dict[tuple[str, str], list[float]] = {}
    with running_store(tape) as address:
        for number in range(options.runs):
            for place, where in (("file", str(tape)), ("store", address)):
                for name, command in ways(where).items():
                    seconds.setdefault((name, place), []).append(measure(command).wall_seconds)
            print(f"run {number + 1} of {options.runs}", flush=True)
        shown = ways(address)["produce"]
    names = dict.fromkeys(name for name, _ in seconds)
    best = {key: min(runs) for key, runs in seconds.items()}
    ratios = {name: best[name, "store"] / best[name, "file"] for name in names}
    publish(
        "object_store",
        "Tape in an S3 store beside a local file",
        [
            (
                f"{tape.stat().st_size / 1e6:,.0f} MB of tape. Best wall time of {options.runs} runs each, by turns; "
                "whole processes. The store is on loopback and on the same processors."
            ),
            table(
                ("", "file, s", "store, s", "ratio"),
                [
                    (name, f"{best[name, 'file']:.2f}", f"{best[name, 'store']:.2f}", f"{ratios[name]:.2f}")
                    for name in names
                ],
            ),
            f"- within {MOST} times the local file: {'yes' if ratios['produce'] <= MOST else 'NO'}",
            environment(),
            code_block(this_command("benchmarks.object_store"), "", show_command(shown)),
        ],
        keep=is_worth_keeping(options.rows),
    )
    return 0 if ratios["produce"] <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
