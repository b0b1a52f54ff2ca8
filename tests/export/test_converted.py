"""ONNX and LiteRT files say what the network says, to their own runtimes."""

import json
import sys

import keras
import numpy as np
import pytest

from aa_keras import data, export, layers


def ask_onnx(folder, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    return session.run(["probabilities"], {"inputs": inputs})[0]


def ask_litert(folder, inputs):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(folder / "model.tflite")).get_signature_runner()
    return runner(inputs=inputs)["probabilities"]


ASK = {"onnx": ask_onnx, "litert": ask_litert}
FILES = {"onnx": "model.onnx", "litert": "model.tflite"}


@pytest.mark.parametrize("file_format", ASK)
def test_the_whole_test_split(file_format, workdir, run, digits, tmp_path):
    folder = export.export(workdir, tmp_path / "out", format=file_format)
    assert folder == tmp_path / "out/1"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    inputs = run.task.preprocessing(digits).numpy()
    np.testing.assert_allclose(
        ASK[file_format](folder, inputs), run.model(inputs), atol=1e-5
    )
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["assets.extra", FILES[file_format]]
    )
    card = json.loads((folder / "assets.extra/model_card.json").read_text())
    assert card["format"] == file_format
    assert card["preprocessing"]["std"] == [0.376]
    assert card["signatures"][FILES[file_format]]["inputs"] == {
        "inputs": {"dtype": "float32", "shape": [None, 8, 8, 1]}
    }


@pytest.mark.parametrize("file_format", ASK)
def test_a_backbone_in_another_model(file_format, tmp_path):
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential(
        [
            keras.layers.Input((9, 9, 3)),
            layers.AugmentedConv2D(16, 3, num_heads=2, implementation="fused"),
        ]
    )
    model = keras.Sequential(
        [
            keras.layers.Input((9, 9, 3)),
            backbone,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )
    folder = export.export_model(
        model,
        tmp_path,
        format=file_format,
        preprocessing=data.Preprocessing(9, mean=(0.5,) * 3, std=(0.25,) * 3),
        class_names="abcde",
    )
    inputs = np.random.default_rng(0).normal(size=(3, 9, 9, 3)).astype("float32")
    np.testing.assert_allclose(
        ASK[file_format](folder, inputs), model(inputs), atol=1e-5
    )
    (attention,) = layers.attention_layers(model).values()
    assert attention.implementation == "fused"


@pytest.mark.parametrize(
    "options",
    [
        {"strides": 2, "position_encoding": "sine"},
        {"attention_downsampling": 2, "position_encoding": "coordconv"},
        {"padding": "valid", "position_encoding": "none", "key_depth": 8},
        {"value_depth": 16, "activation": "relu"},
    ],
    ids=["strides", "downsampling", "valid", "all attention"],
)
@pytest.mark.parametrize(
    "file_format", [pytest.param(name, marks=pytest.mark.slow) for name in ASK]
)
def test_every_way_of_the_layer(file_format, options, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((11, 13, 3)),
            keras.layers.Conv2D(8, 3),
            layers.AugmentedConv2D(16, 3, num_heads=2, **options),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )

    class Wide(data.Preprocessing):
        @property
        def output_shape(self):
            return (11, 13, 3)

        def resize(self, images):
            import tensorflow as tf

            return tf.image.resize(images, (11, 13), antialias=True)

    folder = export.export_model(
        model,
        tmp_path,
        format=file_format,
        preprocessing=Wide(11, mean=(0.5,) * 3, std=(0.25,) * 3),
        class_names="abcde",
    )
    inputs = np.random.default_rng(0).normal(size=(3, 11, 13, 3)).astype("float32")
    np.testing.assert_allclose(
        ASK[file_format](folder, inputs), model(inputs), atol=1e-5
    )


def test_keras_exports_a_network_of_open_sizes(tmp_path):
    import onnxruntime

    layer = layers.AugmentedConv2D(16, 3, num_heads=2, max_size=40)
    model = keras.Sequential([keras.layers.Input((None, None, 3)), layer])
    random = np.random.default_rng(0)
    sizes = ((40, 40), (7, 5), (1, 3))  # the first in several blocks
    inputs = [random.normal(size=(2, *n, 3)).astype("float32") for n in sizes]
    expected = [model(x) for x in inputs]
    model.export(str(tmp_path / "model.onnx"), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (name,) = (given.name for given in session.get_inputs())
    for x, outputs in zip(inputs, expected, strict=True):
        (result,) = session.run(None, {name: x})
        np.testing.assert_allclose(result, outputs, atol=1e-5)


@pytest.mark.parametrize(
    ("file_format", "package"), [("onnx", "tf2onnx"), ("litert", "ai_edge_litert")]
)
def test_a_converter_that_is_not_installed(
    file_format, package, workdir, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    words = rf"{package} is not installed; .*: pip install 'aa-keras\[{file_format}\]'"
    with pytest.raises(ValueError, match=words) as caught:
        export.export(workdir, tmp_path / "out", format=file_format)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
