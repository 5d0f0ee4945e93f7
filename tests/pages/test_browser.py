"""The page in a real browser: what a person does, and sees."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest

from tests.pages.serving import ENDLESS, Page, is_alive, serving
from tests.pages.tabs import PICTURES, expect, needs_chromium, opened, playwright

pytestmark = needs_chromium
READ = "parseInt(document.querySelector('.balance .read dd').textContent.replaceAll(',', ''))"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with serving(tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture
def tab(page: Page, chromium: playwright.Browser) -> Iterator[playwright.Page]:
    # The browser itself tells of each answer that says no, as those to a wrong option do.
    with opened(chromium, page.address, "status of 422") as tab:
        yield tab


def fill(tab: playwright.Page, flag: str, text: str) -> None:
    field = tab.locator(f"[name='{flag}']")
    field.evaluate(
        "field => { for (let at = field; at; at = at.parentElement) if (at.open === false) at.open = true; }"
    )
    field.fill(text)


def state(tab: playwright.Page) -> playwright.Locator:
    return tab.locator("main .state").first


def test_a_job_is_started_watched_stopped_and_started_again(page, tab):
    tab.goto("/produce")
    fill(tab, "--input", shlex.quote(ENDLESS))
    fill(tab, "--window", "all")
    fill(tab, "--output", "out.jsonl")
    fill(tab, "--window", "all")
    tab.get_by_role("button", name="Start", exact=True).click()
    first = page.wait("produce", lambda job: job["balance"]["counts"].get("read"))["balance"]["counts"]["read"]
    page.wait("produce", lambda job: job["balance"]["counts"]["read"] > first)
    tab.wait_for_function(f"() => {READ} > {first}")
    expect(state(tab)).to_have_text(re.compile("running"))
    assert not (page.folder / "out.jsonl").exists()
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(state(tab)).to_have_text(re.compile("stopped"))
    assert (page.folder / "out.jsonl").exists(), [page.job("produce"), page.ask("/api/jobs/produce/log")]
    rows = [json.loads(line, parse_float=Decimal) for line in (page.folder / "out.jsonl").read_text().splitlines()]
    assert rows
    shown = {name: tab.locator(f".balance .{name} dd").inner_text() for name in ("read", "used", "filtered")}
    balance = f"{shown['read']} read = {shown['used']} used + {shown['filtered']} filtered"
    expect(tab.locator(".log")).to_contain_text(balance)
    assert sum(row["rows"] for row in rows) == int(shown["used"].replace(",", ""))
    with closing(sqlite3.connect(page.folder / "out/page/produce/job.db")) as database:
        found = database.execute("SELECT upc, quantity, scale, spend, rows FROM produce WHERE final").fetchall()
    assert sorted((upc, *map(Decimal, numbers)) for upc, *numbers in found) == sorted(
        (row["upc"], *(Decimal(row[name]) for name in ("quantity", "scale", "spend", "rows"))) for row in rows
    )
    best = max(rows, key=lambda row: Decimal(row["spend"]))
    expect(tab.locator(".view")).to_contain_text(f"{Decimal(best['spend']):,}")
    PICTURES.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=PICTURES / "produce.png", full_page=True)
    tab.get_by_role("button", name="Start", exact=True).click()
    page.wait("produce", lambda job: job["run"] == 2 and job["state"] == "running")
    tab.reload()
    expect(state(tab)).to_have_text(re.compile("running"))
    assert tab.locator("[name='--output']").input_value() == "out.jsonl"
    process = page.job("produce")["process"]
    os.kill(process, signal.SIGKILL)
    expect(state(tab)).to_have_text(re.compile("failed"))
    expect(tab.locator(".reason").first).to_have_text("ended by SIGKILL")
    assert not is_alive(process)


def test_what_is_wrong_with_an_option_stands_beside_its_field(page, tab):
    tab.goto("/errors")
    fill(tab, "--window", "5x")
    wrong = tab.locator("[data-flag='--window'] .wrong")
    expect(wrong).to_contain_text("5x")
    tab.get_by_role("button", name="Start", exact=True).click()
    expect(wrong).to_contain_text("5x")
    expect(tab.locator("[name='--window']")).to_have_attribute("aria-invalid", "true")
    assert page.job("errors")["state"] == "stopped"
    fill(tab, "--window", "1d")
    expect(wrong).to_have_text("")


def test_what_only_the_run_finds_wrong_stands_there_too(page, tab):
    tab.goto("/relay")
    fill(tab, "--input", "none.csv")
    tab.get_by_role("button", name="Start", exact=True).click()
    expect(state(tab)).to_have_text(re.compile("failed"))
    expect(tab.locator(".reason").first).to_contain_text("none.csv")


@pytest.mark.parametrize("path", ["/", "/sales"])
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(tab, path, width):
    tab.set_viewport_size({"width": width, "height": 900})
    tab.goto(path)
    expect(tab.locator(".state").first).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_texts_of_data_are_only_texts(tab):
    tab.goto("/produce")
    shown = tab.evaluate(
        """async () => {
            const { el, readable } = await import("/static/dom.js");
            const odd = "<script>document.title = 'mine'</scr" + "ipt><b>\\u001b[31m\\u202eabc";
            const made = el("p", {}, readable(odd));
            document.body.append(made);
            return [made.childElementCount, made.textContent];
        }"""
    )
    assert shown == [0, "<script>document.title = 'mine'</script><b>\ufffd[31m\ufffdabc"]
