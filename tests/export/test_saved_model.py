"""The exported network is the trained one, whoever asks it."""

import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import data, export, layers

# Asks as a server does: nothing of this package or of Keras can be imported.
ASK = """
import sys
sys.modules.update(dict.fromkeys(("aa_keras", "keras", "keras_cv")))
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = served(images=tf.constant(np.load(sys.argv[2])))
np.savez(sys.argv[3], **{k: np.array(v.numpy().tolist()) for k, v in answer.items()})
"""


@pytest.fixture(scope="module")
def answer(exported, digits, run_python, tmp_path_factory):
    """What another process gets for the whole test split."""
    folder = tmp_path_factory.mktemp("answer")
    np.save(folder / "images.npy", digits)
    run_python(ASK, exported, folder / "images.npy", folder / "answer.npz")
    with np.load(folder / "answer.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def expected(run):
    """What the original says to the pipeline that evaluation uses."""
    source = data.open_source("digits")
    batches = data.build_evaluation(
        source, run.task.preprocessing, split="test", batch_size=64
    )
    return run.model.predict(batches, verbose=0)


def test_another_process_gets_the_probabilities_of_evaluation(answer, expected):
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(answer["classes"], expected.argmax(1))


def test_accuracy_is_the_one_in_result_json(answer, run):
    from sklearn.datasets import load_digits

    accuracy = np.mean(answer["classes"] == load_digits().target[4::5])
    assert accuracy == pytest.approx(run.result["metrics"]["test"]["accuracy"])


def test_names_and_best_classes_follow_from_the_probabilities(answer, expected, run):
    order = np.argsort(-expected, axis=1, kind="stable")[:, :5]
    names = np.array([name.encode() for name in run.task.class_names])
    np.testing.assert_array_equal(answer["top_k_classes"], order)
    np.testing.assert_array_equal(answer["top_k_class_names"], names[order])
    np.testing.assert_array_equal(answer["class_names"], names[order[:, 0]])
    np.testing.assert_allclose(
        answer["top_k_probabilities"],
        np.take_along_axis(expected, order, axis=1),
        atol=1e-5,
    )


def test_images_of_any_size_are_resized_as_in_evaluation(served, run, photograph):
    image = photograph[:, :, 1:2]
    answer = served.signatures["serving_default"](images=tf.constant(image[None]))
    inputs = run.task.preprocessing(image)
    np.testing.assert_allclose(
        answer["probabilities"], run.model(inputs[None]), atol=1e-5
    )


def test_files_are_answered_like_their_pixels(served, digits, encode, photograph):
    files = [encode(digit[:, :, 0]) for digit in digits[:3]]
    files.append(encode(photograph[:, :, 1]))
    by_file = served.signatures["serve_image_bytes"](image_bytes=tf.constant(files))
    ask = served.signatures["serving_default"]
    by_pixels = np.concatenate(
        [
            ask(images=tf.constant(digits[:3]))["probabilities"],
            ask(images=tf.constant(photograph[None, :, :, 1:2]))["probabilities"],
        ]
    )
    np.testing.assert_allclose(by_file["probabilities"], by_pixels, atol=1e-6)


def test_preprocessed_inputs_are_answered_as_by_the_network(served, run, digits):
    inputs = run.task.preprocessing(digits[:5])
    answer = served.signatures["serve_preprocessed"](inputs=inputs)
    np.testing.assert_allclose(answer["probabilities"], run.model(inputs), atol=1e-6)


def test_attention_is_that_of_the_named_layer(served, exported, run, digits):
    card = json.loads((exported / "assets.extra/model_card.json").read_text())
    layer = run.model.get_layer(card["attention_layer"])
    assert isinstance(layer, layers.AugmentedConv2D)
    answer = served.signatures["serve_attention"](images=tf.constant(digits[:3]))
    before = keras.Model(run.model.inputs, layer.input)
    _, scores = layer(
        before(run.task.preprocessing(digits[:3])), return_attention_scores=True
    )
    np.testing.assert_allclose(answer["attention_scores"], scores, atol=1e-6)
    default = served.signatures["serving_default"](images=tf.constant(digits[:3]))
    np.testing.assert_allclose(
        answer["probabilities"], default["probabilities"], atol=1e-6
    )


def test_the_folder_holds_what_a_server_and_a_reader_want(exported, run):
    assert sorted(p.name for p in exported.parent.iterdir()) == ["1"]
    assert list(exported.parents[1].iterdir()) == [exported.parent]
    extra = exported / "assets.extra"
    assert sorted(p.name for p in extra.iterdir()) == [
        "batching_params.pbtxt",
        "class_names.txt",
        "model_card.json",
        "tf_serving_warmup_requests",
    ]
    assert (extra / "class_names.txt").read_text().split("\n") == [*"0123456789", ""]


def test_model_card(exported, run):
    card = json.loads((exported / "assets.extra/model_card.json").read_text())
    assert card["name"] == "digits_aa_resnet"
    assert card["metrics"] == run.result["metrics"]
    assert card["processes"] == run.result["processes"]
    assert card["experiment"]["model"]["attention"]["num_heads"] == 4
    assert card["configuration"] == run.result["configuration"]
    assert card["preprocessing"]["mean"] == [0.306]
    assert card["checked"]["images"] == 18
    assert 0 <= card["checked"]["largest_difference"] <= 1e-5
    default = card["signatures"]["serving_default"]
    assert default["inputs"] == {
        "images": {"dtype": "uint8", "shape": [None, None, None, 1]}
    }
    assert default["outputs"]["probabilities"]["shape"] == [None, 10]
    assert sorted(card["signatures"]) == [
        "serve_attention",
        "serve_image_bytes",
        "serve_preprocessed",
        "serving_default",
    ]


def test_saved_model_cli_runs_it(exported, digits, tmp_path):
    np.save(tmp_path / "images.npy", digits[:2])
    command = ["run", "--dir", exported, "--tag_set", "serve"]
    command += ["--signature_def", "serving_default", "--outdir", tmp_path]
    command += ["--inputs", f"images={tmp_path / 'images.npy'}"]
    program = "from tensorflow.python.tools.saved_model_cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, *map(str, command)],
        check=True,
        capture_output=True,
    )
    answer = np.load(tmp_path / "probabilities.npy")
    served = tf.saved_model.load(str(exported)).signatures["serving_default"]
    np.testing.assert_allclose(
        answer, served(images=tf.constant(digits[:2]))["probabilities"], atol=1e-6
    )


