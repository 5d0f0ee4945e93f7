"""What all simulators share, with the smallest simulator there can be."""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from simulators.engine.batch import Batch, Facts, Times
from simulators.engine.command import Command, Simulation, _stopper, checked, number, what_is_sent
from simulators.engine.metering import Clock
from sources.pacing import Pace
from tests.fakes import FakeClock


@dataclass
class Ticks:
    rows: int
    asked: list[tuple[bool, bool]] = field(default_factory=list)
    preamble: bytes = b""

    def batches(self, *, facts: bool = False, times: bool = False) -> Iterator[Batch]:
        self.asked.append((facts, times))
        numbers = np.arange(self.rows)
        yield Batch(b"".join(b"%d\n" % tick for tick in range(self.rows)), numbers * 10, numbers if facts else None)


@dataclass
class Total:
    total: int = 0

    def add(self, facts: Facts, times: Times) -> None:
        assert (times == facts * 10).all()
        self.total += int(facts.sum())

    def to_json(self) -> dict[str, object]:
        return {"total": self.total}


made: list[Ticks] = []


def add_options(parser: argparse.ArgumentParser) -> None:
    group = what_is_sent(parser, "ticks")
    group.add_argument("--loudness", type=checked(number), default=1.0)


def simulate(args: argparse.Namespace) -> Simulation:
    if args.loudness > 11:
        raise ValueError(f"loudness must be 11 at most, got {args.loudness:g}")
    made.append(Ticks(5 if args.rows is None else args.rows))
    return Simulation(made[-1], lambda line, _: b"x" + line, Total)


TICKS = Command("ticks", "Ticks.", add_options, simulate, noun="ticks")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def test_a_simulator_is_a_source_a_summary_and_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, truth = tmp_path / "out.txt", tmp_path / "truth.json"
    assert TICKS.main(["--output", str(out), "--truth", str(truth), "--duplicates", "1"]) == 0
    assert out.read_bytes() == b"0\n0\n1\n1\n2\n2\n3\n3\n4\n4\n"
    said = json.loads(truth.read_text())
    assert (said["rows"], said["duplicated"], said["total"]) == (10, 5, 20)
    assert capsys.readouterr().err == "sent 10 ticks\n"


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], (False, False)),
        (["--speed", "1000000"], (False, True)),
        (["--late", "0.5"], (False, True)),
        (["--truth", "{}/truth.json"], (True, False)),
    ],
)
def test_facts_and_times_are_asked_for_where_they_are_needed(
    tmp_path: Path, options: list[str], asked: tuple[bool, bool]
) -> None:
    given = [option.format(tmp_path) for option in options]
    assert TICKS.main(["--output", str(tmp_path / "out.txt"), "--quiet", *given]) == 0
    assert made[-1].asked == [asked]


def wrong(command: Command, *options: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        command.main(options)
    return ended.value.code


def test_what_the_simulator_refuses_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong(TICKS, "--loudness", "12") == 2
    assert capsys.readouterr().err == "wrong usage: loudness must be 11 at most, got 12\n"


@pytest.mark.parametrize(
    ("pace", "text"),
    [
        (Pace(interval=(0.25, 3)), "--interval 0.25..3"),
        (Pace(rate=50), "--rate 50"),
        (Pace(speed=60), "--speed 60"),
        (Pace(), "as fast as possible"),
    ],
)
def test_the_help_names_the_usual_pace_and_the_usual_output(pace: Pace, text: str) -> None:
    command = Command("t", "T.", add_options, simulate, default_pace=pace, default_output="tcp-listen://127.0.0.1:9999")
    help_text = " ".join(command.parser().format_help().split())
    assert re.search(rf"default: (over a network )?{re.escape(text)}\b", help_text)
    assert "127.0.0.1:9999)" in help_text
    assert ("--unpaced" in help_text) == pace.is_paced


def test_a_usual_pace_is_kept_over_a_network_and_can_be_taken_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Command("slow", "S.", add_options, simulate, default_pace=Pace(rate=10))
    paces = []

    def metered(batches: Iterable[Batch], pace: Pace, clock: Clock) -> Iterable[Batch]:
        paces.append(pace)
        return batches

    monkeypatch.setattr("simulators.engine.deliver.metered", metered)
    with socket.create_server(("127.0.0.1", 0)) as server:
        push = ["--quiet", "--output", f"tcp://127.0.0.1:{server.getsockname()[1]}"]
        for options in ([], ["--unpaced"], ["--rate", "100000"]):
            assert slow.main([*push, *options]) == 0
    assert paces == [Pace(rate=10), Pace(), Pace(rate=100_000)]
    assert wrong(slow, "--unpaced", "--rate", "5") == 2
    assert "give one of speed, rate, interval and unpaced" in capsys.readouterr().err


def test_options_come_from_a_file_and_the_command_line_wins(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    (tmp_path / "some.toml").write_text(f'rows = 3\noutput = "{out}"\nlate-by = "1h"\n')
    (tmp_path / "some.ini").write_text("[FEW]\nrows = 2\n[MANY]\nrows = 9\n")
    assert TICKS.main(["--config", str(tmp_path / "some.toml")]) == 0
    assert out.read_bytes() == b"0\n1\n2\n"
    assert TICKS.main(["--rows", "1", "--config", str(tmp_path / "some.toml")]) == 0
    assert out.read_bytes() == b"0\n"
    assert TICKS.main([f"--config={tmp_path / 'some.ini'}", "--mode", "few", "--output", str(out)]) == 0
    assert out.read_bytes() == b"0\n1\n"


def test_wrong_options_in_a_file_are_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.toml").write_text("rose = 3\n")
    assert wrong(TICKS, "--config", str(tmp_path / "some.toml")) == 2
    assert wrong(TICKS, "--config", str(tmp_path / "missing.toml")) == 2
    assert wrong(TICKS, "--mode", "few") == 2
    assert wrong(TICKS, "--config") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "rose" in lines[0]
    assert "rows" in lines[0]
    assert "missing.toml" in lines[1]
    assert lines[2].endswith("mode is a section of a --config file, got --mode few without one")
    assert lines[3].endswith("argument --config: expected one argument")


def test_a_signal_and_its_echo_end_a_simulator_once() -> None:
    clock = FakeClock()
    stop = _stopper(clock)
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT, None)
    clock.pass_seconds(0.1)
    stop(signal.SIGINT, None)
    with pytest.raises(SystemExit, match="143"):
        stop(signal.SIGTERM, None)
    clock.pass_seconds(0.5)
    with pytest.raises(KeyboardInterrupt):
        stop(signal.SIGINT, None)
