"""Runs that start from trained weights: what they take, and what they train."""

import hashlib
import json
import shutil

import keras
import numpy as np
import pytest

from aa_keras import config, models, training
from aa_keras.layers import AugmentedConv2D
from aa_keras.training import fine_tuning, update_factors
from aa_keras.training.optimizers import build_optimizer, decay_weights
from tests.training import processes
from tests.training.processes import ROOT

PLAIN = "experiments/quickstart/digits_resnet.yaml"
SHAPE = (8, 8, 1)
FROZEN = ("stem_", "stage1_block1_conv2", "stage1_block1_bn2")


def build(**options):
    return models.build("resnet", depth=8, input_shape=SHAPE, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The work directory of a run of two steps, and its model in two more files."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    experiment = config.load(ROOT / PLAIN, ["smoke=true"])
    training.train(experiment, workdir, report=[].append)
    model = keras.saving.load_model(workdir / "model.keras")
    model.save_weights(workdir / "model.weights.h5")
    return workdir, model


def values(layer):
    return [keras.ops.convert_to_numpy(weight) for weight in layer.weights]


@pytest.mark.parametrize("name", ["", "model.keras", "model.weights.h5"])
def test_all_but_another_head_is_loaded(name, trained):
    workdir, source = trained
    target, lines = build(classes=7), []
    head = values(target.layers[-1])
    path = workdir / name
    loaded = fine_tuning.load_initial_weights(target, path, lines.append)
    total = len(target.weights)
    for ours, theirs in zip(target.layers[:-1], source.layers[:-1], strict=True):
        for one, other in zip(values(ours), values(theirs), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(values(target.layers[-1]), head, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(loaded) == total - 2
    (line,) = lines
    assert line == (
        f"train.initial_weights: {total - 2} of {total} weights come from {path}; new: "
        f"{target.layers[-1].path}"
    )


def test_an_augmented_network_starts_from_a_plain_one(trained):
    workdir, source = trained
    target, lines = build(classes=10, attention={}), []
    fine_tuning.load_initial_weights(target, workdir, lines.append)
    augmented = [x for x in target.layers if isinstance(x, AugmentedConv2D)]
    assert augmented
    for layer in augmented:
        count = layer.convolution.filters
        kernel = source.get_layer(layer.name).kernel[..., :count]
        np.testing.assert_array_equal(layer.convolution.kernel, kernel)
    assert f"new: {augmented[0].attention.path}, " in lines[0]


def test_a_network_of_other_layers_is_refused(trained):
    other = models.build("resnet", depth=14, input_shape=SHAPE, classes=10)
    with pytest.raises(
        ValueError, match=r"train\.initial_weights: target must have the"
    ):
        fine_tuning.load_initial_weights(other, trained[0])
    wide = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"h5', which has no weights for"):
        fine_tuning.load_initial_weights(wide, trained[0] / "model.weights.h5")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["train.initial_weights=nowhere"],
            "received 'nowhere'; allowed: the work dir",
        ),
        (["train.initial_weights=README.md"], "train.initial_weights: "),
        (["train.initial_weights={own}"], "train.initial_weights: .*deserialized"),
        (
            ["train.freeze=[nothing_*]"],
            r"'nothing_\*', which matches no layer; allowed",
        ),
        (["train.freeze=['*']"], "leaves nothing to train"),
        (
            ["train.learning_rate_factors={relative_*: 10}"],
            r"'relative_\*', which matches no trained weight; allowed: .*kernel",
        ),
    ],
)
def test_refusals_leave_no_folder(settings, message, tmp_path, monkeypatch):
    class Own(keras.layers.Layer):  # that loading does not know
        pass

    own = tmp_path / "own.keras"
    keras.Sequential([keras.Input((2,)), Own()]).save(own)
    settings = [setting.replace("{own}", str(own)) for setting in settings]
    monkeypatch.chdir(ROOT)
    experiment = config.load(ROOT / PLAIN, ["smoke=true", *settings])
    with pytest.raises(ValueError, match=message) as error:
        training.train(experiment, tmp_path / "run", report=[].append)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["kept_learning_rate_factor=0.1"], "together with initial_weights"),
        (
            ["kept_learning_rate_factor=0.1", "initial_weights=x"],
            "kept_learning_rate_factor with distribution: none",
        ),
        (
            ["learning_rate_factors={kernel: 2}"],
            "learning_rate_factors with distribution: none",
        ),
        (["learning_rate_factors={kernel: 0}"], "greater than 0"),
    ],
)
def test_a_rate_of_some_weights_needs_what_it_is_for(settings, message):
    settings = [f"train.{one}" for one in ("distribution=mirrored", *settings)]
    with pytest.raises(config.ConfigError, match=message) as error:
        config.load(ROOT / PLAIN, settings)
    assert "\n" not in str(error.value)


