"""From a committed row to the pixel: views in a real browser, over a database that a job writes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.serving import serving
from tests.pages.tabs import PICTURES, expect, needs_chromium, opened, playwright
from tests.pages.views.watched import HOSTILE, fill, visitors, write

pytestmark = needs_chromium
READABLE = HOSTILE.replace("\x1b", "\ufffd").replace("\u202e", "\ufffd")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("watched") / "all.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def address(database: Path) -> Iterator[str]:
    with serving(database.parent, f"sqlite:///{database}") as page:
        yield page.address


@pytest.fixture
def tab(address: str, chromium: playwright.Browser) -> Iterator[playwright.Page]:
    with opened(chromium, address, viewport={"width": 1440, "height": 1000}) as tab:
        yield tab


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("produce", ["$1,200.35", "2024-05-06 17:00 – 18:00"]),
        ("credit", ["4,000", "25.0 %", "Busiest", "10m up to 2024-05-06 12:40 UTC"]),
        ("errors", ["529", "23:00", "Mon"]),
        ("sales", ["$1,620.00", "▽ low", "✕ out", "4 · $20.00", "12.5", "▲ +9.2", "74.1 %"]),
        ("relay", ["first", "a.jsonl:40"]),
        ("totals", ["12.5", "sum fare"]),
    ],
)
def test_a_view_shows_its_tables_on_each_screen_and_texts_of_data_are_only_texts(tab, name, told):
    PICTURES.mkdir(parents=True, exist_ok=True)
    tab.goto(f"/{name}")
    view = tab.locator(".view")
    for text in told:
        expect(view).to_contain_text(text)
    if name != "errors":
        expect(view.get_by_text(READABLE).first).to_be_attached()
    assert tab.title().endswith("transaction streams")
    for width, scheme in ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")):
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": width, "height": 1000})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        view.screenshot(path=PICTURES / f"view-{name}-{width}-{scheme}.png")


def test_a_committed_row_reaches_the_pixel(tab, database):
    tab.goto("/errors")
    cell = tab.locator(".board li").nth(7)
    expect(cell).to_contain_text("49")
    others = tab.locator(".board .changed")
    assert others.count() == 0
    write(
        database, "errors", ("hour",), visitors([1_234_567 if hour == 7 else hour * hour for hour in range(24)]), run=2
    )
    expect(cell).to_contain_text("1,234,567")
    # It flashes, and nothing else does.
    assert cell.evaluate("cell => cell.classList.contains('changed')")
    assert others.count() == 1


def test_a_table_is_sorted_and_searched_with_the_keyboard_and_a_window_is_picked(tab):
    tab.goto("/produce")
    table = tab.get_by_role("region", name="products").locator("table")
    first = table.locator("tbody tr").first
    expect(first).to_contain_text("$1,200.35")
    tab.get_by_role("button", name="Spend").focus()
    tab.keyboard.press("Enter")
    expect(table.get_by_role("columnheader", name="Spend")).to_have_attribute("aria-sort", "ascending")
    expect(first).to_contain_text("PRODUCT 119")
    tab.get_by_label("Search products").press_sequentially("product 42")
    expect(table.locator("tbody tr")).to_have_count(1)
    expect(first).to_contain_text("$1,158.35")
    tab.locator(".view").get_by_label("Window").first.select_option(label="2024-05-06 12:00 – 13:00")
    expect(first).to_contain_text("$1,158.00")
