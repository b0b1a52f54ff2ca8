"""The layer in Keras' life: configuration, saving, symbolic calls, distribution."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from aa_keras.layers import (
    AugmentedConv1D,
    AugmentedConv2D,
    SelfAttention2D,
)
from tests.layers.comparison import DEFAULTS, draw, randomize

LAYERS = {
    "2d": (AugmentedConv2D, DEFAULTS | {"activation": "relu"}, (7, 5, 3)),
    "2d no convolution": (AugmentedConv2D, DEFAULTS | {"filters": 6}, (7, 5, 3)),
    "2d mixed": (AugmentedConv2D, DEFAULTS | {"dtype": "mixed_float16"}, (7, 5, 3)),
    "1d": (AugmentedConv1D, DEFAULTS, (11, 3)),
    "attention": (SelfAttention2D, {"value_depth": 8, "key_depth": 16}, (7, 5, 3)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_save_and_load(case, tmp_path):
    kind, arguments, shape = LAYERS[case]
    layer = kind(**arguments)
    model = keras.Sequential([keras.Input(shape), layer])
    randomize(layer)
    x = draw((2, *shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.layers[0].get_config() == layer.get_config()
    # What is symbolic has the shape and dtype of what is computed.
    symbolic = model.outputs[0]
    assert symbolic.shape[1:] == model(x).shape[1:]
    assert symbolic.dtype == layer.compute_dtype == model(x).dtype


def test_configuration_is_plain_json():
    layer = AugmentedConv2D(
        64,
        (3, 5),
        strides=2,
        padding="valid",
        activation="relu",
        num_heads=4,
        max_size=56,
        relative_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(0.5),
        name="aa",
    )
    config = json.loads(json.dumps(layer.get_config()))
    own = {
        "filters": 64,
        "kernel_size": [3, 5],
        "strides": [2, 2],
        "padding": "valid",
        "dilation_rate": [1, 1],
        "data_format": "channels_last",
        "activation": "relu",
        "use_bias": True,
        "num_heads": 4,
        "key_depth": 32,
        "value_depth": 16,
        "position_encoding": "relative",
        "attention_downsampling": 1,
        "max_size": [56, 56],
        "on_larger_input": "raise",
        "implementation": "auto",
        "name": "aa",
    }
    assert config | own == config
    assert config["kernel_regularizer"]["config"] == {"l2": 0.5}
    again = AugmentedConv2D.from_config(config)
    assert again.get_config() == layer.get_config()
    assert again.attention.relative_initializer.get_config() == {}


def test_every_weight_of_the_contract():
    layer = AugmentedConv2D(**DEFAULTS)
    layer.build((None, 7, 5, 3))
    shapes = {
        weight.path.split("/", 1)[1]: tuple(weight.shape) for weight in layer.weights
    }
    assert shapes == {
        "attention/relative_height": (13, 5),
        "attention/relative_width": (9, 5),
        "attention/qkv/kernel": (1, 1, 3, 26),
        "attention/qkv/bias": (26,),
        "attention/output_projection/kernel": (1, 1, 6, 6),
        "attention/output_projection/bias": (6,),
        "convolution/kernel": (3, 3, 3, 7),
        "convolution/bias": (7,),
    }
    assert layer.non_trainable_weights == []


def test_regularizers_and_constraints_reach_their_weights():
    layer = AugmentedConv2D(
        **DEFAULTS,
        kernel_regularizer="l2",
        relative_regularizer="l1",
        relative_constraint="max_norm",
    )
    layer.build((None, 7, 5, 3))
    assert len(layer.losses) == 5  # two tables, three kernels
    assert layer.attention.relative_width.constraint is not None


def test_scores_in_a_functional_model():
    image = keras.Input((8, 6, 3))
    layer = AugmentedConv2D(**DEFAULTS, attention_downsampling=2)
    outputs, scores = layer(image, return_attention_scores=True)
    assert outputs.shape == (None, 8, 6, 13)
    assert scores.shape == (None, 2, 12, 12)
    model = keras.Model(image, {"outputs": outputs, "scores": scores})
    x = draw((3, 8, 6, 3))
    result = model.predict(x, verbose=0)
    np.testing.assert_allclose(result["scores"].sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(result["outputs"], layer(x), atol=1e-5)
    unknown = AugmentedConv2D(**DEFAULTS, max_size=8)
    _, scores = unknown(keras.Input((None, 8, 3)), return_attention_scores=True)
    assert scores.shape == (None, 2, None, None)


class Scaled(SelfAttention2D):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(13, 1), name="scale")
        super().build(input_shape)

    def encode_position(self, x):
        return x * self.scale[0]


def test_a_subclass_with_a_weight_of_its_own(tmp_path):
    layer = Scaled(6, 10, num_heads=2)
    model = keras.Sequential([keras.Input((7, 5, 3)), layer])
    randomize(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"Scaled": Scaled}
    )
    x = draw((2, 7, 5, 3))
    np.testing.assert_array_equal(loaded(x), model(x))
    # Tables are fitted to a smaller map, the weight of the same shape is not.
    model.save_weights(tmp_path / "at_7.weights.h5")
    smaller = keras.Sequential([keras.Input((5, 3, 3)), Scaled(6, 10, num_heads=2)])
    smaller.load_weights(tmp_path / "at_7.weights.h5")
    np.testing.assert_array_equal(smaller.layers[0].scale, layer.scale)
    np.testing.assert_array_equal(
        smaller.layers[0].relative_height, layer.relative_height[2:-2]
    )


LOAD = """
import sys, numpy as np, tensorflow as tf
x = np.load(sys.argv[2])
model = tf.saved_model.load(sys.argv[1])
np.save(sys.argv[3], model.serve(x))
"""


def test_saved_model_in_another_process(tmp_path):
    """A program of unknown batch, height and width, without this package."""
    layer = AugmentedConv2D(**DEFAULTS, max_size=24, implementation="fused")
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    model.export(tmp_path / "model", verbose=False)
    x = draw((5, 23, 19, 3))
    np.save(tmp_path / "x.npy", x)
    paths = [tmp_path / "model", tmp_path / "x.npy", tmp_path / "y.npy"]
    command = [sys.executable, "-c", LOAD, *map(str, paths)]
    subprocess.run(command, check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(paths[2]), model(x), atol=1e-5)