def content(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def small_model(classes=3, activation="softmax", channels=3, dtype=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input((7, 7, channels)),
            layers.AugmentedConv2D(16, 3, num_heads=2, dtype=dtype, name="attention"),
            keras.layers.GlobalAveragePooling2D(dtype=dtype),
            keras.layers.Dense(classes, activation=activation, dtype="float32"),
        ],
        name="small",
    )


PREPROCESSING = data.Preprocessing(7, mean=(0.5,) * 3, std=(0.25,) * 3)
NAMES = ("cat", "dog", "größer")


def test_a_model_in_memory_and_its_next_version(tmp_path, photograph):
    model = small_model()
    arguments = {"preprocessing": PREPROCESSING, "class_names": NAMES}
    first = export.export_saved_model(model, tmp_path / "a/b", **arguments)
    before = content(first)
    second = export.export_saved_model(
        model,
        tmp_path / "a/b",
        **arguments,
        version=7,
        card={"author": "me"},
        platform="gpu",
    )
    assert (first.name, second.name) == ("1", "7")
    assert content(first) == before
    card = json.loads((second / "assets.extra/model_card.json").read_text())
    assert (card["author"], card["platform"]) == ("me", "gpu")
    assert card["attention_layer"] == "attention"
    answer = tf.saved_model.load(str(second)).signatures["serving_default"](
        images=tf.constant(photograph[None])
    )
    best = NAMES[int(np.argmax(model(PREPROCESSING(photograph[None]))))]
    assert answer["class_names"].numpy()[0].decode() == best
    with pytest.raises(ValueError, match="version: received 7; allowed: a num"):
        export.export_saved_model(model, tmp_path / "a/b", **arguments, version=7)


