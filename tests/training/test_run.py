"""The numbers of a run, and refusals before anything is trained."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aa_keras import config, training
from aa_keras.tasks import find_task
from aa_keras.training import run
from aa_keras.training.plan import make_plan
from tests.training.processes import EXPERIMENT, ROOT, SETTINGS, table

PLAIN = "experiments/quickstart/digits_resnet.yaml"


def load(*overrides, experiment=EXPERIMENT):
    return config.load(ROOT / experiment, overrides)


def train(workdir, *overrides):
    lines = []
    experiment = load(*overrides, experiment=PLAIN)
    return training.train(experiment, workdir, report=lines.append), lines


def plan(*overrides, num_replicas=1):
    experiment = load(*overrides)
    return make_plan(find_task(experiment).open(experiment), num_replicas)


def test_a_plan():
    # 1258 digits to train on
    assert (plan().steps, plan("data.batch_size=100").steps) == (19, 12)
    assert plan("smoke=true") == (1, 2)


@pytest.mark.parametrize(
    ("overrides", "num_replicas", "message"),
    [
        (["train.accumulate_steps=3"], 1, "received 64; allowed: multiples of 3"),
        (["train.accumulate_steps=4"], 3, "received 64; allowed: multiples of 12"),
        (["train.steps_per_execution=5"], 1, r"divisors of the 19 .*, \[1, 19\]"),
    ],
)
def test_numbers_that_do_not_divide_each_other(overrides, num_replicas, message):
    with pytest.raises(ValueError, match=message):
        plan(*overrides, num_replicas=num_replicas)


@pytest.mark.parametrize(
    ("experiment", "overrides", "message"),
    [
        (PLAIN, [], "received 5; allowed: 0 for classification"),
        (
            "experiments/coco/retinanet_50.yaml",
            ["data.batch_size=4"],
            "received 5; allowed: 0 without a validation split; data.validation_ex",
        ),
    ],
)
def test_what_cannot_be_measured_while_training(
    experiment, overrides, message, data_dir, tmp_path
):
    overrides = [*overrides, f"data.data_dir={data_dir}"]
    experiment = load("train.measure_every=5", *overrides, experiment=experiment)
    with pytest.raises(ValueError, match=message):
        training.train(experiment, tmp_path / "run")


def test_a_folder_of_another_configuration_is_refused_with_the_keys(uninterrupted):
    settings = [f"{key}={value}" for key, value in SETTINGS.items()]
    other = load(*settings, "train.seed=8", "data.augmentation=none")
    with pytest.raises(ValueError, match=r"data\.augmentation \('crop' there, 'none'"):
        training.train(other, uninterrupted[0])
    with pytest.raises(ValueError, match=r"train\.seed \(7 there, 8 now\)"):
        training.train(other, uninterrupted[0])


def test_the_lock_comes_before_the_check(tmp_path, monkeypatch):
    """A second configuration that starts while the first network is built."""
    refusals, build = [], run.build_model

    def build_meanwhile(*arguments):
        with pytest.raises(ValueError, match="another process uses it") as refusal:
            train(tmp_path / "run", "train.seed=8")
        refusals.append(refusal)
        return build(*arguments)

    monkeypatch.setattr(run, "build_model", build_meanwhile)
    result, lines = train(tmp_path / "run", "smoke=true", "train.seed=7")
    assert refusals
    assert result["seed"] == config.load(tmp_path / "run/config.yaml").train.seed == 7
    assert "starting anew" in lines[0]


def test_a_network_that_does_not_fit_the_data_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"model\.classes: received 11; allowed: 10"):
        train(tmp_path / "run", "model.classes=11")
    assert not (tmp_path / "run").exists()


def test_several_steps_in_one_execution_are_the_same_steps(tmp_path):
    overrides = ("train.epochs=2", "train.optimizer.learning_rate_per_256=0.1")
    one, _ = train(tmp_path / "one", *overrides)
    many, _ = train(tmp_path / "many", *overrides, "train.steps_per_execution=19")
    for a, b in zip(table(tmp_path / "one"), table(tmp_path / "many"), strict=True):
        for key in a.keys() - {"seconds"}:
            np.testing.assert_allclose(float(a[key]), float(b[key]), 1e-4, 1e-5)
    np.testing.assert_allclose(
        one["metrics"]["test"]["loss"], many["metrics"]["test"]["loss"], 1e-4
    )


def test_tensorboard_has_the_learning_rate_and_the_metrics(uninterrupted):
    folder = uninterrupted[0] / "tensorboard" / "train"
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    assert "epoch_loss" in events.Tags()["tensors"]
    rates = [
        float(tf.make_ndarray(event.tensor_proto))
        for event in events.Tensors("epoch_learning_rate")
    ]
    expected = [float(row["learning_rate"]) for row in table(uninterrupted[0])]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_tensorboard_has_pictures_of_attention_where_asked(tmp_path):
    overrides = ("train.epochs=2", "train.attention_maps_every=2", "model.depth=8")
    training.train(load(*overrides), tmp_path / "run", report=[].append)
    folder = tmp_path / "run" / "tensorboard" / "attention"
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    names = [tag for tag in events.Tags()["tensors"] if tag.startswith("attention/")]
    assert names
    assert [event.step for event in events.Tensors(names[0])] == [1]


@pytest.mark.parametrize("setting", ["accumulate_steps=2", "distribution=mirrored"])
def test_what_is_tensorflows_alone_is_refused_elsewhere(setting, monkeypatch, tmp_path):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(ValueError, match="allowed on the backend 'jax'"):
        train(tmp_path / "run", f"train.{setting}")


def test_what_is_jaxs_alone_is_refused_on_tensorflow(tmp_path):
    with pytest.raises(
        ValueError, match="allowed on the backend 'tensorflow': none, m"
    ):
        train(tmp_path / "run", "train.distribution=data_parallel")


def test_only_the_splits_that_a_run_names_are_measured(tmp_path):
    named = "train.measure=[validation]"
    result, _ = train(tmp_path / "run", "smoke=true", named)
    assert list(result["metrics"]) == ["validation"]
    with pytest.raises(ValueError, match=r"received 'valid'; allowed: train, val"):
        train(tmp_path / "other", "smoke=true", "train.measure=[valid]")
    assert not (tmp_path / "other").exists()
