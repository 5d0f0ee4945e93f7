"""Files that begin again at their end."""

from __future__ import annotations

import itertools
import pickle

import pytest

from schemas.forms.json_lines import JSON_LINES
from schemas.record_type import RecordType
from sources.files.chunks import ByteRange
from sources.files.repeat import Repeat
from sources.files.replay import FileReplay

LINES = RecordType("line", (), (), event_time="", form=JSON_LINES)


def test_the_records_of_all_files_come_over_and_over(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(f"{name}1\n{name}2\n")
    laps = Repeat([ByteRange(str(tmp_path / name)) for name in "ab"])
    source = pickle.loads(pickle.dumps(FileReplay(laps, LINES, max_records=10)))
    assert source == FileReplay(laps, LINES, max_records=10)
    assert source.split(4) == [source]
    reader = source.create_reader(None, None)
    data, more = b"", reader.start()
    while more:
        data += reader.get_current().data
        mark = reader.get_checkpoint_mark()
        reader.close()
        # A reader that goes on from a mark is in the same lap.
        reader = source.create_reader(None, mark)
        more = reader.start()
    reader.close()
    assert data.split() == list(itertools.islice(itertools.cycle([b"a1", b"a2", b"b1", b"b2"]), 10))


def test_files_without_a_record_are_refused(tmp_path):
    (tmp_path / "empty").write_text("\n \n")
    laps = Repeat([ByteRange(str(tmp_path / "empty"))])
    with pytest.raises(ValueError, match=r"no record to loop over in .*empty"):
        laps.check(LINES)
    with pytest.raises(IndexError):
        laps[-1]
