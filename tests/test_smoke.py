"""Two steps of an experiment of each kind, with all else as configured."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from aa_keras import config

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
QUICK = {"small/screen/screen_heads_8"}


def one_of_each():
    """The smallest experiment of each folder, family and mechanism.

    Its relatives differ in depth, width or ratios. Other tests count each of them.
    tests/tasks/test_detector_run.py trains the detector.
    """
    kinds = {}
    for path in sorted(EXPERIMENTS.rglob("*.yaml")):
        model = config.load(path).model
        alone = getattr(model, "stand_alone", None)
        if model.task == "detection":
            continue
        kind = (
            path.relative_to(EXPERIMENTS).parts[0],
            model.name,
            getattr(model, "attention", None) is not None,
            getattr(model, "channel_attention", None),
            alone and alone.stem,
        )
        size = getattr(model, "depth", None) or model.width_multiplier
        kinds.setdefault(kind, []).append((size, path))
    for _, path in map(min, kinds.values()):
        name = path.relative_to(EXPERIMENTS).with_suffix("").as_posix()
        marks = [] if name in QUICK else [pytest.mark.slow]
        yield pytest.param(path, id=name, marks=marks)


@pytest.mark.parametrize("path", list(one_of_each()))
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
