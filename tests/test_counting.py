"""Counts against hand arithmetic, and against what XLA is given to compute."""

import math
import re

import keras
import pytest
import tensorflow as tf
from keras import layers

from aa_keras import models
from aa_keras.counting import count, multiply_adds
from aa_keras.layers import (
    BAM,
    CBAM,
    GALA,
    AugmentedConv2D,
    SqueezeExcite,
    use_implementation,
)


def multiply_adds_of(layer, input_shape):
    output_shape = layer(keras.KerasTensor(input_shape)).shape
    work = multiply_adds(layer, input_shape, output_shape)
    return work.projection, work.attention, work.relative


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        # 5 x 4 outputs, 3 x 3 x 6 multiply-adds each for 8 filters
        (
            lambda: layers.Conv2D(8, 3, strides=2, padding="same"),
            (1, 9, 7, 6),
            5 * 4 * 3 * 3 * 6 * 8,
        ),
        # "valid" padding, 7 x 5 outputs; in two groups of 3 input channels
        (lambda: layers.Conv2D(8, 3, groups=2), (1, 9, 7, 6), 7 * 5 * 3 * 3 * 3 * 8),
        (lambda: layers.DepthwiseConv2D(5, padding="same"), (1, 9, 7, 6), 63 * 25 * 6),
        # 5 x 3 outputs; 3 x 3 for each channel, then 6 -> 8
        (
            lambda: layers.SeparableConv2D(8, 3, strides=(1, 2)),
            (1, 7, 7, 6),
            5 * 3 * (9 * 6 + 6 * 8),
        ),
        (lambda: layers.Dense(11), (1, 6), 6 * 11),
        (lambda: layers.Dense(11), (1, 9, 6), 9 * 6 * 11),
        (lambda: layers.BatchNormalization(), (1, 9, 7, 6), 0),
        (lambda: layers.LayerNormalization(axis=(1, 2)), (1, 9, 7, 6), 0),
        (lambda: layers.Normalization(axis=(1, 2, 3)), (1, 9, 7, 6), 0),
        (lambda: layers.PReLU(), (1, 9, 7, 6), 0),
        (lambda: SqueezeExcite(ratio=4), (1, 9, 7, 16), 16 * 4 * 2),
        # both descriptions through the hidden layer, then 2 -> 1 over 7 x 7
        (lambda: CBAM(ratio=4), (1, 9, 7, 16), 2 * 16 * 4 * 2 + 63 * 49 * 2),
        (lambda: GALA(ratio=4), (1, 9, 7, 16), 16 * 4 * 2 + 63 * (16 * 4 + 4)),
        (
            lambda: BAM(ratio=4),
            (1, 9, 7, 16),
            16 * 4 * 2 + 63 * (16 * 4 + 2 * 9 * 4 * 4 + 4),
        ),
    ],
)
def test_one_layer(layer, input_shape, expected):
    assert multiply_adds_of(layer(), input_shape) == (expected, 0, 0)


@pytest.mark.parametrize("downsampling", [1, 2])
@pytest.mark.parametrize("filters", [16, 6])  # 6: no convolution is left
def test_augmented_convolution(filters, downsampling):
    layer = AugmentedConv2D(
        filters,
        3,
        strides=2,
        num_heads=2,
        key_depth=10,
        value_depth=6,
        attention_downsampling=downsampling,
    )
    # Input 13 x 9, output 7 x 5, attention on 7 x 5 or 4 x 3.
    height, width = {1: (7, 5), 2: (4, 3)}[downsampling]
    positions = height * width
    convolution = 35 * 9 * 3 * (filters - 6)
    projections = positions * (3 * 26 + 6 * 6)
    assert multiply_adds_of(layer, (1, 13, 9, 3)) == (
        convolution + projections,
        positions**2 * (10 + 6),
        positions * 10 * ((2 * height - 1) + (2 * width - 1)),
    )


def test_no_relative_logits_without_relative_encoding():
    layer = AugmentedConv2D(
        16, 1, num_heads=2, key_depth=10, value_depth=6, position_encoding="coordconv"
    )
    projection = 35 * (3 * 10 + (3 + 2) * 26 + 6 * 6)
    assert multiply_adds_of(layer, (1, 7, 5, 3)) == (projection, 35**2 * 16, 0)


def test_the_two_conventions():
    image = keras.Input((7, 5, 3))
    layer = AugmentedConv2D(16, 1, num_heads=2, key_depth=10, value_depth=6)
    counts = count(keras.Model(image, layer(image)))
    projection = 35 * (3 * 10 + 3 * 26 + 6 * 6)
    attention, relative = 35**2 * 16, 35 * 10 * (13 + 9)
    assert counts.gflops_paper == (2 * projection + attention) / 1e9
    assert counts.gflops == 2 * (projection + attention + relative) / 1e9
    weights = 3 * 10 + 10 + 3 * 26 + 26 + 6 * 6 + 6 + (13 + 9) * 5
    assert counts.params == weights


def test_a_layer_counts_as_often_as_it_is_called_and_nested_models_count():
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", use_bias=False)
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(5, 1)])
    outputs = inner(shared(layers.MaxPooling2D(1)(shared(image))))
    counts = count(keras.Model(image, outputs))
    assert counts.gflops == 2 * 64 * (2 * 9 * 3 * 3 + 3 * 5) / 1e9
    assert counts.params == 9 * 3 * 3 + 3 * 5 + 5


