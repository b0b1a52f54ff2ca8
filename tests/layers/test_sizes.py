"""Sizes that are unknown, change, or differ from the one built for."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from aa_keras.layers import (
    AugmentedConv1D,
    AugmentedConv2D,
    StandAloneAttention2D,
    copy_weights,
    resize_relative_embeddings,
)
from aa_keras.layers.attention import fused
from aa_keras.layers.attention.listing import listing_attention
from tests import reference
from tests.layers.comparison import DEFAULTS, compare_fit, draw, randomize, reference_of

implementations = pytest.mark.parametrize("implementation", ["listing", "fused"])


def attention_layer(implementation="auto", **arguments):
    return AugmentedConv2D(**(DEFAULTS | arguments), implementation=implementation)


@implementations
@pytest.mark.parametrize(
    "arguments",
    [{}, {"padding": "valid", "strides": 2}, {"attention_downsampling": 2}],
    ids=["same", "valid", "downsampled"],
)
def test_one_layer_serves_all_sizes(arguments, implementation):
    layer = attention_layer(implementation, max_size=(11, 9), **arguments)
    model = keras.Sequential([keras.Input((None, None, 4)), layer])
    randomize(layer)
    # One program for every size: here shapes are known at run time alone.
    program = tf.function(model, input_signature=[tf.TensorSpec([None] * 3 + [4])])
    for shape in ((2, 11, 9, 4), (1, 7, 5, 4), (3, 6, 8, 4)):
        x = draw(shape)
        expected, _ = reference_of(layer, x)
        for outputs in (layer(x), program(x)):
            np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("encoding", ["none", "sine", "coordconv"])
def test_other_encodings_need_no_size(encoding):
    layer = attention_layer(position_encoding=encoding)
    layer.build((None, None, None, 4))
    randomize(layer)
    x = draw((2, 6, 5, 4))
    np.testing.assert_allclose(layer(x), reference_of(layer, x)[0], atol=1e-5)


def test_unknown_sizes_of_a_relative_layer_ask_for_max_size():
    with pytest.raises(ValueError, match="max_size"):
        attention_layer().build((None, None, 8, 4))


@implementations
def test_a_larger_input_raises(implementation):
    layer = attention_layer(implementation)
    layer.build((None, 5, 7, 4))
    with pytest.raises(ValueError, match="on_larger_input='resize'"):
        layer(draw((1, 5, 8, 4)))
    with pytest.raises(ValueError, match="on_larger_input='resize'"):  # in a graph too
        keras.Sequential([keras.Input((5, 8, 4)), layer])
    program = tf.function(layer, input_signature=[tf.TensorSpec([None] * 3 + [4])])
    program(draw((1, 5, 7, 4)))
    with pytest.raises(tf.errors.InvalidArgumentError):
        program(draw((1, 6, 7, 4)))


@implementations
def test_a_larger_input_resizes_on_request(implementation):
    layer = attention_layer(implementation, on_larger_input="resize")
    layer.build((None, 5, 7, 4))
    randomize(layer)
    x = draw((2, 8, 7, 4))
    tables = [ops.convert_to_numpy(layer.attention.relative_height)]
    tables.append(ops.convert_to_numpy(layer.attention.relative_width))
    # Distances -7 to 7 read the rows of -4 to 4.
    at = np.linspace(0, 8, 15)
    tables[0] = np.stack(
        [np.interp(at, range(9), column) for column in tables[0].T], axis=1
    )
    larger = attention_layer("listing")
    larger.build(x.shape)
    weights = layer.get_weights()
    larger.set_weights([*tables, *weights[2:]])
    expected, _ = reference_of(larger, x)
    program = tf.function(layer, input_signature=[tf.TensorSpec([None] * 3 + [4])])
    for outputs in (layer(x), program(x)):
        np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (7, 1)])
@implementations
def test_axes_of_one_position(size, implementation):
    layer = attention_layer(implementation)
    x = draw((2, *size, 4))
    layer.build(x.shape)
    randomize(layer)
    np.testing.assert_allclose(layer(x), reference_of(layer, x)[0], atol=1e-5)


@pytest.mark.parametrize("blocks", [1, 20, 35, 80, 35 * 35, 35 * 35 * 3, 10**6])
@pytest.mark.parametrize("with_tables", [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_any_block_size_gives_the_same(blocks, with_tables):
    """Blocks of less than a row, of uneven rows, of uneven maps, and of everything."""
    size, heads = (7, 5), 3
    q, k, v = (draw((2, *size, heads * d), seed) for seed, d in enumerate((4, 4, 2)))
    tables = [draw((2 * n - 1, 4), n) for n in size]
    used = [table * on for table, on in zip(tables, with_tables, strict=True)]
    expected, _ = reference.attention(q, k, v, heads, used)

    def split(x):
        return ops.transpose(ops.reshape(x, (2, 35, heads, -1)), (0, 2, 1, 3))

    given = [t if on else None for t, on in zip(tables, with_tables, strict=True)]
    limits = fused.CACHE._replace(block_bytes=4 * blocks)
    result = fused.fused_attention(split(q), split(k), split(v), size, given, limits)
    result = ops.reshape(ops.transpose(result, (0, 2, 1, 3)), expected.shape)
    np.testing.assert_allclose(result, expected, atol=1e-5)


# How the terms enter the logits depends on their number and on the width.
@pytest.mark.parametrize(
    ("size", "with_tables"),
    [
        ((7, 5), (1, 1)),  # in the product
        ((7, 5), (1, 0)),
        ((7, 5), (0, 1)),
        ((18, 14), (1, 1)),  # first added to each other
        ((11, 22), (1, 1)),  # one by one
        ((31, 2), (1, 0)),
        ((2, 31), (0, 1)),
    ],
)
@pytest.mark.parametrize(
    ("chunk_rows", "block_rows"),
    [(1, 1), (4, 3), (10, 4), (40, 7), (10**6, 1), (10**6, 40), (10**6, 10**6)],
)
def test_blocks_have_the_gradient_of_the_listing(
    chunk_rows, block_rows, size, with_tables
):
    """Chunks and blocks of some rows, of uneven rows, of uneven maps, of all."""
    height, width = size
    sizes = {
        "block_bytes": block_rows * 4 * width * height * width,
        "chunk_bytes": chunk_rows * 4 * width * (height + width),
    }
    q, k, v, upstream = (
        tf.constant(draw((2, 3, height * width, depth), seed))
        for seed, depth in enumerate((4, 4, 2, 2))
    )
    tables = [tf.constant(draw((2 * n - 1, 4), n)) for n in size]
    tables = [t if on else None for t, on in zip(tables, with_tables, strict=True)]
    inputs = [x for x in (q, k, v, *tables) if x is not None]
    results = []
    for attention in (
        lambda *inputs: listing_attention(*inputs)[0],
        lambda *inputs: fused.fused_attention(*inputs, fused.CACHE._replace(**sizes)),
        lambda *inputs: fused.fused_attention(*inputs, fused.MEMORY._replace(**sizes)),
    ):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = attention(q, k, v, size, tables)
        results.append((output, *tape.gradient(output, inputs, upstream)))
    expected, *others = results
    for result in others:
        for gradient, own in zip(expected, result, strict=True):
            np.testing.assert_allclose(own, gradient, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_blocks_train_as_the_listing(jit_compile):
    """Rows of one map a block, inside of a loop, compiled by `fit`."""
    compare_fit((48, 36), jit_compile)


def build_model(size, **arguments):
    return keras.Sequential(
        [
            keras.Input((*size, 3), name="image"),
            attention_layer(strides=2, name="first", **arguments),
            keras.layers.BatchNormalization(name="norm"),
            attention_layer(attention_downsampling=2, name="second", **arguments),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(5, name="head"),
        ]
    )


def test_resize_relative_embeddings_keeps_what_it_can():
    model = build_model((14, 10))
    randomize(model, seed=3)
    model.compile("sgd", lambda true, predicted: ops.abs(true - predicted))
    larger = resize_relative_embeddings(model, (20, 16))
    assert (larger.compiled, model.compiled) == (False, True)
    assert larger.input_shape == (None, 20, 16, 3)
    assert larger.inputs[0].name == model.inputs[0].name
    assert [layer.name for layer in larger.layers] == [x.name for x in model.layers]
    for old, new in zip(model.weights, larger.weights, strict=True):
        if "relative" not in old.name:
            np.testing.assert_array_equal(old, new)
    old = ops.convert_to_numpy(model.get_layer("first").attention.relative_height)
    new = ops.convert_to_numpy(larger.get_layer("first").attention.relative_height)
    assert old.shape == (13, 5)
    assert new.shape == (19, 5)
    # 7 rows and 10 rows: every third new distance stands on every second old one.
    np.testing.assert_allclose(new[::3], old[::2], atol=1e-6)
    back = resize_relative_embeddings(model, (14, 10))
    x = draw((2, 14, 10, 3))
    np.testing.assert_allclose(back(x), model(x), atol=1e-6)
    smaller = resize_relative_embeddings(model, 8)
    x = draw((2, 8, 8, 3))
    np.testing.assert_allclose(smaller(x), model_on(model, x), atol=1e-5)
    larger.compile("sgd", "mse")
    larger.fit(draw((2, 20, 16, 3)), draw((2, 5)), verbose=0)


def model_on(model, x):
    """The model's layers on an input of another size than its own."""
    for layer in model.layers:
        x = layer(x)
    return x


