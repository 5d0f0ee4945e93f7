"""Replaying files, with readers driven by hand as Beam drives them."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from apache_beam.io import unbounded_source as beam_reading
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bank import TRANSFERS
from schemas.elements.block import NOTHING_IS_LATE
from schemas.tape import TAPE
from sources import drain
from sources.files import replay as files
from sources.files.chunks import ByteRange
from sources.files.replay import FileMark, FileReplay
from sources.pacing import Pace
from tests.fakes import Driver, FakeClock
from tests.sources.test_backlog import TICK, micros, tick

COMPRESS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}

paces = st.sampled_from([Pace(), Pace(rate=3), Pace(speed=2), Pace(interval=(0.1, 0.7)), Pace(rate=1e6)])
#: Some ticks in no order, with blank lines, garbage and a record that is too long in between.
tick_lines = st.lists(
    st.integers(0, 40).map(tick) | st.sampled_from([b"\n", b"\r\n", b"garbage\n", b"x" * 90 + b"\n", b"\tx\n"]),
    max_size=12,
)


@pytest.fixture(autouse=True)
def _no_drain():
    yield
    drain.reset()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


def write(path: Path, *lines: bytes) -> ByteRange:
    path.write_bytes(COMPRESS.get(path.suffix, bytes)(b"".join(lines)))
    return ByteRange(str(path))


def replay(*pieces: ByteRange, **options: Any) -> FileReplay:
    return FileReplay(pieces, TICK, **{"clock": FakeClock(), **options})


def drive(source: FileReplay, mark: FileMark | None = None, seconds: float = 0.25) -> tuple[Driver, list[FileMark]]:
    """Drives a reader to its end, the clock moving on at every poll; gives the marks behind its blocks."""
    reader = source.create_reader(None, mark)
    driver, marks = Driver(reader), []
    try:
        while not driver.is_ended:
            if driver.step():
                marks.append(reader.get_checkpoint_mark())
            else:
                source.clock.pass_seconds(seconds)
        assert not reader.advance()
        assert reader.get_watermark() == MAX_TIMESTAMP
    finally:
        reader.close()
        reader.close()
    return driver, marks


def records(driver: Driver) -> list[bytes]:
    """The records that left, the faulty ones by their beginning."""
    return [record for block in driver.blocks for record in records_in(block.data)]


def records_in(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines() if line]


def expected_records(lines: list[bytes], block_bytes: int) -> list[bytes]:
    texts = [line.rstrip(b"\r\n") for line in lines]
    return [text if len(text) < block_bytes else text[:block_bytes] for text in texts if text]


def open_files() -> set[str]:
    """The regular files that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                found.add(f"{number} {target}")
    return found


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    before = open_files()
    yield
    assert open_files() == before
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


@given(
    st.lists(st.tuples(tick_lines, st.sampled_from(list(COMPRESS))), min_size=1, max_size=3),
    paces,
    st.none() | st.integers(1, 9),
    st.sampled_from([64, 1 << 10]),
)
def test_whatever_the_pace_a_mark_goes_on_with_exactly_the_rest(
    folder: Path, contents: list[tuple[list[bytes], str]], pace: Pace, max_records: int | None, block_bytes: int
) -> None:
    pieces = [write(folder / f"{number}{ending}", *lines) for number, (lines, ending) in enumerate(contents)]
    source = replay(*pieces, pace=pace, max_records=max_records, block_bytes=block_bytes)
    with nothing_left_open():
        whole, marks = drive(source)
    expected = [record for lines, _ in contents for record in expected_records(lines, block_bytes)]
    assert records(whole) == expected[:max_records]
    if source.is_ordered:
        assert [mark.records for mark in marks][-1:] == [len(expected[:max_records])][: len(marks)]
    coder = source.get_checkpoint_mark_coder()
    for number, mark in enumerate(marks, 1):
        decoded = coder.decode(coder.encode(mark))
        assert decoded == mark
        assert isinstance(decoded, FileMark)
        decoded.finalize_checkpoint()
        rest, _ = drive(source, decoded)
        before = sum(len(records_in(block.data)) for block in whole.blocks[:number])
        assert records(rest) == records(whole)[before:]
        if source.is_ordered and rest.blocks:
            assert rest.blocks[0].watermark == mark.watermark


