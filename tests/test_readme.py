"""Every command and every program of the README runs, in the order of the page.

In a block of `sh` the lines that start with `aa-keras` or `python` run; a block of
`python` runs as a whole. Blocks after `<!-- long -->` are skipped.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- long -->\n)?```(sh|python)\n(.*?)```", re.DOTALL)


def commands():
    for page in (ROOT / "README.md",):
        for long, language, text in BLOCK.findall(page.read_text()):
            if long:
                continue
            if language == "python":
                yield [sys.executable, "-c", text]
                continue
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["aa-keras"]:
                    yield [sys.executable, "-m", "aa_keras", *words[1:]]
                elif words[:1] == ["python"]:
                    yield [sys.executable, *words[1:]]


def test_the_page_has_commands():
    found = [command[3] for command in commands() if command[1:3] == ["-m", "aa_keras"]]
    assert set(found) >= {
        "train",
        "evaluate",
        "predict",
        "export",
        "maps",
        "summary",
        "tables",
    }
    assert sum(command[1] == "-c" for command in commands()) >= 2


@pytest.mark.slow
def test_every_command_of_the_page_works(tmp_path):
    # In a separate folder, so that the commands write nothing into the checkout.
    for name in ("aa_keras", "experiments", "notebooks", "benchmarks", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    for command in commands():
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}")
