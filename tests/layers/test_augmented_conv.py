"""Values of the layers against the reference, on every kind of argument."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from aa_keras.layers import AugmentedConv1D, AugmentedConv2D, SelfAttention2D
from aa_keras.layers.attention.implementations import attend
from benchmarks.printed import PrintedConv2D
from tests.layers.comparison import (
    CASES,
    DEFAULTS,
    compare,
    draw,
    randomize,
    reference_of,
)

ROOT = Path(__file__).resolve().parents[2]
IMPLEMENTATIONS = ("listing", "fused", "chunked")
implementations = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)


@implementations
@pytest.mark.parametrize("case", CASES)
def test_equals_the_reference(case, implementation):
    size = (11, 7) if "valid" in case or "strides" in case else (7, 5)
    compare(CASES[case], size, implementation)


def test_the_printed_form_of_the_benchmark_equals_the_reference():
    layer = PrintedConv2D(**DEFAULTS)
    x = draw((2, 5, 7, 4))
    layer.build(x.shape)
    randomize(layer)
    np.testing.assert_allclose(layer(x), reference_of(layer, x)[0], atol=1e-5)


@implementations
@pytest.mark.parametrize("position_encoding", ["relative", "none", "sine", "coordconv"])
def test_1d_equals_the_reference(position_encoding, implementation):
    arguments = {"position_encoding": position_encoding, "strides": 2}
    compare(arguments, (13,), implementation)
    arguments["attention_downsampling"] = 2
    compare(arguments, (13,), implementation)
    compare(arguments | {"padding": "valid", "strides": 1}, (13,), implementation)


def arguments_and_size():
    def depths(num_heads):
        depth = st.integers(1, 4).map(lambda n: n * num_heads)
        return st.fixed_dictionaries(
            {"num_heads": st.just(num_heads), "key_depth": depth, "value_depth": depth}
        )

    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    spacing = st.one_of(
        st.fixed_dictionaries({"strides": pair}),
        st.fixed_dictionaries({"dilation_rate": pair}),
    )
    rest = st.fixed_dictionaries(
        {
            "kernel_size": pair,
            "padding": st.sampled_from(["same", "valid"]),
            "position_encoding": st.sampled_from(
                ["relative", "none", "sine", "coordconv"]
            ),
            "attention_downsampling": st.sampled_from([1, 2]),
            "use_bias": st.booleans(),
            "data_format": st.sampled_from(["channels_last", "channels_first"]),
        }
    )
    size = st.tuples(st.integers(7, 9), st.integers(7, 9))
    heads = st.integers(1, 8).flatmap(depths)
    extra = st.integers(0, 3)  # filters beyond value_depth

    def merge(parts):
        heads, spacing, rest, extra, size = parts
        filters = heads["value_depth"] + extra
        if rest["padding"] == "valid" and max(spacing.get("strides", (1,))) > 1:
            rest = rest | {"attention_downsampling": 1}
        return heads | spacing | rest | {"filters": filters}, size

    return st.tuples(heads, spacing, rest, extra, size).map(merge)


def check_drawn(drawn):
    arguments, size = drawn
    for implementation in IMPLEMENTATIONS:
        compare(arguments, size, implementation, batch=1)


settings = {"deadline": None, "derandomize": True, "database": None}


@hypothesis.settings(max_examples=8, **settings)
@hypothesis.given(arguments_and_size())
def test_drawn_arguments_equal_the_reference(drawn):
    check_drawn(drawn)


@pytest.mark.slow
@hypothesis.settings(max_examples=120, **settings)
@hypothesis.given(arguments_and_size())
def test_many_drawn_arguments_equal_the_reference(drawn):
    check_drawn(drawn)


INVALID = st.one_of(
    st.tuples(st.just("filters"), st.sampled_from([0, -3, 1.5, "8"])),
    st.tuples(st.just("kernel_size"), st.sampled_from([0, (3,), (3, 3, 3), "a", 1.5])),
    st.tuples(st.just("strides"), st.sampled_from([0, (1, 0), -1])),
    st.tuples(st.just("dilation_rate"), st.sampled_from([0, (1, -1)])),
    st.tuples(st.just("padding"), st.sampled_from(["causal", "full", None])),
    st.tuples(st.just("data_format"), st.sampled_from(["NHWC", 3])),
    st.tuples(st.just("num_heads"), st.sampled_from([0, -1, 2.0, "2"])),
    st.tuples(
        st.just("key_depth"), st.integers(-9, 99).filter(lambda n: n < 1 or n % 2)
    ),
    st.tuples(st.just("value_depth"), st.sampled_from([0, -2, 5, 7, 14, 100])),
    st.tuples(st.just("position_encoding"), st.sampled_from(["learned", None, 2])),
    st.tuples(st.just("attention_downsampling"), st.sampled_from([0, 3, "2"])),
    st.tuples(st.just("max_size"), st.sampled_from([0, (3,), (0, 4), "big"])),
    st.tuples(st.just("on_larger_input"), st.sampled_from(["ignore", None])),
    st.tuples(st.just("implementation"), st.sampled_from(["flash", None])),
)


@hypothesis.settings(max_examples=60, **settings)
@hypothesis.given(INVALID)
def test_invalid_argument_is_named(invalid):
    name, value = invalid
    with pytest.raises(ValueError, match=name) as error:
        AugmentedConv2D(**(DEFAULTS | {name: value}))
    assert "\n" not in str(error.value)


def test_half_resolution_would_miss_the_outputs_of_a_valid_strided_convolution():
    arguments = {"padding": "valid", "strides": 2, "attention_downsampling": 2}
    message = r"received 2 with padding='valid' and strides=\(2, 2\); allowed: 1"
    with pytest.raises(ValueError, match=message):
        AugmentedConv2D(**(DEFAULTS | arguments))


def test_the_error_for_depths_says_what_is_near():
    message = (
        "key_depth=100 is not divisible by num_heads=8; the nearest are 96 and 104"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        AugmentedConv2D(128, 3, key_depth=100, num_heads=8)


@implementations
@pytest.mark.parametrize(
    "arguments",
    [{}, {"attention_downsampling": 2, "strides": 2}, {"position_encoding": "none"}],
    ids=["relative", "downsampled", "none"],
)
def test_gradients_equal_finite_differences(arguments, implementation):
    layer = AugmentedConv2D(
        5,
        3,
        num_heads=2,
        key_depth=4,
        value_depth=2,
        implementation=implementation,
        dtype="float64",
        **arguments,
    )
    x = tf.Variable(draw((2, 5, 3, 3), dtype="float64"))
    layer.build(x.shape)
    randomize(layer)
    out = tf.constant(draw(layer.compute_output_shape(x.shape), 7, "float64"))
    variables = [x, *(weight.value for weight in layer.weights)]

    def loss():
        return tf.reduce_sum(layer(x) * out)

    with tf.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip(
        variables, tape.gradient(value, variables), strict=True
    ):
        # Along a random direction: one pair of evaluations a weight.
        direction = draw(variable.shape, 11, "float64")
        step = 1e-5
        variable.assign_add(step * direction)
        above = loss()
        variable.assign_sub(2 * step * direction)
        below = loss()
        variable.assign_add(step * direction)
        expected = float(above - below) / (2 * step)
        actual = float(tf.reduce_sum(gradient * direction))
        assert actual == pytest.approx(expected, rel=1e-6, abs=1e-7)


@implementations
@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16"])
def test_low_precision_follows_float32(policy, implementation):
    x = draw((2, 7, 5, 4))
    layers = [
        AugmentedConv2D(**DEFAULTS, implementation=implementation, dtype=dtype)
        for dtype in ("float32", policy)
    ]
    gradients = []
    for layer in layers:
        layer.build(x.shape)
        randomize(layer)
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = ops.mean(ops.square(ops.cast(y, "float32")))
        assert y.dtype == layer.compute_dtype
        weights = [weight.value for weight in layer.trainable_weights]
        gradients.append((y, *tape.gradient(loss, weights)))
    tolerance = 0.1 if "bfloat16" in policy else 0.02
    for exact, rounded in zip(*gradients, strict=True):
        exact, rounded = (np.asarray(value, "float32") for value in (exact, rounded))
        difference = np.linalg.norm(exact - rounded) / np.linalg.norm(exact)
        assert difference < tolerance


@implementations
def test_gradients_of_values_that_share_an_offset(implementation):
    """bfloat16 loses the differences of large numbers unless float32 computes them."""
    shapes = ((1, 2, 35, 4), (1, 2, 35, 4), (1, 2, 35, 2), (13, 4), (9, 4))
    exact = [draw(shape, seed, "float64") for seed, shape in enumerate(shapes)]
    exact[2] += 16
    rounded = [tf.cast(x, tf.bfloat16) for x in exact]
    upstream = tf.cast(draw((1, 2, 35, 2), 9), tf.bfloat16)
    gradients = []
    for dtype, form in ((tf.float64, "listing"), (tf.bfloat16, implementation)):
        inputs = [tf.cast(x, dtype) for x in rounded]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output, _ = attend(*inputs[:3], (7, 5), inputs[3:], form)
        gradients.append(tape.gradient(output, inputs, tf.cast(upstream, dtype)))
    for expected, result in zip(*gradients, strict=True):
        difference = np.asarray(result, "float64") - expected
        assert np.linalg.norm(difference) / np.linalg.norm(expected) < 0.005


@implementations
def test_logits_beyond_the_range_of_float16(implementation):
    q = np.zeros((1, 1, 35, 4), "float16")
    q[..., 0] = 1000
    v = draw((1, 1, 35, 2), dtype="float16")
    tables = (np.zeros((13, 4), "float16"), np.zeros((9, 4), "float16"))
    k = q.copy()
    k[:, :, 3] *= -1
    output, _ = attend(*map(tf.constant, (q, k, v)), (7, 5), tables, implementation)
    others = np.delete(v, 3, axis=2).astype("float32")
    expected = np.broadcast_to(others.mean(axis=2, keepdims=True), v.shape)
    np.testing.assert_allclose(output, expected, atol=2e-3)


@implementations
def test_logits_depend_on_the_distance_alone(implementation):
    """Constant queries: scores of a pair of keys have one ratio at every distance."""
    layer = SelfAttention2D(2, 4, num_heads=1, implementation=implementation)
    x = np.ones((1, 5, 7, 3), "float32")
    _, scores = layer(x, return_attention_scores=True)
    logits = np.log(ops.convert_to_numpy(scores)).reshape(5, 7, 5, 7)
    relative = logits - logits[:, :, :1, :1]  # free of the softmax's normalisation
    for y, x in ((1, 1), (2, 0), (0, 3)):
        # logit(key) - logit(key 0), moved along with the query
        moved = logits[y:, x:, y:, x:] - logits[y:, x:, y, x][:, :, None, None]
        here = relative[: 5 - y, : 7 - x, : 5 - y, : 7 - x]
        np.testing.assert_allclose(moved, here, atol=1e-4)


def test_self_attention_is_the_attention_of_the_convolution():
    x = draw((2, 7, 5, 3))
    whole = AugmentedConv2D(**DEFAULTS)
    whole.build(x.shape)
    randomize(whole)
    branch = SelfAttention2D(6, 10, num_heads=2)
    branch.build(x.shape)
    branch.set_weights(whole.attention.get_weights())
    np.testing.assert_allclose(branch(x), whole(x)[..., 7:], atol=1e-6)


@pytest.mark.parametrize(
    "backend",
    [
        "tensorflow",
        pytest.param("jax", marks=pytest.mark.slow),
        pytest.param("torch", marks=pytest.mark.slow),
    ],
)
def test_backends(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.layers.comparison"],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == f"agrees on {backend}", done.stderr


def test_default_depths_are_the_papers():
    layer = AugmentedConv2D(128, 3)
    assert (layer.attention.key_depth, layer.attention.value_depth) == (160, 8)
    assert AugmentedConv1D(256, 3, num_heads=4).attention.key_depth == 80
    layer.build((None, 14, 14, 32))
    table = ops.convert_to_numpy(layer.attention.relative_height)
    assert table.shape == (27, 20)
    assert abs(table.mean()) < 0.05
    assert table.std() == pytest.approx(20**-0.5, rel=0.15)
    assert not np.allclose(table, ops.convert_to_numpy(layer.attention.relative_width))


def test_reference_agrees_on_a_built_layer_after_a_fit_step():
    """The layer still equals the reference after training moved every weight."""
    layer = AugmentedConv2D(**DEFAULTS)
    model = keras.Sequential([keras.Input((7, 5, 4)), layer])
    before = model.get_weights()
    model.compile("sgd", "mse")
    x = draw((4, 7, 5, 4))
    model.fit(x, draw((4, 7, 5, 13), 3), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.any(old != new)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), reference_of(layer, x)[0], atol=1e-5
    )
