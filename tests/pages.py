"""The commands and programs of a page, which a test and `make release-check` run.

    python -m tests.pages PYTHON PAGE ...

In a block of `sh` the lines that start with `aa-keras` or `python` run; a block of
`python` runs as a whole; a block with a title is written to the file of that name.
Blocks after `<!-- long -->` are skipped.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r'(<!-- long -->\n)?```(sh|python|yaml)(?: title="(\S+)")?\n(.*?)```', re.DOTALL
)


def steps(page):
    """Yields the steps of a page: the words of a command for Python, or a file."""
    for long, language, title, text in BLOCK.findall((ROOT / page).read_text("utf-8")):
        if title:
            yield Path(title), text
        elif language == "python" and not long:
            yield ["-c", text]
        elif language == "sh" and not long:
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["aa-keras"]:
                    yield ["-m", "aa_keras", *words[1:]]
                elif words[:1] == ["python"]:
                    yield words[1:]


def run(pages, folder, python=sys.executable, **environment):
    """Runs the steps of pages one after the other; raises RuntimeError if one fails."""
    for name in ("experiments", "examples"):
        (folder / name).symlink_to(ROOT / name)
    for page in pages:
        for step in steps(page):
            if isinstance(step, tuple):
                (folder / step[0]).write_text(step[1], "utf-8")
                continue
            command = [str(python), *step]
            options = {"capture_output": True, "text": True, **environment}
            done = subprocess.run(command, cwd=folder, **options)
            if done.returncode:
                told = f"{page}: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"
                raise RuntimeError(told)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(sys.argv[2:], Path(folder), Path(sys.argv[1]).absolute())
    print(f"{', '.join(sys.argv[2:])}: every command and program works")
