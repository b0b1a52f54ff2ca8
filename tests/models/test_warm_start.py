"""An augmented network that starts from a trained plain one."""

import keras
import numpy as np
import pytest

from aa_keras import models
from aa_keras.layers import AugmentedConv2D, copy_weights
from tests.layers.comparison import draw

# A family's options, and the normalisation that follows the augmented convolution.
CASES = {
    "resnet": ({"depth": 8}, ("conv1", "bn1")),
    "wide_resnet": ({"depth": 10, "width": 1}, ("conv1", "bn2")),
    "mnasnet": ({"width_multiplier": 0.25}, ("conv", "bn")),
}
ATTENTION = {"normalization_scale": 0.0, "value_ratio": 0.5}


def trained(model):
    """Moves every weight; variances stay positive."""
    for seed, weight in enumerate(model.weights):
        change = draw(weight.shape, seed) * 0.1
        weight.assign_add(np.abs(change) if "variance" in weight.name else change)
    return model


@pytest.mark.parametrize("name", CASES)
def test_the_kept_channels_start_with_the_function_of_the_plain_network(name):
    """The networks agree when the plain one loses what attention replaces."""
    options, names = CASES[name]
    options = {"input_shape": (16, 12, 3), "include_top": False, **options}
    plain = trained(models.build(name, **options))
    augmented = models.build(name, attention=ATTENTION, **options)
    images = draw((2, 16, 12, 3))
    copy_weights(plain, augmented)
    assert np.abs(plain(images) - augmented(images)).max() > 1e-3
    replaced = 0
    for layer in augmented.layers:
        if isinstance(layer, AugmentedConv2D):
            count = layer.attention.value_depth
            follower = layer.name.replace(*names)
            normalization = plain.get_layer(follower)
            for weight in (normalization.gamma, normalization.beta):
                weight.assign(np.r_[weight.numpy()[:-count], np.zeros(count)])
            replaced += 1
    assert replaced
    np.testing.assert_allclose(augmented(images), plain(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value_depth", [4, 8])
def test_attention_keeps_what_it_started_with(value_depth):
    def build(convolution):
        normalization = keras.layers.BatchNormalization()
        return keras.Sequential(
            [keras.Input((7, 5, 3)), convolution, normalization, keras.layers.Dense(2)]
        )

    plain = trained(build(keras.layers.Conv2D(8, 3, padding="same")))
    layer = AugmentedConv2D(8, 3, num_heads=2, key_depth=4, value_depth=value_depth)
    target = build(layer)
    before = layer.attention.get_weights()
    copy_weights(plain, target)
    kept = 8 - value_depth
    for one, other in zip(before, layer.attention.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for index, start in enumerate((1, 0, 0, 1)):  # gamma, beta, mean, variance
        ours, theirs = (
            model.layers[1].get_weights()[index] for model in (target, plain)
        )
        np.testing.assert_array_equal(ours[:kept], theirs[:kept])
        np.testing.assert_array_equal(ours[kept:], np.full(value_depth, start))
    if kept:
        for ours, theirs in zip(
            layer.convolution.get_weights(), plain.layers[0].get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs[..., :kept])
    for ours, theirs in zip(
        target.layers[2].get_weights(), plain.layers[2].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (keras.layers.Conv2D(6, 3), "filters of source; received 8 .*, 6 in"),
        (keras.layers.Conv2D(8, 5), r"weights of source; received .*kernel of shape"),
        (keras.layers.Conv2D(8, 3, use_bias=False), "weights of source; received 2 in"),
        (keras.layers.Dense(8), "filters of source; received 8 .*, None in"),
    ],
)
def test_layers_that_do_not_correspond(other, message):
    layer = AugmentedConv2D(8, 3, num_heads=2, key_depth=4, value_depth=4)
    source, target = (
        keras.Sequential([keras.Input((7, 5, 3)), kind]) for kind in (other, layer)
    )
    before = target.get_weights()
    with pytest.raises(ValueError, match=message) as error:
        copy_weights(source, target)
    assert "\n" not in str(error.value)
    for one, other in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
