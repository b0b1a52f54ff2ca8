"""Stand-alone self-attention against the equations of its paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import counting
from aa_keras.layers import AttentionStem2D, StandAloneAttention2D
from tests import reference

CASES = {
    "default": {},
    "strides": {"strides": 2},
    "uneven strides": {"strides": (3, 2)},
    "even window": {"kernel_size": (4, 2)},
    "window larger than the map": {"kernel_size": 13},
    "one head": {"num_heads": 1, "kernel_size": 3},
    "single position": {"kernel_size": 1},
    "channels first": {"data_format": "channels_first"},
}
SIZES = [(7, 5), (11, 13), (1, 3)]


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(size=(7, 5), **options):
    layer = StandAloneAttention2D(12, **{"num_heads": 3, "kernel_size": 5, **options})
    shape = (2, *size, 3)
    if layer.data_format == "channels_first":
        shape = (2, 3, *size)
    x = draw(shape)
    layer.build(shape)
    layer.set_weights([draw(w.shape, i) for i, w in enumerate(layer.get_weights())])
    return layer, x


def expected(layer, x):
    y, _ = by_reference(layer, x)
    return np.moveaxis(y, -1, 1) if layer.data_format == "channels_first" else y


def by_reference(layer, x):
    if layer.data_format == "channels_first":
        x = np.moveaxis(x, 1, -1)
    (kernel,) = layer.qkv.get_weights()
    return reference.stand_alone_attention(
        x.astype("float64"),
        kernel[0, 0],
        layer.relative_rows.numpy(),
        layer.relative_columns.numpy(),
        layer.num_heads,
        layer.strides,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_equations(case, size):
    for implementation in ("patches", "blocks"):
        layer, x = built(size, implementation=implementation, **CASES[case])
        y = layer(x)
        assert tuple(y.shape) == layer.compute_output_shape(x.shape)
        np.testing.assert_allclose(y, expected(layer, x), atol=1e-5)


@pytest.mark.parametrize("strides", [1, 2])
def test_gradients_are_finite_differences(strides):
    layer, x = built(dtype="float64", strides=strides)
    x = tf.constant(x, "float64")
    upstream = tf.constant(draw(layer(x).shape, 5), "float64")
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(layer(x) * upstream)
    variables = [x, *(v.value for v in layer.trainable_variables)]
    gradients = tape.gradient(value, variables)
    assert len(gradients) == 4
    for index, (variable, gradient) in enumerate(
        zip(variables, gradients, strict=True)
    ):
        direction, values = draw(variable.shape, index + 7), []
        for sign in (1, -1):
            moved = variable + sign * 1e-5 * direction
            if index == 0:
                values.append(tf.reduce_sum(layer(moved) * upstream))
                continue
            own = layer.trainable_variables[index - 1]
            before = own.numpy()
            own.assign(moved)
            values.append(tf.reduce_sum(layer(x) * upstream))
            own.assign(before)
        difference = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * direction), difference, rtol=1e-5)


def test_scores_are_the_weights_of_the_window():
    layer, x = built()
    y, scores = layer(x, return_attention_scores=True)
    assert scores.shape == (2, 7, 5, 3, 5, 5)
    np.testing.assert_allclose(y, layer(x), atol=1e-5)
    _, over_the_map = by_reference(layer, x)  # batch, heads, queries, keys
    np.testing.assert_allclose(
        scores[:, 3, 2], over_the_map[:, :, 3, 2, 1:6, 0:5], atol=1e-5
    )
    corner = np.zeros((2, 3, 5, 5))  # of the upper left position
    corner[..., 2:, 2:] = over_the_map[:, :, 0, 0, :3, :3]
    np.testing.assert_allclose(scores[:, 0, 0], corner, atol=1e-5)


def test_maps_of_any_size_and_a_saved_model(tmp_path):
    inputs = keras.Input((None, None, 3))
    layer = StandAloneAttention2D(8, num_heads=2, strides=2, activation="relu")
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for size in ((7, 5), (12, 9)):
        x = draw((2, *size, 3))
        np.testing.assert_allclose(model(x), expected_relu(layer, x), atol=1e-5)
        np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
    compiled = tf.function(model, jit_compile=True)
    np.testing.assert_allclose(compiled(x), model(x), atol=1e-5)
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(x, np.zeros(model(x).shape), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.any(old != new)


def expected_relu(layer, x):
    return np.maximum(expected(layer, x), 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    layer, x = built(dtype=policy)
    y = layer(x)
    assert y.dtype == layer.compute_dtype
    tolerance = 0.02 if policy == "mixed_float16" else 0.15
    np.testing.assert_allclose(
        tf.cast(y, "float32"), expected(layer, x), atol=tolerance
    )


@pytest.mark.parametrize("size", [(8, 4), (7, 5), (1, 3)])
def test_the_stem_is_its_equations(size, tmp_path):
    inputs = keras.Input((None, None, 3))
    layer = AttentionStem2D(12, num_heads=3, window=4, mixtures=2)
    model = keras.Model(inputs, layer(inputs))
    model.set_weights([draw(w.shape, i) for i, w in enumerate(model.get_weights())])
    x = draw((2, *size, 3))
    (kernel,) = layer.qkv.get_weights()
    expected = reference.attention_stem(
        x.astype("float64"),
        kernel[0, 0],
        (layer.relative_rows.numpy(), layer.relative_columns.numpy()),
        (
            layer.mixture_rows.numpy(),
            layer.mixture_columns.numpy(),
            layer.mixture_embeddings.numpy(),
        ),
        window=4,
        num_heads=3,
    )
    np.testing.assert_allclose(model(x), expected, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(x, np.zeros((2, *size, 12)), verbose=0)
    if size != (1, 3):  # where no two rows are compared
        for old, new in zip(before, model.get_weights(), strict=True):
            assert np.any(old != new)


def test_counts():
    """The formulas of the paper, by hand."""
    inputs = keras.Input((14, 14, 64))
    layer = StandAloneAttention2D(64, kernel_size=7, strides=2)
    counts = counting.count(keras.Model(inputs, layer(inputs)))
    assert counts.params == 3 * 64 * 64 + 2 * 7 * 4
    products = 196 * (3 * 64 * 64 + 49 * (64 + 64 + 64))  # q . k, q . r, p v
    assert counts.gflops == pytest.approx(2e-9 * products)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": 10, "num_heads": 5, "kernel_size": 0}, "kernel_size"),
        (
            {"filters": 9, "num_heads": 3},
            r"filters=9 is not divisible by 2 \* num_heads=6; the nearest are 6 and 12",
        ),
        ({"filters": 8, "num_heads": 2, "implementation": "fused"}, "implementation"),
        ({"filters": 8, "num_heads": 2, "strides": -1}, "strides"),
    ],
)
def test_mistakes_are_told_in_a_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        StandAloneAttention2D(**options)
    assert "\n" not in str(caught.value)
