"""What the page answers."""

from __future__ import annotations

import pytest

from command_line.main import PIPELINES
from tests.pages.asking import ask


@pytest.mark.parametrize("name", PIPELINES)
def test_each_pipeline_has_an_address_of_its_own(app, name):
    assert f"<title>{name} ·".encode() in ask(app, f"/{name}").body


def test_what_is_not_there_is_not_found(app):
    for path in ("/nothing", "/static/../app.py", "/static/%2e%2e/app.py", "/api/jobs/nothing/log"):
        assert ask(app, path).status == 404


def test_what_has_not_changed_is_not_sent_again(app):
    first = ask(app, "/api/jobs")
    again = ask(app, "/api/jobs", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_what_is_wrong_is_told_by_option_and_nothing_starts(app, jobs):
    answer = ask(app, "/api/jobs/produce/start", {"values": {"--window": "5x", "--lateness": "-1s"}})
    assert answer.status == 422
    assert answer.json["errors"].keys() == {"--window", "--lateness"}
    assert jobs["produce"].state == "stopped"


@pytest.mark.parametrize("content", [{"values": []}, {"values": {"--window": {}}}, {"values": {"--what": "1"}}])
def test_what_no_form_sends_is_refused(app, jobs, content):
    assert ask(app, "/api/jobs/produce/start", content).status in (400, 422)
    assert jobs["produce"].state == "stopped"


def test_a_check_gives_the_command_line(app):
    answer = ask(app, "/api/jobs/relay/check", {"values": {"--input": "'a b.csv' c.csv", "--loop": True}})
    assert answer.json["command"].startswith(
        "python -m pipelines.relay --loop '--input=a b.csv' --input=c.csv --output="
    )


def test_no_password_is_shown(app, jobs):
    address = "postgresql://me:open-sesame@db/shop"
    checked = ask(app, "/api/jobs/credit/check", {"values": {"--output": f"a.jsonl {address}"}})
    assert "postgresql://me:***@db/shop" in checked.json["command"]
    jobs["credit"].values = {"--output": address, "more": f"--x={address}"}
    assert b"open-sesame" not in checked.body + ask(app, "/api/forms").body + ask(app, "/api/jobs").body


def test_a_view_of_nothing_is_nothing_yet(app):
    for name in PIPELINES:
        assert ask(app, f"/api/views/{name}").json is None
