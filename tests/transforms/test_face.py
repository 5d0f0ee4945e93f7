"""The face of the library: what importing it changes in a process, which is nothing, and what a small script prints."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import transforms

ROOT = Path(__file__).parents[2]
SCRIPT = """
    import gc, logging, signal, sys, threading
    from schemas.elements import quiet_beam
    from apache_beam.io.iobase import RestrictionProgress
    from apache_beam.runners.portability.fn_api_runner.execution import BundleContextManager
    from apache_beam.runners.worker.bundle_processor import BundleProcessor

    def state():
        return {
            "gc": (gc.isenabled(), gc.get_freeze_count()),
            "signals": [signal.getsignal(number) for number in signal.valid_signals()],
            "hooks": (threading.excepthook, sys.excepthook, sys.unraisablehook),
            "logging": (logging.getLogger().handlers[:], logging.getLogger().level, logging.getLogger().filters[:]),
            "patched": (
                RestrictionProgress.with_completed, BundleProcessor.try_split, BundleContextManager.get_buffer
            ),
        }

    before = state()
    from sinks import ShowLive, WriteLines, WriteRecords, WriteResults
    assert not {"sqlalchemy", "psycopg", "confluent_kafka"} & sys.modules.keys()
    import transforms, schemas.tape, schemas.smoothies, sources.read, sinks.files.write, sinks.sql.write
    after = state()
    assert after == before, [name for name in before if before[name] != after[name]]

    import apache_beam as beam
    from schemas.record_type import Column, RecordType
    from transforms import Aggregate, Count, KeepRows, ParseDelimited, SplitLate, Windows
    SALE = RecordType("sale", ("time", "item"), (Column("time", "time", required=True), Column("item", "text")),
        event_time="time", separator=",")
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        lines = pipeline | beam.Create(["2024-01-01 00:00:00,roll", "2024-01-01 00:10:00,bread"])
        timely = (lines | ParseDelimited(SALE))["records"] | SplitLate(Windows.parse("1h"))
        totals = timely["records"] | Aggregate(("item",), {"n": Count()}, Windows.parse("1h"), lateness_micros=1)
        totals | beam.Filter(lambda result: result.final) | beam.Map(lambda result: print(result.rows.height))
    assert state()["patched"] != before["patched"]
"""


def test_importing_changes_nothing_and_a_small_script_prints_what_it_prints():
    script = textwrap.dedent(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.stderr, done.stdout, done.returncode) == ("", "2\n", 0)


def test_the_names_of_the_face_are_there_and_sorted():
    assert [name for name in transforms.__all__ if not hasattr(transforms, name)] == []
    assert sorted(transforms.__all__) == sorted(set(transforms.__all__))
