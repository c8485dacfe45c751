"""The example notebook does what it shows."""

from pathlib import Path

import pytest

from segmentation_assets_tests import notebook

AGAIN = "if this is right, run: python -m segmentation_assets_tests.notebook"


@pytest.mark.slow
def test_its_code_prints_the_output_shown(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTATION_DATA_DIR", str(demo))
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = notebook.cells()
    assert notebook.run(cells) == [notebook.printed(cell) for cell in cells], AGAIN


def test_it_names_no_customer() -> None:
    assert not [cell for cell in notebook.cells() if "customer_id" in notebook.printed(cell)]


@pytest.mark.full  # in CI: the test above, without Jupyter
def test_jupyter_runs_it(demo: Path) -> None:
    pytest.importorskip("nbclient", reason="the extra `notebook` is not installed")
    ran = [cell for cell in notebook.executed(demo)["cells"] if cell["cell_type"] == "code"]
    assert [notebook.printed(cell) for cell in ran] == [notebook.printed(cell) for cell in notebook.cells()], AGAIN
    assert any("image/png" in output.get("data", {}) for cell in ran for output in cell["outputs"])