OPTIMIZERS = {
    "sgd": {"momentum": 0.9, "nesterov": False, "weight_decay": 0.1},
    "rmsprop": {
        "momentum": 0.9,
        "epsilon": 1e-3,
        "initial_accumulator_value": 1.0,
        "decay": 0.9,
        "weight_decay": 0.0,
    },
    "adamw": {"weight_decay": 0.1},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_factor_is_that_of_the_learning_rate(name):
    """The named layer moves as with the lower rate, the other as with the whole."""
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("f")
    whole_options = config.load(ROOT / PLAIN).train

    def moved(rate, factors=None):
        keras.utils.set_random_seed(0)
        named = keras.layers.Dense(3, name="named")
        other = keras.layers.Dense(3, name="other")
        model = keras.Sequential([keras.Input((3,)), named, other])
        options = {"name": name, **OPTIMIZERS[name]}
        optimizer = build_optimizer(options, learning_rate=rate)
        decay_weights(model, optimizer, options["weight_decay"])
        model.compile(optimizer, "mse")
        optimizer.build(model.trainable_variables)
        update = {"learning_rate_factors": factors or {}}
        found = update_factors.prepare(model, whole_options.model_copy(update=update))
        assert (found is None) == (factors is None)
        before = [values(layer) for layer in (named, other)]
        model.train_on_batch(x, y)
        after = [values(layer) for layer in (named, other)]
        return [
            np.concatenate([(b - a).ravel() for a, b in zip(*pair, strict=True)])
            for pair in zip(before, after, strict=True)
        ]

    whole, low = moved(0.1), moved(0.02)
    factors = {"*named/*": 0.4, "*named/kernel": 0.5, "*named/bias": 0.5}
    named, other = moved(0.1, factors)
    np.testing.assert_array_equal(other, whole[1])
    np.testing.assert_allclose(named, low[0], rtol=1e-4, atol=1e-7)
    assert np.abs(named - whole[0]).max() > 1e-3


@pytest.mark.slow
def test_a_resumed_run_equals_one_that_was_not_interrupted(trained, tmp_path):
    """The second process has no initial weights to read any more."""
    initial = tmp_path / "initial"
    shutil.copytree(trained[0], initial)
    settings = {
        "train.initial_weights": str(initial),
        "train.kept_learning_rate_factor": "0.1",
        "train.learning_rate_factors": "{kernel: 2}",
        "train.freeze": str([f"{name}*" for name in FROZEN]),
        "train.schedule": "{name: constant}",
        "train.epochs": "2",
    }
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert "weights come from" in processes.run(whole, settings)
    processes.run(parts, settings | {"train.epochs": "1"})
    checksum = hashlib.sha256((initial / "model.keras").read_bytes()).hexdigest()
    shutil.rmtree(initial)
    assert "resuming after epoch 1" in processes.run(parts, settings)
    processes.assert_identical(whole, parts, epochs=2)
    result = json.loads((parts / "result.json").read_text())
    first, second = result["processes"]
    assert first["initial_weights_sha256"] == checksum
    assert "initial_weights_sha256" not in second
    start, end = trained[1], keras.saving.load_model(whole / "model.keras")
    differing = {
        new.name
        for old, new in zip(start.layers, end.layers, strict=True)
        if type(old) is type(new)
        and any((a != b).any() for a, b in zip(values(old), values(new), strict=True))
    }
    frozen = [x.name for x in end.layers if x.name.startswith(FROZEN) and x.weights]
    assert len(frozen) == 4
    assert not differing & set(frozen)
    assert {"stage3_block1_conv2", end.layers[-1].name} <= differing
