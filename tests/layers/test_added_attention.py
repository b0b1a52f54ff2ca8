"""A convolution to which attention is added."""

import keras
import numpy as np
import pytest
from keras import layers

from aa_keras import augment
from aa_keras.layers import AddedAttentionConv2D
from tests.layers.comparison import draw


@pytest.mark.parametrize("value_depth", [4, 8])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_what_an_added_attention_computes(padding, value_depth):
    """The sum of Keras' convolution and the scaled attention, then the activation."""
    options = {"padding": padding, "strides": 2}
    depths = {"num_heads": 2, "key_depth": 6, "value_depth": value_depth}
    layer = AddedAttentionConv2D(8, 3, activation="tanh", **options, **depths)
    x = draw((2, 9, 7, 3))
    layer(x)
    layer.scale.assign(draw((value_depth,), 1))
    convolution = layers.Conv2D(8, 3, **options)
    convolution.build(x.shape)
    convolution.set_weights(layer.convolution.get_weights())
    expected = np.array(convolution(x))
    attended = x if padding == "same" else x[:, 1:-1, 1:-1]
    scaled = np.array(layer.attention(attended)) * draw((value_depth,), 1)
    expected[..., 8 - value_depth :] += scaled
    np.testing.assert_allclose(layer(x), np.tanh(expected), atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_the_policy_of_a_layer(policy):
    convolution = layers.Conv2D(8, 3, dtype=policy, name="convolution")
    model = keras.Sequential([keras.Input((6, 6, 3)), convolution])
    augmented = augment(model, mode="add")
    x = draw((2, 6, 6, 3))
    layer = augmented.get_layer("convolution")
    assert layer.dtype_policy.name == layer.attention.dtype_policy.name == policy
    assert augmented(x).dtype == model(x).dtype == convolution.compute_dtype
    np.testing.assert_array_equal(augmented(x), model(x))
