"""Scores read from outside a model against those the layer itself returns."""

import keras
import numpy as np
import pytest
from keras import ops

from aa_keras import models, visualization
from aa_keras.counting import count
from aa_keras.layers import (
    AugmentedConv2D,
    SelfAttention2D,
    attention_layers,
)
from benchmarks.printed import PrintedAttention
from tests.layers.comparison import draw, reference_of
from tests.visualization.readings import (
    PIXELS,
    SIZE,
    images,
    layer_columns,
    layer_scores,
    rows_of,
    sharpen,
)

# The map of a layer on 11 x 7 pixels, by what makes it smaller.
OPTIONS = {
    "relative": {},
    "none": {"position_encoding": "none"},
    "sine": {"position_encoding": "sine"},
    "coordconv": {"position_encoding": "coordconv"},
    "downsampled": {"attention_downsampling": 2},
    "strided": {"strides": (2, 3)},
    "valid": {"padding": "valid", "dilation_rate": 2},
    "downsampled_strided": {"attention_downsampling": 2, "strides": 2},
    "smaller_than_built": {"max_size": (13, 9)},
    "larger_than_built": {"max_size": (5, 5), "on_larger_input": "resize"},
    "attention_only": {"value_depth": 12},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_scores_are_those_of_the_layer(options):
    arguments = {"num_heads": 3, "key_depth": 6, "value_depth": 3} | options
    layer = AugmentedConv2D(12, 3, name="augmented", **arguments)
    inputs = keras.Input((*SIZE, 5))
    model = keras.Model(inputs, layer(inputs))
    sharpen(layer)
    x = images()
    scores = visualization.attention_scores(model, x, PIXELS)["augmented"]
    expected = layer_scores(layer, x, PIXELS)
    assert expected.std() > 0.005
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    received = visualization.attention_received(model, x, PIXELS)["augmented"]
    columns = layer_columns(layer, x, PIXELS)
    np.testing.assert_allclose(received, columns, atol=2e-6)
    if "on_larger_input" not in options:  # stretched tables are no part of the paper
        expected = rows_of(reference_of(layer, x)[1], scores.shape[-2:], PIXELS)
        np.testing.assert_allclose(scores, expected, atol=2e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_scores_under_a_dtype_policy(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = models.build(
            "resnet", depth=8, input_shape=(8, 12, 1), classes=3, attention={}
        )
    finally:
        keras.config.set_dtype_policy("float32")
    name = next(iter(attention_layers(model)))
    x = images(1, size=(8, 12))
    scores = visualization.attention_scores(model, x, PIXELS[:1], [name])[name]
    entering = keras.Model(model.inputs, model.get_layer(name).input)(x)
    expected = layer_scores(model.get_layer(name), entering, PIXELS[:1], (8, 12))
    assert scores.dtype == "float32"
    tolerance = {"mixed_float16": 2e-3, "mixed_bfloat16": 2e-2, "float64": 1e-6}
    np.testing.assert_allclose(scores, expected, rtol=tolerance[policy])


def brighter_to_the_right(x):
    return x + 0.3 * ops.arange(x.shape[2], dtype=x.dtype)[:, None]


class OwnEncoding(SelfAttention2D):
    def encode_position(self, x):
        x = brighter_to_the_right(x)
        return ops.concatenate([x, x[..., :1] ** 2], axis=-1)


class PrintedOwnEncoding(PrintedAttention, OwnEncoding):
    pass


def test_every_reader_of_attention_sees_an_encoding_of_ones_own():
    def build(attention_class):
        class Convolution(AugmentedConv2D):
            pass

        Convolution.attention_class = attention_class
        layer = Convolution(9, 3, num_heads=3, key_depth=6, value_depth=3, name="own")
        inputs = keras.Input((*SIZE, 5))
        return keras.Model(inputs, layer(inputs))

    own, printed, plain = map(build, (OwnEncoding, PrintedOwnEncoding, SelfAttention2D))
    own.set_weights([draw(w.shape, i) for i, w in enumerate(own.get_weights())])
    printed.set_weights(own.get_weights())
    x = images()
    scores = visualization.attention_scores(own, x, PIXELS)["own"]
    for model in (own, printed):
        expected = layer_scores(model.get_layer("own"), x, PIXELS)
        np.testing.assert_allclose(scores, expected, atol=2e-6)
    # By hand: the projection of the encoded input, cut into heads.
    kernel, bias = own.get_layer("own").attention.qkv.get_weights()
    moved = x + 0.3 * np.arange(SIZE[1])[:, None]
    q = np.concatenate([moved, moved[..., :1] ** 2], -1) @ kernel[0, 0] + bias
    q = q[..., :6].reshape(2, 77, 3, 2).swapaxes(1, 2)
    recorded = visualization.projections(own, x)["own"]
    np.testing.assert_allclose(recorded.queries, q, atol=1e-4)
    # The counter counts the channel that the encoding adds.
    more = 77 * (2 * 6 + 3)
    assert count(own).gflops * 5e8 == pytest.approx(count(plain).gflops * 5e8 + more)


def looks_right(size=(5, 4), num_heads=2):
    """A network in which each cell attends to its right neighbour.

    Queries are 1 everywhere and keys 0, so only the tables speak: 30 for distance 0 in
    height and for distance 1 in width.
    """
    inputs = keras.Input((*size, 1))
    layer = AugmentedConv2D(
        6, 3, num_heads=num_heads, key_depth=num_heads, value_depth=2, name="right"
    )
    model = keras.Model(inputs, layer(inputs))
    height, width = size
    for weight in layer.weights:
        value = np.zeros(weight.shape)
        if weight.path.endswith("qkv/bias"):
            value[:num_heads] = 1
        if weight.name == "relative_height":
            value[height - 1] = 30
        if weight.name == "relative_width":
            value[width - 1 + 1] = 30
        weight.assign(value)
    return model


def test_each_pixel_looks_at_its_right_neighbour():
    model = looks_right()
    queries = visualization.query_grid((5, 4))
    x = images(1, batch=1, size=(5, 4))
    scores = visualization.attention_scores(model, x, queries)["right"]
    for index, (y, x) in enumerate(queries):
        expected = np.zeros((5, 4))
        if x + 1 < 4:
            expected[y, x + 1] = 1
        else:  # nothing to its right: all cells of its row are alike
            expected[y] = 0.25
        for head in range(2):
            np.testing.assert_allclose(scores[0, head, index], expected, atol=1e-6)


def test_relative_fields_of_right_lookers():
    model = looks_right()
    x = images(1, batch=1, size=(5, 4))
    field = visualization.relative_fields(model, x, [(0, 0)])["right"]
    expected = np.zeros((9, 7))
    expected[4] += 30
    expected[:, 4] += 30
    np.testing.assert_allclose(field, np.broadcast_to(expected, (1, 2, 1, 9, 7)))


def test_fields_are_what_keys_do_not_explain(network):
    """softmax(q.k + field at the distances that are met) are the scores."""
    x = images(1, size=(12, 8))
    name, pixel, cell = "stage3_block2_conv1", (11, 3), (2, 0)
    field = visualization.relative_fields(network, x, [pixel], [name])[name]
    layer = visualization.projections(network, x, [name])[name]
    height, width = layer.size
    assert (height, width) == (3, 2)
    y, x_ = cell
    met = field[:, :, 0, height - 1 - y :, width - 1 - x_ :][..., :height, :width]
    q = layer.queries[:, :, y * width + x_] / np.sqrt(layer.queries.shape[-1])
    content = np.einsum("bnd,bnkd->bnk", q, layer.keys).reshape(*met.shape)
    logits = np.exp(content + met)
    expected = logits / logits.sum(axis=(-2, -1), keepdims=True)
    scores = visualization.attention_scores(network, x, [pixel], [name])[name]
    np.testing.assert_allclose(scores[:, :, 0], expected, rtol=1e-5)


def test_queries_are_pixels_and_cells_cover_their_centres():
    cells = visualization.query_cells(
        [(0, 0), (2, 3), (3, 4), (6, 9)], image_size=(7, 10), map_size=(2, 5)
    )
    assert cells.tolist() == [[0, 0], [0, 1], [1, 2], [1, 4]]
    assert visualization.query_grid((4, 5), step=3) == [(1, 1), (1, 4)]


def test_distance_and_entropy_of_known_patterns():
    # One head looks two cells down, one to all four of a 2x2 block's cells alike.
    scores = np.zeros((1, 2, 1, 4, 3), "float32")
    scores[0, 0, 0, 2, 0] = 1
    scores[0, 1, 0, :2, :2] = 0.25
    queries, image_size = [(0, 0)], (8, 9)  # cells of 2 x 3 pixels
    distance = visualization.mean_attention_distance(scores, queries, image_size)
    expected = [[4, (0 + 2 + 3 + np.hypot(2, 3)) / 4]]
    np.testing.assert_allclose(distance, expected, rtol=1e-6)
    np.testing.assert_allclose(visualization.attention_entropy(scores), [[0, 2]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["stem_conv"]}, "'stem_conv'; allowed: stage2_block1_conv1, stage"),
        ({"queries": [(12, 0)]}, r"\(12, 0\); allowed: .* 0 to 11 and x from 0 to 7"),
        ({"queries": [(0, -1)]}, r"\(0, -1\)"),
        ({"queries": [(0, 1, 2)]}, r"\(0, 1, 2\)"),
        ({"queries": (3, 4)}, "queries: received 3; allowed"),
        ({"images": np.zeros((12, 8, 1))}, r"received shape \(12, 8, 1\)"),
    ],
)
def test_mistakes_end_in_one_line(network, arguments, message):
    arguments = {"images": images(1, size=(12, 8)), "queries": [(0, 0)]} | arguments
    with pytest.raises(ValueError, match=message) as error:
        visualization.attention_scores(network, **arguments)
    assert "\n" not in str(error.value)
