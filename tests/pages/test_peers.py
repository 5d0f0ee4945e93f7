"""Other users of the machine are refused, though they can connect."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from pages.peers import is_own
from tests.pages.serving import serving

#: Modules that another user cannot read are imported before.
ASK = """
import encodings.idna, os, socket, sys
port, user = sys.argv[1:]
os.setuid(int(user))
with socket.create_connection(("127.0.0.1", int(port))) as end:
    end.sendall(f"GET /api/jobs HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    print(end.recv(20).decode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a connection is")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_of_ours_is_ours_until_it_is_closed(host):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            other = client.getsockname()[1]
            assert is_own(other, port)
            assert not is_own(port, other + 1)
        assert not is_own(other, port)


def test_where_no_system_tells_it_nobody_is_refused(tmp_path):
    assert is_own(1, 2, (tmp_path / "tcp",))


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root can be another user")
def test_another_user_gets_nothing(tmp_path):
    with serving(tmp_path) as page:
        port = page.address.split(":")[2].rstrip("/")
        answers = [
            subprocess.run([sys.executable, "-c", ASK, port, user], capture_output=True, text=True, check=True).stdout
            for user in ("0", "65534")
        ]
    assert [answer.split()[1] for answer in answers] == ["200", "403"]