@given(tick_lines, paces, st.integers(0, 5))
def test_the_watermark_is_the_greatest_event_time_so_far_less_the_disorder(
    folder: Path, lines: list[bytes], pace: Pace, disorder: int
) -> None:
    source = replay(write(folder / "a", *lines), pace=pace, disorder_micros=disorder * 1_000_000, block_bytes=1 << 10)
    reader = source.create_reader(None, None)
    with contextlib.closing(reader):
        driver = Driver(reader)
        seen: list[int] = []
        before = NOTHING_IS_LATE
        while not driver.is_ended:
            if not driver.step():
                source.clock.pass_seconds(0.3)
                continue
            block = driver.blocks[-1]
            assert block.watermark == before
            if not pace.is_paced:
                assert driver.watermark == MIN_TIMESTAMP
                assert block.watermark == NOTHING_IS_LATE
                continue
            times = [TICK.event_micros(line, block.dialect) for line in records_in(block.data)]
            seen += [moment for moment in times if moment is not None]
            before = reader.get_checkpoint_mark().watermark
            if times[0] is not None:
                assert reader.get_current_timestamp() == Timestamp(micros=times[0])
            if None not in times:
                assert driver.watermark == Timestamp(micros=max(seen) - disorder * 1_000_000)


@given(st.integers(1, 60), st.floats(0.5, 50), st.lists(st.floats(0, 2), min_size=1, max_size=20))
@settings(max_examples=60)
def test_a_rate_never_sends_more_than_is_due_and_after_a_late_poll_all_of_it(
    folder: Path, count: int, rate: float, polls: list[float]
) -> None:
    pieces = [
        write(folder / f"{part}", *(tick(n) for n in range(part * 30, min(count, part * 30 + 30)))) for part in (0, 1)
    ]
    source = replay(*pieces, pace=Pace(rate=rate), block_bytes=100)
    with contextlib.closing(source.create_reader(None, None)) as reader:
        driver = Driver(reader)
        for seconds in polls:
            source.clock.pass_seconds(seconds)
            while driver.step():
                pass
            due = min(count, math.floor(source.clock() * rate) + 1)
            assert len(records(driver)) == due
            assert driver.is_ended == (due == count)
        assert records(driver) == [tick(n).strip() for n in range(len(records(driver)))]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=25), st.sampled_from([0.5, 1, 20]), st.integers(0, 25))
@settings(max_examples=60)
def test_a_speed_keeps_the_order_over_files_and_sends_no_record_early(
    folder: Path, seconds: list[int], speed: float, border: int
) -> None:
    parts = (seconds[:border], seconds[border:])
    pieces = [write(folder / f"{n}", *map(tick, part)) for n, part in enumerate(parts)]
    source = replay(*pieces, pace=Pace(speed=speed), block_bytes=80)
    with contextlib.closing(source.create_reader(None, None)) as reader:
        driver = Driver(reader)
        while not driver.is_ended:
            if driver.step():
                horizon = micros(seconds[0]) + source.clock() * speed * 1_000_000
                times = [TICK.event_micros(line, driver.blocks[-1].dialect) for line in records(driver)]
                assert max(times) <= horizon + 1
            else:
                source.clock.pass_seconds(0.1)
    assert records(driver) == [tick(second).strip() for second in seconds]
    assert source.clock() * speed <= max(0, *(second - seconds[0] for second in seconds)) + 0.21 * speed


def test_an_interval_goes_on_from_file_to_file(tmp_path: Path) -> None:
    pieces = [write(tmp_path / name, tick(9), tick(1)) for name in "ab"]
    source = replay(*pieces, pace=Pace(interval=(1, 1)))
    with contextlib.closing(source.create_reader(None, None)) as reader:
        driver = Driver(reader)
        for left in range(1, 5):
            while driver.step():
                pass
            assert len(records(driver)) == left
            source.clock.pass_seconds(1)
    assert driver.is_ended


