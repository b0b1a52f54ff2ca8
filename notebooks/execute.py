"""Executes the notebooks here and writes them back with their pictures.

    python notebooks/execute.py [NAME ...]

`make notebooks` trains the run of `results/` that they show before, with one thread:
with more the last digits differ. Outputs of a cell tagged `docs/pictures/FILE.png`
are also written to that file, for the README and the site. The files say in their
metadata which runs they show; `tests/test_pictures.py` compares both with `results/`.
"""

import base64
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SECONDS_PER_CELL = 1200


def execute(path, *, small=False, workdir=HERE):
    """Returns an executed notebook; nothing is written.

    Args:
        path: the notebook.
        small: whether to make the cell that begins with `SMALL = False` say `True`, for
            tests: the same steps on less data.
        workdir: folder in which it runs.
    """
    notebook = nbformat.read(path, as_version=4)
    if small:
        (parameters,) = (
            cell for cell in notebook.cells if cell.source.startswith("SMALL = False")
        )
        parameters.source = "SMALL = True"
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(workdir)}},
    )
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    client.execute(env=environment)
    return clean(notebook)


def clean(notebook):
    """Drops what differs from machine to machine: the kernel's log and its versions."""
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if output.get("name") != "stderr"
            ]
    return notebook


def tags(cell):
    return cell.metadata.get("tags", [])


def write_docs(notebook):
    """Writes the pictures of cells with a tag `docs/pictures/FILE.png`."""
    for cell in notebook.cells:
        for tag in tags(cell):
            if not tag.startswith("docs/"):
                continue
            pictures = [
                output.data["image/png"]
                for output in cell.outputs
                if "image/png" in output.get("data", {})
            ]
            (ROOT / tag).parent.mkdir(exist_ok=True)
            (ROOT / tag).write_bytes(base64.b64decode(pictures[0]))


def main():
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.ipynb"))
    for name in names:
        path = HERE / f"{Path(name).stem}.ipynb"
        notebook = execute(path)
        nbformat.write(notebook, path)
        write_docs(notebook)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
