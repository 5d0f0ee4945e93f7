"""Going on after the end: the same command again, after a run that has ended and after one that was killed."""

from __future__ import annotations

import gzip
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from pipelines import credit, errors, produce, relay, sales
from pipelines.runtime.options import UsageError
from pipelines.runtime.positions_file import Kept, PositionsFile
from schemas.record_type import Dialect
from sources.positions.delivery import Tail
from sources.positions.position import FilePosition, TopicPosition
from tests.pipelines import tools
from tests.pipelines.tools import needs_proc, wait_for

started = partial(tools.started, program="pipelines.relay")
COMMAND = {"pipeline": "relay", "inputs": ["a"], "outputs": ["b"]}
POSITIONS = (
    FilePosition("/var/a", 1, 2, 0, 30, 44, 5, dialect=Dialect(header=("a", "b")), earlier=("x", "y")),
    TopicPosition("127.0.0.1:9092", "sales", 3, 17),
)


def go(capsys: pytest.CaptureFixture[str], *options: object) -> tuple[int, list[str]]:
    """Run the relay here, and return its exit status and what it said."""
    status = relay.main([str(option) for option in options])
    return status, capsys.readouterr().err.splitlines()


def rows_of(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [text for (text,) in connection.execute("SELECT word FROM records ORDER BY word")]


def test_the_same_command_goes_on_behind_what_it_has_read(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("word,n\none,1\ntwo,2\n")
    with gzip.open("b.csv.gz", "wb") as file:
        file.write(b"word,n\nthree,3\n")
    options = ("--input", "[abc].csv*", "--output", "out.csv", "sqlite:///out.db", "--rejected", "bad.jsonl")
    options = (*options, "--columns", "word", "--positions", "kept/at.json")
    assert go(capsys, *options)[0] == 0
    assert Path("out.csv").read_text() == "word\none\ntwo\nthree\n"
    first = Path("kept/at.json").read_bytes()
    assert json.loads(first)["is_ended"] is True
    status, told = go(capsys, *options)
    assert (status, told[0]) == (0, "going on at the positions of 2 files in kept/at.json")
    assert told[1].startswith("0 read = 0 used")
    assert json.loads(Path("kept/at.json").read_bytes()) == json.loads(first)
    with Path("a.csv").open("a") as file:
        file.write("four,4\nfive,5,5\n")
    with gzip.open("b.csv.gz", "ab") as file:
        file.write(b"six,6\n")
    Path("c.csv").write_text("word,n\nseven,7\n")
    assert go(capsys, *options)[0] == 0
    assert Path("out.csv").read_text() == "word\none\ntwo\nthree\nfour\nsix\nseven\n"
    assert rows_of(Path("out.db")) == sorted(["one", "two", "three", "four", "six", "seven"])
    assert [json.loads(line)["raw"] for line in Path("bad.jsonl").read_text().splitlines()] == ["five,5,5"]
    assert list(Path("kept").iterdir()) == [Path("kept/at.json")]


def test_a_limited_run_leaves_the_rest_to_the_next_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{number}\n" for number in range(10)]
    Path("a.txt").write_text("".join(lines))
    for count in (4, 8, 10, 10):
        assert go(capsys, "--input", "a.txt", "--output", "b.txt", "--positions", "p", "--max-records", 4)[0] == 0
        assert Path("b.txt").read_text() == "".join(lines[:count])


def test_what_became_of_files_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--input", "*.txt", "--output", "out.jsonl", "--as", "jsonl", "--read-as", "csv", "--names", "n")
    options = (*options, "--positions", "p")
    for number, name in enumerate("abc"):
        Path(f"{name}.txt").write_text(f"{number}1\n{number}2\n")
    assert go(capsys, *options)[0] == 0
    Path("a.txt").write_text("3\n")
    Path("b.txt").write_text("23\n24\n25\n")
    Path("c.txt").unlink()
    Path("out.jsonl").write_text("{}\n")
    status, told = go(capsys, *options)
    assert status == 0
    folder = str(tmp_path)
    assert [line.replace(folder, "") for line in told[:4]] == [
        "/a.txt became shorter since its position was kept: it is read from its start",
        "/b.txt was written anew since its position was kept: it is read from its start",
        "going on at the positions of 3 files in p",
        "/out.jsonl became shorter since its positions were written: what is gone from it is not written again",
    ]
    assert [str(json.loads(line).get("n")) for line in Path("out.jsonl").read_text().splitlines()] == [
        "None", "3", "23", "24", "25",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--input", "tcp://127.0.0.1:1", "--output", "b.txt"), "tcp://127.0.0.1:1 has nothing to go back to"),
        (("--input", "udp-listen://:0", "--output", "b.txt"), "udp-listen://:0 has nothing to go back to"),
        (("--input", "a.txt", "-", "--output", "b.txt"), "- has nothing to go back to"),
        (("--input", "exec:cat a.txt", "--output", "b.txt"), "exec:cat a.txt has nothing to go back to"),
        (("--input", "a.txt", "--output", "b.txt", "--loop"), "--loop reads the same files again and again"),
        (
            ("--input", "a.txt", "--output", "b.txt", "--runner=PortableRunner", "--job_endpoint=127.0.0.1:1"),
            "PortableRunner works in others",
        ),
        (("--input", "a.txt", "--output", "p.txt"), "'p.txt' is read or written"),
        (("--input", "p.txt", "--output", "b.txt"), "'p.txt' is read or written"),
    ],
)
def test_what_has_no_positions_is_refused(options, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("1\n")
    status, lines = go(capsys, *options, "--positions", "p.txt")
    assert status == 2
    assert len(lines) == 1
    assert told in lines[0]
    assert not Path("p.txt").exists()


@pytest.mark.parametrize("pipeline", [produce, credit, errors, sales])
def test_totals_are_refused_with_the_way_out(pipeline, tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("{}\n")
    status = pipeline.main(["--input", str(tmp_path / "a.jsonl"), "--output", "-", "--positions", str(tmp_path / "p")])
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2
    assert "a savepoint on Flink" in line
    assert "input that can be read again" in line


def test_positions_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "p.json"
    file = PositionsFile(str(path))
    assert file.read(COMMAND) is None
    kept = Kept(POSITIONS, {"/var/b": Tail(1, 3, 99, 2)}, is_ended=False)
    for _ in range(2):
        file.write(COMMAND, kept)
        assert file.read(COMMAND) == kept
    file.close()
    assert len(path.read_text().splitlines()) == 12
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_use_is_refused_until_its_process_has_ended_however_that_was(tmp_path):
    path = tmp_path / "p.json"
    program = f"from pipelines.runtime.positions_file import *; import time; f = PositionsFile({str(path)!r})\n"
    program += f"f.write({COMMAND!r}, Kept()); print(flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tools.ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UsageError, match="in use by a run that goes on"):
            PositionsFile(str(path))
    finally:
        process.kill()
        process.communicate()
    file = PositionsFile(str(path))
    assert file.read(COMMAND) == Kept(outputs={})
    file.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[", "is damaged, or holds no positions"),
        ("{}", "is damaged, or holds no positions"),
        ("hello", "is damaged, or holds no positions"),
        ('{"version": 2, "command": {}}', "has positions of version 2, expected 1"),
        ('{"version": 1, "command": {}, "is_ended": true, "inputs": [{}], "outputs": []}', "is damaged"),
        ('{"version": 1, "command": {}, "is_ended": true, "inputs": [{"path": 1}], "outputs": []}', "is damaged"),
        (
            (
                '{"version": 1, "command": {}, "is_ended": true, "outputs": [], '
                '"inputs": [{"brokers": "b", "topic": "t", "partition": 0, "offset": -1}]}'
            ),
            "is damaged",
        ),
        (
            (
                '{"version": 1, "command": {"pipeline": "relay", "inputs": ["c"]}, "is_ended": true, "inputs": [], '
                '"outputs": []}'
            ),
            "has the positions of another command: inputs c, and now a; name another file",
        ),
    ],
)
def test_a_file_that_is_none_or_of_another_command_is_refused_and_stays(text, told, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(text)
    file = PositionsFile(str(path))
    with pytest.raises(UsageError, match=told):
        file.read(COMMAND)
    file.close()
    assert path.read_text() == text


@needs_proc
@pytest.mark.parametrize("is_followed", [False, True])
def test_a_run_that_was_killed_loses_nothing_and_its_doubles_are_counted(is_followed, tmp_path):
    source, out, rejected = tmp_path / "in.csv", tmp_path / "out.txt", tmp_path / "bad.jsonl"
    database = tmp_path / "out.db"
    numbers = 200_000
    good = [f"w{number},{number}" for number in range(numbers)]
    source.write_text(
        "word,n\n" + "".join(f"{line}\n" if n % 1_000 else f"{line},bad\n" for n, line in enumerate(good))
    )
    options: list[object] = ["--input", source, "--output", out, f"sqlite:///{database}", "--rejected", rejected]
    options += ["--positions", tmp_path / "p.json", "--columns", "word,n", "--where", "n >= 10", "--as", "csv"]
    options += ["--follow", "--idle-timeout", "1s"] if is_followed else []
    for lines in (1, 60_000):
        with started(*options) as program:
            wait_for(lambda lines=lines: out.exists() and out.read_bytes().count(b"\n") > lines)
            program.process.kill()
    before = Counter(out.read_text().splitlines())
    with started(*options) as program:
        done = program.finish()
    assert done.status == 0
    told = [line for line in done.lines if " behind the positions" in line and str(out) in line]
    wanted = [line for number, line in enumerate(good) if number % 1_000 and number >= 10]
    counts = Counter(out.read_text().splitlines())
    assert not set(wanted) - counts.keys()
    torn = counts.keys() - set(wanted)
    assert not torn
    now_double = sum((counts - before).values()) - len(set(wanted) - before.keys())
    assert now_double == (int(told[0].split(" has ")[1].split()[0].replace(",", "")) if told else 0)
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT word || ',' || n FROM records").fetchall()
    assert Counter(text for (text,) in rows) == Counter(wanted)
    kept = {json.loads(line)["raw"] for line in rejected.read_text().splitlines()}
    assert kept == {f"{line},bad" for number, line in enumerate(good) if not number % 1_000}
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.txt", "bad.jsonl", "out.db", "p.json"}


def test_totals_of_a_run_that_was_killed_are_right_when_the_same_command_runs_again(tape, tmp_path):
    out = tmp_path / "totals.jsonl"
    options = ("--input", *[tape] * 1, "--window", "1h", "--output", out)
    with tools.started(*options) as program:
        time.sleep(1.5)  # anywhere: what is right does not depend on it
        program.process.kill()
    done = tools.run(*options)
    assert done.status == 0
    assert tools.totals_of([out]) == tools.right_totals(tape.read_bytes(), "1h")


def test_topics_go_on_at_their_positions_and_not_at_what_a_group_has_committed(kafka, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    topic = kafka.create_topic(partitions=2)
    options = ("--input", kafka.address(topic), "--read-as", "jsonl", "--columns", "word", "--positions", "p")
    options = (*options, "--output", "out.jsonl", "sqlite:///out.db", "--from", "latest", "--idle-timeout", "1s")

    def send(*words: str, partition: int = 0) -> None:
        kafka.produce(topic, [json.dumps({"word": word}) for word in words], partition=partition)

    def words() -> Counter[str]:
        path = Path("out.jsonl")
        return Counter(json.loads(line)["word"] for line in path.read_text().splitlines() if path.exists())

    missing = kafka.address(f"{topic}-missing")
    assert go(capsys, "--input", missing, "--output", "n.txt", "--positions", "n", "--idle-timeout", "1s")[0] == 0
    send("before")
    go(capsys, *options)
    send("a", "b", "c")
    send("d", "e", partition=1)
    assert go(capsys, *options, "--max-records", 3)[0] == 0
    assert words().total() == 3
    kafka.add_partitions(topic, 3)
    send("f", "g", partition=2)
    status, told = go(capsys, *options)
    assert (status, told[0]) == (0, "going on at the positions of 2 partitions in p")
    assert words() == Counter("abcdefg")
    assert rows_of(Path("out.db")) == list("abcdefg")
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    send("h")
    status, told = go(capsys, *options)
    assert told[0] == f"{topic} was made anew since its positions were kept: it is read from its first message"
    assert words() == Counter("abcdefgh")
    assert rows_of(Path("out.db")) == list("abcdefgh")


def test_files_and_topics_are_read_side_by_side_and_each_goes_on(kafka, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source, target = kafka.create_topic(), kafka.create_topic()
    Path("a.jsonl").write_text('{"n":1}\n{"n":2}\nnonsense\n')
    kafka.produce(source, ['{"n":3}', "", '{"n":4}'])
    options = ("--input", "a.jsonl", kafka.address(source), "--output", "out.jsonl", kafka.address(target))
    options = (*options, "--where", "n > 1", "--rejected", "bad.jsonl", "--idle-timeout", "1s", "--positions", "p")
    for more in ("", '{"n":5}\n'):
        with Path("a.jsonl").open("a") as file:
            file.write(more)
        assert go(capsys, *options, "--read-as", "jsonl")[0] == 0
        assert json.loads(Path("p").read_text())["is_ended"] is True
    wanted = Counter(f'{{"n":{number}}}' for number in (2, 3, 4, 5))
    assert Counter(Path("out.jsonl").read_text().splitlines()) == wanted
    assert Counter(value.decode() for *_, value in kafka.consume_all(target)) == wanted
    assert len(Path("bad.jsonl").read_text().splitlines()) == 2


@needs_proc
def test_what_a_killed_run_has_sent_to_a_topic_twice_is_counted(kafka, tmp_path):
    source, topic = tmp_path / "in.jsonl", kafka.create_topic(partitions=2)
    lines = [f'{{"n":{number}}}' for number in range(300_000)]
    source.write_text("".join(f"{line}\n" for line in lines))
    options = ("--input", source, "--output", kafka.address(topic), "--positions", tmp_path / "p")
    with started(*options) as program:
        wait_for(lambda: kafka.consume_all(topic))
        program.process.kill()
    before = len(kafka.consume_all(topic))
    with started(*options) as program:
        done = program.finish()
    counts = Counter(value.decode() for *_, value in kafka.consume_all(topic))
    assert done.status == 0
    assert counts.keys() == set(lines)
    doubled = counts.total() - len(lines)
    told = [line for line in done.lines if " behind the positions" in line]
    assert doubled <= before
    assert doubled == (int(told[0].split(" has ")[1].split()[0].replace(",", "")) if told else 0)