def test_records_before_the_first_readable_time_do_not_hold_up_a_speed(tmp_path: Path) -> None:
    lines = [b"x" * 99 + b"\n", b"garbage\n", tick(1), b"y" * 99 + b"\n", tick(2)]
    source = replay(write(tmp_path / "a", *lines), pace=Pace(speed=1), block_bytes=64)
    driver, marks = drive(source)
    assert len(records(driver)) == 5
    assert source.clock() < 2
    assert [mark.watermark for mark in marks] == [NOTHING_IS_LATE, *[micros(1)] * (len(marks) - 2), micros(2)]


def test_a_record_from_a_far_future_neither_holds_up_a_speed_nor_moves_the_watermark(tmp_path: Path) -> None:
    day = 86_400
    lines = [tick(day + 2), tick(1), tick(day + 2), tick(2), tick(3)]
    source = replay(write(tmp_path / "a", *lines), pace=Pace(speed=1), wall_clock=lambda: micros(1))
    driver, marks = drive(source)
    assert len(records(driver)) == 5
    assert source.clock() < 4
    assert max(mark.watermark for mark in marks) == micros(3)
    # A day ahead is still believed.
    believed = replay(write(tmp_path / "b", tick(1), tick(day + 1)), pace=Pace(rate=1e6), wall_clock=lambda: micros(1))
    assert drive(believed)[1][-1].watermark == micros(day + 1)


@pytest.mark.parametrize("pace", [Pace(), Pace(speed=1e9), Pace(rate=1e9), Pace(interval=(0, 0))])
def test_max_records_is_exact_and_nothing_is_read_behind_it(tmp_path: Path, pace: Pace) -> None:
    first = write(tmp_path / "a", b"\n", tick(1), b"\n\r\n", tick(2), tick(3), b"\n\n")
    missing = ByteRange(str(tmp_path / "missing"))
    for limit, lines in ((0, []), (1, [1]), (2, [1, 2]), (3, [1, 2, 3])):
        driver, _ = drive(replay(first, missing, pace=pace, max_records=limit))
        assert records(driver) == [tick(second).strip() for second in lines]
    with pytest.raises(OSError, match="missing"):
        drive(replay(first, missing, pace=pace, max_records=4))


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=1)])
def test_a_drain_ends_it_early_and_its_mark_goes_on_behind_what_left(tmp_path: Path, pace: Pace) -> None:
    source = replay(write(tmp_path / "a", *map(tick, range(9))), pace=pace, block_bytes=64)
    with nothing_left_open(), contextlib.closing(source.create_reader(None, None)) as reader:
        driver = Driver(reader)
        assert driver.step()
        drain.drain()
        assert not driver.step()
        assert driver.is_ended
        mark = reader.get_checkpoint_mark()
    drain.reset()
    rest, _ = drive(source, mark)
    assert records(driver) + records(rest) == [tick(second).strip() for second in range(9)]


@given(st.lists(tick_lines, min_size=1, max_size=4), st.integers(1, 8), st.booleans())
@settings(max_examples=60)
def test_a_split_has_every_record_once(folder: Path, contents: list[list[bytes]], splits: int, is_header: bool) -> None:
    header = [b"time\tn\n"] * is_header
    pieces = [write(folder / f"{n}", *header, *lines) for n, lines in enumerate(contents)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "MIN_SPLIT_BYTES", 16)
        patch.setattr(os, "cpu_count", lambda: 8)
        parts = replay(*pieces, block_bytes=1 << 10).split(splits)
    assert 1 <= len(parts) <= splits
    found = [record for part in parts for record in records(drive(part)[0])]
    expected = [record for lines in contents for record in expected_records(lines, 1 << 10)]
    assert sorted(found) == sorted(expected)