def test_resize_of_a_branched_model_of_unknown_size():
    image = keras.Input((None, None, 3))
    x = attention_layer(max_size=(9, 9))(image)
    x = keras.layers.Add()([x, keras.layers.Conv2D(13, 1)(image)])
    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(x))
    resized = resize_relative_embeddings(model, (12, 7))
    assert resized.layers[1].attention.relative_height.shape == (23, 5)
    assert resized.layers[1].attention.relative_width.shape == (13, 5)
    with pytest.raises(ValueError, match="input_size"):
        resize_relative_embeddings(model, (12, 7, 3))
    for other in (keras.Model(), keras.Sequential([attention_layer()])):
        message = f"must be functional.*; received {type(other).__name__} with 0"
        with pytest.raises(ValueError, match=message):
            resize_relative_embeddings(other, 12)
    windows = [StandAloneAttention2D(8, size, num_heads=2) for size in (3, 7)]
    small, large = (
        keras.Sequential([keras.Input((9, 9, 3)), layer]) for layer in windows
    )
    with pytest.raises(ValueError, match="relative_rows of shape"):  # not stretched
        copy_weights(small, large)
    nested = keras.Sequential([keras.Input((9, 9, 3)), model])
    with pytest.raises(ValueError, match="nest"):
        resize_relative_embeddings(nested, (12, 7))
    with pytest.raises(ValueError, match="target"):
        copy_weights(model, build_model((9, 9)))


