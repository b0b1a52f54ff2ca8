"""Inputs, and the scores that layers return themselves, to compare readings with."""

import keras
import numpy as np
from keras import ops

from aa_keras.layers import (
    record_projections,
)

SIZE = (11, 7)


PIXELS = [(0, 0), (4, 6), (10, 3)]


def images(channels=5, batch=2, size=SIZE):
    shape = (batch, *size, channels)
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def sharpen(layer):
    """Larger weights: scores that differ clearly from 1 / (height * width)."""
    generator = np.random.default_rng(2)
    layer.set_weights([generator.normal(size=w.shape) for w in layer.get_weights()])


def layer_scores(layer, inputs, pixels, size=SIZE):
    """The rows of the layer's own (batch, heads, queries, keys) for some pixels."""
    return rows_of(*_own_scores(layer, inputs), pixels, size)


def layer_columns(layer, inputs, pixels, size=SIZE):
    """The columns of the same."""
    scores, attended = _own_scores(layer, inputs)
    return rows_of(scores.swapaxes(-1, -2), attended, pixels, size)


def _own_scores(layer, inputs):
    (_, scores), recorded = record_projections(
        lambda: layer(inputs, return_attention_scores=True),
        {"layer": getattr(layer, "attention", layer)},
    )
    scores = ops.convert_to_numpy(ops.cast(scores, "float32"))
    return scores, recorded["layer"].size


def layer_matrix(model, x, name):
    """The whole (heads, queries, keys) that a layer returns for one image."""
    layer = model.get_layer(name)
    entering = keras.Model(model.inputs, layer.input)(x)
    _, scores = layer(entering, return_attention_scores=True)
    return np.asarray(ops.convert_to_numpy(scores[0]))


def rows_of(scores, attended, pixels, size=SIZE):
    rows = [
        int((y + 0.5) * attended[0] / size[0]) * attended[1]
        + int((x + 0.5) * attended[1] / size[1])
        for y, x in pixels
    ]
    return scores[:, :, rows].reshape(*scores.shape[:2], len(pixels), *attended)