def test_only_what_has_no_order_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MIN_SPLIT_BYTES", 16)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    plain = write(tmp_path / "a", *map(tick, range(40)))
    packed = write(tmp_path / "b.gz", *map(tick, range(40)))
    assert len(replay(plain).split(20)) == 4
    assert len(replay(packed).split(20)) == 1
    assert len(replay(plain, pace=Pace(rate=1)).split(20)) == 1
    assert len(replay(plain, max_records=3).split(20)) == 1
    monkeypatch.setattr(files, "MIN_SPLIT_BYTES", 1 << 20)
    assert len(replay(plain).split(20)) == 1
    assert [part.pieces for part in replay().split(20)] == [()]


def test_a_source_pickles_and_use_does_not_change_its_pickle(tmp_path: Path) -> None:
    source = FileReplay((write(tmp_path / "a", *map(tick, range(40))),), TAPE, Pace(rate=1e6), max_records=30)
    assert pickle.loads(pickle.dumps(source)) == source
    key = beam_reading._SOURCE_KEY_CODER
    before = key.encode(source)
    with contextlib.closing(source.create_reader(None, None)) as reader:
        reader.start()
        source.split(3)
        assert key.encode(source) == before
        assert key.encode(key.decode(before)) == before


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=1e9), Pace(speed=1e9)])
def test_beam_finds_a_parked_reader_again(tmp_path: Path, pace: Pace) -> None:
    pieces = (write(tmp_path / "a", *map(tick, range(40))), write(tmp_path / "b.gz", *map(tick, range(40, 60))))
    cache = beam_reading._ReaderCache()
    coder = beam_reading._UnboundedSourceRestrictionCoder()
    restriction = beam_reading._UnboundedSourceRestriction(
        FileReplay(pieces, TICK, pace, block_bytes=100, max_records=60 if pace.speed else None)
    )
    readers, data = [], b""
    with nothing_left_open():
        while True:
            # A bundle: a few blocks, then the reader is parked, and the rest travels to the runner and back.
            tracker = beam_reading._UnboundedSourceRestrictionTracker(coder.decode(coder.encode(restriction)))
            tracker._reader_cache = cache
            holder: list[Any] = [None]
            for _ in range(3):
                if tracker.try_claim(holder) and holder[0] is not beam_reading._NO_DATA:
                    data += holder[0][0].data
            if tracker.current_restriction().is_done:
                break
            readers.append(tracker._reader)
            _, restriction = tracker.try_split(0)
        cache.close_all()
    assert data.splitlines() == [tick(second).strip() for second in range(60)]
    assert len(readers) > 3
    assert len(set(map(id, readers))) == 1


def claim_all(tracker: beam_reading._UnboundedSourceRestrictionTracker) -> None:
    while tracker.try_claim([None]):
        pass


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=1e9)])
@pytest.mark.parametrize("ending", list(COMPRESS))
def test_every_error_closes_what_was_open(tmp_path: Path, pace: Pace, ending: str) -> None:
    good = write(tmp_path / f"a{ending}", *map(tick, range(40)))
    broken = write(tmp_path / f"b{ending or '.gz'}", *map(tick, range(40)))
    path = Path(broken.path)
    path.write_bytes(path.read_bytes()[:-9])
    missing = ByteRange(str(tmp_path / "c"))
    for bad in (broken, missing):
        with nothing_left_open():
            tracker = beam_reading._UnboundedSourceRestrictionTracker(
                beam_reading._UnboundedSourceRestriction(FileReplay((good, bad), TICK, pace, block_bytes=100))
            )
            with pytest.raises(OSError, match=f"cannot read '{bad.path}' to its end"):
                claim_all(tracker)
            assert tracker._reader is None


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=1)])
def test_a_reader_may_be_closed_before_it_starts_and_in_the_middle(tmp_path: Path, pace: Pace) -> None:
    source = replay(write(tmp_path / "a", *map(tick, range(40))), pace=pace, block_bytes=64)
    for steps in (0, 1):
        with nothing_left_open():
            reader = source.create_reader(None, None)
            driver = Driver(reader)
            for _ in range(steps):
                driver.step()
            reader.close()


def test_the_next_chunk_is_read_ahead_by_a_thread(tmp_path: Path) -> None:
    source = replay(write(tmp_path / "a", *map(tick, range(40))), block_bytes=64)
    with nothing_left_open():
        reader = source.create_reader(None, None)
        names = [thread.name for thread in threading.enumerate()]
        assert [name for name in names if name.startswith("read-ahead")]
        reader.close()


