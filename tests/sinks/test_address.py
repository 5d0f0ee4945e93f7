import os
import pickle

import pytest
from apache_beam import PTransform

from sinks.address import parse_output
from sinks.console.output import ConsoleOutput
from sinks.files.atomic import SinkError, check_writable
from sinks.files.output import FileOutput
from sinks.kafka.output import TopicOutput
from sinks.lines.output import PeerOutput
from sinks.output import Table
from sinks.sql.output import SqlOutput
from sinks.write import WriteSettings

ENDINGS = (
    ".jsonl, .avro, .parquet (here or in s3://, gs://, abfss://), sqlite:///PATH, postgresql://..., "
    "kafka://HOST:PORT/TOPIC or - for the console"
)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("-", ConsoleOutput()),
        ("out/x.jsonl", FileOutput("out/x.jsonl", "jsonl")),
        ("x.AVRO", FileOutput("x.AVRO", "avro")),
        ("a.b/x.y.Parquet", FileOutput("a.b/x.y.Parquet", "parquet")),
        ("x.json", FileOutput("x.json", "json")),
        ("file:///data/x.jsonl", FileOutput("/data/x.jsonl", "jsonl")),
        ("s3://shop/a b/x.avro", FileOutput("s3://shop/a b/x.avro", "avro")),
        ("a:b.jsonl", FileOutput("a:b.jsonl", "jsonl")),
        ("x.TXT", FileOutput("x.TXT", "txt")),
        ("x.csv", FileOutput("x.csv", "csv")),
        ("x.ndjson", FileOutput("x.ndjson", "ndjson")),
        ("tcp://host:9", PeerOutput("tcp://host:9")),
        ("udp://:9", PeerOutput("udp://:9")),
        ("kafka://h/demo.x", TopicOutput("kafka://h:9092/demo.x")),
        ("kafka://a:1,b:2/x.jsonl", TopicOutput("kafka://a:1,b:2/x.jsonl")),
    ],
)
def test_an_address_tells_kind_path_and_format(text, output):
    assert parse_output(text) == output


@pytest.mark.parametrize(
    ("text", "path", "database", "table"),
    [
        ("sqlite:///credit.db", "sqlite:///credit.db", "credit.db", ""),
        ("sqlite:////data/a.db?table=Regions_2", "sqlite:////data/a.db", "/data/a.db", "Regions_2"),
        ("postgresql://me:secret@h:1/shop?table=t&sslmode=require", "postgresql://me@h:1/shop", "shop", "t"),
        ("postgres://h/shop", "postgresql://h/shop", "shop", ""),
    ],
)
def test_the_address_of_a_database_tells_its_table_and_hides_its_password(text, path, database, table):
    output = parse_output(text)
    assert isinstance(output, SqlOutput)
    assert (output.path, output.url.database, output.table) == (path, database, table)
    assert "secret" not in repr(output)
    assert "table" not in output.url.query


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.xls", f"unknown ending in 'x.xls': expected {ENDINGS}"),
        ("tcp://host", "expected tcp://host:port with a port up to 65535, got 'tcp://host'"),
        ("udp://:0", "port 0 cannot be sent to, got 'udp://:0'"),
        ("out/", f"unknown ending in 'out/': expected {ENDINGS}"),
        (".jsonl", f"unknown ending in '.jsonl': expected {ENDINGS}"),
        (" ", f"expected a path ending in {ENDINGS}, got an empty text"),
        ("mysql://me:secret@db/totals", f"unknown scheme in 'mysql://...': expected a path ending in {ENDINGS}"),
        ("KAFKA://h/x", "unknown scheme in 'KAFKA://h/x': did you mean kafka://?"),
        ("s3:/shop/x.avro", "unknown scheme in 's3:/shop/x.avro': did you mean s3://?"),
        ("https://h/x.avro", "'https://h/x.avro' can only be read: expected a path, s3://, gs:// or abfss://"),
        ("s3://shop/x.xls", f"unknown ending in 's3://shop/x.xls': expected {ENDINGS}"),
        ("kafka://h:1", "expected kafka://HOST:PORT/TOPIC with one topic to write to, got 'kafka://h:1'"),
        ("kafka://h:1/a,b", "expected kafka://HOST:PORT/TOPIC with one topic to write to, got 'kafka://h:1/a,b'"),
    ],
)
def test_what_is_no_output_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        parse_output(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["x.txt", "x.csv", "x.ndjson", "tcp://h:9", "udp://h:9"])
def test_what_takes_single_records_takes_no_results(text):
    with pytest.raises(ValueError, match=f"^'{text}' takes single records, from pipelines.relay, and no results: exp"):
        parse_output(text).result_writer(Table("t", ("k",)), WriteSettings())


@pytest.mark.parametrize("text", ["x.jsonl", "x.avro", "-", "sqlite:///x.db", "kafka://h/x"])
def test_what_takes_results_is_let_through(text):
    output = parse_output(text)
    assert isinstance(pickle.loads(pickle.dumps(output)).result_writer(Table("t", ("k",)), WriteSettings()), PTransform)


def test_checking_makes_the_folder_and_leaves_no_file(tmp_path):
    check_writable(str(tmp_path / "a" / "b" / "x.jsonl"))
    assert os.listdir(tmp_path / "a" / "b") == []  # noqa: PTH208


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(SinkError, match=r"^cannot write .*out/x\.jsonl: Not a directory$"):
        check_writable(str(tmp_path / "out" / "x.jsonl"))


def test_a_folder_in_the_place_of_the_file_is_one_line(tmp_path):
    with pytest.raises(SinkError, match=r"^cannot write .*: Is a directory$"):
        check_writable(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(SinkError, match=r"^cannot write .*: Permission denied$"):
        check_writable(str(tmp_path / "x.jsonl"))
