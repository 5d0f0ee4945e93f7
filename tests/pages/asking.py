"""Asking the application of the page in this process, as a browser would over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import ASGIApp

HOST = "127.0.0.1:8080"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: ASGIApp, path: str, content: Any = None, *, method: str = "", headers: Mapping[str, str | None] = {}
) -> Answer:
    """Return the answer; what has content is a POST of this very page, unless the headers say otherwise."""
    body = b"" if content is None else json.dumps(content).encode()
    usual = {"host": HOST} | ({"origin": f"http://{HOST}"} if content is not None else {})
    told = {name: value for name, value in {**usual, **headers}.items() if value is not None}
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "method": method or ("GET" if content is None else "POST"),
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in told.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }
    sent: list[Any] = []
    received: list[bool] = []

    async def receive() -> Any:
        if received:
            await asyncio.Event().wait()  # the browser stays
        received.append(True)
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = sent[0]
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))
