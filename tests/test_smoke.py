"""Two steps of every experiment file, with all else as configured."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import written_sets

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
# One file for each family and recipe; the others are slow in their number.
ONE_OF_EACH = {
    "cifar100/aa_wide_resnet_28_10",
    "coco/aa_retinanet_50",
    "imagenet/aa_mnasnet_0.75",
    "imagenet/aa_resnet_34",
    "small/cifar100_aa_resnet_20",
}


def experiment_files():
    for path in sorted(EXPERIMENTS.rglob("*.yaml")):
        name = path.relative_to(EXPERIMENTS).with_suffix("").as_posix()
        marks = [] if name in ONE_OF_EACH else [pytest.mark.slow]
        yield pytest.param(path, id=name, marks=marks)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The real sets where they are; else small ones in the same format."""
    beside = EXPERIMENTS.parents[1] / "shared" / "tfds"
    real = Path(os.environ.get("TFDS_DATA_DIR", beside))
    if (real / "cifar100").is_dir():
        return real
    written = tmp_path_factory.mktemp("tfds")
    for name, splits in {
        "cifar100": {"train": 10100, "test": 4},
        "imagenet2012": {"train": 4, "validation": 4},
        "coco/2017": {"train": 4, "validation": 4},
    }.items():
        written_sets.write(written, name, splits)
    return written


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
