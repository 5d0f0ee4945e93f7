"""Gather the pages of the site in out/site: those of docs/, the README, tables, and the reference, made of the code.

python scripts/site_pages.py && mkdocs build --strict
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import shutil
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from command_line.main import PIPELINES, SIMULATORS

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "out" / "site" / "pages"
#: Pages that are not in docs/, and where they stand in the site.
OTHERS = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
PICTURES = (".svg", ".png")
#: The modules whose public names make the library.
MODULES = ("sources", "transforms", "sinks", "schemas.record_type")
_NAMES_OF_RECORD_TYPE = ("RecordType", "Column", "Dialect", "Rejected")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def places() -> dict[Path, str]:
    """Return the files that become pages, and pictures, and the paths that they have in the site."""
    found = {ROOT / name: place for name, place in OTHERS.items()}
    found |= {path: path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    for picture in sorted(path for ending in PICTURES for path in (ROOT / "docs").rglob(f"*{ending}")):
        found[picture] = str(picture.relative_to(ROOT / "docs"))
    return found | {path: f"benchmarks/{path.name}" for path in sorted((ROOT / "benchmarks/results").glob("*.md"))}


def moved(text: str, file: Path, known: dict[Path, str]) -> str:
    """Return the text of a page whose links lead to where pages are in the site; those to other files become plain."""

    def link(match: re.Match[str]) -> str:
        target = (file.parent / match[1]).resolve()
        if target not in known:
            return "]"
        path = os.path.relpath(known[target], Path(known[file]).parent)
        return f"]({path}{match[2] or ''})"

    text = _LINK.sub(link, text)
    # What was a link to a file of code is its words, and the name of the file.
    return re.sub(
        r"(?<!!)\[([^\]\n]+)\](?![(\[:])", lambda m: m[1] if "`" in m[1] or m[1].isidentifier() else m[0], text
    )


def options_page() -> str:
    """Return all options of all programs, from their parsers."""
    lines = ["# Options\n", "Every option may also stand in [a file](config.md). `--help` shows the common ones.\n"]
    for name in PIPELINES:
        lines.append(f"## {name}\n\n`python -m pipelines.{name}`\n")
        for group in import_module(f"pipelines.{name}").PIPELINE.all_groups:
            lines += [f"### {name}: {group.title.removeprefix(f'{name}: ')}\n", "| option | meaning |\n|---|---|"]
            for option in group.options:
                value = option.metavar or (" ".join(option.choices) if option.choices else "")
                shown = f"`{option.flag}{f' {value}' if value else ''}`".replace("|", "\\|")
                lines.append(f"| {shown} | {_cell(option.help)} |")
            lines.append("")
    for name in SIMULATORS:
        with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
            import_module(f"simulators.{name}").main(["--help"])
        lines.append(f"## simulators.{name}\n\n```text\n{told.getvalue().strip()}\n```\n")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def api_page(module: str) -> str:
    """Return the public names of a module: their signatures and what their docstrings say."""
    found = import_module(module)
    lines = [f"# {module}\n", f"{_prose(inspect.getdoc(found) or '')}\n"]
    for name in getattr(found, "__all__", _NAMES_OF_RECORD_TYPE):
        value = getattr(found, name)
        lines.append(f"## {name}\n")
        if callable(value):
            lines.append(f"```text\n{_signature(name, value)}\n```\n")
            lines.append(_prose(inspect.getdoc(value) or ""))
        lines.append("")
    return "\n".join(lines)


def _signature(name: str, value: Any) -> str:
    try:
        parameters = [p for p in inspect.signature(value).parameters.values() if p.name != "self"]
    except (TypeError, ValueError):
        return name
    shown = [str(p).replace(f": '{p.annotation}'", f": {p.annotation}") for p in parameters]
    shown = [re.sub(r" at 0x[0-9a-f]+|<factory>", "...", parameter) for parameter in shown]
    whole = f"{name}({', '.join(shown)})"
    return whole if len(whole) < 100 else f"{name}(\n    " + ",\n    ".join(shown) + ",\n)"  # noqa: PLR2004


def _prose(doc: str) -> str:
    """Return a docstring as Markdown: sections with their entries as lists, examples as code."""
    doc = _ROLE.sub(lambda m: f"`{m[1].rpartition('.')[2]}`", doc).replace("``", "`")
    return "\n".join(_lines(doc)) + "\n"


def _lines(doc: str) -> Iterator[str]:
    for part in re.split(r"\n(?=(?:Attributes|Args|Raises|Returns|Yields):\n)", doc):
        title, _, body = part.partition(":\n")
        if title not in ("Attributes", "Args", "Raises", "Returns", "Yields"):
            yield re.sub(r"^(>>> (?:.*\n?)(?:.+\n?)*)", r"\n```text\n\1\n```\n", part, flags=re.MULTILINE)
            continue
        yield f"\n**{title}**\n"
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(body).strip()):
            name, colon, text = entry.partition(":")
            text = re.sub(r"\s+", " ", text)
            yield f"- `{name}`:{text}" if colon else f"- {entry}"


def gather(folder: Path) -> None:
    """Write all pages, in the place of all that was there."""
    shutil.rmtree(folder, ignore_errors=True)
    known = places()
    for file, place in known.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in PICTURES:
            shutil.copy(file, target)
        else:
            target.write_text(moved(file.read_text("utf-8"), file, known), "utf-8")
    (folder / "options.md").write_text(options_page(), "utf-8")
    for module in MODULES:
        (folder / f"api-{module.replace('.', '-')}.md").write_text(api_page(module), "utf-8")


if __name__ == "__main__":
    gather(PAGES)
