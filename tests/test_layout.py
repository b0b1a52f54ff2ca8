"""The layout of the package: which part imports which, and how light it is."""

import ast
import collections
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "aa_keras"
MODULES = sorted(PACKAGE.rglob("*.py"))

# part -> the parts that it imports: exactly these. What is not listed imports none.
ARROWS = {
    "layers": {"backends", "keras_internals"},
    "data": {"keras_internals", "plain_text"},
    "checkpoints": {"keras_internals", "whole_writes"},
    "counting": {"keras_internals", "layers", "plain_text"},
    "memory": {"counting", "layers"},
    "visualization": {"layers"},
    "models": {"docstrings", "keras_internals", "layers", "options"},
    "config": {"docstrings", "models", "options"},
    "tasks": {"data", "layers", "models", "options"},
    "workdir": {"config", "layers", "options", "tasks", "whole_writes"},
    "finished_runs": {"config", "models", "tasks", "workdir"},
    "sweep": {"config", "workdir"},
    "verification": {"checkpoints", "config", "data", "workdir"},
    "training": {
        "checkpoints",
        "config",
        "counting",
        "data",
        "finished_runs",
        "keras_internals",
        "layers",
        "models",
        "tasks",
        "visualization",
        "whole_writes",
        "workdir",
    },
    "export": {
        "backends",
        "config",
        "data",
        "layers",
        "tasks",
        "training",
        "whole_writes",
    },
    "paper": {
        "config",
        "counting",
        "data",
        "keras_internals",
        "memory",
        "models",
        "plain_text",
        "visualization",
        "whole_writes",
        "workdir",
    },
    "cli": {
        "config",
        "data",
        "export",
        "finished_runs",
        "layers",
        "models",
        "paper",
        "plain_text",
        "sweep",
        "tasks",
        "training",
        "verification",
        "visualization",
    },
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


def test_the_arrows_are_those_of_the_table():
    found = collections.defaultdict(set)
    for path in MODULES:
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part == "__init__":  # lists all parts for editors, and imports none
            continue
        for other in set(imported_parts(path)) - {part}:
            found[part].add(other)
    assert found == ARROWS


def test_imports_go_one_way_as_contributing_says():
    # The block of CONTRIBUTING.md: each line imports from the lines above it alone.
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    floors = [re.findall(r"\w+", line) for line in block.splitlines()]
    floor_of = {part: floor for floor, parts in enumerate(floors) for part in parts}
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert floor_of.keys() == {part for part in parts if not part.startswith("__")}
    for part in floor_of.keys() & ARROWS.keys():
        for other in ARROWS[part]:
            assert floor_of[other] < floor_of[part], f"{part} imports {other}"


def test_no_two_modules_share_a_name():
    names = collections.Counter(
        path.parent.name if path.stem == "__init__" else path.stem for path in MODULES
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_hides_a_function_that_is_imported_late():
    # The import of a module sets its name in the package.
    from aa_keras import models

    hidden = [n for n in models.__all__ if (PACKAGE / "models" / f"{n}.py").exists()]
    assert hidden == []


def test_layers_and_models_import_no_tensorflow():
    for part in ("layers", "models", "counting"):
        for file in (PACKAGE / part).rglob("*.py"):
            text = file.read_text()
            assert "tensorflow" not in text, file
            # It computes products of float64 in float32 on torch; `@` does not.
            assert not re.search(r"ops\.(matmul|tensordot)", text), file


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
