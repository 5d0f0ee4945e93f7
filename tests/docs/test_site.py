"""The site: its pages are there, links lead to pages, each option is listed, and nothing is from elsewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_names import _headings
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("site_pages", ROOT / "scripts" / "site_pages.py")
site_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site_pages)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    site_pages.gather(folder)
    return folder


def test_every_page_that_is_listed_is_there(pages):
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    made = {str(path.relative_to(pages)) for path in pages.rglob("*.md")}
    assert len(listed) >= 50
    assert listed <= made


def test_every_link_leads_to_a_page_or_a_heading(pages):
    for page in pages.rglob("*.md"):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for path, heading in re.findall(r"\]\(((?!https?:|mailto:)[^)\s#]*)#?([^)\s]*)\)", text):
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), (page.name, path)
            assert not heading or heading in _headings(target), (page.name, path, heading)


def test_pictures_are_beside_the_pages_that_show_them(pages):
    shown = [
        picture for page in pages.glob("*.md") for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text())
    ]
    assert {"time-arrival.svg", "time-windows.svg", "time-watermark.svg"} <= set(shown)
    assert all((pages / picture).exists() for picture in shown)


def test_every_option_and_every_public_name_is_in_the_reference(pages):
    import transforms
    from pipelines import relay, totals

    options = (pages / "options.md").read_text()
    for pipeline in (relay.PIPELINE, totals.PIPELINE):
        assert all(f"`{option.flag}" in options for group in pipeline.all_groups for option in group.options)
    names = (pages / "api-transforms.md").read_text()
    assert all(f"\n## {name}\n" in names for name in transforms.__all__)
    assert "**Attributes**\n\n- `by`: the key columns" in names
    assert ":class:" not in names


def test_the_site_is_built_and_takes_nothing_from_elsewhere(pages, tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not there: make site gets it")
    config = tmp_path / "mkdocs.yml"
    text = (ROOT / "mkdocs.yml").read_text().replace("out/site/pages", str(pages))
    config.write_text(text.replace("out/site/html", str(tmp_path / "html")))
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", config],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    found = list((tmp_path / "html").rglob("*.html"))
    assert len(found) >= len(list(pages.rglob("*.md")))
    for page in found:
        assert not re.findall(r'(?:src|rel="stylesheet" href)="(?:https?:)?//[^"]*"', page.read_text()), page
