"""Files in a real S3 server, whole pipelines among them."""

from __future__ import annotations

import gzip
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.object_path import ObjectPath
from schemas.tape import TAPE
from simulators.registers import main as registers
from sinks.files.atomic import SinkError, check_writable, write_whole
from sinks.lines.object_lines import ObjectLines
from sources.files.chunks import ByteRange, find_files, read_chunks
from sources.files.opening import open_file
from storage.object_store import ObjectStore, _version, open_store
from storage.place import find_objects, open_bytes
from tests.object_stores import SECRET, Disturbed
from tests.pipelines.tools import run_here, started
from tests.simulators.tools import ROOT

KEYS = st.lists(
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=12).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, data=st.binary(max_size=50))
def test_what_is_written_under_any_key_is_found_and_read_under_it(bucket, key, data):
    path = f"s3://{bucket[0]}/{len(key)}-{hash(key)}/{key}"
    write_whole(path, data)
    (found,) = find_files([path])
    assert (found, found.size) == (path, len(data))
    with open_bytes(found) as file:
        assert file.read() == data


@pytest.mark.parametrize(
    "name", ["a b.csv", "a+b.csv", "50%.csv", "a%20b.csv", "x#1.csv", "why?.csv", "ü/ñ 1.csv", "*.csv", "[1].csv"]
)
def test_a_key_is_found_by_itself_in_its_folder_and_by_a_glob(bucket, name):
    path = f"s3://{bucket[0]}/f/{name}"
    write_whole(path, b"1\n")
    folder = path.rpartition("/")[0]
    for pattern in (path, folder, f"{folder}/", f"{folder}/*.csv", f"s3://{bucket[0]}/**/*.csv"):
        assert find_files([pattern]) == [path]


def test_ten_thousand_keys_are_listed_in_order(bucket):
    name, folder = bucket
    (folder / "many").mkdir()
    for number in range(10_000):
        (folder / "many" / f"{number:05d}.csv").touch()
    found = find_objects(f"s3://{name}/many")
    assert found == [f"s3://{name}/many/{number:05d}.csv" for number in range(10_000)]
    assert len(find_objects(f"s3://{name}/many/*7.csv")) == 1_000


def test_what_hides_and_what_is_beside_the_data_is_left_out_of_folders(bucket):
    for key in ("a.csv", ".hidden.csv", "_SUCCESS", "deep/b.csv"):
        write_whole(f"s3://{bucket[0]}/tape/{key}", b"1\n")
    assert find_files([f"s3://{bucket[0]}/tape"]) == [f"s3://{bucket[0]}/tape/a.csv"]


@pytest.mark.parametrize("pattern", ["none.csv", "none/", "*.none", ""])
def test_a_pattern_that_names_nothing_is_one_line(bucket, pattern):
    with pytest.raises(
        FileNotFoundError, match=r"^no object at 's3://[^\n]*': expected a key, a glob or a folder with obj"
    ):
        find_files([f"s3://{bucket[0]}/{pattern}"])


