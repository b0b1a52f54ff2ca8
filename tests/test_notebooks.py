"""Every notebook runs, and is committed with the outputs of a whole run."""

from pathlib import Path

import nbformat
import pytest

from notebooks.execute import HERE, execute

FAST = ("relative_embeddings",)  # part of `make test`
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
INSTALL = """\
import importlib.util

if importlib.util.find_spec("aa_keras") is None:  # as in Colab
    %pip install --quiet "aa-keras[train,viz]\""""
MACHINE = (f"{HERE.parent}/", "/home/", "/root/", "/tmp/", "/usr/", "/private/", "C:\\")


def name_of(path):
    return Path(path).stem


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[] if path.stem in FAST else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
    ids=name_of,
)
def test_it_runs(path):
    executed = execute(path, small=True)
    committed = nbformat.read(path, as_version=4)
    # As many pictures as in the committed one, each of the same kind.
    assert [kinds(cell) for cell in executed.cells] == [
        kinds(cell) for cell in committed.cells
    ]


def kinds(cell):
    outputs = cell.get("outputs", [])
    return [sorted(output.get("data", {})) for output in outputs if "data" in output]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_it_is_committed_as_it_ran(path):
    assert path.stat().st_size < 1e6
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert code[0].source == INSTALL  # the same in all of them
    assert code[1].source.startswith("SMALL = False")
    assert any("image/png" in kind for cell in code for kind in kinds(cell))
    for cell in code:
        assert "execution" not in cell.metadata  # times of the day
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            texts = [output.get("text", ""), output.get("data", {}).get("text/plain")]
            for text in filter(None, texts):
                assert not any(path in text for path in MACHINE), text
