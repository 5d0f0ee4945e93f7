"""What stands in a file that grows: holes, room that is written to later, links, and bytes that are gone."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.sources.files.test_follow import append, driving, follow, settle, through_bytes
from tests.sources.test_backlog import tick


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def test_a_long_hole_is_leapt_over_and_told_of(log: Path, caplog: pytest.LogCaptureFixture) -> None:
    hole = 1 << 40
    append(log, tick(1))
    with driving(follow(log)) as driver, caplog.at_level(logging.WARNING):
        settle(driver)
        with log.open("r+b") as file:
            file.truncate(0)
            file.seek(hole)
            file.write(tick(2) + tick(3))
        assert settle(driver) == tick(2) + tick(3)
        assert driver.blocks[-1].locate(0)[1] == hole
    assert f"{str(log)!r} has {hole} zero bytes at byte 0, where nothing was written" in caplog.text


def test_a_hole_between_records_costs_none_and_zeros_in_a_record_stay(log: Path) -> None:
    append(log, tick(1) + b"\0" * 100_000 + tick(2, "a\0b\0") + b"\0\0" + tick(3))
    with driving(follow(log, max_block_bytes=30)) as driver:
        assert settle(driver) == tick(1) + tick(2, "a\0b\0") + tick(3)
        assert [block.locate(0)[1] for block in driver.blocks][1] == len(tick(1)) + 100_000


def test_room_that_is_made_beforehand_is_read_as_it_is_written_to(log: Path) -> None:
    clock = FakeClock()
    log.write_bytes(bytes(1_000))
    with driving(follow(log, clock=clock, idle_timeout_seconds=5)) as driver:
        assert settle(driver) == b""
        end = 0
        for n in range(3):
            with log.open("r+b") as file:
                file.seek(end)
                end += file.write(tick(n, n))
            assert settle(driver) == tick(n, n)
        os.truncate(log, end)  # the writer gives back what it did not need
        append(log, tick(4))
        assert settle(driver) == tick(4)
        clock.pass_seconds(5)
        driver.until_end()


def test_a_first_line_without_its_end_may_change_and_keep_its_size(log: Path) -> None:
    log.write_bytes(tick(1)[:-1])
    with driving(follow(log)) as driver:
        assert settle(driver) == b""
        log.write_bytes(tick(2, "")[:-1] + b"\n")
        assert settle(driver) == tick(2, "")


def test_the_file_that_a_link_is_switched_to_is_read_and_the_old_one_to_its_end(tmp_path: Path) -> None:
    one, two, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    append(one, tick(1))
    append(two, tick(2))
    link.symlink_to(one)
    source = follow(link)
    with driving(source) as driver:
        assert settle(driver) == tick(1)
        append(one, tick(3))
        (tmp_path / "new").symlink_to(two)
        (tmp_path / "new").rename(link)
        assert settle(driver) == tick(3) + tick(2)
        mark = through_bytes(source, driver.reader.get_checkpoint_mark())
    append(two, tick(4))
    with driving(source, mark) as driver:
        assert settle(driver) == tick(4)


def test_a_hard_link_is_the_same_file_and_outlives_its_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    append(one, tick(1))
    two.hardlink_to(one)
    with driving(follow(one, two)) as driver:
        assert settle(driver) == tick(1)
        one.unlink()
        append(two, tick(2))
        assert settle(driver) == tick(2)


@pytest.mark.parametrize("is_running", [True, False])
def test_bytes_that_are_known_to_be_gone_are_told_of(
    log: Path, caplog: pytest.LogCaptureFixture, *, is_running: bool
) -> None:
    source = follow(log, max_block_bytes=len(tick(1)))
    append(log, tick(1) + tick(2))
    with driving(source) as driver, caplog.at_level(logging.WARNING):
        driver.step()  # both are read, one waits
        append(log, tick(3))
        driver.step()  # this one was seen, and is not read yet
        mark = driver.reader.get_checkpoint_mark()
        if not is_running:
            driver.reader.close()
        log.write_bytes(tick(4))
        if is_running:
            assert settle(driver) == tick(4)
            assert f"was written anew: {len(tick(3))} bytes were gone before they were read" in caplog.text
        else:
            with driving(source, mark) as again:
                assert settle(again) == tick(4)
            assert f"was written anew: what it had behind byte {mark.places[0].offset} is lost" in caplog.text