def test_there_is_no_block_before_the_first() -> None:
    with contextlib.closing(replay().create_reader(None, None)) as reader:
        with pytest.raises(ValueError, match="no block"):
            reader.get_current()
        assert not reader.start()
        assert reader.get_watermark() == MAX_TIMESTAMP


def test_a_pace_begins_anew_behind_a_mark(tmp_path: Path) -> None:
    piece = write(tmp_path / "a", *(tick(10 * n) for n in range(6)))
    for pace in (Pace(rate=0.1), Pace(speed=1), Pace(interval=(10, 10))):
        source = replay(piece, pace=pace)
        with contextlib.closing(source.create_reader(None, None)) as reader:
            assert reader.start()
            source.clock.pass_seconds(10)
            assert reader.advance()
            mark = reader.get_checkpoint_mark()
        source.clock.pass_seconds(1_000)
        with contextlib.closing(source.create_reader(None, mark)) as reader:
            assert reader.start()
            assert reader.get_current().data == tick(20)
            assert not reader.advance()
            source.clock.pass_seconds(10)
            assert reader.advance()
            assert reader.get_current().data == tick(30)


def test_a_rate_of_100_000_records_a_second_is_held_to_the_record(tmp_path: Path) -> None:
    rate, rows = 100_000, 200_000
    clock = FakeClock()
    piece = write(tmp_path / "a", (b"2020-01-01 00:00:00\t" + b"x" * 180 + b"\n") * rows)
    with contextlib.closing(replay(piece, pace=Pace(rate=rate), clock=clock).create_reader(None, None)) as reader:
        sent, has_block = 0, reader.start()
        while sent < rows:
            while has_block:
                sent += reader.get_current().data.count(b"\n")
                has_block = reader.advance()
            assert sent == min(rows, math.floor(clock() * rate) + 1)
            clock.pass_seconds(1 / 64)
            has_block = reader.advance()


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=10)])
def test_a_reader_that_is_still_open_hands_its_reading_over_and_its_pace(tmp_path: Path, pace: Pace) -> None:
    clock = FakeClock()
    piece = write(tmp_path / "a", *(tick(n, n) for n in range(40)))
    source = replay(piece, pace=pace, clock=clock, block_bytes=1 << 20 if pace.is_paced else 100)
    with nothing_left_open():
        first = source.create_reader(None, None)
        assert first.start()
        clock.pass_seconds(1)  # between two bundles
        seen = records_in(first.get_current().data)
        second = source.create_reader(None, first.get_checkpoint_mark())
        first.close()
        assert second.start()
        seen += records_in(second.get_current().data)
        if pace.is_paced:
            assert len(seen) == 11  # ten a second, and one at once: the second that passed is not lost
        while second.get_watermark() < MAX_TIMESTAMP:
            clock.pass_seconds(1)
            if second.advance():
                seen += records_in(second.get_current().data)
        second.close()
    assert b"".join(line.rstrip(b"\n") + b"\n" for line in seen) == b"".join(tick(n, n) for n in range(40))


@pytest.mark.parametrize("pace", [Pace(), Pace(rate=1), Pace(speed=1)])
def test_records_of_files_arrive_when_they_are_read(tmp_path: Path, pace: Pace) -> None:
    clock = FakeClock()
    source = replay(
        write(tmp_path / "a", b"{}\n", b"{}\n"), pace=pace, clock=clock, arrivals=lambda: micros(int(clock()))
    )
    driver, marks = drive(replace(source, record_type=TRANSFERS, disorder_micros=5))
    arrivals = [block.arrival for block in driver.blocks]
    assert arrivals == ([micros(0), micros(1)] if pace.rate else [micros(0)])
    if pace.is_paced:
        assert [block.watermark for block in driver.blocks][1:] == [arrival - 5 for arrival in arrivals[:-1]]
        assert [mark.watermark for mark in marks if mark.records][-1] == arrivals[-1] - 5
