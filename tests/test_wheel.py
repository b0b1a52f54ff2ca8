"""The wheel, installed where nothing else is, trains the quickstart."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_trains_in_a_clean_environment(tmp_path):
    def run(*command):
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # Built from a copy: setuptools writes its folders beside the sources.
    source = tmp_path / "source"
    shutil.copytree(ROOT / "aa_keras", source / "aa_keras")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = ("-m", "pip", "--disable-pip-version-check")
    run(sys.executable, *pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, source)
    shutil.rmtree(source)
    (wheel,) = tmp_path.glob("aa_keras-*.whl")
    run(sys.executable, "-m", "venv", "clean")
    python = tmp_path / "clean" / "bin" / "python"
    constraints = ROOT / "requirements.txt"
    run(python, *pip, "install", "--quiet", "--constraint", constraints, wheel)

    where = run(python, "-c", "import aa_keras; print(aa_keras.__file__)")
    assert str(tmp_path) in where
    shutil.copy(ROOT / "experiments/quickstart/digits_aa_resnet.yaml", tmp_path)
    command = tmp_path / "clean" / "bin" / "aa-keras"
    arguments = ("--workdir", "run", "--set", "train.epochs=15")
    run(command, "train", "digits_aa_resnet.yaml", *arguments)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metrics"]["test"]["accuracy"] > 0.9
    # The wheel contains the package data, too: the facts file and the page.
    program = "from aa_keras import paper; print(paper.find_row(3, 'AA-ResNet-50'))"
    assert "25.8" in run(python, "-c", program)
    page = "files('aa_keras.visualization').joinpath('page.html').read_text()"
    assert "<script" in run(
        python, "-c", f"from importlib.resources import files; print({page})"
    )
    summary = run(command, "summary", "digits_aa_resnet.yaml")
    assert "72,686" in summary
