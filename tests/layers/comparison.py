"""Layer against tests/reference.py; runs on every backend of Keras.

As a program it compares a few layers on the backend named by KERAS_BACKEND.
"""

import keras
import numpy as np
import pytest
from keras import ops

from aa_keras import augment, counting
from aa_keras.layers import (
    AugmentedConv1D,
    AugmentedConv2D,
    attention_layers,
    record_projections,
    resize_relative_embeddings,
)
from aa_keras.layers.attention.listing import listing_attention
from tests import reference
from tests.layers import test_compared_mechanisms as compared

CASES = {
    "plain": {},
    "one head": {"num_heads": 1},
    "eight heads": {"num_heads": 8, "key_depth": 24, "value_depth": 8, "filters": 11},
    "kernel 1": {"kernel_size": 1},
    "kernel 5, valid": {"kernel_size": (5, 3), "padding": "valid"},
    "even kernel, valid": {"kernel_size": (2, 4), "padding": "valid"},
    "strides": {"strides": 2},
    "uneven strides, valid": {"strides": (2, 3), "padding": "valid"},
    "dilation": {"dilation_rate": (2, 1)},
    "dilation, valid": {"dilation_rate": 2, "padding": "valid"},
    "no position": {"position_encoding": "none"},
    "sine": {"position_encoding": "sine"},
    "coordconv": {"position_encoding": "coordconv"},
    "downsampled": {"attention_downsampling": 2},
    "downsampled coordconv, strides": {
        "attention_downsampling": 2,
        "strides": 2,
        "position_encoding": "coordconv",
    },
    "downsampled sine, valid": {
        "attention_downsampling": 2,
        "padding": "valid",
        "position_encoding": "sine",
    },
    "pooled strides": {"strides": (2, 3), "strided": "pool"},
    "pooled strides, sine": {
        "strides": 2,
        "strided": "pool",
        "position_encoding": "sine",
    },
    "no convolution": {"filters": 6, "value_depth": 6, "kernel_size": 3},
    "no convolution, valid": {
        "filters": 6,
        "value_depth": 6,
        "kernel_size": 3,
        "padding": "valid",
        "strides": 2,
    },
    "no bias": {"use_bias": False},
    "channels first": {"data_format": "channels_first", "strides": 2},
}
DEFAULTS = {
    "filters": 13,
    "kernel_size": 3,
    "num_heads": 2,
    "key_depth": 10,
    "value_depth": 6,
}


