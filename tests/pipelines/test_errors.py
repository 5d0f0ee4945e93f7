"""Visitors that met an error, by the program."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import simulators.http
from pipelines import errors
from tests.pipelines.tools import PATIENCE_SECONDS, ROOT, Feed, Finished, needs_proc, run_here, wait_for
from tests.pipelines.tools import run as run_program
from tests.pipelines.tools import started as start_program

pytestmark = needs_proc
EXAMPLES = ROOT / "examples" / "errors"
EXAMPLE = [0] * 16 + [1, 4] + [0] * 6
FAULTS = ("--late", "0.02", "--duplicates", "0.03", "--disorder", "0.05", "--garbage", "0.02")
_BOARD = re.compile(r"in all\n((?:\d\d .*\n)+)")
_CELL = re.compile(r"\b(\d\d) +([\d,]+)")


def run(*options: object, **more: Any) -> Finished:
    return run_program(*options, program="pipelines.errors", **more)


def here(capsys: pytest.CaptureFixture[str], *options: object) -> Finished:
    return run_here(capsys, *options, program="pipelines.errors")


def started(*options: object) -> Any:
    return start_program(*options, program="pipelines.errors")


def simulate(*options: object) -> None:
    assert simulators.http.main(["--quiet", *map(str, options)]) == 0


def boards(text: str) -> list[list[int]]:
    """Gives the counts of each board that was printed."""
    found = []
    for cells in _BOARD.findall(text):
        counts = {int(hour): int(count.replace(",", "")) for hour, count in _CELL.findall(cells)}
        assert sorted(counts) == list(range(24)), cells
        found.append([counts[hour] for hour in range(24)])
    return found


def titles(path: Path) -> int:
    """Return of how many boards the title was printed; the last one may not be whole yet."""
    return path.read_text().count(" in all\n")


def written(path: Path) -> list[int]:
    """Gives the counts of a file, which has to have its 24 rows."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["hour"] for row in rows] == list(range(24))
    return [row["visitors"] for row in rows]


def written_by_date(path: Path) -> dict[str, int]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {f"{row['date']} {row['hour']:02}": row["visitors"] for row in rows}


