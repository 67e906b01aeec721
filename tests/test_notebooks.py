"""The notebooks run from the first cell to the last; what they show is kept in them."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of the kernel's own packages
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(path, as_version=4)
    shown = [[output.output_type for output in cell.get("outputs", [])] for cell in book.cells]
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [[output.output_type for output in cell.get("outputs", [])] for cell in book.cells] == shown
    assert any("image/png" in output.get("data", {}) for cell in book.cells for output in cell.get("outputs", []))


def test_there_are_notebooks_small_and_with_pictures() -> None:
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        text = path.read_text()
        assert len(text) < 200_000
        assert '"image/png"' in text
        assert str(NOTEBOOKS[0].parent.parent) not in text, "a path of the machine that ran it"
