"""The law of the house: imports run downward, without a circle, and simulators know no Beam."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: From the ground up: a folder may import those before it.
FOLDERS = ("schemas", "storage", "sources", "command_line", "transforms", "sinks", "simulators", "pipelines", "pages")
APPLICATIONS = ("pages", "pipelines", "simulators")


def imports() -> dict[str, set[str]]:
    """Return what each module imports, also where only the type checker does; modules of the project by full name."""
    files = [path.relative_to(ROOT) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in files}
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = set()
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                deeper = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= (deeper & modules.keys()) | ({node.module} if deeper - modules.keys() else set())
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        found[module] = names - {module}
    return found


IMPORTS = imports()


def test_no_module_is_in_a_circle():
    TopologicalSorter({module: names & IMPORTS.keys() for module, names in IMPORTS.items()}).prepare()


@pytest.mark.parametrize("module", IMPORTS)
def test_imports_run_downward(module):
    folder = module.partition(".")[0]
    above = FOLDERS[FOLDERS.index(folder) + 1 :]
    assert not {name for name in IMPORTS[module] if name.partition(".")[0] in above}


def test_no_core_module_imports_an_application():
    for module, names in IMPORTS.items():
        assert module.startswith(APPLICATIONS) or not {n for n in names if n.startswith(APPLICATIONS)}, module


def test_simulators_know_no_beam_not_even_by_what_they_import():
    reached, new = set(), {module for module in IMPORTS if module.startswith("simulators")}
    while new:
        reached |= new
        new = {name for module in new for name in IMPORTS.get(module, ())} - reached
    assert not {name for name in reached if name.startswith("apache_beam")}
