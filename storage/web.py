"""Files of servers of the web, read by requests, in byte ranges where the server has them."""

from __future__ import annotations

import tempfile
import threading
from typing import IO, Any

from schemas.object_path import ObjectPath, shown
from schemas.passwords import release

_TIMEOUT_SECONDS = (10.0, 60.0)
_RETRIES = 6
_WAIT_SECONDS = 0.2
_BUSY = (429, 500, 502, 503, 504)
_COPY_BYTES = 1 << 20
_PARTIAL, _WHOLE, _RANGE, _DENIED, _MISSING = 206, 200, 416, (401, 403), (404, 410)


class Web:
    """Servers of the web: a file is one address, and can only be read. Passwords are those of ``~/.netrc``."""

    def find(self, pattern: str) -> list[ObjectPath]:
        """See :class:`storage.place.Place`: servers do not tell what there is, so a path is one file."""
        return [self.stat(pattern)]

    def stat(self, path: str) -> ObjectPath:
        """See :class:`storage.place.Place`."""
        try:
            return _look(path)
        except OSError as error:
            raise type(error)(f"cannot read {shown(path)!r}: {error}") from None

    def open(self, path: ObjectPath) -> WebFile:
        """See :class:`storage.place.Place`."""
        return WebFile(path)

    def write(self, path: str, data: bytes | IO[bytes]) -> None:  # noqa: ARG002
        """Refuse."""
        raise OSError("https:// can only be read")

    def check_writable(self, path: str) -> None:
        """Refuse."""
        self.write(path, b"")


WEB = Web()


class WebFile:
    """A file that is read; see :class:`storage.read_ahead.Source`.

    Of a server without byte ranges it is fetched whole, into a temporary file.
    """

    def __init__(self, path: ObjectPath) -> None:
        """Note what it was when it was found."""
        import requests  # noqa: PLC0415 - few read from the web

        self.size = path.size
        self._path = path
        self._session = requests.Session()
        self._copy: IO[bytes] | None = None
        self._lock = threading.Lock()

    def fetch(self, start: int, stop: int) -> bytes:
        """Return bytes of it."""
        with self._lock:
            if self._copy is not None:
                return self._copied(start, stop)
        answer, data = _ask(self._session, self._path, start, stop)
        with answer:
            _check(answer, self._path)
            if answer.status_code == _PARTIAL:
                return data
            with self._lock:
                if self._copy is None:
                    self._copy = self._fetch_whole(answer)
                return self._copied(start, stop)

    def close(self) -> None:
        """Close the connections, and remove the temporary file."""
        self._session.close()
        with self._lock:
            if self._copy is not None:
                self._copy.close()

    def _fetch_whole(self, answer: Any) -> IO[bytes]:
        """Return a temporary file with what the server sends, which is as many bytes as it said."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - goes with this
        try:
            for part in answer.iter_content(_COPY_BYTES):
                copy.write(part)
        except BaseException:
            copy.close()
            raise
        return copy

    def _copied(self, start: int, stop: int) -> bytes:
        assert self._copy is not None  # noqa: S101 - for the type checker
        self._copy.seek(start)
        return self._copy.read(stop - start)


def _look(path: str) -> ObjectPath:
    """Ask for the first byte: the signature of an address may be good for that, and not for its head alone."""
    import requests  # noqa: PLC0415 - few read from the web

    with requests.Session() as session, _ask(session, path, 0, 1)[0] as answer:
        size, version = _told(answer)
    return ObjectPath(path, size, version)


def _told(answer: Any) -> tuple[int, str]:
    headers = answer.headers
    version = headers.get("ETag") or headers.get("Last-Modified") or ""
    if answer.status_code == _WHOLE:
        length = headers.get("Content-Length", "")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise OSError("the server packs it for the way, and does not tell its size")
    else:
        length = headers.get("Content-Range", "").rpartition("/")[2]
    if not length.isdigit():
        raise OSError("the server does not tell its size")
    return int(length), version


def _check(answer: Any, path: ObjectPath) -> None:
    if _told(answer) != (path.size, path.version):
        raise OSError("it was replaced after it was found")


def _read_range(answer: Any, start: int, stop: int) -> bytes:
    """Return the bytes of a partial answer, and read no more than were asked for, whatever is sent.

    Raises:
        OSError: it has others.
    """
    size, _ = _told(answer)
    last = min(stop, size) - 1
    data = bytearray()
    if answer.headers.get("Content-Range") == f"bytes {start}-{last}/{size}":
        for part in answer.iter_content(_COPY_BYTES):
            data += part
            if len(data) > last + 1 - start:
                break
    if len(data) != last + 1 - start:
        answer.close()
        raise OSError("the server sends other bytes than those that it was asked for")
    return bytes(data)


def _ask(session: Any, path: str, start: int, stop: int) -> tuple[Any, bytes]:
    """Return the answer to a request for some bytes, and these if it is a partial one; else it is the whole, unread.

    Raises:
        OSError: the server cannot be reached, refuses, or has no such file.
    """
    import requests  # noqa: PLC0415 - few read from the web

    headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
    reason, data = "", b""
    for attempt in range(_RETRIES):
        if attempt:
            threading.Event().wait(_WAIT_SECONDS * 2**attempt)
        try:
            answer = session.get(release(path), headers=headers, timeout=_TIMEOUT_SECONDS, stream=True)
            status = answer.status_code
            if status == _PARTIAL:
                data = _read_range(answer, start, stop)  # so that what breaks off is asked for again
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            reason = f"the server cannot be reached ({_cause(error)})"
            continue
        except requests.RequestException as error:
            raise OSError(f"the request failed: {type(error).__name__}") from None
        if status in (_PARTIAL, _WHOLE) or (status == _RANGE and answer.headers.get("Content-Range") == "bytes */0"):
            if not answer.url.startswith("https://"):
                answer.close()
                raise OSError("the server sends us on to an address without https://")
            return answer, data
        answer.close()
        if status not in _BUSY:
            break
        reason = f"the server answers {status} {answer.reason}"
    else:
        raise OSError(reason)
    if status == _RANGE:
        raise EOFError("it is empty, or shorter than it was")
    if status in _DENIED:
        raise PermissionError(f"permission denied ({status} {answer.reason})")
    if status in _MISSING:
        raise FileNotFoundError(f"there is no such file ({status} {answer.reason})")
    raise OSError(f"the server answers {status} {answer.reason}")


def _cause(error: BaseException) -> str:
    """Return the last word of what was wrong, which shows no address."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return getattr(error, "strerror", None) or type(error).__name__
