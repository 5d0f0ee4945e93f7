"""Where the page listens: on loopback, on a free port, and with a token beyond this machine."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from pages.__main__ import main
from pages.door import DoorError, open_door


def test_loopback_needs_no_token():
    with open_door("127.0.0.1", 0) as door:
        assert door.token == ""
        assert door.address == f"http://127.0.0.1:{door.port}/"


@pytest.mark.parametrize("host", ["0.0.0.0", ""])  # noqa: S104
def test_beyond_it_each_page_has_a_token_of_its_own(host):
    with open_door(host or "0.0.0.0", 0) as door, open_door(host or "0.0.0.0", 0) as other:  # noqa: S104
        assert len(door.token) >= 32
        assert door.token != other.token


def test_a_port_that_is_taken_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["--port", str(port), "--no-open"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"cannot start: something listens on 127.0.0.1:{port} already")


def test_whether_the_port_is_taken_is_said_before_anything_slow_is_imported():
    with socket.create_server(("127.0.0.1", 0)) as other:
        command = [sys.executable, "-X", "importtime", "-m", "pages", "--port", str(other.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apache_beam" not in done.stderr


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("127.0.0.1", 70_000), ("127.0.0.1", -1)])
def test_an_address_that_is_not_ours_is_one_line(host, port):
    with pytest.raises(DoorError, match=r"^cannot listen on [^\n]+$"):
        open_door(host, port)