def test_a_bucket_that_is_not_there_and_a_secret_that_is_wrong_are_one_line(bucket, enter, s3_server):
    for ask in (find_objects, check_writable):
        with pytest.raises(OSError, match=r"^cannot [^\n]*: there is no bucket 'not-there'$"):
            ask("s3://not-there/x.csv")
    enter({**s3_server.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"})
    for ask in (find_objects, check_writable):
        with pytest.raises(OSError, match=r"^cannot [^\n]*: permission denied( \(SignatureDoesNotMatch\))?$") as caught:
            ask(f"s3://{bucket[0]}/x.csv")
        assert "wrong" not in str(caught.value)
    with pytest.raises(PermissionError):
        find_objects(f"s3://{bucket[0]}/")


def test_looking_whether_it_can_be_written_leaves_nothing(bucket):
    check_writable(f"s3://{bucket[0]}/out/x.jsonl")
    assert [path for path in bucket[1].rglob("*") if path.is_file()] == []


def test_a_large_object_is_written_in_parts_and_read_in_ranges(bucket, monkeypatch):
    monkeypatch.setattr("storage.object_store.WHOLE_BYTES", 1 << 20)
    data = os.urandom(1 << 20) * 20 + b"the end"
    path = f"s3://{bucket[0]}/large"
    write_whole(path, data)
    with open_bytes(path) as file:
        assert file.read() == data
        file.seek(17 << 20)
        assert file.read(100) == data[17 << 20 :][:100]


def test_resets_and_servers_that_are_busy_do_not_change_what_is_read(bucket, enter, s3_server):
    data = b"".join(b"%07d\n" % number for number in range(2_500_000))  # 20 MB
    path = f"s3://{bucket[0]}/numbers.txt"
    write_whole(path, data)
    with Disturbed(s3_server.port, [0, 0, 100_000, 3_000_000, 0, 50, 1_000_000]) as before:
        enter(s3_server.environment(before.endpoint))
        (found,) = find_files([path])
        chunks = list(read_chunks([ByteRange(found)], TAPE, 1 << 20))
        assert before.left == 0
    assert b"".join(chunk.data for chunk in chunks) == data


def test_what_is_written_through_a_server_that_is_busy_is_whole(bucket, enter, s3_server):
    with Disturbed(s3_server.port, [0, 10, 0]) as before:
        enter(s3_server.environment(before.endpoint))
        write_whole(f"s3://{bucket[0]}/x", b"all of it\n")
        assert before.left == 0
    assert (bucket[1] / "x").read_bytes() == b"all of it\n"


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_an_object_that_is_replaced_after_it_was_found_is_refused(bucket, ending):
    path = f"s3://{bucket[0]}/x.{ending}"
    pack = gzip.compress if ending.endswith("gz") else bytes
    write_whole(path, pack(b"old\n" * 500_000))
    found = pickle.loads(pickle.dumps(find_files([path])[0]))
    with open_file(found) as file:
        file.read(4)
        write_whole(path, pack(b"new\n" * 500_000))
        if ending == "csv":  # the little that a compressed one has was fetched whole
            with pytest.raises(OSError, match=r"^it was replaced after it was found$"):
                file.read()
    with pytest.raises(OSError, match=r"^cannot read 's3://[^\n]*' to its end: it was replaced after it was found$"):
        list(read_chunks([ByteRange(found)], TAPE, 1 << 20))


def test_an_object_that_goes_away_is_one_line(bucket):
    path = f"s3://{bucket[0]}/x.csv"
    write_whole(path, b"1\n")
    (found,) = find_files([path])
    (bucket[1] / "x.csv").unlink()
    with pytest.raises(OSError, match=r"^cannot read [^\n]* to its end: there is no such object, or no such bucket$"):
        list(read_chunks([ByteRange(found)], TAPE, 1 << 20))


def test_bundles_of_lines_are_objects_that_no_other_writer_has(bucket):
    path = f"s3://{bucket[0]}/bad.jsonl"
    for _ in range(2):
        outlet = ObjectLines(path, header=b"h\n").open()
        for lines in (b"1\n", b"2\n3\n", b""):
            outlet.write(lines)
            outlet.flush()
        outlet.write(b"lost\n")
        outlet.close()
    found = [Path(name) for name in sorted(bucket[1].glob("bad-*.jsonl"))]
    assert sorted(file.read_bytes() for file in found) == [b"h\n1\n", b"h\n1\n", b"h\n2\n3\n", b"h\n2\n3\n"]
    assert not (bucket[1] / "bad.jsonl").exists()


def test_the_lines_of_a_run_are_one_object_when_it_has_ended(bucket):
    outlet = ObjectLines(f"s3://{bucket[0]}/bad.jsonl", is_one=True).open()
    outlet.write(b"1\n")
    outlet.flush()
    assert not (bucket[1] / "bad.jsonl").exists()
    outlet.write(b"2\n")
    outlet.look()
    outlet.make()
    outlet.close()
    assert (bucket[1] / "bad.jsonl").read_bytes() == b"1\n2\n"


def test_a_write_that_fails_leaves_what_was_there(bucket, enter, s3_server):
    path = f"s3://{bucket[0]}/x"
    write_whole(path, b"old")
    enter({**s3_server.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"})
    with pytest.raises(SinkError, match=r"^cannot write s3://[^\n]*/x: permission denied \(SignatureDoesNotMatch\)$"):
        write_whole(path, b"new")
    assert (bucket[1] / "x").read_bytes() == b"old"


def test_nothing_that_a_job_is_given_has_a_secret(bucket):
    path = f"s3://{bucket[0]}/x.csv"
    write_whole(path, b"1\n")
    assert SECRET.encode() not in pickle.dumps((find_files([path]), ByteRange(path), ObjectLines(path)))


def test_a_process_that_was_forked_off_is_told_so(bucket):
    find_objects(f"s3://{bucket[0]}/")
    with pytest.raises(ValueError, match=r"^s3:// was used before this process was forked off"):
        open_store("s3", "any", os.getpid() + 1)


@pytest.fixture(scope="module")
def tape(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tape")
    for number, ending in enumerate(("tsv", "csv.gz", "tsv.zst")):
        assert (
            registers(
                ["--rows", "3000", "--seed", str(number), "--output", str(folder / f"{number}.{ending}"), "--quiet"]
            )
            == 0
        )
    (folder / "3.tsv").write_bytes(b"no\trecord\n" * 20)
    return folder


def upload(tape: Path, bucket: tuple[str, Path]) -> None:
    for file in tape.iterdir():
        write_whole(f"s3://{bucket[0]}/tape/{file.name}", file.read_bytes())


def test_a_pipeline_gives_the_same_files_from_and_to_a_store(bucket, tape, tmp_path, capsys):
    upload(tape, bucket)
    (tmp_path / "here").mkdir()
    ways = ((tape, tmp_path / "here"), (f"s3://{bucket[0]}/tape", f"s3://{bucket[0]}/out 1"))
    done = [
        run_here(
            capsys,
            "--input",
            source,
            "--window",
            "1h",
            "--rejected",
            f"{target}/bad.jsonl",
            "--late",
            f"{target}/late.jsonl",
            "--output",
        )
        if False
        else run_here(
            capsys,
            *(
                "--input",
                source,
                "--window",
                "1d",
                "--rejected",
                f"{target}/bad.jsonl",
                "--late",
                f"{target}/late.jsonl",
            ),
            *("--output", *(f"{target}/t.{ending}" for ending in ("jsonl", "avro", "parquet"))),
        )
        for source, target in ways
    ]
    assert [each.status for each in done] == [0, 0], done
    assert done[0].balance == done[1].balance
    assert done[1].balance.rejected == 20
    ours = {file.name: file.read_bytes() for file in (tmp_path / "here").iterdir()}
    theirs = {file.name: file.read_bytes() for file in (bucket[1] / "out 1").iterdir()}
    local, remote = ours.pop("bad.jsonl"), theirs.pop("bad.jsonl")
    assert ours == theirs
    assert remote.replace(b"s3://%s/tape/" % bucket[0].encode(), b"") == local.replace(b"%s/" % os.fsencode(tape), b"")
    assert f"wrote 20 rejected records to s3://{bucket[0]}/out 1/bad.jsonl" in done[1].lines
    assert SECRET not in done[1].err


def test_a_relay_copies_an_object_byte_for_byte(bucket, tape, capsys):
    upload(tape, bucket)
    root = f"s3://{bucket[0]}"
    assert (
        run_here(
            capsys, "--input", f"{root}/tape/0.tsv", "--output", f"{root}/copy.txt", program="pipelines.relay"
        ).status
        == 0
    )
    assert (bucket[1] / "copy.txt").read_bytes() == (tape / "0.tsv").read_bytes()


def test_a_run_that_fails_leaves_no_object(bucket, tape, capsys):
    upload(tape, bucket)
    whole = (tape / "1.csv.gz").read_bytes()
    write_whole(f"s3://{bucket[0]}/tape/1.csv.gz", whole[: len(whole) // 2])
    done = run_here(
        capsys,
        *("--input", f"s3://{bucket[0]}/tape", "--output", f"s3://{bucket[0]}/out/t.jsonl"),
        *("--rejected", f"s3://{bucket[0]}/out/bad.jsonl"),
    )
    assert done.status == 1
    assert "failed: cannot read 's3://" in done.err
    assert not (bucket[1] / "out" / "t.jsonl").exists()
    assert not (bucket[1] / "out" / "bad.jsonl").exists()


def test_a_run_that_is_killed_leaves_no_object(s3_server, bucket, tape):
    upload(tape, bucket)
    root = f"s3://{bucket[0]}"
    before = set(bucket[1].rglob("*"))
    options = (
        "--input",
        f"{root}/tape/0.tsv",
        "--rate",
        "50",
        "--output",
        f"{root}/x.txt",
        "--rejected",
        f"{root}/bad",
    )
    with started(*options, program="pipelines.relay") as program:
        while b" rows/s" not in (line := program.process.stderr.readline()):  # it has read some, and told so
            assert line
        program.process.kill()
        program.process.wait()
    assert set(bucket[1].rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--follow"], "an object does not grow, it is replaced: only files of this machine can be followed"),
        (["--positions", "p"], "--positions keeps where files of this machine were read: s3://"),
    ],
)
def test_what_an_object_cannot_do_is_refused_in_one_line(bucket, capsys, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    write_whole(f"s3://{bucket[0]}/x.csv", b"a,b\n1,2\n")
    done = run_here(
        capsys, "--input", f"s3://{bucket[0]}/x.csv", "--output", "x.txt", *options, program="pipelines.relay"
    )
    assert done.status == 2
    assert done.err.startswith(f"wrong usage: {message}")
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--rejected", "--late", "--output", "--input"])
@pytest.mark.parametrize("address", ["foo://me:hunter2@x/y.jsonl", "S3://x/y.jsonl", "s3:/x/y.jsonl"])
def test_a_scheme_that_nobody_knows_is_refused_for_whatever_is_read_or_written(
    capsys, tmp_path, monkeypatch, option, address
):
    monkeypatch.chdir(tmp_path)
    done = run_here(capsys, option, address)
    assert done.status == 2
    assert "unknown scheme in" in done.err
    assert "hunter2" not in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "GET http://h/b - Server returned non-2xx status code: 500 Internal Server Error: \n",
            "the store answers 500 Int",
        ),
        (
            "Error performing PUT http://169.254.169.254/latest/api/token - x\n\nDebug",
            "no credentials: set AWS_ACCESS_KEY",
        ),
        ("x <Code>SlowDown</Code><Message>Reduce your rate.</Message> y", "Reduce your rate. (SlowDown)"),
        (
            "S3 error: Error performing HEAD http://h/b - HTTP error: error sending request\n\nDebug",
            "HTTP error: error send",
        ),
    ],
)
def test_why_a_request_fails_is_one_line(text, reason):
    pytest.importorskip("obstore")
    found = ObjectStore("s3", "shop")._reason(Exception(text))[1]
    assert found.startswith(reason)
    assert "\n" not in found


def test_what_was_found_keeps_its_size_and_version(bucket):
    write_whole(f"s3://{bucket[0]}/x", b"12345")
    (found,) = find_objects(f"s3://{bucket[0]}/x")
    assert isinstance(found, ObjectPath)
    assert (found.size, found.version[0]) == (5, '"')


@pytest.mark.parametrize(
    ("tag", "version"),
    [("0x8D1", '"0x8D1"'), ('"0x8D1"', '"0x8D1"'), ('W/"1"', 'W/"1"'), (None, "2026-11-29"), ("", "2026-11-29")],
)
def test_a_tag_is_the_same_whether_it_is_listed_with_its_quotes_or_without(tag, version):
    assert _version({"e_tag": tag, "version": None, "last_modified": "2026-11-29"}) == version


def test_the_client_is_imported_only_where_an_object_is_meant():
    parsed = "from pipelines.relay import PIPELINE; PIPELINE.parse(['--input', 'x'])"
    told = f"import sys; {parsed}; print('obstore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
