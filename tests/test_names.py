"""Where a reader looks is where the thing is: the questions of CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# file of the package -> the symbols that answer a question
ANSWERS = {
    "training/schedules.py": {"build_schedule"},
    "training/optimizers.py": {"decay_kernels"},
    "workdir.py": {"WorkDir.write_result"},
    "tasks/classification.py": {"Classification.predict"},
    "tasks/detection.py": {"Detection.predict"},
    "layers/attention/resampling.py": {"fit_table"},
    "data/detection_augmentation.py": {"augment"},
    "data/served_decoding.py": {"decode_picture"},
    "layers/attention/implementations.py": {"choose"},
    "paper/tables.py": {"table_rows"},
    "paper/report.py": {"load_results"},
    "layers/attention/position_encodings.py": {"ENCODINGS"},
    "data/sources.py": {"SOURCES"},
    "models/registry.py": {"FAMILIES"},
    "export/formats.py": {"FORMATS"},
    "models/spec.py": {"Attention"},
}


def defined(tree, prefix=""):
    """Yields the names that a module or class defines, `Class.method` for methods."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from defined(node, f"{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (prefix + t.id for t in targets if isinstance(t, ast.Name))


@pytest.mark.parametrize("file", ANSWERS)
def test_the_file_defines_the_symbol(file):
    tree = ast.parse((ROOT / "aa_keras" / file).read_text())
    assert set(defined(tree)) >= ANSWERS[file]


def test_contributing_gives_the_same_answers():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| W[^|]*\? \| `(.*?)` \| `(.*?)` \|$", page, re.MULTILINE)
    assert rows == [(file, name) for file, names in ANSWERS.items() for name in names]
