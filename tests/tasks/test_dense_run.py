"""A run that classifies every cell of a map, as a user starts it."""

import json

import pytest

from aa_keras import config, training

DIGITS = "experiments/quickstart/digits_resnet.yaml"
COCO = "experiments/coco/retinanet_50.yaml"
RELATIVE = "experiments/pointers/pointers_relative.yaml"


@pytest.mark.parametrize(
    ("experiment", "setting", "task"),
    [
        (RELATIVE, "train.label_smoothing=0.3", "dense_classification"),
        (RELATIVE, "train.attention_maps_every=1", "dense_classification"),
        (RELATIVE, "data.augmentation=flip", "dense_classification"),
        (DIGITS, "data.scale_range=[0.5, 1]", "classification"),
        (COCO, "data.mixup=0.2", "detection"),
    ],
)
def test_keys_that_a_task_does_not_use_are_refused(
    experiment, setting, task, tmp_path, data_dir
):
    settings = ["smoke=true", f"data.data_dir={data_dir}", setting]
    loaded = config.load(experiment, settings)
    key = setting.partition("=")[0]
    message = f"{key}: received .*; allowed: its default, as {task} does not use it"
    with pytest.raises(ValueError, match=message):
        training.train(loaded, tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


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
