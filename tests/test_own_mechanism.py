"""The example of a mechanism of one's own, as its page walks through it."""

import json
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "own_mechanism"


@pytest.mark.slow  # the report counts every network
def test_the_example_trains_and_is_reported(aa_keras, tmp_path):
    # Outside of the checkout: the module is found beside the file.
    shutil.copytree(EXAMPLE, tmp_path / "mine")
    options = ["--set", "train.epochs=2", "--workdir", "runs/context"]
    trained = aa_keras("train", "mine/context_resnet_20.yaml", *options, cwd=tmp_path)
    assert "port.cc" not in trained.stderr  # TensorFlow's noise while it is imported
    answer = aa_keras("evaluate", "runs/context", cwd=tmp_path).stdout
    metrics = json.loads((tmp_path / "runs/context/result.json").read_text())["metrics"]
    assert f"accuracy {metrics['test']['accuracy']:.4f}" in answer
    aa_keras("report", "runs/context", cwd=tmp_path)
    report = (tmp_path / "results" / "RESULTS.md").read_text()
    assert "| context_resnet_20 |" in report