def test_attention_of_a_layer_in_a_nested_model(tmp_path, photograph):
    keras.utils.set_random_seed(0)
    inputs = keras.layers.Input((7, 7, 3))
    augmented = layers.AugmentedConv2D(16, 3, num_heads=2, name="augmented")(inputs)
    plain = layers.SelfAttention2D(8, 4, num_heads=2, name="plain")(augmented)
    backbone = keras.Model(inputs, plain, name="backbone")
    # Keras' own attention layer has scores too, but none of a map.
    tokens = keras.layers.Reshape((49, 8))(backbone(inputs))
    tokens = keras.layers.MultiHeadAttention(2, 4, name="keras_own")(tokens, tokens)
    tokens = keras.layers.GlobalAveragePooling1D()(tokens)
    outputs = keras.layers.Dense(3, activation="softmax")(tokens)
    model = keras.Model(inputs, outputs)
    arguments = {"preprocessing": PREPROCESSING, "class_names": NAMES}
    images = tf.constant(photograph[None, :30, :50])
    x = PREPROCESSING(images)
    for name, before in (("augmented", x), ("plain", None)):
        path = export.export_saved_model(
            model, tmp_path, **arguments, attention_layer=name
        )
        layer = backbone.get_layer(name)
        before = backbone.get_layer("augmented")(x) if before is None else before
        _, scores = layer(before, return_attention_scores=True)
        answer = tf.saved_model.load(str(path)).signatures["serve_attention"](
            images=images
        )
        np.testing.assert_allclose(answer["attention_scores"], scores, atol=1e-6)
        np.testing.assert_allclose(answer["probabilities"], model(x), atol=1e-5)
    with pytest.raises(ValueError, match=r"'keras_own'; allowed: augmented, plain$"):
        export.export_saved_model(
            model, tmp_path, **arguments, attention_layer="keras_own"
        )


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],
)
def test_mixed_precision(policy, tmp_path):
    path = export.export_saved_model(
        small_model(dtype=policy),
        tmp_path,
        preprocessing=PREPROCESSING,
        class_names=NAMES,
    )
    assert path == tmp_path / "1"


def test_a_network_without_attention(tmp_path):
    model = keras.Sequential(
        [
            keras.layers.Input((None, None, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    path = export.export_saved_model(
        model, tmp_path, preprocessing=PREPROCESSING, class_names=NAMES
    )
    signatures = tf.saved_model.load(str(path)).signatures
    assert sorted(signatures) == [
        "serve_image_bytes",
        "serve_preprocessed",
        "serving_default",
    ]


@pytest.mark.parametrize(
    ("model", "changed", "message"),
    [
        (
            {"activation": None},
            {},
            r"outputs sum to .*; allowed: one that ends in prob",
        ),
        ({"classes": 4}, {}, "class_names: received 3 of them; allowed: 4"),
        ({"channels": 1}, {}, r"preprocessing: received .*allowed: \(7, 7, 1\)"),
        (
            {},
            {"attention_layer": "x"},
            "attention_layer: received 'x'; allowed: attent",
        ),
        ({}, {"platform": "tpu"}, "platform: received 'tpu'; allowed: cpu, gpu"),
        ({}, {"version": 0}, "version: received 0; allowed: 1, 2, 3"),
    ],
)
def test_mistakes_are_told_in_one_line(model, changed, message, tmp_path):
    arguments = {"preprocessing": PREPROCESSING, "class_names": NAMES, **changed}
    with pytest.raises(ValueError, match=message) as caught:
        export.export_saved_model(small_model(**model), tmp_path / "out", **arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_answers_otherwise_never_appears(tmp_path):
    """Dropout that is always on: the copy cannot say what the original said."""

    class AlwaysOn(keras.layers.Dropout):
        def call(self, inputs, training=None):
            return super().call(inputs, training=True)

    model = keras.Sequential(
        [
            keras.layers.Input((7, 7, 3)),
            keras.layers.Flatten(),
            AlwaysOn(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    with pytest.raises(ValueError, match="probabilities differ from the orig"):
        export.export_saved_model(
            model, tmp_path / "out", preprocessing=PREPROCESSING, class_names=NAMES
        )
    assert list(tmp_path.iterdir()) == []
