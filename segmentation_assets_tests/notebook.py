"""The example notebook: its cells, what they print, and its rewriting from published demo data, which takes the extra `notebook`.

SEGMENTATION_DATA_DIR=data python -m segmentation_assets_tests.notebook     # runs examples/notebook.ipynb and writes its output
"""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "examples" / "notebook.ipynb"


def cells() -> list[dict[str, Any]]:
    """The cells with code, as in the file."""
    return [cell for cell in json.loads(FILE.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def printed(cell: dict[str, Any]) -> str:
    """What the cell printed when the file was written."""
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


def run(found: list[dict[str, Any]]) -> list[str]:
    """What each cell prints, run one after the other in this process, without Jupyter."""
    names: dict[str, Any] = {}
    shown = []
    for cell in found:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec("".join(cell["source"]), names)  # noqa: S102  # our own notebook
        shown.append(output.getvalue())
    names.clear()  # functions of the cells hold them, and with them the open database, until the next collection of garbage
    return shown


def executed(data_dir: Path) -> Any:
    """The notebook, run by a kernel of Jupyter as its reader does."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(FILE, as_version=4)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}  # else pictures are not shown
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FILE.parent)}}, record_timing=False)
    client.execute(env=environment | {"SEGMENTATION_DATA_DIR": str(data_dir.resolve())})
    return notebook


if __name__ == "__main__":
    import nbformat

    nbformat.write(executed(Path(os.environ["SEGMENTATION_DATA_DIR"])), FILE)
