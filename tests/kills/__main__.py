"""The table of kills: programs and servers get SIGKILL at random moments, and what that costs is counted.

python -m tests.kills --kills 100
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from _pytest.outcomes import Skipped

from benchmarks.report import code_block, environment, table, this_command
from tests.kills.ground import Toll
from tests.kills.rows import ROWS

_HEADER = (
    "killed",
    "kills",
    "records",
    "lost",
    "duplicate lines",
    "of these reported",
    "duplicate rows",
    "left behind",
    "s",
)


def main() -> int:
    """Kill, count, and print; the exit status is 1 if anything is lost, left behind or wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="how often each is killed (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="some of the rows")
    parser.add_argument("--keep", metavar="FOLDER", help="keep everything that was written here")
    args = parser.parse_args()
    root = Path(args.keep or tempfile.mkdtemp(prefix="kills-"))
    tolls: list[tuple[Toll, float]] = []
    skipped: list[str] = []
    try:
        for name in args.only:
            began = time.monotonic()

            def progress(kills: int, name: str = name) -> None:
                print(f"\r{name}: {kills} of {args.kills}", end="", file=sys.stderr, flush=True)

            try:
                tolls.append((ROWS[name](root / name, args.kills, args.seed, progress), time.monotonic() - began))
            except Skipped as reason:
                skipped.append(f"{name}: {reason}")
            print(file=sys.stderr)
            for toll, seconds in tolls[-1:]:
                print("  ", " | ".join(_row(toll, seconds)), file=sys.stderr, flush=True)
                for line in (*toll.left[:10], *toll.wrong[:10]):
                    print(f"  {toll.what}: {line}", file=sys.stderr, flush=True)
    finally:
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)
    print(environment(), "", code_block(this_command("tests.kills")), "", sep="\n")
    print(table(_HEADER, [_row(toll, seconds) for toll, seconds in tolls]), *skipped, sep="\n")
    return int(any(toll.lost or toll.left or toll.wrong or toll.doubled_rows for toll, _ in tolls))


def _row(toll: Toll, seconds: float) -> tuple[str, ...]:
    numbers = (toll.kills, toll.records, toll.lost, toll.doubled, toll.told, toll.doubled_rows, len(toll.left), seconds)
    return (toll.what, *(f"{number:,.0f}" for number in numbers))


if __name__ == "__main__":
    sys.exit(main())