def test_two_inputs():
    inputs = {"image": keras.Input((8, 8, 3), name="image")}
    inputs["place"] = keras.Input((2,), name="place")
    x = layers.Flatten()(layers.Conv2D(4, 3)(inputs["image"]))
    x = layers.Concatenate()([x, layers.Dense(5)(inputs["place"])])
    counts = count(keras.Model(inputs, x))
    assert counts.gflops == 2 * (36 * 9 * 3 * 4 + 2 * 5) / 1e9
    inputs["place"] = keras.Input((None,), name="place")
    model = keras.Model(inputs, list(inputs.values()))
    with pytest.raises(ValueError, match=r"only the first input .* received \(None,\)"):
        count(model)


def test_only_trainable_parameters_count():
    image = keras.Input((3,))
    model = keras.Model(image, layers.BatchNormalization()(layers.Dense(4)(image)))
    assert count(model).params == 3 * 4 + 4 + 4 + 4
    model.layers[1].trainable = False
    assert count(model).params == 4 + 4


def test_open_sizes_take_an_input_shape():
    options = {"depth": 8, "classes": 7, "attention": {}}
    fixed = models.build("resnet", input_shape=(24, 20, 3), **options)
    dynamic = models.build(
        "resnet", input_shape=(None, None, 3), max_size=(24, 20), **options
    )
    assert count(dynamic, (24, 20, 3)) == count(fixed)
    with pytest.raises(ValueError, match=r"input_shape must .* received \(None, None"):
        count(dynamic)


def test_a_layer_that_is_called_by_keyword():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2D(4, 3)(inputs=image))
    assert count(model).gflops == 2 * 36 * 9 * 3 * 4 / 1e9


def test_a_product_of_inputs_without_a_rule_is_an_error():
    image = keras.Input((8, 3))
    for layer in (layers.Attention(), layers.AdditiveAttention(), layers.Dot(1)):
        model = keras.Model(image, layer([image, image]))
        with pytest.raises(ValueError, match=f"{type(layer).__name__} "):
            count(model)


def test_an_unknown_layer_with_a_kernel_is_an_error():
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2DTranspose(4, 3, name="up")(image))
    with pytest.raises(ValueError, match="Conv2DTranspose 'up'"):
        count(model)


def test_a_rule_can_be_registered():
    class Twice(layers.Conv2D):
        pass

    multiply_adds.register(Twice)(
        lambda layer, input_shape, output_shape: (
            multiply_adds.dispatch(layers.Conv2D)(layer, input_shape, output_shape)
            + multiply_adds.dispatch(layers.Conv2D)(layer, input_shape, output_shape)
        )
    )
    assert multiply_adds_of(Twice(4, 1), (1, 5, 5, 3))[0] == 2 * 25 * 3 * 4


def flops_in_hlo(text):
    """Sums 2 a multiply-add over the products and convolutions of an HLO program.

    Reads shapes and dimension numbers only, nothing of the model.
    """

    def sizes(shape):
        return [int(size) for size in shape.split(",") if size]

    total = 0
    pattern = re.compile(
        r"= \w+\[([\d,]*)\]\S* (dot|convolution)\(\w+\[([\d,]*)\]\S* \S+ "
        r"\w+\[([\d,]*)\]\S* \S+\), (.*)"
    )
    for line in text.splitlines():
        if not re.search(r" (dot|convolution)\(", line):
            continue
        output, kind, left, right, attributes = pattern.search(line).groups()
        output, left, right = sizes(output), sizes(left), sizes(right)
        if kind == "dot":
            axes = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", attributes)[1]
            terms = math.prod(left[axis] for axis in sizes(axes))
        else:
            labels = re.search(r"dim_labels=\w+_(\w+)->", attributes)[1]
            terms = math.prod(right) // right[labels.index("o")]
        total += 2 * math.prod(output) * terms
    return total


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet", {"depth": 8}),
        ("resnet", {"depth": 8, "attention": {"stages": [2, 3]}}),
        (
            "resnet",
            {
                "depth": 8,
                "attention": {
                    "stages": [1, 2, 3],
                    "downsampled_stages": [1],
                    "position_encoding": "sine",
                },
            },
        ),
        ("resnet", {"depth": 8, "channel_attention": "cbam"}),
        ("resnet", {"depth": 8, "channel_attention": "bam"}),
        ("wide_resnet", {"depth": 10, "width": 1, "attention": {}}),
        ("mnasnet", {"width_multiplier": 0.25, "attention": {}}),
    ],
)
def test_counts_agree_with_the_program_that_xla_gets(name, options):
    model = models.build(name, input_shape=(40, 24, 3), classes=7, **options)
    forward = tf.function(lambda x: model(x, training=False), jit_compile=True)
    with use_implementation(model, "listing"):  # what `gflops` counts
        program = forward.experimental_get_compiler_ir(tf.zeros((1, 40, 24, 3)))
        program = program(stage="hlo")
    expected = flops_in_hlo(program) / 1e9
    assert count(model).gflops == pytest.approx(expected, rel=0.02)
