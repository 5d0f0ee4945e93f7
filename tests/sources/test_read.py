"""Addresses that are read: what is found before the run begins, and one small run on each kind of runner."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

import sources
from schemas.elements.block import Block
from schemas.record_type import Column, RecordType
from schemas.time_formats import COMMON_TIMES
from sources.address import Address, parse_address
from sources.files.follow import FollowLines
from sources.files.replay import FileReplay
from sources.live.command import ProcessLines
from sources.live.stdin import StdinLines
from sources.live.tcp import TcpLines
from sources.live.udp import UdpLines
from sources.pacing import Pace
from sources.read import Read
from tests.fakes import listening, serving
from tests.patience import PATIENCE_SECONDS
from tests.sources.test_backlog import TICK, tick


def reading(*texts: object, **options: object) -> Read:
    return Read(tuple(parse_address(str(text)) for text in texts), TICK, **options)  # type: ignore[arg-type]


def kinds(read: Read) -> list[type]:
    return [type(source) for source in read._sources]


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_bytes(tick(1) + tick(2))
    (tmp_path / "b.txt").write_bytes(tick(3))
    return tmp_path


def test_files_become_one_source_and_every_kind_has_its_own(two_files: Path) -> None:
    read = reading("tcp://127.0.0.1:9", "-", two_files, "tcp-listen://:0", "-", two_files / "a.txt")
    assert kinds(read) == [FileReplay, TcpLines, StdinLines]
    replay, tcp, _ = read._sources
    assert [Path(piece.path).name for piece in replay.pieces] == ["a.txt", "b.txt"]
    assert [address.scheme for address in tcp.addresses] == ["tcp", "tcp-listen"]


def test_options_reach_the_sources(two_files: Path) -> None:
    read = reading(
        two_files,
        "tcp://127.0.0.1:9",
        "-",
        pace=Pace(rate=5),
        disorder_micros=1,
        live_disorder_micros=2,
        idle_timeout_seconds=3.0,
        max_records=4,
    )
    replay, tcp, stdin = read._sources
    assert (replay.pace, replay.disorder_micros, replay.max_records) == (Pace(rate=5), 1, 4)
    for live in (tcp, stdin):
        assert (live.disorder_micros, live.idle_timeout_seconds, live.max_records) == (2, 3.0, 4)


def test_every_live_address_has_its_source_and_the_options_of_live_input(two_files: Path) -> None:
    read = reading(
        "exec:seq 3",
        "udp-listen://:0",
        two_files,
        "exec:seq 4",
        "udp-listen://:0",
        live_disorder_micros=2,
        idle_timeout_seconds=3.0,
        max_records=4,
        follow=True,
        sequence="n",
    )
    assert kinds(read) == [FollowLines, UdpLines, ProcessLines, ProcessLines]
    follow, udp, one, two = read._sources
    assert [Path(path).name for path in follow.paths] == ["a.txt", "b.txt"]
    assert (len(udp.addresses), udp.sequence) == (2, "n")
    assert [one.address.path, two.address.path] == ["seq 3", "seq 4"]
    for live in read._sources:
        assert (live.disorder_micros, live.idle_timeout_seconds, live.max_records) == (2, 3.0, 4)
    assert read.total_bytes is None


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["udp://h:5"], {}, "cannot read from 'udp://h:5', which sends; udp-listen://h:5 receives"),
        (["-"], {"follow": True}, "expected a file to follow, got none"),
        (["FOLDER"], {"follow": True, "pace": Pace(rate=1)}, "a file that is followed has its own pace"),
        (["exec:no-such-thing"], {}, "cannot run 'no-such-thing': no such command"),
    ],
)
def test_what_cannot_be_read_is_one_line(two_files: Path, texts: list[str], options: dict, message: str) -> None:
    texts = [text.replace("FOLDER", str(two_files)) for text in texts]
    with pytest.raises((ValueError, OSError), match=f"^{re.escape(message)}[^\n]*$"):
        reading(*texts, **options)


@pytest.mark.parametrize(
    ("text", "options", "is_bounded"),
    [
        ("files", {}, True),
        ("files", {"max_records": 1}, True),
        ("files", {"in_order": True}, True),
        ("files", {"pace": Pace(rate=1)}, False),
        ("files", {"loop": True}, False),
        ("files", {"follow": True}, False),
        ("-", {}, False),
    ],
)
def test_only_files_at_full_speed_are_bounded(two_files: Path, text: str, options: dict, is_bounded: bool) -> None:
    read = reading(two_files if text == "files" else text, **options)
    blocks = beam.Pipeline(runner="FnApiRunner") | read
    assert (blocks.is_bounded, blocks.element_type) == (is_bounded, Block)


def test_total_bytes_are_known_for_plain_files_that_are_read_whole(two_files: Path) -> None:
    size = len(tick(1) * 3)
    assert reading(two_files).total_bytes == size
    assert reading(two_files, pace=Pace(rate=1)).total_bytes == size
    assert reading(two_files, max_records=1).total_bytes is None
    assert reading(two_files, "-").total_bytes is None
    (two_files / "c.gz").touch()
    assert reading(two_files).total_bytes is None


def test_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one input address"):
        reading()


@pytest.mark.parametrize("name", ["nothing.txt", "*.json"])
def test_a_missing_file_is_one_line(two_files: Path, name: str) -> None:
    with pytest.raises(OSError, match=rf"^no file at '{re.escape(str(two_files / name))}': [^\n]+$"):
        reading(two_files, two_files / name)


def test_a_port_in_use_is_one_line_that_names_it() -> None:
    with listening() as server:
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=rf"^[^\n]*127\.0\.0\.1:{port}[^\n]*$"):
            reading(f"tcp-listen://127.0.0.1:{port}")


def test_it_pickles(two_files: Path) -> None:
    read = pickle.loads(pickle.dumps(reading(two_files, "tcp://127.0.0.1:9")))
    assert kinds(read) == [FileReplay, TcpLines]


def split(block: Block) -> list[bytes]:
    return block.data.splitlines()


def test_several_inputs_are_read_side_by_side(two_files: Path) -> None:
    with serving([tick(4) + tick(5) + tick(6)]) as port, beam.Pipeline("FnApiRunner") as pipeline:
        blocks = pipeline | reading(two_files, f"tcp://127.0.0.1:{port}", max_records=3)
        assert blocks.element_type is Block
        assert_that(blocks | beam.FlatMap(split), equal_to([tick(second).strip() for second in range(1, 7)]))


def test_several_commands_are_read_side_by_side() -> None:
    with beam.Pipeline("FnApiRunner") as pipeline:
        blocks = pipeline | reading("exec:seq 3", "exec:seq 4 6")
        assert_that(blocks | beam.FlatMap(split), equal_to([b"%d" % number for number in range(1, 7)]))


def test_standard_input_is_an_address() -> None:
    code = (
        "import apache_beam as beam\n"
        "from tests.sources.test_read import reading, split\n"
        "with beam.Pipeline('FnApiRunner') as pipeline:\n"
        "    pipeline | reading('-') | beam.FlatMap(split) | beam.Map(bytes.decode) | beam.Map(print)\n"
    )
    data = b"".join(map(tick, range(3)))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, input=data, stdout=subprocess.PIPE, check=True, timeout=PATIENCE_SECONDS, env=environment
    )
    assert sorted(done.stdout.splitlines()) == data.splitlines()


@pytest.mark.parametrize("given", ["{}", ["{}"], Path, Address])
def test_an_address_may_be_given_in_any_way(two_files: Path, given: Any) -> None:
    path = str(two_files / "*.txt")
    if given is Path:
        read = Read(Path(path), TICK)
    elif given is Address:
        read = Read(parse_address(path), TICK)
    else:
        read = Read(given.format(path) if isinstance(given, str) else [path], TICK)
    assert [address.path for address in read.addresses] == [path]


@pytest.mark.parametrize(
    ("addresses", "record_type", "message"),
    [
        ("tpc://127.0.0.1:9000", TICK, "unknown scheme in 'tpc://127.0.0.1:9000'"),
        ("tcp://127.0.0.1", TICK, "expected tcp://host:port"),
        (9000, TICK, "expected at least one input address, got 9000"),
        (["-", 9000], TICK, "expected an address or a path, got 9000"),
        ("", TICK, "expected an address, got an empty text"),
        ("-", "tape", "expected a record type such as schemas.tape.TAPE, got 'tape'"),
    ],
)
def test_what_is_wrong_is_refused_when_the_transform_is_made(addresses: Any, record_type: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Read(addresses, record_type)
    assert "\n" not in str(caught.value)


def test_the_names_of_the_package_are_there_and_no_others() -> None:
    assert all(hasattr(sources, name) for name in sources.__all__)
    assert sources.Read is Read
    with pytest.raises(AttributeError):
        sources.Raed  # noqa: B018


SPEED = Pace(speed=60)
WHEN = RecordType("record", ("n", "when"), (Column("when", "time"),), "when", COMMON_TIMES, separator=",")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "1,06/05/2024 17:24\n2,07/05/2024 17:24\n",
            "when is '06/05/2024 17:24', expected a time such as 2024-05-06T17",
        ),
        ("n,when\n1,soon\n", "when is 'soon', expected"),
        ("1,\n2,\n", "no record at its head has 'when'"),
        ("1\n2\n", "no record at its head has 'when'"),
        ("1,9999-12-31\n", "when is '9999-12-31', and what is more than a day ahead is not believed"),
    ],
)
def test_a_speed_is_refused_where_no_time_can_be_read(tmp_path: Path, data: str, message: str) -> None:
    (tmp_path / "a.csv").write_text("1,2024-05-06T17:24:53Z\n")
    (tmp_path / "b.csv").write_text(data)
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    with pytest.raises(ValueError, match=r"^cannot play '.*b\.csv' by event time: ") as error:
        Read(paths, WHEN, pace=SPEED)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert Read(paths, WHEN, pace=Pace(rate=3)).pace.rate == 3


@pytest.mark.parametrize("data", ["", "\n", "n,when\n", "garbage\n1,2024-05-06T17:24:53+02:00\n", "1,1715009093\n2,\n"])
def test_a_speed_is_taken_where_one_time_can_be_read_or_there_is_no_record(tmp_path: Path, data: str) -> None:
    (tmp_path / "a.csv").write_text(data)
    assert Read(tmp_path / "a.csv", WHEN, pace=SPEED).pace == SPEED


def test_a_speed_is_refused_for_records_that_never_have_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match="by event time: a record has none"):
        Read(tmp_path / "a.csv", RecordType("record", ("a", "b"), (), "", separator=","), pace=SPEED)
