"""What the docs name is there: files, folders, modules, and the headings that they link to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = "schemas|sources|command_line|transforms|sinks|simulators|pipelines|pages"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/results/*.md")])


def _slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _headings(page: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {_slug(heading) for heading in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    named = re.findall(rf"`((?:{PACKAGES}|tests|benchmarks|docs|examples)/[\w/.-]*)`", page.read_text())
    assert not [name for name in named if not (ROOT / name).exists() and "NAME" not in name]


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "CHANGELOG"], ids=lambda page: page.name)
def test_modules_that_are_named_are_there(page):
    for name in re.findall(rf"`((?:{PACKAGES})(?:\.\w+)+)`", page.read_text()):
        parts = name.split(".")
        folder = ROOT.joinpath(*parts[:1])
        for part, rest in ((parts[n], parts[n:]) for n in range(1, len(parts))):
            if folder.is_dir() and (folder / part).is_dir():
                folder /= part
                continue
            module = folder / f"{part}.py" if (folder / f"{part}.py").exists() else folder / "__init__.py"
            words = rest[1:] if module.stem == part else rest
            assert part == "NAME" or module.exists(), name
            assert part == "NAME" or all(re.search(rf"\b{word}\b", module.read_text()) for word in words), name
            break


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not heading or heading in _headings(target), link


def test_the_layout_names_every_module():
    layout = (ROOT / "docs/architecture.md").read_text().split("## Layout")[1].split("```")[1]
    words, folder = {}, ""
    for line in layout.splitlines():
        indent, name, rest = re.fullmatch(r"( *)((?:\w+/)?)(.*)", line).groups()
        if name:
            folder = name if not indent else f"{folder.split('/', maxsplit=1)[0]}/{name}"
        words.setdefault(folder, set()).update(re.findall(r"\w+", rest))
    for folder, names in words.items():
        if not folder.startswith("simulators/") and folder:
            assert {path.stem for path in (ROOT / folder).glob("[a-z]*.py")} <= names, folder
