"""A fourth form of records, in one file: what it takes, and that files of it are read as those of any other."""

from __future__ import annotations

import contextlib
import pickle
import re
from datetime import datetime
from decimal import Decimal

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as MadePipeline
from apache_beam.testing.util import assert_that, equal_to

from schemas.forms.access_log import AccessLog
from schemas.forms.delimited import DELIMITED, Delimited
from schemas.forms.form import Field, Form
from schemas.forms.json_lines import JSON_LINES, JsonLines
from schemas.record_type import Column, Dialect, RecordType
from schemas.text.lines import event_times, find_lines
from schemas.time_formats import ISO_TIMES
from sources import Pace, Read
from sources.files.chunks import ByteRange
from sources.files.replay import FileReplay
from tests.fakes import Driver, FakeClock
from transforms import Aggregate, Count, Sum, Windows, parse_as
from transforms.parse.parser import decoded
from transforms.parse.patterns import Pattern, PatternParser
from transforms.parse.values import read_value


class Labelled(Form):
    """Fields that are each ``label:value``, with tabs between them (http://ltsv.org)."""

    name = "labelled tab-separated values"
    parser = f"{__name__}:LabelledParser"
    times = ISO_TIMES

    def find_time(self, record: str, field: Field) -> str | None:
        return _fields(record).get(field.names[0])

    def find_times(self, records: pl.Series, field: Field) -> pl.Series:
        return records.str.extract(rf"(?:^|\t){field.names[0]}:([^\t\r\n]*)")

    def sequence_pattern(self, field: Field) -> re.Pattern[bytes]:
        return re.compile(rb"\b%s:([0-9]+)\b" % field.names[0].encode())


class LabelledParser(PatternParser):
    def find_pattern(self, line: str) -> Pattern | None:
        labels = [field.partition(":")[0] for field in line.split("\t")]
        wanted = [label for label in labels if label in self._type.names]
        parts = (rf"{re.escape(label)}:" + (r"([^\t]*)" if label in wanted else r"[^\t]*") for label in labels)
        return Pattern("^" + r"\t".join(parts) + "()$", tuple(wanted))

    def read_texts(self, texts: pl.Series) -> pl.Series:
        return texts

    def read_record(self, raw: bytes, dialect: Dialect) -> tuple[dict, str]:
        fields = _fields(decoded(raw))
        return self._read_values(lambda column: read_value(column, fields.get(column.name, ""), self._type.times))


def _fields(record: str) -> dict[str, str]:
    fields = [field.partition(":") for field in record.rstrip("\r\n").split("\t")]
    if not all(colon for _, colon, _ in fields):
        raise ValueError("a field without a label")
    return {label: value for label, _, value in fields}


COLUMNS = (Column("time", "time", required=True), Column("host"), Column("n", "integer", required=True))
HIT = RecordType("hit", ("time", "host", "n"), COLUMNS, event_time="time", form=Labelled())


def lines(number: int) -> list[str]:
    return [f"host:h{n % 3}\ttime:2024-05-06T10:{n // 60 % 60:02}:{n % 60:02}Z\tn:{n}\tmore:x" for n in range(number)]


@pytest.mark.parametrize("number", [3, 300], ids=["one by one", "all at once"])
def test_a_form_that_one_file_declares_is_read_from_files_and_totalled(tmp_path, number):
    (tmp_path / "hits.ltsv").write_text("\n".join([*lines(number), "no label", "time:soon\tn:1", ""]))
    with MadePipeline() as pipeline:
        parsed = pipeline | Read(tmp_path / "hits.ltsv", HIT) | parse_as(HIT, ("host", "n"), pl.col("n") >= 0)
        totals = parsed["records"] | Aggregate((), {"rows": Count(), "sum": Sum("n")}, Windows.parse("1m"))
        rows = totals | beam.FlatMap(
            lambda result: result.rows.select(pl.col("window_start").dt.minute(), "rows", "sum").rows()
        )
        minutes = [range(first, min(first + 60, number)) for first in range(0, number, 60)]
        assert_that(rows, equal_to([(part[0] // 60, len(part), sum(part)) for part in minutes]), "totals")
        reasons = parsed["rejected"] | beam.Map(lambda rejected: rejected.reason)
        said = ["a field without a label", "time is no time such as 2019-05-06T17:24:53Z: 'soon'"]
        assert_that(reasons, equal_to(said), "reasons")


def test_its_event_times_pace_a_replay_and_move_its_watermark(tmp_path):
    data = "\n".join(lines(4)).encode()
    known = [HIT.event_micros(line, Dialect()) for line in data.splitlines()]
    assert event_times(data, find_lines(data), HIT, Dialect()).tolist() == known
    (tmp_path / "hits.ltsv").write_bytes(data)
    clock = FakeClock()
    replay = FileReplay((ByteRange(str(tmp_path / "hits.ltsv")),), HIT, Pace(speed=2), clock=clock)
    with contextlib.closing(replay.create_reader(None, None)) as reader:
        driver = Driver(reader)
        assert driver.step()
        assert not driver.step()
        assert driver.data.count(b"\n") == 1
        clock.pass_seconds(1)
        assert driver.step()
        assert driver.data.count(b"\n") == 3
        assert driver.watermark.micros == known[2]


def test_forms_are_equal_as_their_classes_are_and_pickle():
    forms = (Delimited(), JsonLines(), AccessLog(), Labelled())
    assert len(set(forms)) == len({*forms, DELIMITED, JSON_LINES}) == 4
    assert pickle.loads(pickle.dumps(forms)) == forms
    assert Decimal(1) != DELIMITED
    assert pickle.loads(pickle.dumps(HIT)) == HIT
    assert HIT.event_micros(b"time:2024-05-06T10:00:00+02:00", Dialect()) == HIT.event_micros(
        b"n:1\ttime:2024-05-06 08:00:00", Dialect()
    )
    assert HIT.times.read("2024-05-06 08:00:00") == datetime(2024, 5, 6, 8)