def record(time: str, ip: int = 1, status: int = 500) -> str:
    return json.dumps({"time": time, "ip": f"10.0.0.{ip}", "status_code": status}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, where tests may add to them."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "my examples"))


def add_script(folder: Path, text: str, mode: int = 0o755) -> list[object]:
    """Adds a script and its mode; gives the options for it."""
    script = folder / "scripts" / "mine.sh"
    script.write_text(text)
    script.chmod(mode)
    with (folder / "config.ini").open("a") as file:
        file.write("\n[MINE]\nscript_name = mine\nstream = 1\nsleep_time = 1\n")
    return ["--config", folder / "config.ini", "--mode", "mine"]


def test_the_example_through_a_mode_has_one_visitor_at_16_and_four_at_17(folder, tmp_path, capsys):
    out = tmp_path / "x.jsonl"
    done = here(capsys, "--config", folder / "config.ini", "--mode", "test_data", "--output", "-", out)
    assert done.status == 0, done.err
    assert boards(done.out)[-1] == written(out) == EXAMPLE
    assert written_by_date(tmp_path / "x-by-date.jsonl") == {
        "2019-05-06 17": 1, "2019-05-07 16": 1, "2019-05-07 17": 1, "2020-01-01 17": 2,
    }  # fmt: skip
    assert done.balance.read == 12


def test_script_1_has_900_visitors_each_full_hour_and_is_the_same_approximately(tmp_path, capsys):
    data = tmp_path / "script1.jsonl"
    simulate("--script", "1", "--rows", 300_000, "--output", data)
    expected = by_hand(data)
    for more in ((), ("--approximate",)):
        done = here(capsys, "--input", data, "--weekdays", "all", "--output", tmp_path / "x.jsonl", *more)
        assert done.status == 0, done.err
        assert written(tmp_path / "x.jsonl") == expected
        days = list(written_by_date(tmp_path / "x-by-date.jsonl").values())
        # The first hour begins late and the last one is cut off.
        assert (days[0], set(days[1:-1])) == (812, {900})
        assert done.balance.read == 300_000


def by_hand(path: Path) -> list[int]:
    met = set()
    for line in path.read_text().splitlines():
        if '"status_code":5' in line:
            row = json.loads(line)
            met.add((row["ip"], row["time"][:13]))
    return [sum(int(hour[-2:]) == number for _, hour in met) for number in range(24)]


def test_script_2_has_no_errors_and_a_board_that_says_so(tmp_path, capsys):
    data, out = tmp_path / "script2.jsonl", tmp_path / "x.jsonl"
    simulate("--script", "2", "--rows", 10_000, "--output", data)
    for source in (data, f"exec:cat {data}"):
        done = here(capsys, "--input", source, "--output", "-", out)
        assert done.status == 0, done.err
        assert boards(done.out)[-1] == written(out) == [0] * 24
        assert (tmp_path / "x-by-date.jsonl").read_text() == ""
        assert done.balance.filtered == 10_000


def test_a_file_with_faults_has_the_counts_of_the_truth(tmp_path, capsys):
    data, truth, out = tmp_path / "web.jsonl", tmp_path / "truth.json", tmp_path / "x.jsonl"
    simulate("--rows", 30_000, *FAULTS, "--output", data, "--truth", truth)
    done = here(capsys, "--input", data, "--output", out, "--rejected", tmp_path / "rejected.jsonl")
    assert done.status == 0, done.err
    said = json.loads(truth.read_text())
    assert written(out) == said["visitors_by_hour_of_day"]["mon-fri"]
    assert done.balance.rejected == len((tmp_path / "rejected.jsonl").read_text().splitlines())
    # An address that is none is not seen where the record is not wanted for its status: that one is filtered.
    assert said["garbage"] / 2 < done.balance.rejected <= said["garbage"]
    assert (done.balance.read, done.balance.late) == (said["rows"], 0)


def test_a_live_stream_has_the_counts_of_the_truth_and_boards_on_the_way(tmp_path):
    data, truth, out = tmp_path / "web.jsonl", tmp_path / "truth.json", tmp_path / "x.jsonl"
    simulate("--rows", 30_000, *FAULTS, "--output", data, "--truth", truth)
    said = json.loads(truth.read_text())
    options = ["--max-records", said["rows"], "--weekdays", "all", "--emit", "200ms", "--late", tmp_path / "late.jsonl"]
    with Feed() as feed, (tmp_path / "shown.txt").open("w+b") as shown:
        options += ["--input", feed.address, "--lateness", "1d", "--output", "-", out]
        with start_program(*options, program="pipelines.errors", stdout=shown) as pipeline:
            feed.send_in_parts(data.read_bytes(), 4, lambda number: titles(tmp_path / "shown.txt") >= number)
            done = pipeline.finish()
    assert done.status == 0, done.err
    seen = boards((tmp_path / "shown.txt").read_text())
    assert len(seen) > 3
    assert all(earlier <= later for one, other in itertools.pairwise(seen) for earlier, later in zip(one, other))
    assert seen[-1] == written(out) == said["visitors_by_hour_of_day"]["all"]
    assert written_by_date(tmp_path / "x-by-date.jsonl") == said["visitors_by_date_and_hour"]
    assert (done.balance.read, done.balance.late) == (said["rows"], 0)


@pytest.mark.parametrize(("lateness", "number"), [("0s", 1), ("30m", 2)])
def test_a_record_after_its_hour_has_closed_is_late_unless_there_is_lateness(lateness, number, tmp_path):
    out, late, shown = tmp_path / "x.jsonl", tmp_path / "late.jsonl", tmp_path / "shown.txt"
    first = record("2019-05-06 10:10:00", 1) + record("2019-05-06 11:10:00", 1)
    second = record("2019-05-06 10:59:59", 2) + record("2019-05-06 11:20:00", 2)
    options = ["--max-records", 4, "--emit", "200ms", "--lateness", lateness, "--late", late, "--output", "-", out]
    with (
        Feed() as feed,
        shown.open("w+b") as file,
        start_program("--input", feed.address, *options, program="pipelines.errors", stdout=file) as pipeline,
    ):
        feed.send_in_parts((first + second).encode(), 2, lambda _: " 2 in all\n" in shown.read_text())
        done = pipeline.finish()
    assert done.status == 0, done.err
    expected = [0] * 10 + [number, 2] + [0] * 12
    found = boards(shown.read_text())
    assert found[-1] == written(out) == expected
    assert [0] * 10 + [1, 1] + [0] * 12 in found
    assert done.balance.late == 2 - number
    assert [json.loads(line)["raw"] + "\n" for line in late.read_text().splitlines()] == [
        record("2019-05-06 10:59:59", 2)
    ][: 2 - number]


def test_a_file_that_grows_is_followed(tmp_path):
    data, out = tmp_path / "grows.jsonl", tmp_path / "x.jsonl"
    data.write_text(record("2019-05-06 10:10:00", 1))
    with (tmp_path / "shown.txt").open("wb") as shown:
        options = ["--input", data, "--follow", "--emit", "200ms", "--max-records", 4, "--output", "-", out]
        with start_program(*options, program="pipelines.errors", stdout=shown) as pipeline:
            wait_for(lambda: " 1 in all\n" in (tmp_path / "shown.txt").read_text())
            with data.open("a") as file:
                file.write(record("2019-05-06 10:20:00", 1) + record("2019-05-06 10:30:00", 2))
            wait_for(lambda: " 2 in all\n" in (tmp_path / "shown.txt").read_text())
            with data.open("a") as file:
                file.write(record("2019-05-06 11:30:00", 2))
            assert pipeline.process.wait(PATIENCE_SECONDS) == 0
    assert written(out) == [0] * 10 + [2, 1] + [0] * 12


def test_access_logs_in_both_formats_are_read_and_bad_lines_are_rejected_one_by_one(tmp_path, capsys):
    common = '10.0.0.{} - - [06/May/2019:{:02}:24:53 {}] "GET / HTTP/1.1" {} 12'
    combined = common + ' "http://example.org/" "Mozilla/5.0"'
    logs = {
        "a.log": [common.format(1, 17, "+0000", 500), "garbage", common.format(2, 17, "+0000", 404)],
        "b.log": [combined.format(1, 19, "+0200", 503), combined.format(3, 17, "+0000", 599), "", "\x00"],
    }
    for name, lines in logs.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    inputs = [tmp_path / name for name in logs]
    rejected = tmp_path / "rejected.jsonl"
    options = ["--format", "clf", "--output", tmp_path / "x.jsonl", "--rejected", rejected]
    done = here(capsys, "--input", *inputs, *options)
    assert done.status == 0, done.err
    assert written(tmp_path / "x.jsonl") == [0] * 17 + [2] + [0] * 6
    assert done.balance[1:] == (3, 1, 2, 0)
    assert {json.loads(line)["raw"] for line in rejected.read_text().splitlines()} == {"garbage", "\x00"}


def test_a_script_that_streams_is_counted_to_its_end(folder, tmp_path):
    done = run("--config", folder / "config.ini", "--mode", "real_data", "--output", "-", tmp_path / "x.jsonl")
    assert done.status == 0, done.err
    totals = [sum(board) for board in boards(done.out)]
    assert totals == sorted(totals)
    # Each address is in one hour, unless the hour ends meanwhile: no address comes twice.
    assert totals[-1] == sum(written(tmp_path / "x.jsonl")) == 6


def test_a_recording_is_read_and_no_script_is_run(folder, tmp_path, capsys):
    (folder / "scripts" / "test_data_stream.txt").write_text(record("2019-05-06 03:00:00"))
    done = here(capsys, "--config", folder / "config.ini", "--mode", "test_data", "--output", tmp_path / "x.jsonl")
    assert done.status == 0, done.err
    assert written(tmp_path / "x.jsonl") == [0] * 3 + [1] + [0] * 20


def test_a_script_that_fails_half_way_shows_and_writes_what_was_counted(folder, tmp_path):
    lines = record("2019-05-06 10:00:00") + record("2019-05-06 11:00:00")
    options = add_script(folder, f"#!/bin/sh\ncat <<X\n{lines}X\necho no more paper >&2\nexit 3\n")
    done = run(*options, "--output", "-", tmp_path / "x.jsonl")
    assert done.status == 1
    assert boards(done.out)[-1] == written(tmp_path / "x.jsonl") == [0] * 10 + [1, 1] + [0] * 12
    failed = [line for line in done.lines if line.startswith("failed: ")]
    assert len(failed) == 1
    assert "status 3: no more paper" in failed[0]
    assert done.balance.used == 2


def test_a_script_that_is_not_there_or_may_not_be_run_is_one_line(folder, tmp_path, capsys):
    options = add_script(folder, "#!/bin/sh\n", 0o644)
    locked = here(capsys, *options, "--output", tmp_path / "x.jsonl")
    (folder / "scripts" / "mine.sh").unlink()
    missing = here(capsys, *options, "--output", tmp_path / "x.jsonl")
    for done, why in ((locked, "may not be run"), (missing, "no script at")):
        assert done.status == 2
        assert why in done.err.splitlines()[-1]
        assert "mine.sh" in done.err.splitlines()[-1]
        assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--window", "1d"), "wrong usage: errors are counted by the hour, so --window is not for them, got 1d"),
        (("--input", "/nonexistent.jsonl"), "/nonexistent.jsonl"),
    ],
)
def test_wrong_usage_is_one_line(options, said, capsys):
    done = here(capsys, *options)
    assert (done.status, len(done.err.splitlines())) == (2, 1)
    assert said in done.err


