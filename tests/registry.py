"""A stand-in for a schema registry: the part of Confluent's HTTP API that clients of ours use."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

USER, PASSWORD = "reader", "s3cret-word"
_NO_SUBJECT = (404, {"error_code": 40401, "message": "Subject not found."})
_INCOMPATIBLE = (409, {"error_code": 409, "message": "Schema being registered is incompatible"})
_NO_SCHEMA = (404, {"error_code": 40403, "message": "Schema not found"})


class RegistryStandIn:
    """Keeps schemas in memory and counts what it is asked.

    Attributes:
        schemas: by number.
        subjects: the numbers of each one's schemas, the first one first.
        asked: how often for what, such as ``GET /schemas/ids/1``.
        failures: the status of the next answers, each used up once.
        broken: what a path has in it that is always answered with 500.
        needs_password: whether clients have to say who they are.
        incompatible: whether new schemas are refused.
    """

    def __init__(self) -> None:
        self.schemas: dict[int, dict[str, Any]] = {}
        self.subjects: dict[str, list[int]] = {}
        self.asked: Counter[str] = Counter()
        self.failures: list[int] = []
        self.broken = ""
        self.needs_password = False
        self.incompatible = False
        self.url = ""

    def add(self, schema: str, subject: str = "", **more: Any) -> int:
        """Registers a schema behind the backs of the clients; gives its number."""
        number = len(self.schemas) + 1
        self.schemas[number] = {"schema": schema, **more}
        if subject:
            self.subjects.setdefault(subject, []).append(number)
        return number

    def answer(  # noqa: PLR0911 - one for each call of the API
        self, method: str, path: str, body: dict[str, Any], user: str
    ) -> tuple[int, Any]:
        self.asked[f"{method} {path}"] += 1
        if self.failures or (self.broken and self.broken in path):
            return self.failures.pop(0) if self.failures else 500, {
                "error_code": 50001,
                "message": "Error in the backend datastore",
            }
        if self.needs_password and user != f"{USER}:{PASSWORD}":
            return 401, {"error_code": 401, "message": "Unauthorized"}
        match method, path.strip("/").split("/"):
            case "GET", ["schemas", "types"]:
                return 200, ["JSON", "PROTOBUF", "AVRO"]
            case "GET", ["schemas", "ids", number]:
                return (200, self.schemas[int(number)]) if int(number) in self.schemas else _NO_SCHEMA
            case "POST", ["subjects", subject, "versions"]:
                return (200, {"id": self.add(body["schema"], subject)}) if not self.incompatible else _INCOMPATIBLE
            case _, ["subjects", subject, *_] if subject not in self.subjects:
                return _NO_SUBJECT
            case "GET", ["subjects", subject, "versions", "latest"]:
                return self._version(subject, len(self.subjects[subject]))
        return self._lookup(subject, body["schema"])

    def _lookup(self, subject: str, schema: str) -> tuple[int, Any]:
        known = [self.schemas[number]["schema"] for number in self.subjects[subject]]
        return self._version(subject, known.index(schema) + 1) if schema in known else _NO_SCHEMA

    def _version(self, subject: str, version: int) -> tuple[int, Any]:
        number = self.subjects[subject][version - 1]
        return 200, {"subject": subject, "version": version, "id": number, **self.schemas[number]}


@contextmanager
def running_registry() -> Iterator[RegistryStandIn]:
    """Serves one on a port that the system picks."""
    registry = RegistryStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply("GET", {})

        def do_POST(self) -> None:
            self._reply("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, method: str, body: dict[str, Any]) -> None:
            user = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            status, answer = registry.answer(method, unquote(urlsplit(self.path).path), body, user)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
