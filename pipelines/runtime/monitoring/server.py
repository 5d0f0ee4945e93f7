"""The server of ``--metrics-port``: ``/metrics`` and ``/health``, in one thread, which asks little of the job.

What others do to it cannot do much to the job: it answers some fifty requests a second, one at a time, has few
connections at a time, and hangs up on whoever is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import math
import threading
import time
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from prometheus_client.exposition import choose_encoder

from pipelines.runtime.monitoring.collector import make_registry
from pipelines.runtime.monitoring.health import PATIENCE_SECONDS, examine
from sources.address import Address
from sources.live.sockets import bind, endpoint_of

#: So long a request and its answer may take.
_REQUEST_SECONDS = 5.0
#: So many connections there may be at a time; more are closed at once.
_MOST_CONNECTIONS = 32
#: The pause after each answer.
_PAUSE_SECONDS = 0.02
#: The first line of a request and its headers may have so many bytes.
_MOST_BYTES = 16 << 10
_TEXT = "text/plain; charset=utf-8"
_INDEX = b"/metrics for Prometheus\n/health says whether the run is stuck; ?after=SECONDS says when it is\n"


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    kind: str = _TEXT


class MonitorServer:
    """Serves as long as its context lasts.

    Args:
        address: where to listen.
        pipeline: the name of the pipeline.
        runner: the runner that was asked for.

    Attributes:
        url: where it is.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, address: Address, pipeline: str, runner: str) -> None:
        """Bind the port."""
        self._registry = make_registry(pipeline, runner)
        self._socket = bind(address)
        self._host = address.host
        self._connections = 0
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._turn = asyncio.Lock()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        try:
            self._socket.listen(_MOST_CONNECTIONS)
        except OSError:  # another process has come first
            self._socket.close()
            raise
        self.url = f"http://{endpoint_of(self._socket.getsockname())}"

    def __enter__(self) -> MonitorServer:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._attend, sock=self._socket, limit=_MOST_BYTES)
        await self._stopping.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _MOST_CONNECTIONS:
                await asyncio.wait_for(self._talk(reader, writer), _REQUEST_SECONDS)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # nobody is there any more, or whoever is takes too long, or sends too much
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        async with self._turn:
            method, answer = self._answer(head)
            await asyncio.sleep(_PAUSE_SECONDS)
        headers = (
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\nContent-Type: {answer.kind}\r\n"
            f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        writer.write(headers.encode() + (b"" if method == "HEAD" else answer.body))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _answer(self, head: bytes) -> tuple[str, _Answer]:
        """Return the method of a request, and what to answer."""
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004
            return "", _Answer(HTTPStatus.BAD_REQUEST, b"expected a request of HTTP/1.1\n")
        method, target, _ = words
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if method not in ("GET", "HEAD"):
            return method, _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"expected GET\n")
        if not self._is_for_us(headers.get("host", "")):
            return method, _Answer(HTTPStatus.MISDIRECTED_REQUEST, b"this server has another name\n")
        return method, self._show(target, headers.get("accept", ""))

    def _show(self, target: str, accept: str) -> _Answer:
        try:
            found = urlsplit(target)
            after = float(parse_qs(found.query).get("after", [str(PATIENCE_SECONDS)])[-1])
        except ValueError:
            after = math.nan
        if not after > 0:
            return _Answer(HTTPStatus.BAD_REQUEST, b"expected a number of seconds such as ?after=60\n")
        if found.path == "/metrics":
            encode, kind = choose_encoder(accept)
            return _Answer(HTTPStatus.OK, encode(self._registry), kind)
        if found.path == "/health":
            health = examine(time.monotonic(), after)
            status = HTTPStatus.SERVICE_UNAVAILABLE if health.reason else HTTPStatus.OK
            return _Answer(status, json.dumps(health._asdict()).encode() + b"\n", "application/json")
        if found.path == "/":
            return _Answer(HTTPStatus.OK, _INDEX)
        return _Answer(HTTPStatus.NOT_FOUND, b"expected /metrics or /health\n")

    def _is_for_us(self, host: str) -> bool:
        """Tell whether a request was meant for this server: anybody's page may have a name that leads to loopback."""
        if not _is_loopback(self._host):
            return True
        if not host:  # of HTTP/1.0
            return True
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name == self._host or _is_loopback(name)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
