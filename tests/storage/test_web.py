"""Files of servers of the web: a real one that signs addresses, and plain ones with and without byte ranges."""

from __future__ import annotations

import pickle
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from schemas.object_path import file_path
from schemas.tape import TAPE
from sources.files.chunks import ByteRange, find_files, read_chunks
from storage.place import open_bytes
from tests.certificates import write_certificates
from tests.object_stores import SECRET, running_s3
from tests.pipelines.tools import run_here

DATA = b"".join(b"%07d\n" % number for number in range(200_000))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    write_certificates(folder)
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, whole files only; asks for a password where one was set."""

    password = ""
    faults: list[int] = []  # noqa: RUF012 - each server has its own class

    def do_GET(self) -> None:
        if self.faults:
            self.send_error(self.faults.pop())
        elif self.password and self.headers.get("Authorization") != self.password:
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(certificates, tmp_path, monkeypatch) -> Iterator[tuple[str, type[_Quiet]]]:
    """Run a server of a folder; give its address and its handler."""
    kind = type("Handler", (_Quiet,), {"faults": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(tmp_path)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "broker.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    yield f"https://127.0.0.1:{server.server_address[1]}", kind
    server.shutdown()
    server.server_close()
    thread.join()


def read(address: str) -> bytes:
    (found,) = find_files([file_path(address)])
    return b"".join(chunk.data for chunk in read_chunks([ByteRange(found)], TAPE, 1 << 20))


def test_a_server_without_byte_ranges_is_read_too(web, tmp_path):
    (tmp_path / "a b.csv").write_bytes(DATA)
    (tmp_path / "empty.csv").touch()
    assert read(f"{web[0]}/a%20b.csv") == DATA
    assert read(f"{web[0]}/empty.csv") == b""


@pytest.mark.parametrize(
    ("shift", "extra"),
    [(0, b""), (1, b""), (-1, b""), (0, b"x"), (0, b"x" * (64 << 20))],
    ids=["right", "later", "earlier", "longer", "much-longer"],
)
@pytest.mark.parametrize("is_counted", [True, False])
def test_a_server_that_sends_other_bytes_than_asked_for_is_refused(web, is_counted, shift, extra):
    """Its bytes would come at a wrong place, or more than memory holds."""

    def answer(self: _Quiet) -> None:
        start, stop = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        stop = min(stop + 1, len(DATA))
        self.send_response(206)
        place = 0 if (start, stop) == (0, 1) else shift
        self.send_header("Content-Range", f"bytes {start + place}-{stop - 1 + place}/{len(DATA)}")
        body = DATA[start:stop] + (extra if stop > 1 else b"")
        if is_counted:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the reader hangs up
            self.wfile.write(body)

    web[1].do_GET = answer
    if shift == 0 and not extra:
        assert read(f"{web[0]}/a.csv") == DATA
        return
    with pytest.raises(OSError, match="sends other bytes than those that it was asked for"):
        read(f"{web[0]}/a.csv")


def test_a_server_that_is_busy_is_asked_again(web, tmp_path):
    (tmp_path / "x.csv").write_bytes(DATA)
    web[1].faults[:] = [503, 502]
    assert read(f"{web[0]}/x.csv") == DATA
    assert web[1].faults == []


def test_a_password_is_that_of_the_netrc_file(web, tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_bytes(DATA)
    web[1].password = "Basic bWU6aHVudGVyMg=="  # noqa: S105
    with pytest.raises(
        PermissionError, match=r"^cannot read 'https://[^\n]*/x\.csv': permission denied \(401 [^\n]*\)$"
    ):
        read(f"{web[0]}/x.csv")
    (tmp_path / "none").write_text("machine 127.0.0.1 login me password hunter2\n")
    assert read(f"{web[0]}/x.csv") == DATA


def test_what_is_not_there_or_not_trusted_is_one_line(web, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match=r"^cannot read 'https://[^\n]*/x\.csv\?\.\.\.': there is no such file \(404"
    ):
        read(f"{web[0]}/x.csv?signature=hunter2")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setattr("storage.web._RETRIES", 1)
    with pytest.raises(
        OSError, match=r"^cannot read 'https://[^\n]*/x\.csv': the server cannot be reached \([^\n]*\)$"
    ):
        read(f"{web[0]}/x.csv")


def test_a_signed_address_is_read_in_ranges_and_its_signature_shown_nowhere(
    certificates, enter, monkeypatch, capsys, tmp_path
):
    options = ("--cert", str(certificates / "broker.pem"), "--key", str(certificates / "broker.key"))
    with running_s3(*options, scheme="https") as server:
        from obstore import sign
        from obstore.store import S3Store

        enter(server.environment())
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
        name, folder = server.bucket()
        (folder / "ü 1.csv").write_bytes(DATA * 10)
        address = sign(S3Store(name, virtual_hosted_style_request=False), "GET", "ü 1.csv", timedelta(hours=1))
        path = file_path(address)
        (found,) = find_files([path])
        signature = address.partition("Signature=")[2][:20]
        assert signature
        assert signature.encode() not in pickle.dumps((path, found))
        with open_bytes(found) as file:
            assert file.read() == DATA * 10
            file.seek(8)
            assert file.read(8) == b"0000001\n"
        done = run_here(
            capsys,
            "--input",
            address,
            "--output",
            tmp_path / "x.txt",
            "--rejected",
            tmp_path / "bad",
            program="pipelines.relay",
        )
        assert done.status == 0
        assert (tmp_path / "x.txt").read_bytes() == DATA * 10
        assert done.lines[0].startswith("warning: every user sees the password that was typed, or the signature")
        assert signature not in done.err
        assert SECRET not in done.err
        (folder / "ü 1.csv").write_bytes(DATA * 11)
        with pytest.raises(OSError, match=r"to its end: it was replaced after it was found$"):
            list(read_chunks([ByteRange(found)], TAPE, 1 << 20))
