"""Two steps of every experiment file, with all else as configured."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
# One file for each family and recipe; the others are slow in their number.
ONE_OF_EACH = {
    "imagenet/aa_mnasnet_0.75",
    "small/cifar100_aa_resnet_20",
}


def experiment_files():
    for path in sorted(EXPERIMENTS.rglob("*.yaml")):
        name = path.relative_to(EXPERIMENTS).with_suffix("").as_posix()
        marks = [] if name in ONE_OF_EACH else [pytest.mark.slow]
        yield pytest.param(path, id=name, marks=marks)


@pytest.mark.parametrize("path", list(experiment_files()))
def test_two_steps(path, data_dir, tmp_path, aa_keras):
    # In a process of its own: TensorFlow keeps every graph with a custom gradient.
    arguments = ["--workdir", tmp_path / "run", "--smoke"]
    if path.parent.name != "quickstart":
        arguments += ["--set", f"data.data_dir={data_dir}"]
    aa_keras("train", path, *arguments)
    assert (tmp_path / "run" / "model.keras").is_file()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    shutil.rmtree(tmp_path / "run")  # checkpoints of 50 networks fill a disk
    *_, metrics = result["metrics"].values()  # the last of the measured splits
    assert metrics["images"] == 2
    assert np.isfinite(list(metrics.values())).all()
    assert result["params"] > 5_000
