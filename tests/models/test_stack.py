"""The stack: weights written by hand solve the pointer task with one layer."""

import numpy as np
import pytest
import tensorflow as tf

from aa_keras import models
from aa_keras.data import pointers

ATTENTION = {"num_heads": 1, "key_depth": 64, "value_depth": 32}
SHARPNESS = 30.0


def build(**options):
    options = {"depth": 1, "width": 64, "kernel_size": 1, **options}
    return models.build(
        "stack", input_shape=(None, None, pointers.CHANNELS), classes=8, **options
    )


def written_by_hand(size):
    """Queries hold the pointer, relative embeddings the offset, values the color."""
    model = build(attention=ATTENTION, max_size=(size, size))
    qkv, head = np.zeros((38, 64 + 64 + 32)), np.zeros((64, 8))
    qkv[8:, :30] = SHARPNESS * np.eye(30)  # the pointer, dy and dx
    qkv[:8, 128:136] = np.eye(8)  # the color
    head[32:40] = 100 * np.eye(8)  # attention comes behind 32 filters
    tables = np.zeros((2, 2 * size - 1, 64))
    for axis, first in enumerate((0, 15)):
        # A row for each offset from the query to the key.
        tables[axis, size - 1 - 7 : size - 1 + 8, first : first + 15] = np.eye(15)
    values = {
        "relative_height": tables[0],
        "relative_width": tables[1],
        "qkv/kernel": qkv,
        "output_projection/kernel": np.eye(32),
        "convolution/kernel": np.zeros((38, 32)),
        "predictions/kernel": head,
    }
    for weight in model.weights:
        for end, value in values.items():
            if weight.path.endswith(end):
                weight.assign(value.reshape(weight.shape))
    return model


@pytest.mark.parametrize("size", [16, 24])
def test_weights_written_by_hand_answer_every_cell(size):
    maps, labels = pointers.draw_maps(tf.constant([1, 2]), 8, size)
    answers = written_by_hand(size)(maps).numpy().argmax(-1)
    np.testing.assert_array_equal(answers, labels)


def test_a_stack_has_the_layers_that_its_options_say():
    # 3x3 kernels, gamma and beta, and the classifier; moving averages are no parameters
    # that are trained.
    model = build(depth=2, width=4, kernel_size=3)
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trained == 38 * 4 * 9 + 4 * 4 * 9 + 2 * 2 * 4 + 4 * 8 + 8
    assert model.output_shape == (None, None, None, 8)
    maps, _ = pointers.draw_maps(tf.constant([1, 2]), 1, 9)
    np.testing.assert_allclose(model(maps).numpy().sum(-1), 1, atol=1e-6)
    logits = build(depth=2, width=4, kernel_size=3, classifier_activation=None)
    logits.set_weights(model.get_weights())
    np.testing.assert_allclose(tf.nn.softmax(logits(maps)), model(maps), atol=1e-6)
    with pytest.raises(ValueError, match=r"attention.stages: received"):
        build(attention={**ATTENTION, "stages": [2]})
