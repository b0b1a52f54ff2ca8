"""The layout of the package: which part may import which, and how light it is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "aa_keras"
MODULES = sorted(PACKAGE.rglob("*.py"))

# part -> the parts of ours that it may import. What is not listed imports nothing.
ALLOWED = {
    "models": {"layers"},
    "counting": {"layers"},
    "checkpoints": set(),
    "workdir": {"config", "checkpoints"},
    "tasks": {"data", "models"},
    "training": {
        "checkpoints",
        "config",
        "counting",
        "data",
        "layers",
        "models",
        "tasks",
        "visualization",
        "workdir",
    },
    "export": {"data", "training", "tasks"},
    "visualization": {"layers"},
    "paper": {"config", "counting", "data", "models", "visualization"},
    "cli": None,  # anything
    "__main__": {"cli"},
}


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
            if node.module == "aa_keras":
                names = [f"aa_keras.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "aa_keras" and rest and not rest.startswith("__"):
                yield rest.partition(".")[0]


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_go_one_way(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    allowed = ALLOWED.get(part, set())
    if allowed is not None:
        assert set(imported_parts(path)) <= allowed | {part}


def test_layers_and_models_run_on_every_backend_of_keras():
    for part in ("layers", "models", "counting.py"):
        path = PACKAGE / part
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            assert "tensorflow" not in file.read_text(), file


def test_importing_the_package_is_light():
    script = (
        "import sys, aa_keras; "
        "print(sorted({'tensorflow', 'keras', 'keras_cv', 'tensorflow_datasets', "
        "'matplotlib', 'jax', 'torch'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_help_imports_nothing_heavy():
    # The time it takes is the machine's; what it imports is ours.
    script = (
        "import sys\n"
        "from aa_keras import cli\n"
        "try:\n    cli.main(['--help'])\n"
        "finally:\n"
        "    heavy = {'tensorflow', 'keras', 'matplotlib', 'tensorflow_datasets'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert out.stderr.strip() == "[]"
    for command in ("train", "evaluate", "predict", "export", "maps", "summary"):
        assert f"\n  {command} " in out.stdout
