"""The options beyond the paper's: each does what it says, and nothing else."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from aa_keras import models
from aa_keras.layers import attention_layers

BASE = {"input_shape": (32, 32, 3), "classes": 100}


def build(attention, depth=14, **options):
    return models.build("resnet", depth=depth, attention=attention, **BASE, **options)


@pytest.mark.parametrize(
    ("blocks", "names"),
    [
        ("unstrided", ["stage2_block2_conv1", "stage3_block2_conv1"]),
        ({3: [1]}, ["stage3_block1_conv1"]),
        ({"2": [2], 3: [1, 2]}, ["stage2_block2", "stage3_block1", "stage3_block2"]),
    ],
)
def test_blocks(blocks, names):
    found = list(attention_layers(build({"blocks": blocks})))
    assert [name[: len(n)] for name, n in zip(found, names, strict=True)] == names


def test_depths_and_widths_count_as_by_hand():
    attention = {
        "stages": [3],
        "blocks": "unstrided",
        "key_depth": 32,
        "value_depth": 24,
        "num_heads": 4,
    }
    model = build(attention, depth=20, widths=[16, 32, 68])
    augmented = 9 * 68 * (68 - 24) + 68 * (32 + 32 + 24) + 24 * 24 + 2 * 15 * (32 // 4)
    expected = (
        (9 * 3 * 16 + 2 * 16)  # the stem and its normalisation
        + 3 * (2 * 9 * 16 * 16 + 4 * 16)
        + (9 * 16 * 32 + 9 * 32 * 32 + 4 * 32)
        + 2 * (2 * 9 * 32 * 32 + 4 * 32)
        + (9 * 32 * 68 + 9 * 68 * 68 + 4 * 68)
        + 2 * (augmented + 9 * 68 * 68 + 4 * 68)
        + (68 * 100 + 100)
    )
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == expected
    for layer in attention_layers(model).values():
        assert (layer.key_depth, layer.value_depth, layer.num_heads) == (32, 24, 4)


def test_without_strides_pooling_goes_with_every_map():
    """The halved maps of stage 4 and of MnasNet, where nothing is strided."""
    options = {"strided": "pool", "blocks": "unstrided"}
    shape = (32, 32, 3)
    for name in ("resnet", "mnasnet"):
        models.build(name, input_shape=shape, max_size=32, attention=options)
    with pytest.raises(ValueError, match="strided"):
        models.build("resnet", input_shape=(32, 32, 3), attention={"strided": "pool"})


def test_pooled_strides_change_no_count():
    pooled, sampled = (build({"strided": s}) for s in ("pool", "sample"))
    assert pooled.count_params() == sampled.count_params()
    strides = [a.qkv.strides for a in attention_layers(pooled).values()]
    assert set(strides) == {(1, 1)}
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    pooled.set_weights(sampled.get_weights())
    for model in (pooled, sampled):  # the last gamma of a block starts at 0
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.gamma.assign(np.ones(layer.gamma.shape))
    assert np.abs(pooled(x) - sampled(x)).max() > 1e-5


def test_relative_scale_scales_the_initial_tables():
    for scale in (1.0, 3.0):
        (first, *_) = attention_layers(build({"relative_scale": scale})).values()
        deviation = np.std(first.relative_height)  # of 31 x 20 values
        assert deviation == pytest.approx(scale * 20**-0.5, rel=0.15)


@pytest.mark.parametrize(
    ("name", "options", "layer"),
    [
        ("resnet", {"depth": 14}, "stage3_block2_bn1"),
        ("wide_resnet", {"depth": 10, "width": 1}, "stage3_block1_bn2"),
        ("mnasnet", {}, "stage5_block1_expansion_bn"),
    ],
)
def test_normalization_scale_is_the_gamma_of_the_attention(name, options, layer):
    attention = {"value_depth": 8, "num_heads": 4, "normalization_scale": 0.25}
    model = models.build(name, attention=attention, **options, **BASE)
    gamma = np.asarray(model.get_layer(layer).gamma)
    assert set(gamma[:-8]) == {1.0}
    assert set(gamma[-8:]) == {0.25}
    again = keras.models.clone_model(model).get_layer(layer).gamma
    np.testing.assert_array_equal(again, gamma)


def test_a_saved_network_is_loaded_with_the_layers_alone(tmp_path):
    attention = {"value_depth": 8, "num_heads": 4, "normalization_scale": 0.25}
    model = models.build("resnet", depth=8, attention=attention, **BASE)
    model.save(tmp_path / "model.keras")
    program = "import keras, aa_keras.layers; keras.models.load_model('model.keras')"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
