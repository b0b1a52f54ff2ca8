"""docs/faults.md: each fault that it lists has a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.*) \| (.*) \| `(\S+\.py)`: `(test_\w+)` \|$", PAGE, re.M)


def test_every_row_names_a_test():
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    tables = PAGE.count("|---|---|---|")
    assert len(lines) - 2 * tables == len(ROWS) > 0


@pytest.mark.parametrize(("fault", "loss", "file", "name"), ROWS)
def test_the_test_exists(fault, loss, file, name):
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")
