"""Who is let in: this machine's own browser, on a page of ours; nobody else's page, name or host."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.app import make_app
from pages.door import Door
from pages.guard import COOKIE, is_ours
from tests.pages.asking import HOST, ask

LOOPBACK = Door(None, port=8080)
BEYOND = Door(None, "0.0.0.0", 8080, "open-sesame")  # noqa: S104


@pytest.mark.parametrize("host", [HOST, "localhost:8080", "LOCALHOST:8080", "127.8.9.1:8080", "[::1]:8080"])
def test_names_of_this_machine_are_ours(host):
    assert is_ours(host, LOOPBACK)


@pytest.mark.parametrize(
    "host",
    [
        *("", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8081", "127.0.0.1.evil.example:8080", "evil.example:8080"),
        *("localhost.evil.example:8080", "127.0.0.1:8080@evil.example", "10.0.0.1:8080", "0.0.0.0:8080", "[::1:8080"),
        *("127.0.0.1:8080 ", "127.0.0.1:8080\r\n", "127.0.0.1:٨٠٨٠", "127.1:8080", "2130706433:8080"),
    ],
)
def test_a_name_that_was_made_to_lead_here_is_not(host):
    assert not is_ours(host, LOOPBACK)


@given(st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z]{2,10}){1,3}", fullmatch=True))
def test_no_domain_is_ours_not_even_where_there_is_a_token(name):
    if name != socket.gethostname().lower():
        assert not is_ours(f"{name}:8080", LOOPBACK)
        assert not is_ours(f"{name}:8080", BEYOND)


def test_an_address_is_ours_where_the_page_listens_beyond_this_machine():
    assert is_ours("192.168.1.7:8080", BEYOND)
    assert is_ours("shop.example:8080", replace(BEYOND, host="shop.example"))


@pytest.mark.parametrize("path", ["/", "/produce", "/api/jobs", "/static/style.css"])
def test_another_name_gets_nothing(app, path):
    assert ask(app, path).status == 200
    assert ask(app, path, headers={"host": "evil.example:8080"}).status == 421


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", f"https://{HOST}", "http://127.0.0.1:9999"])
def test_a_foreign_page_cannot_press_start(app, jobs, origin):
    answer = ask(app, "/api/jobs/produce/start", {"values": {}}, headers={"origin": origin})
    assert answer.status == 403
    assert jobs["produce"].state == "stopped"


def test_a_start_is_no_get(app, jobs):
    assert ask(app, "/api/jobs/produce/start").status == 405
    assert jobs["produce"].state == "stopped"


def test_the_browser_is_told_to_ask_nobody_else_and_to_show_the_page_in_no_frame(app):
    for path in ("/", "/api/jobs", "/static/main.js", "/nothing"):
        policy = ask(app, path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "script-src" not in policy


def test_beyond_this_machine_nothing_is_given_without_the_token(jobs):
    app = make_app(BEYOND, jobs)
    host = {"host": "192.168.1.7:8080"}
    for path in ("/", "/api/jobs", "/static/style.css", "/?token=guess", "/?token="):
        assert ask(app, path, headers=host).status == 401
    for cookie in ("guess", "", "\xff", '"\\"'):
        assert ask(app, "/api/jobs", headers={**host, "cookie": f"{COOKIE}={cookie}"}).status == 401


def test_the_token_opens_the_page_and_does_not_stay_in_its_address(jobs):
    app = make_app(BEYOND, jobs)
    host = {"host": "192.168.1.7:8080"}
    answer = ask(app, "/sales?token=open-sesame", headers=host)
    assert (answer.status, answer.headers["location"]) == (303, "/sales")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert ask(app, "/api/jobs", headers={**host, "cookie": cookie}).status == 200


def test_a_token_does_not_show(jobs):
    assert BEYOND.token not in repr(BEYOND)
    assert BEYOND.address == "http://127.0.0.1:8080/?token=open-sesame"
