"""Who may ask: a browser of this machine, or one that knows the token, and no page of somebody else's.

A name that an attacker's page has can be made to point at 127.0.0.1 (DNS rebinding), so the Host header has to be an
address, or a name of this machine. A foreign page can send forms to any address, so whatever changes something has to
have come from a page of ours, which its Origin header tells.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.door import Door

COOKIE = "transaction-streams-page"
#: What the browser is told with every answer: nothing from elsewhere, nothing in a frame of another page.
HEADERS = {
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_SAFE = ("GET", "HEAD")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?", re.ASCII)


class Guard:
    """Answers instead of the page where a request may not come in."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._refuse(scope)
        await (answer or self._app)(scope, receive, send_on)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not is_ours(host, self._door):
            return PlainTextResponse("This page is at another address.\n", 421)
        if scope["method"] not in _SAFE and headers.get("origin") != f"http://{host}":
            return PlainTextResponse("Only this page itself may ask for that.\n", 403)
        return self._ask_for_token(scope, headers) if self._door.token else None

    def _ask_for_token(self, scope: Scope, headers: Headers) -> Response | None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] == "GET" and is_same(given, self._door.token):
            answer = RedirectResponse(scope["path"], 303)
            answer.set_cookie(COOKIE, self._door.token, httponly=True, samesite="strict")
            return answer
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            morsel = None
        if morsel is not None and is_same(morsel.value, self._door.token):
            return None
        return PlainTextResponse("Open the address that the program has printed: it ends with a token.\n", 401)


def is_ours(header: str, door: Door) -> bool:
    """Return whether a Host header names this page: by an address, or by a name that this machine itself has."""
    found = _HOST.fullmatch(header)
    if found is None or int(found[2] or 80) != door.port:
        return False
    name = found[1].lower().strip("[]")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in {"localhost", door.host.lower(), *([socket.gethostname().lower()] if door.token else [])}
    return bool(door.token) or address.is_loopback


def is_same(given: str, token: str) -> bool:
    """Return whether a text is the token, in the same time whatever it is."""
    return secrets.compare_digest(given.encode("utf-8", "surrogatepass"), token.encode())
