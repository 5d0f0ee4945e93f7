"""The notebooks whose outputs are kept run from their first cell to their last, and show a table and a chart."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from tests.patience import PATIENCE_SECONDS
from tests.simulators.tools import ROOT


def shown(notebook) -> tuple[str, int, int]:
    """What is printed or given as text, and how many tables and pictures there are."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs]
    kinds = [output.get("data", {}) for output in outputs]
    return "\n".join(texts), sum("text/html" in kind for kind in kinds), sum("image/png" in kind for kind in kinds)


@pytest.mark.usefixtures("prism")
@pytest.mark.parametrize(
    ("name", "text", "tables"), [("first_steps", "fare is no decimal number: 'a lot'", 2), ("live", "4000", 1)]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_notebook_runs_and_has_its_outputs(name, text, tables, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    kept = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
    notebook = nbformat.from_dict(kept)
    NotebookClient(notebook, timeout=PATIENCE_SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for each in (kept, notebook):
        told, frames, pictures = shown(each)
        assert "all is there" in told
        assert text in told
        assert (frames, pictures) == (tables, 1)
