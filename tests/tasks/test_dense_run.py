"""A run that classifies every cell of a map, as a user starts it."""

import json

import pytest

RELATIVE = "experiments/pointers/pointers_relative.yaml"


@pytest.mark.slow
def test_one_augmented_layer_learns_the_pointer_task(tmp_path, aa_keras):
    workdir = tmp_path / "run"
    aa_keras("train", RELATIVE, "--workdir", workdir, "--set", "train.epochs=2")
    metrics = json.loads((workdir / "result.json").read_text())["metrics"]
    assert metrics["test"]["accuracy"] > 0.999
    assert metrics["test"]["cells"] == 1024 * 16 * 16
    assert metrics["test_larger"]["accuracy"] > 0.999
    assert metrics["test_larger"]["cells"] == 1024 * 24 * 24
    done = aa_keras("evaluate", workdir, "--split", "test_larger")
    assert "accuracy 1.0000" in done.stdout
    image = "docs/pictures/figure_1.png"
    for command in (
        ("predict", workdir, image),
        ("maps", workdir, image, "--out", tmp_path / "map.png"),
        ("export", workdir, tmp_path / "export"),
    ):
        done = aa_keras(*command, status=2)
        assert "whose inputs are not pictures; allowed: runs of" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "export").exists()
