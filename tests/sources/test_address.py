from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("-", Address("-", "-")),
        ("data/*.txt", Address("data/*.txt", "file", path="data/*.txt")),
        ("C:odd", Address("C:odd", "file", path="C:odd")),
        ("file:///var/a b", Address("file:///var/a b", "file", path="/var/a b")),
        ("tcp://till:12000", Address("tcp://till:12000", "tcp", host="till", port=12_000)),
        ("tcp://:1", Address("tcp://:1", "tcp", host="127.0.0.1", port=1)),
        ("tcp://[::1]:65535", Address("tcp://[::1]:65535", "tcp", host="::1", port=65_535)),
        ("tcp-listen://:12000", Address("tcp-listen://:12000", "tcp-listen", host="127.0.0.1", port=12_000)),
        ("tcp-listen://0.0.0.0:0", Address("tcp-listen://0.0.0.0:0", "tcp-listen", host="0.0.0.0")),  # noqa: S104
        ("udp://[::1]:9", Address("udp://[::1]:9", "udp", host="::1", port=9)),
        ("udp-listen://:0", Address("udp-listen://:0", "udp-listen", host="127.0.0.1")),
        ("exec:./a 'b c' x://y", Address("exec:./a 'b c' x://y", "exec", path="./a 'b c' x://y")),
        ("exec: seq 3 ", Address("exec: seq 3 ", "exec", path="seq 3")),
        ("file://exec:x", Address("file://exec:x", "file", path="exec:x")),
        ("kafka://:9093/a", Address("kafka://:9093/a", "kafka", path="a", host="127.0.0.1:9093")),
        ("kafka://b/x,y.z", Address("kafka://b/x,y.z", "kafka", path="x,y.z", host="b:9092")),
        (
            "kafka://b,[::1]:1,[::2]/x",
            Address("kafka://b,[::1]:1,[::2]/x", "kafka", path="x", host="b:9092,[::1]:1,[::2]:9092"),
        ),
        ("kafka://b", Address("kafka://b", "kafka", host="b:9092")),
    ],
)
def test_every_form_of_address_is_understood(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert pickle.loads(pickle.dumps(address)) == address
    assert address.is_live == (address.scheme != "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an address, got an empty text"),
        ("  ", "expected an address, got an empty text"),
        ("file://", "expected file://path, got 'file://'"),
        (
            "ftp://a:1",
            "unknown scheme in 'ftp://a:1': expected a path, -, exec:COMMAND or one of s3://, gs://, abfss://, https://",
        ),
        ("kafka://me:secret@b/x", "expected kafka://host:port/topic without a user or password"),
        ("kafka://b:0/x", "expected kafka://host:port/topic with a port up to 65535, got 'kafka://b:0/x'"),
        ("kafka://b:x/x", "expected kafka://host:port/topic with a port up to 65535, got 'kafka://b:x/x'"),
        ("kafka://b/x,,y", "expected topics of letters, digits, '.', '_' and '-', got '' in 'kafka://b/x,,y'"),
        ("kafka://b/..", "got '..' in 'kafka://b/..'"),
        ("kafka://b/a/b", "got 'a/b' in"),
        ("tcp://host", "expected tcp://host:port with a port up to 65535, got 'tcp://host'"),
        ("tcp://host:", "got 'tcp://host:'"),
        ("tcp://host:x", "got 'tcp://host:x'"),
        ("tcp://host:-1", "got 'tcp://host:-1'"),
        ("tcp://host:65536", "got 'tcp://host:65536'"),
        ("tcp://host:" + "9" * 5_000, "expected tcp://host:port with a port up to 65535"),
        ("tcp://host:٣", "got 'tcp://host:٣'"),
        ("tcp://host/path:1", "got 'tcp://host/path:1'"),
        ("tcp://a b:1", "got 'tcp://a b:1'"),
        ("tcp://[::1:1", "got 'tcp://[::1:1'"),
        ("tcp://host:0", "port 0 cannot be connected to, got 'tcp://host:0'"),
        ("udp://host:0", "port 0 cannot be sent to, got 'udp://host:0'"),
        ("udp-listen://host", "expected udp-listen://host:port with a port up to 65535, got 'udp-listen://host'"),
        ("exec:", "expected exec:COMMAND, got 'exec:'"),
        ("exec: ''", "expected exec:COMMAND, got \"exec: ''\""),
        ("exec:a\0b", "expected exec:COMMAND, got 'exec:a\\x00b'"),
        ("exec:a 'b", 'cannot split the command of "exec:a \'b": no closing quotation'),
    ],
)
def test_a_wrong_address_is_refused_with_one_line_that_shows_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)


def test_a_command_is_split_as_a_shell_would_without_one() -> None:
    address = parse_address("""exec:./a "b c" '*' $HOME 'd'"e" ; f""")
    assert address.command == ["./a", "b c", "*", "$HOME", "de", ";", "f"]


@given(st.text() | st.text("tcp-listen:/@[]0123456789 .\n").map("tcp://".__add__) | st.text().map("exec:".__add__))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert address.text == text
    assert address.scheme in ("file", "-", "exec", "tcp", "tcp-listen", "udp", "udp-listen")
    assert (address.scheme in ("file", "exec")) == bool(address.path)
    assert (address.scheme == "exec") == bool(address.command and text.startswith("exec:"))
    assert 0 <= address.port <= 65_535


@pytest.mark.parametrize("text", ["tcp://till:12000", "tcp://[fe80::1]:7", "tcp-listen://127.0.0.1:0"])
def test_the_endpoint_parses_back(text: str) -> None:
    address = parse_address(text)
    assert parse_address(f"{address.scheme}://{address.endpoint}") == address
