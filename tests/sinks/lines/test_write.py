"""Lines into files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from schemas.elements.frames import Written
from sinks.files.atomic import SinkError
from sinks.lines.line_file import FileLines
from sinks.lines.write import WriteLines
from tests.simulators.tools import ROOT

WRITER = """
import sys
from sinks.lines.line_file import FileLines
outlet = FileLines(sys.argv[1]).open()
number = 0
while True:
    outlet.write(b"".join(b"%d %s\\n" % (each, b"x" * 50) for each in range(number, number + 20)))
    number += 20
"""


def test_each_element_is_there_before_the_next_one_comes(tmp_path, fn_api):
    path = str(tmp_path / "deep" / "x.txt")

    def look(written: Written) -> tuple[int, int]:
        with open(written.path) as file:  # noqa: PTH123
            return written.rows, len(file.readlines())

    with beam.Pipeline(options=fn_api) as pipeline:
        lines = pipeline | beam.Create([b"a\nb\n", b"c\n", b"d\n"], reshuffle=False)
        seen = lines | WriteLines(FileLines(path)) | beam.Map(look)
        assert_that(seen, equal_to([(2, 2), (1, 3), (1, 4)]))
    assert (tmp_path / "deep" / "x.txt").read_bytes() == b"a\nb\nc\nd\n"


def test_a_writer_that_is_killed_leaves_lines_in_order_and_at_most_the_last_one_torn(tmp_path):
    path = tmp_path / "x.txt"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        deadline = time.monotonic() + 20
        while not (path.exists() and path.stat().st_size > 100_000):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    # The system may end a process in the middle of a write, where a page of memory ends.
    *lines, torn = path.read_text().split("\n")
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    assert f"{len(lines)} {'x' * len(lines[0])}".startswith(torn)


def test_a_full_disk_leaves_no_half_line():
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("/dev/full is not there")
    with pytest.raises(SinkError, match=r"^cannot write /dev/full: "):
        FileLines("/dev/full").open().write(b"a\n")
