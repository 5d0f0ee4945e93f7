"""Files that grow: every line once, whatever is appended, renamed, cut off, and wherever it is resumed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import logging
import lzma
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tape import TAPE
from schemas.text.sniff import sniff_dialect
from simulators.registers import write_tape
from sources import drain
from sources.address import parse_address
from sources.files.follow import GRACE_SECONDS, FollowLines, FollowMark
from sources.read import Read
from tests.fakes import Driver, FakeClock
from tests.pipelines.tools import needs_proc, right_totals, run_here, started, totals_of, wait_for
from tests.sources.test_backlog import TICK, tick


@pytest.fixture(autouse=True)
def _no_drain() -> Iterator[None]:
    yield
    drain.reset()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.fixture(scope="module")
def short_tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tape(tmp_path_factory.mktemp("tape") / "tape.tsv", 1_000, seed=6)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def follow(*paths: Path, **options: object) -> FollowLines:
    return FollowLines(tuple(map(str, paths)), TICK, **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def driving(source: FollowLines, mark: FollowMark | None = None) -> Iterator[Driver]:
    reader = source.create_reader(None, mark)
    try:
        yield Driver(reader)
    finally:
        reader.close()


def settle(driver: Driver) -> bytes:
    """Takes all that there is, and gives it."""
    before = len(driver.data)
    while driver.step() or driver.step():
        pass
    return driver.data[before:]


def through_bytes(source: FollowLines, mark: FollowMark) -> FollowMark:
    coder = source.get_checkpoint_mark_coder()
    decoded = coder.decode(coder.encode(mark))
    assert decoded == mark
    assert coder.encode(decoded) == coder.encode(mark)
    return decoded


def test_what_is_there_comes_first_and_then_what_is_appended(log: Path) -> None:
    append(log, tick(1) + tick(2))
    with driving(follow(log)) as driver:
        assert settle(driver) == tick(1) + tick(2)
        assert not driver.step()
        append(log, tick(3)[:7])
        assert settle(driver) == b""
        append(log, tick(3)[7:] + b"fragment")
        assert settle(driver) == tick(3)
        assert not driver.is_ended
    origin, position = driver.blocks[-1].locate(0)
    assert (origin.partition("#")[0], position) == (str(log), len(tick(1) + tick(2)))


def test_a_block_holds_no_more_than_is_allowed(log: Path) -> None:
    append(log, b"".join(tick(n, n) for n in range(100)))
    with driving(follow(log, max_block_bytes=100)) as driver:
        assert settle(driver) == log.read_bytes()
    assert all(len(block.data) <= 100 for block in driver.blocks)


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(log: Path) -> None:
    append(log, tick(1))
    with driving(follow(log)) as driver:
        settle(driver)
        append(log, tick(2))
        log.rename(log.with_suffix(".1"))
        assert settle(driver) == tick(2)
        append(log.with_suffix(".1"), tick(3))
        append(log, tick(4))
        assert settle(driver) == tick(3) + tick(4)


def test_the_new_file_waits_until_nothing_of_the_old_one_is_left(log: Path) -> None:
    old, new = ([tick(n, name) for n in range(6)] for name in ("old", "new"))
    append(log, b"".join(old))
    with driving(follow(log, max_block_bytes=len(old[0]))) as driver:
        driver.step()
        log.rename(log.with_suffix(".1"))
        append(log, b"".join(new))
        settle(driver)
    assert driver.data == b"".join(old + new)


def test_a_writer_that_has_not_noticed_is_still_heard_for_a_while(log: Path) -> None:
    clock = FakeClock()
    old = log.with_suffix(".1")
    append(log, tick(1))
    with driving(follow(log, clock=clock)) as driver:
        settle(driver)
        log.rename(old)
        append(log, tick(2))
        assert settle(driver) == tick(2)
        clock.pass_seconds(GRACE_SECONDS - 1)
        append(old, tick(3) + b"no line end")
        assert settle(driver) == tick(3)
        clock.pass_seconds(GRACE_SECONDS)
        assert settle(driver) == b"no line end\n"
        handles = len(driver.reader.reading._files)
        append(old, tick(4))
        assert settle(driver) == b""
    assert handles == 1


def test_a_file_that_was_removed_and_made_anew_is_read_from_its_start(log: Path) -> None:
    append(log, tick(1))
    with driving(follow(log)) as driver:
        settle(driver)
        log.unlink()
        assert settle(driver) == b""
        append(log, tick(2))
        assert settle(driver) == tick(2)


@pytest.mark.parametrize("rest", [b"", tick(9), tick(9) * 5])
def test_a_file_that_was_cut_off_is_read_from_its_start(log: Path, rest: bytes) -> None:
    append(log, tick(1) + tick(2) + b"frag")
    with driving(follow(log)) as driver:
        settle(driver)
        log.write_bytes(rest)
        assert settle(driver) == rest
        append(log, tick(3))
        assert settle(driver) == tick(3)
    assert driver.faults == [(b"frag", "file truncated in mid-record")]


def test_a_file_that_takes_a_name_that_is_followed_too_is_not_read_twice(tmp_path: Path) -> None:
    one, two = tmp_path / "log", tmp_path / "log.1"
    append(one, tick(1))
    append(two, tick(2))
    clock = FakeClock()
    with driving(follow(one, two, clock=clock)) as driver:
        assert sorted(settle(driver).splitlines(keepends=True)) == [tick(1), tick(2)]
        append(one, tick(3))
        one.rename(two)
        append(one, tick(4))
        assert settle(driver) == tick(3) + tick(4)
        clock.pass_seconds(2 * GRACE_SECONDS)
        append(two, tick(5))
        assert settle(driver) == tick(5)


def test_two_names_of_one_file_are_read_once(log: Path) -> None:
    link = log.with_name("link")
    link.symlink_to(log)
    append(log, tick(1))
    with driving(follow(log, link)) as driver:
        assert settle(driver) == tick(1)


def test_a_record_that_is_too_long_is_a_fault_and_the_rest_goes_on(log: Path) -> None:
    with driving(follow(log, max_record_bytes=100)) as driver:
        append(log, tick(1) + b"x" * 1_000)
        settle(driver)
        append(log, b"x" * 1_000)
        settle(driver)
        append(log, b"x\n" + tick(2))
        settle(driver)
    assert driver.data == tick(1) + tick(2)
    assert driver.faults == [(b"x" * 100, "record longer than 100 bytes")]
    assert driver.blocks[-1].locate(0)[1] == len(tick(1)) + 2_002


def test_a_record_that_is_too_long_is_told_once_though_it_is_resumed_in_its_middle(log: Path) -> None:
    source = follow(log, max_record_bytes=100)
    append(log, b"x" * 1_000)
    with driving(source) as first:
        settle(first)
        mark = through_bytes(source, first.reader.get_checkpoint_mark())
    append(log, b"x\n" + tick(2))
    with driving(source, mark) as second:
        assert settle(second) == tick(2)
    assert len(first.faults) == 1
    assert second.faults == []


def test_a_header_row_is_found_and_remembered(log: Path) -> None:
    source = follow(log, sniff=sniff_dialect)
    append(log, b"n,ti")
    with driving(source) as first:
        assert settle(first) == b""
        append(log, b"me\n1,2020-01-01 00:00:01\n")
        assert settle(first) == b"1,2020-01-01 00:00:01\n"
        mark = through_bytes(source, first.reader.get_checkpoint_mark())
    append(log, b"2,2020-01-01 00:00:02\n")
    with driving(source, mark) as second:
        assert settle(second) == b"2,2020-01-01 00:00:02\n"
    dialects = {block.dialect for block in first.blocks + second.blocks}
    assert len(dialects) == 1
    assert dialects.pop()[:2] == (",", True)
    assert second.blocks[0].dialect.header == ("n", "time")


def test_the_watermark_is_that_of_the_slowest_file_that_grows(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    append(one, tick(10) + tick(20))
    append(two, tick(11) + tick(90))
    clock = FakeClock()
    with driving(follow(one, two, clock=clock, max_block_bytes=len(tick(1)))) as driver:
        driver.step()
        assert driver.watermark.micros == micros(10)
        settle(driver)
        assert driver.watermark.micros == micros(20)
        clock.pass_seconds(1)
        settle(driver)
        assert driver.watermark.micros == micros(90)
    assert driver.blocks[1].watermark == micros(10)


def micros(second: int) -> int:
    from schemas.record_type import Dialect

    return TICK.event_micros(tick(second), Dialect()) or 0


def test_it_ends_after_silence_and_the_last_line_may_lack_its_end(log: Path) -> None:
    clock = FakeClock()
    append(log, tick(1))
    with driving(follow(log, clock=clock, idle_timeout_seconds=5)) as driver:
        settle(driver)
        clock.pass_seconds(4)
        append(log, b"last")
        settle(driver)
        clock.pass_seconds(4)
        settle(driver)
        assert not driver.is_ended
        clock.pass_seconds(1)
        driver.until_end()
    assert driver.data == tick(1) + b"last\n"


def test_a_drain_ends_it_and_reads_no_more(log: Path) -> None:
    append(log, tick(1))
    with driving(follow(log)) as driver:
        settle(driver)
        append(log, tick(2))
        drain.drain()
        driver.until_end()
    assert driver.data == tick(1)


def test_no_more_records_are_read_than_asked_for(log: Path) -> None:
    append(log, b"".join(tick(n, n) for n in range(10)))
    with driving(follow(log, max_records=4)) as driver:
        driver.until_end()
    assert driver.data == b"".join(tick(n, n) for n in range(4))


def test_a_file_that_was_renamed_while_nobody_looked_is_found_by_its_inode(log: Path) -> None:
    source = follow(log)
    append(log, tick(1))
    with driving(source) as first:
        settle(first)
    mark = through_bytes(source, first.reader.get_checkpoint_mark())
    assert mark.places == ()  # closed: it had no files any more
    with driving(source) as first:
        settle(first)
        mark = through_bytes(source, first.reader.get_checkpoint_mark())
    append(log, tick(2))
    log.rename(log.with_name("log-20200101"))
    append(log, tick(3))
    with driving(source, mark) as second:
        assert settle(second) == tick(2) + tick(3)


def test_what_cannot_be_found_again_is_told(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = follow(log)
    append(log, tick(1))
    with driving(source) as first:
        settle(first)
        mark = first.reader.get_checkpoint_mark()
    other = log.with_name("other")
    append(other, tick(2))  # made before, so that it cannot get the inode
    log.unlink()
    other.rename(log)
    with caplog.at_level(logging.WARNING), driving(source, mark) as second:
        assert settle(second) == tick(2)
    assert f"is not there any more: what it had behind byte {len(tick(1))} is lost" in caplog.text


def test_a_file_that_was_written_anew_while_nobody_looked_is_read_from_its_start(log: Path) -> None:
    source = follow(log)
    append(log, tick(1) + tick(2))
    with driving(source) as first:
        settle(first)
        mark = first.reader.get_checkpoint_mark()
    log.write_bytes(tick(3) + tick(4) + tick(5))
    with driving(source, mark) as second:
        assert settle(second) == tick(3) + tick(4) + tick(5)


# No UTF-16, and no lines that end in CR: neither can be followed.
PARTS = [b"\n", b"\n", b"a", b"bc\n", b"0123456789", b"\rb\r\n", b"\xff\x01"]
actions = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join)),
        st.tuples(st.sampled_from(["rotate", "look", "look", "step", "resume", "take over", "cut off"]), st.just(b"")),
    ),
    max_size=30,
)


@given(actions, st.integers(1, 40))
def test_every_line_comes_once_whatever_is_done_and_wherever_it_is_resumed(steps, block_bytes) -> None:
    """A file is rotated and cut off only after somebody has looked, as what came between cannot be known."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        log = Path(folder) / "log"
        log.touch()
        clock = FakeClock()
        source = follow(log, max_block_bytes=block_bytes, max_record_bytes=1_000, clock=clock, idle_timeout_seconds=100)
        driver = stack.enter_context(driving(source))
        drivers = [driver]
        written = 0
        expected: list[bytes] = []
        content = b""
        for step, data in steps:
            if step == "append":
                append(log, data)
                content += data
            elif step == "rotate":
                driver.step()
                written += 1
                log.rename(log.with_name(f"old-{written}"))
                log.touch()
                expected.append(content)
                content = b""
                driver.step()
            elif step == "cut off":
                append(log, b"\n")
                settle(driver)
                expected.append(content + b"\n")
                content = b""
                os.truncate(log, 0)
                driver.step()
            elif step == "look":
                settle(driver)
            elif step == "step":
                driver.step()
            else:
                mark = through_bytes(source, driver.reader.get_checkpoint_mark())
                if step == "resume":
                    driver.reader.close()
                driver = stack.enter_context(driving(source, mark))
                drivers.append(driver)
        for _ in range(3):
            settle(driver)
            clock.pass_seconds(101)
        driver.until_end()
        expected.append(content)
        got = b"".join(each.data for each in drivers)
    wanted = [text if text.endswith(b"\n") or not text else text + b"\n" for text in expected]
    assert sorted(got.split(b"\n")) == sorted(b"".join(wanted).split(b"\n"))
    if wanted[:-1] == expected[:-1]:  # else the last line of an old file comes when that is given up
        assert got == b"".join(wanted)
    assert not [fault for each in drivers for fault in each.faults]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paths": ()}, "expected a file to follow, got none"),
        ({"max_records": 0}, "max_records must be positive, got 0"),
        ({"disorder_micros": -1}, "disorder_micros must not be negative, got -1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FollowLines(**{"paths": ("a",), "record_type": TICK, **options})


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes], ids=["gz", "bz2", "xz", "empty"])
def test_a_compressed_file_is_refused_by_its_bytes_when_it_is_there_and_when_it_comes(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    packed = b"" if pack is bytes else pack(b"a\n")
    path = tmp_path / ("a.txt" if packed else "a.gz")
    message = f"cannot follow '{path}': a compressed file does not grow line by line"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=re.escape(message)):
        FollowLines((str(path),), TICK)
    if not packed:
        return
    path.write_bytes(b"")
    source = FollowLines((str(path),), TICK)
    path.write_bytes(packed + b"\n" * 300)
    reader = source.create_reader(None, None)
    try:
        with pytest.raises(OSError, match=re.escape(message)):
            reader.start()
    finally:
        reader.close()