def draw(shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def randomize(layer, seed=1):
    """Draws every weight anew, so that biases count too."""
    for index, weight in enumerate(layer.weights):
        weight.assign(draw(weight.shape, seed + index, "float64") * 0.5)


def reference_of(layer, x):
    """The reference's output and scores for the weights of a built layer."""

    attention = layer.attention

    def pair(convolution):
        kernel, *bias = convolution.get_weights()
        return kernel, bias[0] if bias else None

    weights = {
        "qkv": pair(attention.qkv),
        "output_projection": pair(attention.output_projection),
    }
    if layer.convolution is not None:
        weights["convolution"] = pair(layer.convolution)
    if attention.position_encoding == "relative":
        tables = [getattr(attention, f"relative_{axis}") for axis in attention.axes]
        weights["tables"] = [ops.convert_to_numpy(table) for table in tables]
    first = layer.data_format == "channels_first"
    output, scores = reference.augmented_conv(
        np.moveaxis(x, 1, -1) if first else x,
        weights,
        attention.num_heads,
        attention.key_depth,
        layer.kernel_size,
        layer.strides,
        layer.padding,
        layer.dilation_rate,
        attention.position_encoding,
        attention.attention_downsampling,
        attention.strided,
    )
    return (np.moveaxis(output, -1, 1) if first else output), scores


def compare(arguments, size=(7, 5), implementation="fused", batch=2, channels=4):
    """Asserts that layer and reference agree to 1e-5; returns the layer."""
    kind = {1: AugmentedConv1D, 2: AugmentedConv2D}[len(size)]
    layer = kind(**(DEFAULTS | arguments), implementation=implementation)
    first = layer.data_format == "channels_first"
    shape = (batch, channels, *size) if first else (batch, *size, channels)
    x = draw(shape, dtype=layer.dtype)
    tolerance = {"float32": 1e-5, "float64": 1e-12}[layer.dtype]
    layer.build(x.shape)
    randomize(layer)
    expected, expected_scores = reference_of(layer, x)
    result = ops.convert_to_numpy(layer(x))
    assert result.shape == expected.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(result, expected, atol=tolerance, rtol=tolerance)
    if implementation == "listing":
        _, scores = layer(x, return_attention_scores=True)
        scores = ops.convert_to_numpy(scores)
        np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    return layer


def compare_fit(size, jit_compile="auto", dtype="float32"):
    """Asserts that a step of `fit` moves every weight as the listing's does.

    The learning rate makes even the relative embeddings move far beyond rounding.
    """
    layer = AugmentedConv2D(**DEFAULTS, implementation="fused", dtype=dtype)
    model = keras.Sequential([keras.Input((*size, 3), dtype=dtype), layer])
    twin = keras.models.clone_model(model)
    twin.layers[0].attention.implementation = "listing"
    before = model.get_weights()
    twin.set_weights(before)
    x, y = draw((4, *size, 3), 0, dtype), draw((4, *size, 13), 9, dtype)
    for network in (model, twin):
        network.compile(keras.optimizers.SGD(1e3), "mse", jit_compile=jit_compile)
        network.fit(x, y, batch_size=4, verbose=0)
    for old, new, expected in zip(
        before, model.get_weights(), twin.get_weights(), strict=True
    ):
        largest = np.abs(expected - old).max()
        assert largest > 1e-3
        np.testing.assert_allclose(new - old, expected - old, atol=1e-3 * largest)


def compare_recorded():
    """Asserts that recorded projections are those of the layer's own scores."""
    layer = AugmentedConv2D(**DEFAULTS, position_encoding="sine")
    model = keras.Sequential([keras.Input((7, 5, 4)), layer])
    x = draw((2, 7, 5, 4))
    _, recorded = record_projections(lambda: model(x), attention_layers(model))
    (projections,) = recorded.values()
    _, scores = listing_attention(*projections)
    _, expected = layer(x, return_attention_scores=True)
    np.testing.assert_allclose(
        ops.convert_to_numpy(scores), ops.convert_to_numpy(expected), atol=1e-6
    )


def compare_forward_mode():
    """Asserts that JAX's forward mode names the implementation that has it."""
    import jax

    x = ops.convert_to_tensor(draw((1, 3, 2, 4)))
    layer = AugmentedConv2D(**DEFAULTS, implementation="fused")
    with pytest.raises(TypeError, match="attention with implementation='listing'"):
        jax.jvp(layer, (x,), (x,))
    layer.attention.implementation = "listing"
    _, moved = jax.jvp(layer, (x,), (x,))
    assert moved.any()


def compare_count():
    """Asserts that a count is a number, that of the paper's formulas."""
    x = keras.Input((6, 4, 3))
    layer = AugmentedConv2D(8, 3, num_heads=2, key_depth=4, value_depth=2)
    projections = 24 * (6 * 27 + 10 * 3 + 2 * 2)
    attention, relative = 24 * 24 * (4 + 2), 24 * 4 * (11 + 7)
    counts = counting.count(keras.Model(x, layer(x)))
    operations = 2 * (projections + attention + relative)
    assert counts.gflops * 1e9 == pytest.approx(operations)


class Encoder(keras.Model):
    """A functional model by its own constructor; its lambdas use globals."""

    def __init__(self):
        image = keras.Input((6, 5, 3))
        x = keras.layers.Conv2D(8, 3, padding="same", name="kept")(image)
        x = keras.layers.BatchNormalization(name="norm")(x)
        x = keras.layers.Lambda(lambda x: ops.relu(x))(x)
        x = keras.layers.Lambda(rectify)(x)
        x = keras.layers.Conv2D(8, 3, padding="same", name="augmented")(x)
        super().__init__(image, keras.layers.GlobalAveragePooling2D()(x))


def rectify(x):
    return ops.relu(x)


def absolute_error(true, predicted):
    return ops.mean(ops.abs(true - predicted))


def compare_augmented():
    """The copy of a frozen, compiled model trains and leaves the model as it is."""
    model = keras.Sequential([keras.Input((6, 5, 3)), Encoder(), keras.layers.Dense(2)])
    for name in ("kept", "norm", "augmented"):
        model.layers[0].get_layer(name).trainable = False
    metric = keras.metrics.MeanSquaredError()
    model.compile(keras.optimizers.SGD(0.1), absolute_error, metrics=[metric])
    copy = augment(model, where="augmented", mode="add")
    frozen = [layer.trainable for layer in copy.layers[0].layers]
    assert frozen == [layer.trainable for layer in model.layers[0].layers]
    assert len(copy.trainable_weights) == 2
    x, y = draw((4, 6, 5, 3)), draw((4, 2), 1)
    before = model.predict(x, verbose=0)
    np.testing.assert_allclose(copy.predict(x, verbose=0), before, atol=1e-6)
    history = copy.fit(x, y, verbose=0).history
    assert set(history) == {"loss", "mean_squared_error"}
    assert float(metric.result()) == 0  # the copy has one of its own
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    assert np.abs(copy.predict(x, verbose=0) - before).max() > 1e-3
    resized = resize_relative_embeddings(copy.layers[0], np.int64(9))
    assert resized.input_shape == (None, 9, 9, 3)


if __name__ == "__main__":
    for case in CASES.values():
        for implementation in ("listing", "fused"):
            compare(case, implementation=implementation)
    compare({}, size=(11,), implementation="listing")
    compare({}, size=(11,), implementation="fused")
    compare({}, implementation="chunked")
    # The gradient written by hand, of one block and of a loop of blocks.
    for size in ((7, 5), (48, 36)):
        compare_fit(size)
    compare_recorded()
    compare_count()
    compare_augmented()
    for equation in compared.EQUATIONS:
        equation(compared.image())
    if keras.backend.backend() == "jax":
        compare({"strides": 2}, implementation="pallas")
        compare_forward_mode()
    else:  # JAX has float64 only on request
        for arguments in ({}, {"attention_downsampling": 2}):
            for implementation in ("listing", "fused"):
                compare(arguments | {"dtype": "float64"}, implementation=implementation)
        compare_fit((7, 5), dtype="float64")
    print("agrees on", keras.backend.backend())
