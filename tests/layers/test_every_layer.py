"""What Keras and TensorFlow do to layers, done to every public one."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras.layers import (
    BAM,
    CBAM,
    GALA,
    AddedAttentionConv2D,
    AugmentedConv1D,
    AugmentedConv2D,
    GatherExcite,
    SelfAttention1D,
    SelfAttention2D,
    SqueezeExcite,
    resize_relative_embeddings,
)
from aa_keras.layers.attention import fused
from aa_keras.layers.attention.listing import listing_attention
from tests.layers.comparison import DEFAULTS, draw

FUSED = {"implementation": "fused"}
ATTENTION = {"value_depth": 4, "key_depth": 6, "num_heads": 2}
CASES = {
    "2d": (AugmentedConv2D, DEFAULTS | FUSED, (5, 3, 6)),
    "2d downsampled": (
        AugmentedConv2D,
        DEFAULTS | FUSED | {"attention_downsampling": 2},
        (5, 3, 6),
    ),
    "2d added": (AddedAttentionConv2D, DEFAULTS | FUSED, (5, 3, 6)),
    "1d": (AugmentedConv1D, DEFAULTS, (5, 6)),
    "attention 2d": (SelfAttention2D, ATTENTION | FUSED, (5, 3, 6)),
    "attention 1d": (SelfAttention1D, ATTENTION, (5, 6)),
    "se": (SqueezeExcite, {"squeezed_filters": 2, "use_bias": True}, (5, 3, 6)),
    "ge": (GatherExcite, {"extent": 2}, (5, 3, 6)),
    "bam": (BAM, {"ratio": 3, "dilation_rate": 2, "momentum": 0.5}, (5, 3, 6)),
    "cbam": (CBAM, {"ratio": 3, "kernel_size": 3}, (5, 3, 6)),
    "gala": (GALA, {"ratio": 3}, (5, 3, 6)),
}
cases = pytest.mark.parametrize("case", CASES)


def built(case, **options):
    """A layer with moved weights, and an input in its dtype."""
    kind, arguments, shape = CASES[case]
    layer = kind(**arguments, **options)
    layer.build((None, *shape))
    for seed, weight in enumerate(layer.weights):
        weight.assign_add(np.abs(draw(weight.shape, seed)) * 0.3)
    return layer, tf.constant(draw((2, *shape), dtype=layer.compute_dtype))


@pytest.mark.parametrize("case", [c for c in CASES if c != "ge"])  # it has no weights
def test_unknown_channels_are_refused(case):
    kind, arguments, shape = CASES[case]
    with pytest.raises(ValueError, match="must have a known number of channels"):
        kind(**arguments).build((None, *shape[:-1], None))


@cases
def test_a_frozen_layer_stays_frozen(case, tmp_path):
    kind, arguments, shape = CASES[case]
    constructed, before_build, after_build = (
        kind(**arguments, trainable=trainable) for trainable in (False, True, True)
    )
    before_build.trainable = False
    models = [
        keras.Sequential([keras.Input(shape), layer, keras.layers.Dense(2)])
        for layer in (constructed, before_build, after_build)
    ]
    num_trainable = len(after_build.trainable_weights)
    after_build.trainable = False
    models.append(keras.models.clone_model(models[2]))
    if len(shape) == 3:
        models.append(resize_relative_embeddings(models[2], (6, 4)))
    models[2].save(tmp_path / "model.keras")
    models.append(keras.saving.load_model(tmp_path / "model.keras"))
    for model in models:
        frozen, head = model.layers
        assert len(head.trainable_weights) == 2
        assert model.trainable_weights == head.trainable_weights
        frozen.trainable = True
        assert len(frozen.trainable_weights) == num_trainable
        assert num_trainable > 0 or kind is GatherExcite


@cases
def test_saved_loaded_cloned_and_float64(case, tmp_path):
    layer, x = built(case, dtype="float64")
    model = keras.Sequential([keras.Input(x.shape[1:], dtype="float64"), layer])
    model.save(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert model(x).dtype == "float64"
    assert CASES[case][1].keys() <= layer.get_config().keys()
    for copy in (clone, keras.saving.load_model(tmp_path / "model.keras")):
        np.testing.assert_array_equal(copy(x), model(x))
        assert copy.layers[0].get_config() == layer.get_config()
    single = type(layer).from_config(layer.get_config() | {"dtype": "float32"})
    single.build(x.shape)
    single.set_weights(layer.get_weights())
    np.testing.assert_allclose(single(tf.cast(x, "float32")), layer(x), atol=1e-4)


@cases
def test_jacobian_and_second_order_against_finite_differences(case):
    layer, x = built(case, dtype="float64")
    direction = tf.constant(draw(x.shape, 3, "float64"))
    step = 1e-5
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)
    jacobian = tape.jacobian(output, x)
    along = tf.tensordot(jacobian, direction, axes=len(x.shape))
    above, below = (layer(x + sign * step * direction) for sign in (1, -1))
    np.testing.assert_allclose(along, (above - below) / (2 * step), atol=1e-6)

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(layer(x) ** 3)
        return tape.gradient(value, x)

    with tf.GradientTape() as tape:
        tape.watch(x)
        first = tf.reduce_sum(gradient(x) * direction)
    second = tape.gradient(first, x)
    above, below = (gradient(x + sign * step * direction) for sign in (1, -1))
    expected = (above - below) / (2 * step)
    np.testing.assert_allclose(second, expected, rtol=1e-4, atol=1e-5)


@cases
def test_vectorized_map_gives_what_a_batch_gives(case):
    layer, x = built(case)
    one_by_one = tf.vectorized_map(lambda one: layer(one[None])[0], x)
    np.testing.assert_allclose(one_by_one, layer(x), rtol=1e-4, atol=1e-5)


def compare_jacobians(**options):
    """Asserts that the fused form, in a loop, has the jacobian of the listing."""
    size, inputs = (6, 3), [draw((1, 2, 18, d), d) for d in (4, 4, 2)]
    inputs = [tf.constant(x) for x in inputs]
    tables = [tf.constant(draw((2 * n - 1, 4), n)) for n in size]
    jacobians, limits = [], fused.CACHE._replace(block_bytes=1)
    for attention, arguments in (
        (lambda: listing_attention(*inputs, size, tables)[0], {}),
        (lambda: fused.fused_attention(*inputs, size, tables, limits), options),
    ):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            output = attention()
        jacobians.append(tape.jacobian(output, inputs, **arguments))
    for expected, result in zip(*jacobians, strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_documented_ways_to_a_jacobian_through_a_loop():
    compare_jacobians(experimental_use_pfor=False)
    # Without oneDNN, whose products would end the process, so in one of its own.
    done = subprocess.run(
        [sys.executable, "-m", "tests.layers.test_every_layer"],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "agrees", done.stderr[-2000:]


if __name__ == "__main__":
    compare_jacobians()
    print("agrees")