def has_open(pid: int, path: Path) -> bool:
    """Whether a process has opened the file that has this name now."""
    with contextlib.suppress(OSError):
        return any(link.readlink() == path for link in Path(f"/proc/{pid}/fd").iterdir())
    return False


@needs_proc
def test_it_is_read_by_a_pipeline_through_rotations(prism, short_tape: Path, tmp_path: Path) -> None:
    lines = short_tape.read_bytes().splitlines(keepends=True)
    log, out = tmp_path / "log", tmp_path / "totals.jsonl"
    log.write_bytes(b"".join(lines[:300]))
    with started("--input", log, "--follow", "--max-records", 1_000, "--window", "1h", "--output", out) as program:
        for start in range(300, 1_000, 100):
            wait_for(lambda: has_open(program.process.pid, log))
            for end in range(start, start + 100, 20):
                append(log, b"".join(lines[end : end + 20]))
                time.sleep(0.01)
            if start in {400, 800}:
                log.rename(log.with_name(f"log.{start}"))
                log.touch()
        done = program.finish()
    assert done.status == 0, done.err
    assert done.balance.read == 1_000
    assert totals_of(sorted(tmp_path.glob("totals-*.jsonl"))) == right_totals(short_tape.read_bytes(), "1h")


def test_ctrl_c_ends_it(prism, short_tape: Path, tmp_path: Path) -> None:
    with started("--input", short_tape, "--follow", "--emit", "300ms", "--output", "-") as program:
        shown = b""
        assert program.process.stdout is not None
        os.set_blocking(program.process.stdout.fileno(), False)

        def has_shown() -> bool:
            nonlocal shown
            shown += program.process.stdout.read() or b""
            return b"all time, early" in shown

        wait_for(has_shown)
        program.process.send_signal(signal.SIGINT)
        done = program.finish()
    assert done.status == 130, done.err
    assert done.balance.read == 1_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rate", "5"], "a file that is followed has its own pace: leave out the speed, rate or interval"),
        (["--input", "TAPE.gz"], "a compressed file does not grow line by line"),
    ],
)
def test_what_cannot_be_followed_is_refused_before_the_run(
    options, message, short_tape: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "TAPE.gz").touch()
    more = [option.replace("TAPE", str(tmp_path / "TAPE")) for option in options]
    done = run_here(capsys, "--input", short_tape, "--follow", *more, "--output", "-")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err


def test_only_files_can_be_followed() -> None:
    with pytest.raises(ValueError, match="expected a file to follow, got none"):
        Read((parse_address("-"),), TAPE, follow=True)
