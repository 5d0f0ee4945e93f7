import base64
import json
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from schemas.record_type import Rejected
from sinks.files import rejected as records
from sinks.files.atomic import SinkError
from sinks.files.rejected import WriteRejected, json_line
from sinks.lines.line_file import FileLines, LineFile


def rejected(number: int) -> Rejected:
    return Rejected(f"tape.txt:{number}", number, "spend is no decimal number: 'x'", f"a\t{number}".encode())


def test_a_line_has_origin_position_reason_and_text():
    assert json_line(Rejected("tape.txt", 120, "no time", "ä\tb".encode())) == (
        '{"origin":"tape.txt","position":120,"reason":"no time","raw":"ä\\tb"}\n'.encode()
    )


def test_bytes_that_are_no_text_are_base64():
    assert json.loads(json_line(Rejected("h:1", 0, "x", b"\xff\x00"))) == {
        "origin": "h:1",
        "position": 0,
        "reason": "x",
        "raw_base64": "/wA=",
    }


@given(st.binary(), st.text(), st.text(), st.integers(0, 2**60))
def test_every_record_reads_back_with_its_bytes(raw, origin, reason, position):
    line = json_line(Rejected(origin, position, reason, raw))
    assert line.count(b"\n") == 1
    found = json.loads(line)
    kept = found["raw"].encode() if "raw" in found else base64.b64decode(found["raw_base64"])
    assert (found["origin"], found["position"], found["reason"], kept) == (origin, position, reason, raw)


def test_an_odd_file_name_is_kept():
    assert json.loads(json_line(Rejected("caf\udce9.txt", 0, "x", b"")))["origin"] == "caf\udce9.txt"


def test_lines_leave_before_a_bundle_fills_the_buffer(tmp_path, monkeypatch):
    written = []
    write = LineFile.write
    monkeypatch.setattr(LineFile, "write", lambda file, lines: written.append(lines) or write(file, lines))
    writer = records._AppendFn(FileLines(str(tmp_path / "bad.jsonl")))
    writer.start_bundle()
    sent = [Rejected("x", number, "too long", b"z" * 400_000) for number in range(7)]
    for record in sent:
        assert list(writer.process(record)) == [record]
    writer.finish_bundle()
    writer.teardown()
    assert [len(lines.splitlines()) for lines in written] == [2, 2, 2, 1]
    assert all(len(lines) <= 1 << 20 and lines.endswith(b"\n") for lines in written)


def test_a_bundle_without_records_writes_nothing(tmp_path):
    writer = records._AppendFn(FileLines(str(tmp_path / "bad.jsonl")))
    writer.start_bundle()
    writer.finish_bundle()
    writer.teardown()
    assert not any(tmp_path.iterdir())


def test_records_of_a_bundle_that_failed_are_not_in_the_next(tmp_path):
    path = tmp_path / "bad.jsonl"
    writer = records._AppendFn(FileLines(str(path)))
    writer.start_bundle()
    list(writer.process(rejected(1)))
    writer.start_bundle()
    list(writer.process(rejected(2)))
    writer.finish_bundle()
    writer.teardown()
    assert path.read_bytes() == json_line(rejected(2))


def test_every_record_is_one_line_whatever_the_bundles(tmp_path, options):
    path = tmp_path / "bad.jsonl"
    count = 3_000
    with beam.Pipeline(options=options) as pipeline:
        handed_on = (
            pipeline
            | "Start" >> beam.Create(range(0, count, 100))
            | "Spread" >> beam.Reshuffle()
            | "Make" >> beam.FlatMap(lambda start: map(rejected, range(start, start + 100))).with_output_types(Rejected)
            | "Write" >> WriteRejected(str(path))
        )
        assert handed_on.element_type is Rejected
        assert_that(handed_on | "Count" >> beam.combiners.Count.Globally(), equal_to([count]))
    found = [json.loads(line)["position"] for line in path.read_bytes().splitlines()]
    assert sorted(found) == list(range(count))


def test_without_a_path_the_records_are_only_handed_on(fn_api):
    with beam.Pipeline(options=fn_api) as pipeline:
        handed_on = pipeline | beam.Create([rejected(1)]) | WriteRejected(None)
        assert_that(handed_on, equal_to([rejected(1)]))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_fails_the_pipeline_with_one_reason(fn_api):
    with (
        pytest.raises(SinkError, match=r"cannot write /dev/full: No space left on device"),
        beam.Pipeline(options=fn_api) as pipeline,
    ):
        _ = pipeline | beam.Create([rejected(1)]) | WriteRejected("/dev/full")