def test_weights_file_of_another_size(tmp_path):
    path = tmp_path / "at_14.weights.h5"
    model = build_model((14, 10))
    randomize(model, seed=3)
    model.save_weights(path)
    with pytest.raises(ValueError, match="resize_relative_embeddings"):
        build_model((20, 16)).load_weights(path)
    without = tmp_path / "without.weights.h5"
    build_model((14, 10), position_encoding="none").save_weights(without)
    with pytest.raises(ValueError, match="expected 2 variables"):
        build_model((14, 10)).load_weights(without)
    larger = build_model((20, 16), on_larger_input="resize")
    larger.load_weights(path)
    expected = resize_relative_embeddings(model, (20, 16))
    for one, other in zip(larger.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    smaller = build_model((8, 8))
    smaller.load_weights(path)
    x = draw((2, 8, 8, 3))
    np.testing.assert_allclose(smaller(x), model_on(model, x), atol=1e-5)


def test_1d_serves_shorter_sequences():
    layer = AugmentedConv1D(**(DEFAULTS | {"kernel_size": 5}), max_size=13)
    layer.build((None, None, 4))
    randomize(layer)
    for length in (13, 6):
        x = draw((2, length, 4))
        np.testing.assert_allclose(layer(x), reference_of(layer, x)[0], atol=1e-5)
