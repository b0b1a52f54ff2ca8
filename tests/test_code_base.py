"""Facts of the code that the paper builds on, and the page that lists them.

The values were read in the files that docs/code_base_facts.md names.
"""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import config, models

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "code_base_facts.md"
RECIPES = {
    "imagenet/resnet_50": {
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.9,
        "optimizer.nesterov": True,
        "optimizer.weight_decay": 1e-4,
        "optimizer.clip_norm": None,
        "schedule.warmup_epochs": 5,
        "label_smoothing": 0,
        "ema": None,
        "batch_norm": "replica",
    },
    "imagenet/mnasnet_1.0": {
        "optimizer.name": "rmsprop",
        "optimizer.decay": 0.9,
        "optimizer.momentum": 0.9,
        "optimizer.epsilon": 1e-3,
        "optimizer.initial_accumulator_value": 1,
        "optimizer.learning_rate_per_256": 0.016,
        "optimizer.weight_decay": 1e-5,
        "optimizer.clip_norm": None,
        "schedule.name": "exponential",
        "schedule.factor": 0.97,
        "schedule.every_epochs": 2.4,
        "schedule.warmup_epochs": 5,
        "label_smoothing": 0.1,
        "ema": 0.9999,
        "batch_norm": "replica",
    },
    "cifar100/wide_resnet_28_10": {
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.9,
        "optimizer.nesterov": True,
        "optimizer.clip_norm": 5.0,
        "schedule.name": "cosine",
        "label_smoothing": 0,
        "ema": None,
    },
    "cifar100/aa_wide_resnet_28_10": {"optimizer.weight_decay": 5e-4},
    "coco/retinanet_50": {
        "optimizer.name": "sgd",
        "optimizer.momentum": 0.9,
        "optimizer.nesterov": False,
        "optimizer.clip_norm": None,
        "ema": None,
    },
}


@pytest.mark.parametrize("stem", RECIPES)
def test_recipes(stem):
    experiment = config.load(ROOT / "experiments" / f"{stem}.yaml")
    values = config.flatten(experiment)
    expected = RECIPES[stem]
    assert {key: values.get(f"train.{key}") for key in expected} == expected


FAN_IN = {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal"}
FAN_OUT = {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"}
UNIFORM = {"scale": 1 / 3, "mode": "fan_out", "distribution": "uniform"}
# name: options, momentum and epsilon of normalisation, kernels and classifier.
NETWORKS = {
    "resnet": ({"depth": 34}, 0.9, 1e-5, FAN_IN, {"mean": 0.0, "stddev": 0.01}),
    "wide_resnet": ({"depth": 10, "width": 1}, 0.9, 1e-5, FAN_OUT, UNIFORM),
    "mnasnet": ({"width_multiplier": 0.25}, 0.99, 1e-3, FAN_OUT, UNIFORM),
}


@pytest.fixture(scope="module")
def networks():
    build = {"input_shape": (32, 48, 3), "classes": 7, "attention": {}}
    return {
        name: models.build(name, **build, **options)
        for name, (options, *_) in NETWORKS.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_normalisation(name, networks):
    _, momentum, epsilon, _, _ = NETWORKS[name]
    found = [
        (layer.momentum, layer.epsilon, layer.center, layer.scale)
        for layer in networks[name].layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert set(found) == {(momentum, epsilon, True, True)}


@pytest.mark.parametrize("name", NETWORKS)
def test_initial_kernels(name, networks):
    *_, kernels, classifier = NETWORKS[name]
    for layer in networks[name].layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            assert expected_in(layer.depthwise_initializer, kernels)
        elif isinstance(layer, keras.layers.Conv2D):
            assert expected_in(layer.kernel_initializer, kernels)
        elif isinstance(layer, keras.layers.Dense):
            assert expected_in(layer.kernel_initializer, classifier)
            assert isinstance(layer.bias_initializer, keras.initializers.Zeros)


def expected_in(initializer, values):
    return {key: getattr(initializer, key) for key in values} == values


def test_what_has_same_padding(networks):
    pool = networks["resnet"].get_layer("stem_pool")
    assert (pool.pool_size, pool.strides, pool.padding) == ((3, 3), (2, 2), "same")
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = [x for x in networks["mnasnet"].layers if isinstance(x, kinds)]
    assert {layer.padding for layer in convolutions} == {"same"}


def test_both_branches_of_the_first_wide_block_are_activated(networks):
    layer = networks["wide_resnet"].get_layer
    shortcut, _ = layer("stage1_block1_output").input
    assert shortcut is layer("stage1_block1_relu1").output


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_the_stem_of_resnet_has_fixed_padding(size, networks):
    """Three pixels on each side, where "same" adds two and three to even sizes."""
    layer = networks["resnet"].get_layer
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("f")
    got = layer("stem_conv")(layer("stem_padding")(images))
    padding = [[0, 0], [3, 3], [3, 3], [0, 0]]
    kernel = tf.convert_to_tensor(layer("stem_conv").kernel.value)
    expected = tf.nn.conv2d(images, kernel, 2, padding)
    assert got.shape[1:3] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_each_fact_that_is_followed_has_a_test():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and "---" not in line
    ]
    assert rows
    followed = [row for row in rows if row[3].startswith("yes")]
    assert len(followed) > len(rows) / 2
    for fact, *_, verdict in followed:
        path, test = re.search(r"`([\w/]+\.py)::(\w+)`", verdict).groups()
        assert f"def {test}(" in (ROOT / "tests" / path).read_text(), fact
