"""Where a reader looks is where the thing is: the questions of CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
ROWS = re.findall(r"^\| (\w.*\?) \| (.*) \|$", PAGE, re.MULTILINE)


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


def test_fourteen_questions_are_answered():
    assert len(ROWS) == 14


@pytest.mark.parametrize(("question", "answer"), ROWS, ids=[row[0] for row in ROWS])
def test_the_file_defines_the_symbol(question, answer):
    answers = re.findall(r"`(\S+\.py)`: `(\S+)`", answer)
    assert len(answers) == answer.count(".py`") > 0
    for file, symbol in answers:
        tree = ast.parse((ROOT / "aa_keras" / file).read_text())
        assert symbol in set(defined(tree)), f"{file} does not define {symbol}"
