"""The notebook runs from its first cell to its last."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from tests.simulators.tools import ROOT

NOTEBOOK = ROOT / "examples" / "credit.ipynb"
CELL_SECONDS = 60


@pytest.mark.usefixtures("prism")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_runs_and_charts_all_transfers(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=CELL_SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    assert "4,000 read = 4,000 used" in text
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
    assert len(list(tmp_path.glob("credit-*/credit.jsonl"))) == 1


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []
