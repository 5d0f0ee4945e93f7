"""Which tests depend on how busy the machine is: they run again and again beside busy loops, and failures are counted.

python -m tests.flakes --runs 20 tests/pipelines
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

#: It ends with this process, however that ends.
_BUSY = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"


def main() -> int:
    """Run, count, and print a table; the exit status is 1 if anything has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.flakes", description=__doc__.splitlines()[0])
    parser.add_argument("tests", nargs="*", default=["tests"], help="what pytest is to run (default: the whole suite)")
    parser.add_argument("--runs", type=int, default=20, help="how often (default: 20)")
    parser.add_argument("--loops", type=int, default=3, help="how many busy loops run beside (default: 3)")
    parser.add_argument("--at-once", default="3", help="how many tests run side by side (default: 3)")
    args = parser.parse_args()
    failures: Counter[str] = Counter()
    seconds: list[float] = []
    with busy(args.loops), tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        for number in range(1, args.runs + 1):
            began = time.monotonic()
            report = Path(folder, f"{number}.xml")
            options = ["-q", "-m", "not soak", "-n", args.at_once, "--dist", "worksteal", f"--junitxml={report}"]
            done = subprocess.run([sys.executable, "-m", "pytest", *options, *args.tests], check=False)
            seconds.append(time.monotonic() - began)
            failed = failed_in(report) if report.exists() else []
            if done.returncode and not failed:
                failed = [f"(pytest itself, with status {done.returncode})"]
            failures.update(failed)
            print(f"run {number} of {args.runs}: {len(failed)} failed in {seconds[-1]:.0f} s", flush=True)
    print(f"\n{len(seconds)} runs beside {args.loops} busy loops, {sum(seconds):.0f} s")
    for name, times in failures.most_common():
        print(f"{times:>4} times  {name}")
    print(f"{len(failures)} tests failed at least once")
    return min(1, len(failures))


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep the processors busy."""
    command = [sys.executable, "-c", _BUSY]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def failed_in(report: Path) -> list[str]:
    """Return the tests that a report of pytest has as failed."""
    cases = ElementTree.parse(report).iter("testcase")  # noqa: S314 - pytest has just written it
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


if __name__ == "__main__":
    sys.exit(main())