def test_without_the_library_of_sketches_one_line_says_how_to_get_it(tmp_path):
    (tmp_path / "datasketches.py").write_text("raise ImportError\n")
    done = run("--approximate", "--input", EXAMPLES / "config.ini", env={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    assert done.status == 2
    assert done.err == (
        "wrong usage: --approximate: sketches need the datasketches library: "
        "pip install 'transaction-streams[sketches]'\n"
    )


def test_who_was_counted_is_written_once_an_hour(tmp_path, capsys):
    path = tmp_path / "in.jsonl"
    times = ["2019-05-06 17:24:53", "2019-05-06 17:59:59", "2019-05-06 18:00:00", "2019-05-11 18:00:00"]
    responses = [{"time": time, "ip": ip, "status_code": 502} for time in times for ip in ("::1", "10.0.0.1")]
    path.write_text("".join(f"{json.dumps(response)}\n" for response in responses))
    where = ["--output", str(tmp_path / "x.jsonl"), "--visitors", str(tmp_path / "who.jsonl")]
    assert errors.main(["--input", str(path), *where]) == 0
    assert "8 read = 6 used + 2 filtered" in capsys.readouterr().err
    who = sorted(tuple(json.loads(line).values()) for line in (tmp_path / "who.jsonl").read_text().splitlines())
    assert who == [(ip, "2019-05-06", hour) for ip in ("10.0.0.1", "::1") for hour in (17, 18)]
    hours = [json.loads(line) for line in (tmp_path / "x-by-date.jsonl").read_text().splitlines()]
    assert [(row["hour"], row["visitors"]) for row in hours] == [(17, 2), (18, 2)]


def test_without_a_mode_the_first_of_the_file_is_read(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"time":"2019-05-06 17:24:53","ip":"::1","status_code":502}\n')
    config = tmp_path / "c.ini"
    config.write_text(f"[A]\ninput = {tmp_path}/in.jsonl\noutput = {tmp_path}/a.jsonl\n[B]\noutput = b.jsonl\n")
    assert errors.main(["--config", str(config), "--quiet"]) == 0
    assert (tmp_path / "a.jsonl").exists()
