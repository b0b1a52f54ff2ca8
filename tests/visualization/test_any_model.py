"""Scores are read from models of every kind, which stay as they are."""

import keras
import numpy as np
import pytest

from aa_keras import models, visualization
from aa_keras.layers import (
    AugmentedConv2D,
    SelfAttention2D,
    attention_layers,
    record_projections,
    use_implementation,
    use_platform,
)
from tests.visualization.readings import (
    PIXELS,
    SIZE,
    images,
    layer_scores,
    sharpen,
)


def test_layers_of_a_network_in_order(network):
    assert list(attention_layers(network)) == [
        f"stage{stage}_block{block}_conv1" for stage in (2, 3) for block in (1, 2)
    ]


def test_every_layer_of_a_network(network):
    x = images(1, size=(12, 8))
    scores = visualization.attention_scores(network, x, [(11, 0)])
    assert list(scores) == list(attention_layers(network))
    for name, values in scores.items():
        layer = network.get_layer(name)
        entering = keras.Model(network.inputs, layer.input)(x)
        expected = layer_scores(layer, entering, [(11, 0)], (12, 8))
        np.testing.assert_allclose(values, expected, atol=2e-6)


def test_the_model_stays_as_it_is(network):
    def state():
        layers = network._flatten_layers()
        return [(id(x), sorted(vars(x)), len(x._inbound_nodes)) for x in layers]

    x = images(1, size=(12, 8))
    predicted = network.predict(x, verbose=0)
    before = state(), network.to_json()
    weights = network.get_weights()
    visualization.attention_scores(network, x, [(3, 3)])
    assert (state(), network.to_json()) == before
    np.testing.assert_array_equal(network.predict(x, verbose=0), predicted)
    for now, then in zip(network.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


def test_after_saving_and_loading(network, tmp_path):
    network.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images(1, size=(12, 8))
    expected = visualization.attention_scores(network, x, [(3, 3)])
    scores = visualization.attention_scores(loaded, x, [(3, 3)])
    assert list(scores) == list(expected)
    for name in scores:
        np.testing.assert_array_equal(scores[name], expected[name])


def augmented(name):
    return AugmentedConv2D(9, 3, num_heads=3, key_depth=6, value_depth=3, name=name)


def test_nested_models(network):
    inner = keras.Sequential([keras.Input((12, 8, 9)), augmented("b")], name="inner")
    middle_inputs = keras.Input((12, 8, 9))
    middle = keras.Model(
        middle_inputs, augmented("a")(inner(middle_inputs)), name="middle"
    )
    inputs = keras.Input((12, 8, 1))
    x = augmented("a")(keras.layers.Rescaling(2.0)(inputs))
    model = keras.Model(inputs, middle(x))
    names = ["a", "b", "middle/a"]  # a path where the name alone would not do
    assert list(attention_layers(model)) == names
    a, b, c = model.get_layer("a"), inner.get_layer("b"), middle.get_layer("a")
    for layer in (a, b, c):
        sharpen(layer)

    pixels = images(1, size=(12, 8))
    scores = visualization.attention_scores(model, pixels, [(5, 5)])
    entering_b = a(2 * pixels)
    entering_c = b(entering_b)
    for name, layer, entering in zip(
        names, (a, b, c), (2 * pixels, entering_b, entering_c), strict=True
    ):
        expected = layer_scores(layer, entering, [(5, 5)], (12, 8))
        np.testing.assert_allclose(scores[name], expected, atol=1e-5)


def test_sequential_and_a_layer_called_twice():
    layer = augmented("twice")
    model = keras.Sequential([keras.Input((*SIZE, 9)), layer])
    inputs = keras.Input((*SIZE, 9))
    siamese = keras.Model(inputs, layer(layer(inputs)))
    sharpen(layer)
    x = images(9)
    expected = layer_scores(layer, x, PIXELS)
    for one in (model, siamese):
        scores = visualization.attention_scores(one, x, PIXELS)
        np.testing.assert_allclose(scores["twice"], expected, atol=2e-6)


class Subclassed(keras.Model):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.own = augmented("own")

    def call(self, x):
        return self.own(self.backbone(x))


class Two(keras.Model):
    def __init__(self):
        super().__init__()
        # Keras lets two layers share a path.
        self.first, self.second = augmented("own"), augmented("own")


def test_subclassed_models_and_attention_alone():
    inputs = keras.Input((*SIZE, 9))
    attention = SelfAttention2D(9, 6, num_heads=3, name="inside")
    backbone = keras.Model(inputs, attention(inputs), name="backbone")
    model = Subclassed(backbone)
    x = images(9)
    scores = visualization.attention_scores(model, x, PIXELS)
    assert list(scores) == ["inside", "own"]
    for name, layer, entering in (
        ("inside", attention, x),
        ("own", model.own, backbone(x)),
    ):
        expected = layer_scores(layer, entering, PIXELS)
        np.testing.assert_allclose(scores[name], expected, atol=2e-6)
    assert list(attention_layers(model)) == ["inside", "own"]
    two = Two()
    found = attention_layers(two)
    assert list(found) == ["own", "own_1"]
    assert found["own_1"] is two.second.attention
    theirs = keras.layers.MultiHeadAttention(2, 4)
    assert attention_layers(keras.Model(inputs, theirs(inputs, inputs))) == {}
    model.own.call = lambda x, mask=None: x
    with pytest.raises(ValueError, match=r"model 'subclassed.*' does not call 'own'"):
        visualization.attention_scores(model, x, PIXELS, ["own"])


def test_the_model_recovers_from_an_exception(network):
    layers = attention_layers(network)
    before = {name: dict(vars(layer)) for name, layer in layers.items()}
    with use_implementation(network, "listing"):
        assert {layer.implementation for layer in layers.values()} == {"listing"}
        with use_platform(network, "gpu"):  # of what is "auto" alone
            assert {layer.implementation for layer in layers.values()} == {"listing"}
    for device, expected in (("cpu", "fused"), ("gpu", "chunked")):
        with use_platform(network, device):
            assert {layer.implementation for layer in layers.values()} == {expected}
    with pytest.raises(ZeroDivisionError), use_implementation(network, "listing"):
        record_projections(lambda: 1 // 0, layers)
    assert {name: dict(vars(layer)) for name, layer in layers.items()} == before


def test_models_without_attention_are_refused():
    plain = models.build("resnet", depth=8, input_shape=(8, 8, 1), classes=3)
    assert list(attention_layers(plain)) == []
    with pytest.raises(ValueError, match="no attention layer"):
        visualization.attention_scores(plain, images(1, size=(8, 8)), [(0, 0)])
